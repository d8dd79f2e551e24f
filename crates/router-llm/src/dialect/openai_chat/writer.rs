//! A reply, written for a client: one message, or a stream of chunks.

use router_core::{
    Error, Kind, Result,
    chat::{Block, Event, Folded, Part, StopReason, Usage, fold},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::words::{Tokens, finish_reason};
use crate::dialect::{ReplyWriter, Told};

/// Keeps the events until the reply has ended, and writes them as one message.
pub(super) struct WholeWriter {
    told: Told,
    events: Vec<Event>,
}

impl WholeWriter {
    pub(super) fn new(told: Told) -> Self {
        Self { told, events: Vec::new() }
    }
}

impl ReplyWriter for WholeWriter {
    fn write(&mut self, events: Vec<Event>, _: &mut Vec<u8>) -> Result<()> {
        self.events.extend(events);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let folded = fold(std::mem::take(&mut self.events));
        let body = json!({
            "id": folded.id.clone().unwrap_or_else(|| id(&self.told)),
            "object": "chat.completion",
            "created": self.told.created,
            "model": self.told.model,
            "choices": [{
                "index": 0,
                "message": message(&folded),
                "logprobs": null,
                "finish_reason": finish_reason(folded.stop),
            }],
            "usage": Tokens::from(folded.usage),
            "system_fingerprint": self.told.answered_by,
        });
        put(out, &body)
    }
}

fn id(told: &Told) -> String {
    told.reply_id("chatcmpl-")
}

fn message(folded: &Folded) -> Value {
    let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    for part in &folded.message.parts {
        match part {
            Part::Text(more) => text.push_str(more),
            Part::Thinking { text: more, .. } => thought.push_str(more),
            Part::ToolUse { id, name, input } => calls.push(json!({
                "id": id, "type": "function", "function": { "name": name, "arguments": input.as_str() },
            })),
            Part::Image(_)
            | Part::Document(_)
            | Part::RedactedThinking(_)
            | Part::ToolResult { .. }
            | Part::Other { .. } => {}
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { None } else { Some(text) };
    let thought = (!thought.is_empty()).then(|| ("reasoning_content", thought.into()));
    let calls = (!calls.is_empty()).then(|| ("tool_calls", calls.into()));
    let fields = [("role", "assistant".into()), ("content", content.into()), ("refusal", Value::Null)];
    let fields = fields.into_iter().chain(thought).chain(calls);
    fields.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Writes each event as a chunk.
pub(super) struct StreamWriter {
    told: Told,
    /// All of a chunk that stands before its delta; it never changes within a reply.
    before: Vec<u8>,
    usage: Usage,
    calls: usize,
    block: Open,
    stopped: bool,
}

/// The block that is open, as far as it matters for writing.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Other,
    /// A call whose arguments have not begun.
    Call,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Delta<'a> {
    Content(&'a str),
    ReasoningContent(&'a str),
    ToolCalls([CallDelta<'a>; 1]),
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl StreamWriter {
    pub(super) fn new(told: Told) -> Self {
        Self { told, before: Vec::new(), usage: Usage::default(), calls: 0, block: Open::Other, stopped: false }
    }

    /// Begins the reply, once: what every chunk repeats is put together here.
    fn start(&mut self, upstreams: Option<&str>, out: &mut Vec<u8>) -> Result<()> {
        if !self.before.is_empty() {
            return Ok(());
        }
        let own = id(&self.told);
        let (id, model) = (json!(upstreams.unwrap_or(&own)), json!(self.told.model));
        let fingerprint = json!(self.told.answered_by);
        let usage = if self.told.usage { "\"usage\":null," } else { "" };
        let created = self.told.created;
        self.before = format!(
            "data: {{\"id\":{id},\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{model},\"system_fingerprint\":{fingerprint},{usage}"
        )
        .into_bytes();
        self.chunk(&json!({ "role": "assistant", "content": "" }), None, out)
    }

    fn chunk(&self, delta: &impl Serialize, stop: Option<StopReason>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":");
        put(out, delta)?;
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":");
        put(out, &stop.map(finish_reason))?;
        out.extend_from_slice(b"}]}\n\n");
        Ok(())
    }

    fn call(&self, id: Option<&str>, name: Option<&str>, arguments: &str, out: &mut Vec<u8>) -> Result<()> {
        let index = self.calls.saturating_sub(1);
        let function = FunctionDelta { name, arguments };
        let call = CallDelta { index, id, r#type: id.map(|_| "function"), function };
        self.chunk(&Delta::ToolCalls([call]), None, out)
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<()> {
        if let Event::Start { id, .. } = &event {
            return self.start(id.as_deref(), out);
        }
        self.start(None, out)?;
        match event {
            Event::Text(text) => self.chunk(&Delta::Content(&text), None, out),
            Event::Thinking(text) => self.chunk(&Delta::ReasoningContent(&text), None, out),
            Event::Open(Block::ToolUse { id, name }) => {
                (self.calls, self.block) = (self.calls + 1, Open::Call);
                self.call(Some(&id), Some(&name), "", out)
            }
            Event::Arguments(json) => {
                self.block = Open::Other;
                self.call(None, None, &json, out)
            }
            // A client parses what it was given, and nothing is no JSON.
            Event::Close if std::mem::replace(&mut self.block, Open::Other) == Open::Call => {
                self.call(None, None, "{}", out)
            }
            Event::Usage(usage) => {
                self.usage = self.usage.and(usage);
                Ok(())
            }
            Event::Stop { reason, .. } => self.stop(reason, out),
            Event::Start { .. }
            | Event::Open(Block::Text | Block::Thinking | Block::RedactedThinking(_))
            | Event::Signature(_)
            | Event::Close => Ok(()),
        }
    }

    fn stop(&mut self, reason: StopReason, out: &mut Vec<u8>) -> Result<()> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        self.chunk(&json!({}), Some(reason), out)
    }

    fn tell_usage(&self, out: &mut Vec<u8>) -> Result<()> {
        let before = self.before.strip_suffix(b"\"usage\":null,").unwrap_or(&self.before);
        out.extend_from_slice(before);
        out.extend_from_slice(b"\"choices\":[],\"usage\":");
        put(out, &Tokens::from(self.usage))?;
        out.extend_from_slice(b"}\n\n");
        Ok(())
    }
}

impl ReplyWriter for StreamWriter {
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()> {
        events.into_iter().try_for_each(|event| self.event(event, out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.start(None, out)?;
        self.stop(StopReason::EndTurn, out)?;
        if self.told.usage {
            self.tell_usage(out)?;
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, value)
        .map_err(|error| Error::new(Kind::Internal, "a reply could not be written as JSON").because(error))
}
