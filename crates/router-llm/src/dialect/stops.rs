//! Ends a reply at a text that its upstream was not told of, because it takes only so many.

use router_core::chat::{Block, Event, StopReason};

/// Watches the texts of one reply. What may be the beginning of a stop is held back until it is known to be none.
#[derive(Debug)]
pub(super) struct Stops {
    watched: Vec<String>,
    /// What is held back of the open text.
    held: String,
    in_text: bool,
}

impl Stops {
    /// Watches for these texts.
    pub(super) fn new(watched: Vec<String>) -> Self {
        Self { watched, held: String::new(), in_text: false }
    }

    /// Hands out what is certain of `event`; `true` when the reply has ended with it.
    pub(super) fn feed(&mut self, event: Event, events: &mut Vec<Event>) -> bool {
        match event {
            Event::Text(more) if self.in_text => {
                self.held.push_str(&more);
                return self.look(events);
            }
            Event::Open(Block::Text) => self.in_text = true,
            Event::Close if self.in_text => {
                self.in_text = false;
                let rest = std::mem::take(&mut self.held);
                events.extend((!rest.is_empty()).then_some(Event::Text(rest)));
            }
            Event::Start { .. }
            | Event::Open(_)
            | Event::Text(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::Arguments(_)
            | Event::Close
            | Event::Usage(_)
            | Event::Stop { .. } => {}
        }
        events.push(event);
        false
    }

    fn look(&mut self, events: &mut Vec<Event>) -> bool {
        let found = self.watched.iter().filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = found.min_by_key(|(at, _)| *at) {
            let stop = stop.clone();
            self.held.truncate(at);
            let rest = std::mem::take(&mut self.held);
            events.extend((!rest.is_empty()).then_some(Event::Text(rest)));
            events.extend([Event::Close, Event::Stop { reason: StopReason::StopSequence, sequence: Some(stop) }]);
            return true;
        }
        let safe = self.held.len() - self.watched.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let kept = self.held.split_off(safe);
        let ready = std::mem::replace(&mut self.held, kept);
        events.extend((!ready.is_empty()).then_some(Event::Text(ready)));
        false
    }
}

/// How many bytes at the end of `text` may be the beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let begins = |length: &usize| stop.get(..*length).is_some_and(|start| text.ends_with(start));
    (1..stop.len()).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], chunks: &[&str]) -> (String, Option<String>) {
        let mut stopping = Stops::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut events = Vec::new();
        let texts = chunks.iter().map(|chunk| Event::Text((*chunk).to_owned()));
        let reply = [Event::Open(Block::Text)].into_iter().chain(texts).chain([Event::Close]);
        let mut reply = reply;
        let ended = reply.any(|event| stopping.feed(event, &mut events));
        let text =
            events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None });
        let sequence = events.iter().find_map(|event| {
            let Event::Stop { reason: StopReason::StopSequence, sequence } = event else { return None };
            sequence.clone()
        });
        assert_eq!(ended, sequence.is_some());
        assert!(!events.contains(&Event::Text(String::new())));
        assert_eq!(events.iter().filter(|event| **event == Event::Close).count(), 1);
        (text.collect(), sequence)
    }

    #[test]
    fn a_stop_ends_the_text_wherever_it_is_cut() {
        let cases = [
            ("one END two", "one ", Some("END")),
            ("one EN two", "one EN two", None),
            ("one E", "one E", None),
            ("END", "", Some("END")),
            ("EEND", "E", Some("END")),
            ("é\n\nENDé", "é", Some("\n\n")),
            ("éé", "éé", None),
        ];
        for (whole, text, stop) in cases {
            let expected = (text.to_owned(), stop.map(str::to_owned));
            for cut in (0..=whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
                assert_eq!(run(&["END", "\n\n"], &[&whole[..cut], &whole[cut..]]), expected, "{whole:?} cut at {cut}");
            }
            let letters: Vec<String> = whole.chars().map(String::from).collect();
            assert_eq!(run(&["END", "\n\n"], &letters.iter().map(String::as_str).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn only_what_the_model_says_is_watched() {
        let mut stops = Stops::new(vec!["END".into()]);
        let mut events = Vec::new();
        let thought = [Event::Open(Block::Thinking), Event::Thinking("END".into()), Event::Close];
        let call = [
            Event::Open(Block::ToolUse { id: "i".into(), name: "n".into() }),
            Event::Arguments("\"END\"".into()),
            Event::Close,
        ];
        let reply = [&thought[..], &call[..]].concat();
        assert!(!reply.iter().cloned().any(|event| stops.feed(event, &mut events)));
        assert_eq!(events, reply);
    }
}
