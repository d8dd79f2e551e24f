//! A reply, whole or in chunks, read into events.

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Event, FrameDecoder, Meta, Shape, StopReason},
    scan,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    NAME,
    calls::{Calls, Fragment},
    details::Details,
    words,
};
use crate::{
    dialect::{
        blocks::Blocks,
        refusal,
        think_tags::{Piece, ThinkTags},
    },
    sse,
};

/// What ends a stream.
pub(super) const DONE: &[u8] = b"[DONE]";

/// A chunk of a stream, or a whole reply: they differ in one word.
#[derive(Deserialize)]
struct Chunk<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow, alias = "message")]
    delta: Option<Delta<'a>>,
    finish_reason: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Whether it tells that the answer failed (OpenRouter).
    fn failed(&self) -> bool {
        self.error.is_some() || self.finish_reason.as_deref() == Some("error")
    }
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    refusal: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    index: Option<u64>,
    id: Option<String>,
    #[serde(borrow)]
    function: Option<FunctionDelta<'a>>,
}

#[derive(Deserialize)]
struct FunctionDelta<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Reads one reply.
pub(super) struct Decoder {
    shape: Shape,
    id: String,
    blocks: Blocks,
    tags: ThinkTags,
    calls: Calls,
    details: Details,
    /// What was said while the arguments of a call were coming: it follows the calls.
    held: Vec<Piece>,
    stop: Option<StopReason>,
    refused: bool,
    ended: bool,
}

impl Decoder {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            id: String::new(),
            blocks: Blocks::default(),
            tags: ThinkTags::default(),
            calls: Calls::default(),
            details: Details::default(),
            held: Vec::new(),
            stop: None,
            refused: false,
            ended: false,
        }
    }

    fn chunk(&mut self, json: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let chunk: Chunk<'_> = serde_json::from_slice(json).map_err(|error| {
            Error::new(Kind::Protocol, "the upstream's answer does not read as a reply").because(error)
        })?;
        if chunk.error.is_some() || chunk.choices.iter().flatten().next().is_some_and(Choice::failed) {
            return Err(refusal::failure(NAME, 200, &Meta::default(), Bytes::copy_from_slice(json)));
        }
        for choice in chunk.choices.into_iter().flatten() {
            // What follows the end is no part of the reply.
            if self.ended || choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(id) = chunk.id.as_deref().filter(|_| self.id.is_empty()) {
                id.clone_into(&mut self.id);
            }
            self.blocks.start(chunk.id.as_deref(), chunk.model.as_deref(), events);
            self.delta(choice.delta.unwrap_or_default(), events)?;
            self.stop = choice.finish_reason.as_deref().and_then(words::stop_reason).or(self.stop);
        }
        if let Some(usage) = chunk.usage.and_then(|usage| words::usage(usage.get().as_bytes())) {
            self.blocks.start(chunk.id.as_deref(), chunk.model.as_deref(), events);
            events.push(Event::Usage(usage));
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, events: &mut Vec<Event>) -> Result<()> {
        let thought = [delta.reasoning_content, delta.reasoning].into_iter().flatten().map(words_of);
        let details = || delta.reasoning_details.map(details_of).unwrap_or_default();
        let thought = thought.into_iter().find(|text| !text.is_empty()).unwrap_or_else(details);
        if !thought.is_empty() {
            self.release(events);
            self.say(Piece::Thought(thought), events)?;
        }
        if let Some(details) = delta.reasoning_details {
            self.details.add(details.get());
        }
        if let Some(content) = delta.content.filter(|content| !matches!(content.get(), "null" | "\"\"" | "[]")) {
            self.sign(events);
            self.content(content, events)?;
        }
        if let Some(refusal) = delta.refusal.filter(|text| !text.is_empty()) {
            self.refused = true;
            self.sign(events);
            self.release(events);
            self.say(Piece::Text(refusal), events)?;
        }
        let calls = delta.tool_calls.unwrap_or_default();
        if !calls.is_empty() {
            self.sign(events);
            self.release(events);
        }
        for call in calls {
            self.calls.add(fragment(call), &self.id, &mut self.blocks, events)?;
        }
        Ok(())
    }

    /// Text, or a list of parts (Mistral's thinking models).
    fn content(&mut self, content: &RawValue, events: &mut Vec<Event>) -> Result<()> {
        let json = content.get().as_bytes();
        if let Some(text) = scan::text(json) {
            let holds = self.holds(events)?;
            let Self { blocks, tags, held, .. } = self;
            tags.feed(text.into_owned(), |piece| if holds { held.push(piece) } else { tell(piece, blocks, events) });
            return Ok(());
        }
        for part in scan::items(json) {
            self.release(events);
            if let Some(thought) = scan::find(part, "/thinking") {
                self.say(Piece::Thought(texts_in(thought)), events)?;
            } else if let Some(text) = scan::find(part, "/text").and_then(scan::text) {
                self.say(Piece::Text(text.into_owned()), events)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, piece: Piece, events: &mut Vec<Event>) -> Result<()> {
        if self.holds(events)? {
            self.held.push(piece);
        } else {
            tell(piece, &mut self.blocks, events);
        }
        Ok(())
    }

    /// Whether what is said has to wait, because the arguments of a call are not all there.
    fn holds(&mut self, events: &mut Vec<Event>) -> Result<bool> {
        self.calls.close_complete(&self.id, &mut self.blocks, events)?;
        Ok(self.calls.is_open())
    }

    /// Puts what the provider wants to see again into the signature of the thought that it belongs to.
    fn sign(&mut self, events: &mut Vec<Event>) {
        if !self.calls.is_open()
            && let Some(mark) = self.details.take()
        {
            self.blocks.sign(mark, events);
        }
    }

    /// Hands out the text that was held back because it might have been a tag.
    fn release(&mut self, events: &mut Vec<Event>) {
        if let Some(piece) = self.tags.finish() {
            if self.calls.is_open() {
                self.held.push(piece);
            } else {
                tell(piece, &mut self.blocks, events);
            }
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.blocks.start(None, None, events);
        self.release(events);
        self.calls.finish(&self.id, self.stop, &mut self.blocks, events)?;
        for piece in std::mem::take(&mut self.held) {
            tell(piece, &mut self.blocks, events);
        }
        self.sign(events);
        self.blocks.close(events);
        let reason = match self.stop {
            Some(reason @ (StopReason::MaxTokens | StopReason::Refusal)) => reason,
            _ if !self.calls.is_empty() => StopReason::ToolUse,
            _ if self.refused => StopReason::Refusal,
            // A model that is said to wait for its tools but called none has nothing to wait for.
            Some(StopReason::ToolUse) | None => StopReason::EndTurn,
            Some(reason) => reason,
        };
        events.push(Event::Stop { reason, sequence: None });
        Ok(())
    }
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        if self.shape == Shape::Whole {
            if scan::find(frame, "/choices/0").is_none() && scan::find(frame, "/error").is_none() {
                return Err(Error::new(Kind::Protocol, "the upstream's answer holds no choice"));
            }
            self.chunk(frame, events)?;
            return self.end(events);
        }
        for event in sse::events(frame, crate::dialect::Framing::Sse) {
            match sse::read(event) {
                Some(said) if said.data.trim_ascii() == DONE => self.end(events)?,
                Some(said) if !said.data.trim_ascii().is_empty() => self.chunk(&said.data, events)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if self.ended || self.stop.is_some() {
            return self.end(events);
        }
        Err(Error::new(Kind::Protocol, "the stream was cut before its end"))
    }
}

fn tell(piece: Piece, blocks: &mut Blocks, events: &mut Vec<Event>) {
    match piece {
        Piece::Text(text) => blocks.text(text, events),
        Piece::Thought(text) => blocks.thinking(text, events),
    }
}

fn fragment(call: CallDelta<'_>) -> Fragment {
    let CallDelta { index, id, function } = call;
    let (name, arguments) = function.map(|function| (function.name, function.arguments)).unwrap_or_default();
    let arguments = match arguments.map(RawValue::get) {
        Some(text) if text.starts_with('"') => scan::text(text.as_bytes()).map(std::borrow::Cow::into_owned),
        // Some servers write the object itself.
        object => object.map(str::to_owned),
    };
    let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
    Fragment { index, id, name, arguments: arguments.unwrap_or_default() }
}

fn words_of(json: &RawValue) -> String {
    scan::text(json.get().as_bytes()).unwrap_or_default().into_owned()
}

/// The texts of OpenRouter's `reasoning_details`.
fn details_of(json: &RawValue) -> String {
    let text = |detail| scan::find(detail, "/text").or_else(|| scan::find(detail, "/summary")).and_then(scan::text);
    scan::items(json.get().as_bytes()).filter_map(text).collect()
}

/// A text, or the texts of a list of parts.
fn texts_in(json: &[u8]) -> String {
    match scan::text(json) {
        Some(text) => text.into_owned(),
        None => scan::items(json).filter_map(|part| scan::text(scan::find(part, "/text")?)).collect(),
    }
}
