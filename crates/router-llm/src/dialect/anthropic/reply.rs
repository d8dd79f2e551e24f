//! A reply, read into events: a whole message, or the frames of a stream.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Block, Event, FrameDecoder, StopReason, Usage},
    scan,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    failure,
    words::{self, UsageFields},
};
use crate::{
    dialect::{Framing, blocks::Ids, proof::UNSIGNED},
    sse,
};

/// A message, whole or as a stream begins it.
#[derive(Deserialize)]
struct Message<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    content: Option<Vec<Content<'a>>>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Option<UsageFields>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A block of any kind: the fields of those that the vocabulary has words for.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// An event of a stream, of any kind.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<Content<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    usage: Option<UsageFields>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What a `content_block_delta` adds, or a `message_delta` changes.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

impl Content<'_> {
    /// The block that it opens; `None` when the vocabulary has no word for it.
    fn block(&mut self, ids: &mut Ids) -> Result<Option<Block>> {
        Ok(match &*self.kind {
            "text" => Some(Block::Text),
            "thinking" => Some(Block::Thinking),
            "redacted_thinking" => Some(Block::RedactedThinking(self.data.take().unwrap_or_default())),
            "tool_use" => {
                let name = self.name.take().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| Error::new(Kind::Protocol, "a tool is called without its name"))?;
                Some(Block::ToolUse { id: ids.distinct(self.id.take().unwrap_or_default(), ""), name })
            }
            _ => None,
        })
    }

    /// What the block begins with, its arguments apart.
    fn fill(&mut self, events: &mut Vec<Event>) {
        let filled = |text: &mut Option<String>| text.take().filter(|text| !text.is_empty());
        match &*self.kind {
            "text" => events.extend(filled(&mut self.text).map(Event::Text)),
            "thinking" => {
                events.extend(filled(&mut self.thinking).map(Event::Thinking));
                events.extend(filled(&mut self.signature).and_then(proof));
            }
            _ => {}
        }
    }

    /// The arguments of a call, unless there are none yet.
    fn arguments(&self) -> Option<String> {
        let input = self.input.filter(|_| self.kind == "tool_use").map(RawValue::get);
        let input = input.filter(|input| *input != "{}" && *input != "null");
        input.map(str::to_owned)
    }
}

/// Our own mark says that there is no proof.
fn proof(signature: String) -> Option<Event> {
    (!signature.is_empty() && signature != UNSIGNED).then_some(Event::Signature(signature))
}

/// Reads the body of a whole reply.
pub(super) struct WholeDecoder;

impl FrameDecoder for WholeDecoder {
    fn decode(&mut self, body: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        let message: Message<'_> = parse(body)?;
        if message.error.is_some() {
            return Err(failure::in_band(body));
        }
        let Some(contents) = message.content else {
            return Err(Error::new(Kind::Protocol, "the reply is no message of the dialect: it has no content"));
        };
        events.push(started(message.id, message.model));
        let mut ids = Ids::default();
        for mut content in contents {
            let Some(block) = content.block(&mut ids)? else { continue };
            events.push(Event::Open(block));
            content.fill(events);
            events.extend(content.arguments().map(Event::Arguments));
            events.push(Event::Close);
        }
        events.extend(message.usage.map(|usage| Event::Usage(usage.into())));
        let reason = words::stop_reason(message.stop_reason.as_deref().unwrap_or_default());
        let reason = if ids.is_empty() { without_calls(reason) } else { reason };
        events.push(Event::Stop { reason, sequence: message.stop_sequence });
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        Ok(())
    }
}

/// Reads the frames of a stream. It closes what the upstream forgot to close, opens what it forgot to open, and whatever
/// comes in which order, its events are in the order that every decoder promises.
#[derive(Default)]
pub(super) struct StreamDecoder {
    phase: Phase,
    /// The number that the upstream gave the open block, where it did.
    index: Option<u64>,
    open: Open,
    ids: Ids,
    usage: Usage,
    /// The call whose arguments are not JSON: right only where something cut the reply off.
    broken: Option<String>,
}

/// How far the reply is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Silent,
    Started,
    /// What follows is no part of the reply.
    Stopped,
}

/// The block that is being read.
#[derive(Default)]
enum Open {
    #[default]
    None,
    /// One without a word for it.
    Skipped,
    Text,
    Thinking,
    ToolUse(Call),
    Redacted,
}

/// A call whose arguments are coming.
struct Call {
    name: String,
    /// What some servers put into the block itself, in case no delta brings it.
    given: Option<String>,
    /// What the deltas brought.
    arguments: String,
}

impl FrameDecoder for StreamDecoder {
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        for said in sse::events(frame, Framing::Sse).filter_map(sse::read) {
            self.read(&said.data, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.phase == Phase::Stopped {
            return Ok(());
        }
        Err(Error::new(Kind::Protocol, "the stream ended before the reply did"))
    }
}

impl StreamDecoder {
    fn read(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let told: Told<'_> = parse(data)?;
        // Some servers leave out the type that goes with it.
        if told.error.is_some() {
            return Err(failure::in_band(data));
        }
        match &*told.kind {
            "message_start" => self.start(told.message, events),
            "message_delta" => return self.stop(told, events),
            _ if self.phase == Phase::Stopped => {}
            "content_block_start" => return self.open(told.index, told.content_block, events),
            "content_block_delta" => return self.fill(told.index, told.delta, events),
            "content_block_stop" => self.close(events),
            _ => {}
        }
        Ok(())
    }

    /// The reply begins, once: an upstream behind a proxy that asked twice may say so again.
    fn start(&mut self, message: Option<Message<'_>>, events: &mut Vec<Event>) {
        let (id, model, usage) = message.map(|message| (message.id, message.model, message.usage)).unwrap_or_default();
        if self.phase == Phase::Silent {
            self.phase = Phase::Started;
            events.push(started(id, model));
        }
        self.count(usage, events);
    }

    fn open(&mut self, index: Option<u64>, content: Option<Content<'_>>, events: &mut Vec<Event>) -> Result<()> {
        self.start(None, events);
        self.close(events);
        let Some(mut content) = content else { return Ok(()) };
        self.index = index;
        let Some(block) = content.block(&mut self.ids)? else {
            self.open = Open::Skipped;
            return Ok(());
        };
        self.begin(block, events)?;
        if let Open::ToolUse(call) = &mut self.open {
            call.given = content.arguments();
        }
        content.fill(events);
        Ok(())
    }

    fn begin(&mut self, block: Block, events: &mut Vec<Event>) -> Result<()> {
        self.refuse_broken()?;
        self.open = match &block {
            Block::Text => Open::Text,
            Block::Thinking => Open::Thinking,
            Block::RedactedThinking(_) => Open::Redacted,
            Block::ToolUse { name, .. } => {
                Open::ToolUse(Call { name: name.clone(), given: None, arguments: String::new() })
            }
        };
        events.push(Event::Open(block));
        Ok(())
    }

    fn fill(&mut self, index: Option<u64>, delta: Option<Delta<'_>>, events: &mut Vec<Event>) -> Result<()> {
        let Some(delta) = delta else { return Ok(()) };
        let told = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (&*delta.kind, &mut self.open) {
            (_, Open::Skipped) => {}
            ("text_delta", _) => {
                let Some(more) = told(delta.text) else { return Ok(()) };
                self.turn(Block::Text, events)?;
                events.push(Event::Text(more));
            }
            ("thinking_delta", _) => {
                let Some(more) = told(delta.thinking) else { return Ok(()) };
                self.turn(Block::Thinking, events)?;
                events.push(Event::Thinking(more));
            }
            ("signature_delta", Open::Thinking) => events.extend(told(delta.signature).and_then(proof)),
            ("input_json_delta", Open::ToolUse(call)) if index == self.index || index.is_none() => {
                let Some(more) = told(delta.partial_json) else { return Ok(()) };
                call.given = None;
                call.arguments.push_str(&more);
                events.push(Event::Arguments(more));
            }
            ("input_json_delta", _) if delta.partial_json.as_deref().is_some_and(|more| !more.is_empty()) => {
                return Err(Error::new(Kind::Protocol, "arguments came for a call that is not open"));
            }
            _ => {}
        }
        Ok(())
    }

    /// What is filled is opened first, if it is not open.
    fn turn(&mut self, block: Block, events: &mut Vec<Event>) -> Result<()> {
        if matches!((&block, &self.open), (Block::Text, Open::Text) | (Block::Thinking, Open::Thinking)) {
            return Ok(());
        }
        self.start(None, events);
        self.close(events);
        self.begin(block, events)
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::None | Open::Skipped => return,
            Open::Text | Open::Thinking | Open::Redacted => {}
            Open::ToolUse(Call { name, given, arguments }) => {
                events.extend(given.map(Event::Arguments));
                if !arguments.is_empty() && !scan::is_json(arguments.as_bytes()) {
                    self.broken.get_or_insert(name);
                }
            }
        }
        events.push(Event::Close);
    }

    fn stop(&mut self, told: Told<'_>, events: &mut Vec<Event>) -> Result<()> {
        self.start(None, events);
        self.close(events);
        self.count(told.usage, events);
        let Some(delta) = told.delta else { return Ok(()) };
        let Some(reason) = delta.stop_reason.filter(|_| self.phase == Phase::Started) else { return Ok(()) };
        let reason = words::stop_reason(&reason);
        let reason = if self.ids.is_empty() { without_calls(reason) } else { reason };
        let is_cut = !matches!(reason, StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence);
        if !is_cut {
            self.refuse_broken()?;
        }
        self.phase = Phase::Stopped;
        events.push(Event::Stop { reason, sequence: delta.stop_sequence });
        Ok(())
    }

    /// Arguments that are not JSON were cut off, which is the end of a reply, or are wrong.
    fn refuse_broken(&mut self) -> Result<()> {
        self.broken.take().map_or(Ok(()), |name| {
            Err(Error::new(Kind::Protocol, format!("the arguments of the call of `{name}` are not JSON")))
        })
    }

    fn count(&mut self, usage: Option<UsageFields>, events: &mut Vec<Event>) {
        let Some(usage) = usage else { return };
        self.usage = self.usage.and(usage.into());
        events.push(Event::Usage(self.usage));
    }
}

/// What a reply is called, unless it is called nothing.
fn started(id: Option<String>, model: Option<String>) -> Event {
    let filled = |name: &String| !name.is_empty();
    Event::Start { id: id.filter(filled), model: model.filter(filled) }
}

/// A model that is said to wait for its tools but called none has nothing to wait for.
fn without_calls(reason: StopReason) -> StopReason {
    if reason == StopReason::ToolUse { StopReason::EndTurn } else { reason }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|error| Error::new(Kind::Protocol, "the reply is no message of the dialect").because(error))
}
