//! The items of a reply while it is read: told piece by piece, at their end, or only with the whole reply, and perhaps
//! interleaved. The first item that is not over streams on; those behind it wait for their turn.

use std::{borrow::Cow, collections::BTreeSet};

use router_core::{
    Error, Kind, Result,
    chat::{Event, Part},
    scan,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{items::thought, tools::flat};
use crate::dialect::blocks::{Blocks, minted};

/// The most that the arguments of one call may weigh, in bytes.
const MAX_ARGUMENTS: usize = 16 << 20;

/// An item as the wire has it: the fields of those that the vocabulary has words for.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    id: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    input: Option<String>,
    content: Option<Vec<Piece>>,
    summary: Option<Vec<Piece>>,
    encrypted_content: Option<String>,
    status: Option<String>,
}

/// A part of an item.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Piece {
    text: Option<String>,
    refusal: Option<String>,
}

/// The same, on its own feet.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    Message(Vec<Piece>),
    Reasoning {
        id: String,
        texts: Vec<String>,
        encrypted: Option<String>,
    },
    Call {
        id: String,
        name: String,
        input: String,
        custom: bool,
        cut: bool,
    },
    /// One without a word for it.
    Skipped,
}

impl Item<'_> {
    pub(super) fn owned(self) -> Owned {
        let texts = |pieces: Option<Vec<Piece>>| -> Vec<String> {
            pieces.into_iter().flatten().filter_map(|piece| piece.text).filter(|text| !text.is_empty()).collect()
        };
        let name = flat(self.namespace.as_deref(), &self.name.unwrap_or_default());
        let id = self.call_id.unwrap_or_default();
        let cut = self.status.as_deref() == Some("incomplete");
        match &*self.kind {
            "message" => Owned::Message(self.content.unwrap_or_default()),
            "reasoning" => {
                let content = texts(self.content);
                let texts = if content.is_empty() { texts(self.summary) } else { content };
                Owned::Reasoning { id: self.id.unwrap_or_default(), texts, encrypted: self.encrypted_content }
            }
            "function_call" => {
                let json = self.arguments.map(RawValue::get).unwrap_or_default();
                // Some servers write the object itself.
                let input = scan::text(json.as_bytes()).map_or_else(|| json.to_owned(), Cow::into_owned);
                Owned::Call { id, name, input, custom: false, cut }
            }
            "custom_tool_call" => Owned::Call { id, name, input: self.input.unwrap_or_default(), custom: true, cut },
            _ => Owned::Skipped,
        }
    }
}

/// Something that is told of an item: of a part of it, by its index, or of all of it.
pub(super) enum Delta {
    Began(Owned),
    Text(u64, String),
    Refusal(u64, String),
    Summary(u64, String),
    Reasoning(u64, String),
    Arguments(String),
    Done(Owned),
}

/// The items of one reply, in the order they began.
#[derive(Default)]
pub(super) struct Output {
    items: Vec<Reading>,
    /// The item that is handed out; those before it are over, those after it wait.
    live: usize,
    pub(super) called: bool,
    pub(super) refused: bool,
}

struct Reading {
    index: u64,
    waiting: Vec<Delta>,
    told: Streamed,
    over: bool,
}

/// What was handed out of an item.
#[derive(Default)]
struct Streamed {
    parts: BTreeSet<u64>,
    /// The call, once it is open.
    call: Option<Call>,
    /// Arguments that came before the call that they are for.
    early: String,
    /// The part and the kind of the thought that is told.
    thought: Option<(bool, u64)>,
}

struct Call {
    name: String,
    custom: bool,
    input: String,
}

impl Output {
    /// Takes what is told of the item at `index`.
    pub(super) fn take(
        &mut self,
        index: u64,
        delta: Delta,
        blocks: &mut Blocks,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let place = self.items.iter().position(|item| item.index == index).unwrap_or_else(|| {
            let (waiting, told) = (Vec::new(), Streamed::default());
            self.items.push(Reading { index, waiting, told, over: false });
            self.items.len() - 1
        });
        if let Some(item) = self.items.get_mut(place).filter(|item| !item.over) {
            item.waiting.push(delta);
        }
        self.advance(blocks, events)
    }

    /// Takes an item of the whole reply, unless it was told before.
    pub(super) fn take_whole(
        &mut self,
        index: u64,
        item: Owned,
        blocks: &mut Blocks,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let is_done = |delta: &Delta| matches!(delta, Delta::Done(_));
        let known = self.items.iter().find(|item| item.index == index);
        if known.is_some_and(|item| item.over || item.waiting.iter().any(is_done)) {
            return Ok(());
        }
        self.take(index, Delta::Done(item), blocks, events)
    }

    /// There are no more: what is still open is closed; `cut` says that the answer's limit may have cut it off.
    pub(super) fn finish(&mut self, cut: bool, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<()> {
        while let Some(item) = self.items.get_mut(self.live) {
            item.told.settle(cut, events)?;
            blocks.close(events);
            item.over = true;
            self.live += 1;
            self.advance(blocks, events)?;
        }
        Ok(())
    }

    fn advance(&mut self, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<()> {
        while let Some(item) = self.items.get_mut(self.live) {
            let mut done = false;
            for delta in std::mem::take(&mut item.waiting) {
                self.refused |= delta.refuses();
                done = item.told.tell(item.index, delta, blocks, events)?;
                self.called |= item.told.call.is_some();
                if done {
                    // What was said of it after its end is no part of it.
                    break;
                }
            }
            if !done {
                return Ok(());
            }
            blocks.close(events);
            item.over = true;
            self.live += 1;
        }
        Ok(())
    }
}

impl Delta {
    fn refuses(&self) -> bool {
        let refuses = |pieces: &[Piece]| pieces.iter().any(|piece| piece.refusal.is_some());
        matches!(self, Self::Refusal(..)) || matches!(self, Self::Done(Owned::Message(pieces)) if refuses(pieces))
    }

    /// Whether nothing that is a call can say so.
    fn is_no_call(&self) -> bool {
        match self {
            Self::Text(..) | Self::Refusal(..) | Self::Summary(..) | Self::Reasoning(..) => true,
            Self::Done(item) => !matches!(item, Owned::Call { .. }),
            Self::Began(_) | Self::Arguments(_) => false,
        }
    }
}

impl Streamed {
    /// Hands out what is certain; says whether the item is over.
    fn tell(&mut self, index: u64, delta: Delta, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<bool> {
        if let Some(call) = self.call.as_ref().filter(|_| delta.is_no_call()) {
            let message = format!("the call of `{}` went on as something else", call.name);
            return Err(Error::new(Kind::Protocol, message));
        }
        match delta {
            Delta::Began(Owned::Call { id, name, custom, .. }) if !name.is_empty() => {
                self.open(index, (id, name, custom), blocks, events)?;
            }
            Delta::Began(_) => {}
            Delta::Text(part, text) | Delta::Refusal(part, text) => self.text(part, text, blocks, events),
            Delta::Summary(part, text) => self.think((true, part), text, blocks, events),
            Delta::Reasoning(part, text) => self.think((false, part), text, blocks, events),
            Delta::Arguments(more) if self.call.is_none() => self.early.push_str(&more),
            Delta::Arguments(more) => self.arguments(&more, events)?,
            Delta::Done(item) => return self.done(index, item, blocks, events),
        }
        Ok(false)
    }

    fn text(&mut self, part: u64, text: String, blocks: &mut Blocks, events: &mut Vec<Event>) {
        if !text.is_empty() {
            if self.parts.insert(part) {
                blocks.close(events);
            }
            blocks.text(text, events);
        }
    }

    /// A thought is told by its summary or in full; where both come, by the one that comes first.
    fn think(&mut self, (summary, part): (bool, u64), text: String, blocks: &mut Blocks, events: &mut Vec<Event>) {
        match self.thought {
            _ if text.is_empty() => return,
            Some((told, _)) if told != summary => return,
            Some((_, before)) if before != part => blocks.thinking("\n\n".to_owned(), events),
            Some(_) | None => {}
        }
        self.thought = Some((summary, part));
        blocks.thinking(text, events);
    }

    fn open(
        &mut self,
        index: u64,
        (id, name, custom): (String, String, bool),
        blocks: &mut Blocks,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        if self.call.is_some() {
            return Ok(());
        }
        let id = if id.is_empty() { minted(&name, usize::try_from(index).unwrap_or_default()) } else { id };
        blocks.tool(id, name.clone(), events);
        self.call = Some(Call { name, custom, input: String::new() });
        let early = std::mem::take(&mut self.early);
        self.arguments(&early, events)
    }

    /// The input of a custom tool is a text, which becomes the one argument of a function.
    fn arguments(&mut self, more: &str, events: &mut Vec<Event>) -> Result<()> {
        let Some(call) = self.call.as_mut().filter(|_| !more.is_empty()) else { return Ok(()) };
        if call.input.len() + more.len() > MAX_ARGUMENTS {
            let message = format!("the arguments of `{}` are longer than {MAX_ARGUMENTS} bytes", call.name);
            return Err(Error::new(Kind::Protocol, message));
        }
        let written = if call.custom {
            let escaped = Value::from(more).to_string();
            let inner = escaped.get(1..escaped.len() - 1).unwrap_or_default();
            format!("{}{inner}", if call.input.is_empty() { "{\"input\":\"" } else { "" })
        } else {
            more.to_owned()
        };
        call.input.push_str(more);
        events.push(Event::Arguments(written));
        Ok(())
    }

    fn done(&mut self, index: u64, item: Owned, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<bool> {
        match item {
            Owned::Message(pieces) => {
                for (part, piece) in (0_u64..).zip(pieces) {
                    let text = piece.text.or(piece.refusal).unwrap_or_default();
                    if !self.parts.contains(&part) {
                        self.text(part, text, blocks, events);
                    }
                }
            }
            Owned::Reasoning { id, texts, encrypted } => {
                let encrypted = encrypted.filter(|proof| !proof.is_empty());
                let thought = thought(texts.join("\n\n"), &id, encrypted.as_deref());
                self.thought_over(thought, blocks, events);
            }
            Owned::Call { id, name, input, custom, cut } => {
                if name.is_empty() && self.call.is_none() {
                    return Err(Error::new(Kind::Protocol, "the upstream called a tool without naming it"));
                }
                self.open(index, (id, name, custom), blocks, events)?;
                if self.call.as_ref().is_some_and(|call| call.input.is_empty()) && input.trim() != "null" {
                    self.arguments(&input, events)?;
                }
                return Ok(self.settled(cut, events));
            }
            Owned::Skipped => {}
        }
        Ok(true)
    }

    fn thought_over(&mut self, thought: Option<Part>, blocks: &mut Blocks, events: &mut Vec<Event>) {
        if let Some(Part::RedactedThinking(data)) = thought {
            blocks.redacted(data, events);
        } else if let Some(Part::Thinking { text, signature }) = thought {
            if self.thought.is_none() {
                blocks.thinking(text, events);
            }
            if let Some(signature) = signature {
                blocks.sign(signature, events);
            }
        }
    }

    /// Whether the arguments of the call are all there, or were closed where they were `cut` off.
    fn settled(&mut self, cut: bool, events: &mut Vec<Event>) -> bool {
        let Some(call) = &mut self.call else { return true };
        if call.custom {
            events.push(Event::Arguments(if call.input.is_empty() { "{\"input\":\"\"}" } else { "\"}" }.to_owned()));
            return true;
        }
        if call.input.is_empty() || scan::is_json(call.input.as_bytes()) {
            return true;
        }
        match scan::closing(call.input.as_bytes()).filter(|_| cut) {
            Some(end) => {
                call.input.push_str(&end);
                events.push(Event::Arguments(end));
                true
            }
            None => false,
        }
    }

    fn settle(&mut self, cut: bool, events: &mut Vec<Event>) -> Result<()> {
        let name = self.call.as_ref().map(|call| call.name.clone()).unwrap_or_default();
        if self.settled(cut, events) {
            return Ok(());
        }
        Err(Error::new(Kind::Protocol, format!("the arguments of the call of `{name}` are not JSON")))
    }
}
