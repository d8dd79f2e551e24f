//! A reply, read into events: a whole message, or the frames of a stream.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Block, Event, FrameDecoder, Usage},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    failure,
    words::{self, UsageFields},
};
use crate::{
    dialect::{Framing, proof::UNSIGNED},
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
    fn block(&mut self) -> Option<Block> {
        match &*self.kind {
            "text" => Some(Block::Text),
            "thinking" => Some(Block::Thinking),
            "redacted_thinking" => Some(Block::RedactedThinking(self.data.take().unwrap_or_default())),
            "tool_use" => Some(Block::ToolUse {
                id: self.id.take().unwrap_or_default(),
                name: self.name.take().unwrap_or_default(),
            }),
            _ => None,
        }
    }

    /// What the block begins with, its arguments apart.
    fn fill(&mut self, events: &mut Vec<Event>) {
        let filled = |text: &mut Option<String>| text.take().filter(|text| !text.is_empty());
        events.extend(filled(&mut self.text).map(Event::Text));
        events.extend(filled(&mut self.thinking).map(Event::Thinking));
        events.extend(filled(&mut self.signature).and_then(proof));
    }

    /// The arguments, unless there are none yet.
    fn arguments(&self) -> Option<String> {
        let input = self.input.map(RawValue::get).filter(|input| *input != "{}" && *input != "null");
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
        events.push(Event::Start { id: message.id, model: message.model });
        for mut content in contents {
            let Some(block) = content.block() else { continue };
            events.push(Event::Open(block));
            content.fill(events);
            events.extend(content.arguments().map(Event::Arguments));
            events.push(Event::Close);
        }
        events.extend(message.usage.map(|usage| Event::Usage(usage.into())));
        let reason = message.stop_reason.as_deref().map_or_else(|| words::stop_reason(""), words::stop_reason);
        events.push(Event::Stop { reason, sequence: message.stop_sequence });
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        Ok(())
    }
}

/// Reads the frames of a stream. It closes what the upstream forgot to close, and opens what it forgot to open.
#[derive(Default)]
pub(super) struct StreamDecoder {
    open: Open,
    usage: Usage,
    stopped: bool,
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
    /// With the arguments that some servers put into the block itself, in case no delta brings them.
    ToolUse(Option<String>),
    Redacted,
}

impl FrameDecoder for StreamDecoder {
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()> {
        for said in sse::events(frame, Framing::Sse).filter_map(sse::read) {
            self.read(&said.data, events)?;
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        self.close(events);
        if self.stopped {
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
            "message_start" => self.start(told, events),
            "content_block_start" => self.open(told.content_block, events),
            "content_block_delta" => self.fill(told.delta, events),
            "content_block_stop" => self.close(events),
            "message_delta" => self.stop(told, events),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, told: Told<'_>, events: &mut Vec<Event>) {
        let Some(message) = told.message else { return };
        events.push(Event::Start { id: message.id, model: message.model });
        self.count(message.usage, events);
    }

    fn open(&mut self, content: Option<Content<'_>>, events: &mut Vec<Event>) {
        self.close(events);
        let Some(mut content) = content else { return };
        let Some(block) = content.block() else {
            self.open = Open::Skipped;
            return;
        };
        self.open = match &block {
            Block::Text => Open::Text,
            Block::Thinking => Open::Thinking,
            Block::RedactedThinking(_) => Open::Redacted,
            Block::ToolUse { .. } => Open::ToolUse(content.arguments()),
        };
        events.push(Event::Open(block));
        content.fill(events);
    }

    fn fill(&mut self, delta: Option<Delta<'_>>, events: &mut Vec<Event>) {
        let Some(delta) = delta else { return };
        let told = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (&*delta.kind, &mut self.open) {
            ("text_delta", Open::None) => {
                events.push(Event::Open(Block::Text));
                self.open = Open::Text;
                events.extend(told(delta.text).map(Event::Text));
            }
            ("text_delta", Open::Text) => events.extend(told(delta.text).map(Event::Text)),
            ("thinking_delta", Open::None) => {
                events.push(Event::Open(Block::Thinking));
                self.open = Open::Thinking;
                events.extend(told(delta.thinking).map(Event::Thinking));
            }
            ("thinking_delta", Open::Thinking) => events.extend(told(delta.thinking).map(Event::Thinking)),
            ("signature_delta", Open::Thinking) => events.extend(told(delta.signature).and_then(proof)),
            ("input_json_delta", Open::ToolUse(given)) => {
                if let Some(more) = told(delta.partial_json) {
                    *given = None;
                    events.push(Event::Arguments(more));
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::None | Open::Skipped => return,
            Open::Text | Open::Thinking | Open::Redacted => {}
            Open::ToolUse(given) => events.extend(given.map(Event::Arguments)),
        }
        events.push(Event::Close);
    }

    fn stop(&mut self, told: Told<'_>, events: &mut Vec<Event>) {
        self.close(events);
        self.count(told.usage, events);
        let Some(delta) = told.delta else { return };
        if let (Some(reason), false) = (delta.stop_reason, self.stopped) {
            self.stopped = true;
            events.push(Event::Stop { reason: words::stop_reason(&reason), sequence: delta.stop_sequence });
        }
    }

    fn count(&mut self, usage: Option<UsageFields>, events: &mut Vec<Event>) {
        let Some(usage) = usage else { return };
        self.usage = self.usage.and(usage.into());
        events.push(Event::Usage(self.usage));
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|error| Error::new(Kind::Protocol, "the reply is no message of the dialect").because(error))
}
