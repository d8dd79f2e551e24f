//! A reply, whole or line by line, read into events.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Event, FrameDecoder, Meta, Shape, StopReason, Usage},
    scan,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use crate::dialect::{
    blocks::{Blocks, minted},
    refusal,
    think_tags::{Piece, ThinkTags},
};

/// A line of a stream, or a whole reply: they are alike.
#[derive(Deserialize)]
struct Line<'a> {
    model: Option<String>,
    created_at: Option<String>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    #[serde(flatten)]
    counts: Counts,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What was used: Ollama does not tell what came from its cache.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct Counts {
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

impl Counts {
    /// The usage; `None` when nobody counted.
    pub(super) fn usage(self) -> Option<Usage> {
        let (input, output) = (self.prompt_eval_count.unwrap_or(0), self.eval_count.unwrap_or(0));
        Some(Usage { input, output, ..Usage::default() }).filter(Usage::is_known)
    }
}

#[derive(Deserialize)]
struct Said<'a> {
    content: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    /// The arguments, if there are any; some servers write the object as a text.
    fn arguments(&self) -> Result<Option<Cow<'a, str>>> {
        if self.name.is_empty() {
            return Err(Error::new(Kind::Protocol, "the upstream called a tool without naming it"));
        }
        let Some(json) = self.arguments.map(RawValue::get) else { return Ok(None) };
        let object = scan::text(json.as_bytes()).unwrap_or(Cow::Borrowed(json));
        match object.trim() {
            "" | "null" | "{}" => Ok(None),
            text if text.starts_with('{') && scan::is_json(text.as_bytes()) => Ok(Some(object)),
            _ => Err(Error::new(Kind::Protocol, format!("the arguments of the call of `{}` are no object", self.name))),
        }
    }
}

/// Reads one reply.
pub(super) struct Decoder {
    shape: Shape,
    /// When the reply began, by the upstream's clock: what ids are made from.
    began: String,
    blocks: Blocks,
    tags: ThinkTags,
    calls: usize,
    ended: bool,
}

impl Decoder {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            began: String::new(),
            blocks: Blocks::default(),
            tags: ThinkTags::default(),
            calls: 0,
            ended: false,
        }
    }

    fn line(&mut self, json: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let line: Line<'_> = serde_json::from_slice(json).map_err(|error| {
            Error::new(Kind::Protocol, "the upstream's answer does not read as a reply").because(error)
        })?;
        if line.error.is_some() {
            return Err(refusal::failure(NAME, 200, &Meta::default(), Bytes::copy_from_slice(json)));
        }
        self.blocks.start(None, line.model.as_deref(), events);
        if self.began.is_empty() {
            self.began = line.created_at.unwrap_or_default();
        }
        if let Some(said) = line.message.filter(|_| !self.ended) {
            self.said(said, events)?;
        }
        if line.done {
            self.end(line.done_reason.as_deref(), line.counts, events);
        }
        Ok(())
    }

    fn said(&mut self, said: Said<'_>, events: &mut Vec<Event>) -> Result<()> {
        if let Some(thought) = said.thinking.filter(|text| !text.is_empty()) {
            self.release(events);
            self.blocks.thinking(thought, events);
        }
        let Self { blocks, tags, .. } = self;
        tags.feed(said.content.unwrap_or_default(), |piece| match piece {
            Piece::Text(text) => blocks.text(text, events),
            Piece::Thought(text) => blocks.thinking(text, events),
        });
        let calls = said.tool_calls.unwrap_or_default();
        if !calls.is_empty() {
            self.release(events);
        }
        for call in calls {
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| minted(&self.began, self.calls));
            self.calls += 1;
            let arguments = call.function.arguments()?;
            self.blocks.tool(id, call.function.name, events);
            events.extend(arguments.map(|json| Event::Arguments(json.into_owned())));
            self.blocks.close(events);
        }
        Ok(())
    }

    fn release(&mut self, events: &mut Vec<Event>) {
        match self.tags.finish() {
            Some(Piece::Text(text)) => self.blocks.text(text, events),
            Some(Piece::Thought(text)) => self.blocks.thinking(text, events),
            None => {}
        }
    }

    fn end(&mut self, reason: Option<&str>, counts: Counts, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.release(events);
        self.blocks.close(events);
        events.extend(counts.usage().map(Event::Usage));
        let reason = match reason {
            Some("length") => StopReason::MaxTokens,
            _ if self.calls > 0 => StopReason::ToolUse,
            _ => StopReason::EndTurn,
        };
        events.push(Event::Stop { reason, sequence: None });
    }
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        if self.shape == Shape::Whole {
            return self.line(frame, events);
        }
        let mut lines = frame.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.try_for_each(|line| self.line(line, events))
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        Err(Error::new(Kind::Protocol, "the stream was cut before its end"))
    }
}
