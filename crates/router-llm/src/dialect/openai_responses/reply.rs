//! A reply, read into events: a whole one, or the events of a stream.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Event, FrameDecoder, Shape, StopReason},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    failure,
    glance::DONE,
    output::{Delta, Item, Output},
    words,
};
use crate::{
    dialect::{Framing, blocks::Blocks},
    sse,
};

/// A reply, whole or as the first and last events of a stream hold it.
#[derive(Deserialize)]
struct Reply<'a> {
    id: Option<String>,
    model: Option<String>,
    status: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

/// An event of a stream, of any kind.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<Reply<'a>>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    delta: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads one reply.
pub(super) struct Decoder {
    shape: Shape,
    blocks: Blocks,
    output: Output,
    ended: bool,
}

impl Decoder {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, blocks: Blocks::default(), output: Output::default(), ended: false }
    }

    fn read(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let told: Told<'_> = parse(data)?;
        let index = told.output_index.unwrap_or_default();
        let part = told.content_index.or(told.summary_index).unwrap_or_default();
        let delta = |told: Option<String>, of: fn(u64, String) -> Delta| of(part, told.unwrap_or_default());
        if told.error.is_some() || matches!(&*told.kind, "error" | "response.failed") {
            return Err(failure::in_band(data));
        }
        // What follows the end is no part of the reply.
        if self.ended {
            return Ok(());
        }
        if let Some(reply) = &told.response {
            self.blocks.start(reply.id.as_deref(), reply.model.as_deref(), events);
        }
        let step = match &*told.kind {
            "response.completed" | "response.incomplete" => {
                return told.response.map_or(Ok(()), |reply| self.end(reply, events));
            }
            "response.output_item.added" => told.item.map(|item| Delta::Began(item.owned())),
            "response.output_item.done" => told.item.map(|item| Delta::Done(item.owned())),
            "response.output_text.delta" => Some(delta(told.delta, Delta::Text)),
            "response.refusal.delta" => Some(delta(told.delta, Delta::Refusal)),
            "response.reasoning_summary_text.delta" => Some(delta(told.delta, Delta::Summary)),
            "response.reasoning_text.delta" => Some(delta(told.delta, Delta::Reasoning)),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                Some(Delta::Arguments(told.delta.unwrap_or_default()))
            }
            _ => None,
        };
        let Some(step) = step else { return Ok(()) };
        self.blocks.start(None, None, events);
        self.output.take(index, step, &mut self.blocks, events)
    }

    fn end(&mut self, reply: Reply<'_>, events: &mut Vec<Event>) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.blocks.start(reply.id.as_deref(), reply.model.as_deref(), events);
        let incomplete = (reply.status.as_deref() == Some("incomplete")).then(|| {
            let reason = reply.incomplete_details.and_then(|details| details.reason);
            words::stop_reason(&reason.unwrap_or_default())
        });
        for (index, item) in (0_u64..).zip(reply.output.into_iter().flatten()) {
            let item: Item<'_> = parse(item.get().as_bytes())?;
            self.output.take_whole(index, item.owned(), &mut self.blocks, events)?;
        }
        self.output.finish(incomplete == Some(StopReason::MaxTokens), &mut self.blocks, events)?;
        self.blocks.close(events);
        events.extend(reply.usage.and_then(|usage| words::usage(usage.get().as_bytes())).map(Event::Usage));
        let reason = match incomplete {
            Some(reason) => reason,
            None if self.output.called => StopReason::ToolUse,
            None if self.output.refused => StopReason::Refusal,
            None => StopReason::EndTurn,
        };
        events.push(Event::Stop { reason, sequence: None });
        Ok(())
    }
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        if self.shape == Shape::Whole {
            let reply: Reply<'_> = parse(frame)?;
            if reply.error.is_some() {
                return Err(failure::in_band(frame));
            }
            if reply.output.is_none() {
                return Err(Error::new(Kind::Protocol, "the upstream's answer has no output"));
            }
            return self.end(reply, events);
        }
        for said in sse::events(frame, Framing::Sse).filter_map(sse::read) {
            let data = said.data.trim_ascii();
            if !data.is_empty() && data != DONE {
                self.read(data, events)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        Err(Error::new(Kind::Protocol, "the stream was cut before its end"))
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|error| Error::new(Kind::Protocol, "the upstream's answer does not read as a reply").because(error))
}
