//! Keeps the blocks of a reply in order while it is decoded: one open at a time, closed before the next.

use router_core::chat::{Block, Event};

/// The open block of one reply.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    started: bool,
    open: Option<Open>,
    ids: Ids,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Thinking,
    Tool,
}

impl Blocks {
    /// The reply begins, if it has not.
    pub(super) fn start(&mut self, id: Option<&str>, model: Option<&str>, events: &mut Vec<Event>) {
        if !self.started {
            let told = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
            events.push(Event::Start { id: told(id), model: told(model) });
            self.started = true;
        }
    }

    /// More text, in the open block if it is one of text.
    pub(super) fn text(&mut self, text: String, events: &mut Vec<Event>) {
        if !text.is_empty() {
            self.turn(Open::Text, Block::Text, events);
            events.push(Event::Text(text));
        }
    }

    /// More of a thought, likewise.
    pub(super) fn thinking(&mut self, text: String, events: &mut Vec<Event>) {
        if !text.is_empty() {
            self.turn(Open::Thinking, Block::Thinking, events);
            events.push(Event::Thinking(text));
        }
    }

    /// The thought is over, and this is its proof; where none is open, it is that of one without words.
    pub(super) fn sign(&mut self, signature: String, events: &mut Vec<Event>) {
        self.turn(Open::Thinking, Block::Thinking, events);
        events.push(Event::Signature(signature));
        self.close(events);
    }

    /// A thought that only its provider can read.
    pub(super) fn redacted(&mut self, data: String, events: &mut Vec<Event>) {
        self.close(events);
        events.extend([Event::Open(Block::RedactedThinking(data)), Event::Close]);
    }

    /// A tool call begins.
    pub(super) fn tool(&mut self, id: String, name: String, events: &mut Vec<Event>) {
        self.close(events);
        self.open = Some(Open::Tool);
        let id = self.ids.distinct(id, "");
        events.push(Event::Open(Block::ToolUse { id, name }));
    }

    /// The open block ends, if there is one.
    pub(super) fn close(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::Close);
        }
    }

    fn turn(&mut self, to: Open, block: Block, events: &mut Vec<Event>) {
        if self.open != Some(to) {
            self.close(events);
            self.open = Some(to);
            events.push(Event::Open(block));
        }
    }
}

/// The ids of the tool calls of one reply: results are paired with calls by them, so that no two may be the same.
#[derive(Debug, Default)]
pub(super) struct Ids(Vec<String>);

impl Ids {
    /// Whether there was no call.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of the next call of the reply `reply`: its own, or another one where it has none or another call has it.
    pub(super) fn distinct(&mut self, own: String, reply: &str) -> String {
        let is_usable = !own.is_empty() && !self.0.contains(&own);
        let id = if is_usable { own } else { minted(&format!("{reply}{own}"), self.0.len()) };
        self.0.push(id.clone());
        id
    }
}

/// The id of a tool call whose upstream gave none: the same whenever the same reply is read.
pub(super) fn minted(reply: &str, position: usize) -> String {
    let digest = blake3::hash(format!("{reply}/{position}").as_bytes()).to_hex();
    format!("call_{}", digest.get(..24).unwrap_or_default())
}
