//! A reply as clients of this dialect read it: one message, or a stream of events.

use std::borrow::Cow;

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Block, Event, Part, StopReason, Usage, fold},
    scan,
};

use super::words::{UsageOut, stop_word};
use crate::dialect::{ReplyWriter, Told, json::JsonWriter, proof::UNSIGNED};

struct Message<'a> {
    id: &'a str,
    model: &'a str,
    content: &'a [Part],
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'a str>,
    usage: UsageOut,
}

enum Content<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Cow<'a, Raw> },
}

enum StreamEvent<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: Content<'a> },
    ContentBlockDelta { index: usize, delta: Delta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Ending<'a>, usage: UsageOut },
    MessageStop,
}

enum Delta<'a> {
    Text(&'a str),
    Thinking(&'a str),
    Signature(&'a str),
    Arguments(&'a str),
}

struct Ending<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
}

impl Message<'_> {
    fn write(&self, json: &mut JsonWriter) {
        json.object(|json| {
            json.key("id").text(self.id);
            json.key("type").text("message");
            json.key("role").text("assistant");
            json.key("model").text(self.model);
            json.key("content").list(self.content.iter().filter_map(content), |json, content| content.write(json));
            json.key("stop_reason").value(&self.stop_reason);
            json.key("stop_sequence").value(&self.stop_sequence);
            json.key("usage").value(&self.usage);
        });
    }
}

impl Content<'_> {
    fn write(&self, json: &mut JsonWriter) {
        json.object(|json| match self {
            Self::Text { text } => {
                json.key("type").text("text");
                json.key("text").text(text);
            }
            Self::Thinking { thinking, signature } => {
                json.key("type").text("thinking");
                json.key("thinking").text(thinking);
                json.key("signature").text(signature);
            }
            Self::RedactedThinking { data } => {
                json.key("type").text("redacted_thinking");
                json.key("data").text(data);
            }
            Self::ToolUse { id, name, input } => {
                json.key("type").text("tool_use");
                json.key("id").text(id);
                json.key("name").text(name);
                json.key("input").raw(input);
            }
        });
    }
}

impl StreamEvent<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(self.name().as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut json = JsonWriter::after(std::mem::take(out));
        json.object(|json| {
            json.key("type").text(self.name());
            self.members(json);
        });
        *out = json.into_bytes();
        out.extend_from_slice(b"\n\n");
    }

    fn members(&self, json: &mut JsonWriter) {
        match self {
            Self::MessageStart { message } => message.write(json.key("message")),
            Self::ContentBlockStart { index, content_block } => {
                json.key("index").value(index);
                content_block.write(json.key("content_block"));
            }
            Self::ContentBlockDelta { index, delta } => {
                let (kind, key, text) = delta.parts();
                json.key("index").value(index);
                json.key("delta").object(|json| {
                    json.key("type").text(kind);
                    json.key(key).text(text);
                });
            }
            Self::ContentBlockStop { index } => json.key("index").value(index),
            Self::MessageDelta { delta, usage } => {
                json.key("delta").object(|json| {
                    json.key("stop_reason").text(delta.stop_reason);
                    json.key("stop_sequence").value(&delta.stop_sequence);
                });
                json.key("usage").value(usage);
            }
            Self::MessageStop => {}
        }
    }
}

impl<'a> Delta<'a> {
    /// Its type, the key of what is added, and that.
    const fn parts(&self) -> (&'static str, &'static str, &'a str) {
        match self {
            Self::Text(text) => ("text_delta", "text", text),
            Self::Thinking(text) => ("thinking_delta", "thinking", text),
            Self::Signature(proof) => ("signature_delta", "signature", proof),
            Self::Arguments(json) => ("input_json_delta", "partial_json", json),
        }
    }
}

fn id(told: &Told) -> String {
    told.reply_id("msg_")
}

/// Writes the message that the events amount to, at their end.
pub(super) struct WholeWriter {
    pub(super) told: Told,
    pub(super) events: Vec<Event>,
}

impl ReplyWriter for WholeWriter {
    fn write(&mut self, events: Vec<Event>, _: &mut Vec<u8>) -> Result<()> {
        self.events.extend(events);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut folded = fold(std::mem::take(&mut self.events));
        for part in &mut folded.message.parts {
            settle(part, folded.stop)?;
        }
        let id = folded.id.clone().unwrap_or_else(|| id(&self.told));
        let message = Message {
            id: &id,
            model: &self.told.model,
            content: &folded.message.parts,
            stop_reason: Some(stop_word(folded.stop)),
            stop_sequence: folded.sequence.as_deref(),
            usage: folded.usage.into(),
        };
        let mut json = JsonWriter::after(std::mem::take(out));
        message.write(&mut json);
        *out = json.into_bytes();
        Ok(())
    }
}

/// A message holds arguments as JSON: what the answer's limit cut off is closed, anything else is the model's fault.
fn settle(part: &mut Part, stop: StopReason) -> Result<()> {
    let Part::ToolUse { name, input, .. } = part else { return Ok(()) };
    if scan::is_json(input.bytes()) {
        return Ok(());
    }
    let end = scan::closing(input.bytes()).filter(|_| stop == StopReason::MaxTokens).ok_or_else(|| {
        Error::new(Kind::Protocol, format!("the model called {name} with arguments that are not JSON"))
    })?;
    *input = Raw::trusted(format!("{}{end}", input.as_str()));
    Ok(())
}

fn content(part: &Part) -> Option<Content<'_>> {
    Some(match part {
        Part::Text(text) => Content::Text { text },
        Part::Thinking { text, signature } => {
            Content::Thinking { thinking: text, signature: signature.as_deref().unwrap_or(UNSIGNED) }
        }
        Part::RedactedThinking(data) => Content::RedactedThinking { data },
        Part::ToolUse { id, name, input } => Content::ToolUse { id, name, input: Cow::Borrowed(input) },
        Part::Image(_) | Part::Document(_) | Part::ToolResult { .. } | Part::Other { .. } => return None,
    })
}

/// Writes events as they happen.
pub(super) struct StreamWriter {
    told: Told,
    id: Option<String>,
    usage: Usage,
    phase: Phase,
    /// The block that is open, or comes next.
    index: usize,
    open: Open,
    stop: Option<(StopReason, Option<String>)>,
}

/// How far the stream is.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing has happened.
    Silent,
    /// The reply has begun, but the client is not told yet: the usage that belongs to the beginning may follow at once.
    Begun,
    /// The client has its `message_start`.
    Told,
}

/// What the open block still needs at its end.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    /// A thought whose proof has not come: clients send no thought back without one.
    Unsigned,
}

impl StreamWriter {
    /// A writer at the beginning of a reply.
    pub(super) fn new(told: Told) -> Self {
        let phase = Phase::Silent;
        Self { told, id: None, usage: Usage::default(), phase, index: 0, open: Open::Nothing, stop: None }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, .. } => {
                self.id = id;
                self.phase = Phase::Begun;
            }
            Event::Usage(usage) => self.usage = usage,
            Event::Open(block) => {
                self.start(out);
                self.open(&block, out);
            }
            Event::Text(text) => self.delta(Delta::Text(&text), out),
            Event::Thinking(thinking) => self.delta(Delta::Thinking(&thinking), out),
            Event::Signature(signature) => {
                self.open = Open::Nothing;
                self.delta(Delta::Signature(&signature), out);
            }
            Event::Arguments(json) => self.delta(Delta::Arguments(&json), out),
            Event::Close => self.close(out),
            Event::Stop { reason, sequence } => self.stop = Some((reason, sequence)),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Told {
            return;
        }
        self.phase = Phase::Told;
        let id = self.id.get_or_insert_with(|| id(&self.told));
        let message = Message {
            id,
            model: &self.told.model,
            content: &[],
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage.into(),
        };
        StreamEvent::MessageStart { message }.write(out);
    }

    fn open(&mut self, block: &Block, out: &mut Vec<u8>) {
        let content_block = match block {
            Block::Text => Content::Text { text: "" },
            Block::Thinking => Content::Thinking { thinking: "", signature: "" },
            Block::RedactedThinking(data) => Content::RedactedThinking { data },
            Block::ToolUse { id, name } => Content::ToolUse { id, name, input: Cow::Owned(Raw::trusted("{}")) },
        };
        StreamEvent::ContentBlockStart { index: self.index, content_block }.write(out);
        match block {
            Block::Thinking => self.open = Open::Unsigned,
            Block::ToolUse { .. } => self.delta(Delta::Arguments(""), out),
            Block::Text | Block::RedactedThinking(_) => {}
        }
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        StreamEvent::ContentBlockDelta { index: self.index, delta }.write(out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::Unsigned {
            self.delta(Delta::Signature(UNSIGNED), out);
        }
        self.open = Open::Nothing;
        StreamEvent::ContentBlockStop { index: self.index }.write(out);
        self.index += 1;
    }
}

impl ReplyWriter for StreamWriter {
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()> {
        for event in events {
            self.event(event, out);
        }
        if self.phase == Phase::Begun {
            self.start(out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.start(out);
        let (reason, sequence) = self.stop.take().unwrap_or((StopReason::EndTurn, None));
        let delta = Ending { stop_reason: stop_word(reason), stop_sequence: sequence.as_deref() };
        StreamEvent::MessageDelta { delta, usage: self.usage.into() }.write(out);
        StreamEvent::MessageStop.write(out);
        Ok(())
    }
}
