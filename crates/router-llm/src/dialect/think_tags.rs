//! Tells a thought that a model wrote into its text, between `<think>` and `</think>`, from the text itself.

const OPENING: &str = "<think>";
const CLOSING: &str = "</think>";

/// A piece of what the model wrote.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Thought(String),
}

/// Reads text as it streams. Only a tag at its very beginning counts: later ones are the model's subject, not its habit.
#[derive(Debug, Default)]
pub(super) struct ThinkTags {
    place: Place,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Beginning,
    /// Right after the opening tag, where line ends are dropped.
    Opened,
    Thought,
    /// Right after the thought, where blank space is dropped.
    Gap,
    Text,
}

impl ThinkTags {
    /// Takes more text and gives the pieces that are certain.
    pub(super) fn feed(&mut self, text: String, mut piece: impl FnMut(Piece)) {
        if self.place == Place::Text {
            return piece(Piece::Text(text));
        }
        self.held.push_str(&text);
        while let Some(ready) = self.step() {
            piece(ready);
        }
    }

    /// Gives what was held back: there is no more.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let held = std::mem::take(&mut self.held);
        match self.place {
            _ if held.is_empty() => None,
            Place::Opened | Place::Thought => Some(Piece::Thought(held)),
            Place::Gap => None,
            Place::Beginning | Place::Text => Some(Piece::Text(held)),
        }
    }

    fn step(&mut self) -> Option<Piece> {
        match self.place {
            Place::Beginning => self.begin(),
            Place::Opened => {
                self.held = self.held.trim_start_matches(['\n', '\r']).to_owned();
                if self.held.is_empty() { None } else { self.think() }
            }
            Place::Thought => self.think(),
            Place::Gap => {
                self.held = self.held.trim_start().to_owned();
                self.place = if self.held.is_empty() { Place::Gap } else { Place::Text };
                self.step_text()
            }
            Place::Text => self.step_text(),
        }
    }

    fn step_text(&mut self) -> Option<Piece> {
        (!self.held.is_empty()).then(|| Piece::Text(std::mem::take(&mut self.held)))
    }

    fn begin(&mut self) -> Option<Piece> {
        let start = self.held.trim_start();
        if let Some(thought) = start.strip_prefix(OPENING) {
            self.held = thought.to_owned();
            self.place = Place::Opened;
            return self.step();
        }
        if OPENING.starts_with(start) {
            return None;
        }
        self.place = Place::Text;
        self.step_text()
    }

    fn think(&mut self) -> Option<Piece> {
        let closed = self.held.split_once(CLOSING).map(|(thought, rest)| (thought.len(), rest.to_owned()));
        self.place = if closed.is_some() { Place::Gap } else { Place::Thought };
        let (length, rest) = closed.unwrap_or_else(|| {
            let safe = self.held.len() - overlap(&self.held, CLOSING);
            (safe, self.held.get(safe..).unwrap_or_default().to_owned())
        });
        self.held.truncate(length);
        let thought = std::mem::replace(&mut self.held, rest);
        if thought.is_empty() {
            return if self.place == Place::Gap { self.step() } else { None };
        }
        Some(Piece::Thought(thought))
    }
}

/// How many bytes at the end of `text` may be the beginning of `tag`.
fn overlap(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|length| text.ends_with(tag.get(..*length).unwrap_or(tag))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&str]) -> (String, String) {
        let (mut thought, mut text) = (String::new(), String::new());
        let mut tags = ThinkTags::default();
        let mut take = |piece| match piece {
            Piece::Thought(more) => thought.push_str(&more),
            Piece::Text(more) => text.push_str(&more),
        };
        for chunk in chunks {
            tags.feed((*chunk).to_owned(), &mut take);
        }
        tags.finish().map(take);
        (thought, text)
    }

    #[test]
    fn a_thought_is_told_from_text_wherever_it_is_cut() {
        let cases = [
            ("<think>hm</think>\n\nyes", "hm", "yes"),
            ("\n<think>\na < b </thin </think>c <think>d</think>", "a < b </thin ", "c <think>d</think>"),
            ("<think></think>x", "", "x"),
            ("<think>never closed </", "never closed </", ""),
            ("<thinking is hard", "", "<thinking is hard"),
            ("<thi", "", "<thi"),
            ("plain <think>x</think>", "", "plain <think>x</think>"),
        ];
        for (whole, thought, text) in cases {
            let expected = (thought.to_owned(), text.to_owned());
            for cut in 0..=whole.len() {
                assert_eq!(split(&[&whole[..cut], &whole[cut..]]), expected, "{whole:?} cut at {cut}");
            }
            let letters: Vec<String> = whole.chars().map(String::from).collect();
            assert_eq!(split(&letters.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{whole:?}");
        }
    }
}
