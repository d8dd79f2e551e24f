//! A reply, written for a client: one message, or a line for each piece of it.

use std::time::Duration;

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Block, Event, Part, Shape, StopReason, Usage, fold},
    scan,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    dialect::{ReplyWriter, Told},
    models::date,
};

/// Which of the two interfaces a reply is written for: they differ in where the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/api/chat`.
    Chat,
    /// `/api/generate`.
    Generate,
}

/// A line of a stream, or a whole reply: they are alike.
#[derive(Default, Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(flatten)]
    took: Took,
    #[serde(flatten)]
    counts: Option<Counts>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(flatten)]
    said: Said<'a>,
}

/// What one line says.
#[derive(Default, Serialize)]
struct Said<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [Call],
}

#[derive(Debug, Serialize)]
struct Call {
    id: String,
    function: Function,
}

#[derive(Debug, Serialize)]
struct Function {
    index: usize,
    name: String,
    arguments: Raw,
}

/// How long it took, in nanoseconds: what was measured, and nothing else.
#[derive(Clone, Copy, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "the words of the wire")]
struct Took {
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_duration: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
struct Counts {
    prompt_eval_count: u64,
    eval_count: u64,
}

/// Writes one reply.
pub(super) struct Writer {
    form: Form,
    told: Told,
    created_at: String,
    shape: Shape,
    /// The events of a whole message, until it has ended.
    kept: Vec<Event>,
    /// The call whose arguments are coming (a line holds a call whole): its id, its name, and they.
    call: Option<(String, String, String)>,
    /// A call whose arguments have ended too soon: whether something cut them off is known at the end of the reply.
    cut: Option<(String, String, String)>,
    calls: usize,
    /// When the first piece was written.
    spoke: Option<Instant>,
    usage: Usage,
    stop: StopReason,
}

impl Writer {
    pub(super) fn new(form: Form, told: Told, shape: Shape) -> Self {
        let created_at = date(told.created);
        let (kept, usage, stop) = (Vec::new(), Usage::default(), StopReason::EndTurn);
        Self { form, told, created_at, shape, kept, call: None, cut: None, calls: 0, spoke: None, usage, stop }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Text(text) => self.piece(Said { content: &text, ..Said::default() }, out),
            Event::Thinking(text) => self.piece(Said { thinking: &text, ..Said::default() }, out),
            Event::Open(Block::ToolUse { id, name }) => {
                self.call = Some((id, name, String::new()));
                Ok(())
            }
            Event::Arguments(more) => {
                if let Some((_, _, arguments)) = &mut self.call {
                    arguments.push_str(&more);
                }
                Ok(())
            }
            Event::Close => match self.call.take() {
                Some((id, name, arguments)) if !is_object(arguments.as_bytes()) && !arguments.is_empty() => {
                    self.cut = Some((id, name, arguments));
                    Ok(())
                }
                Some((id, name, arguments)) => self.called(id, name, Raw::trusted(arguments), out),
                None => Ok(()),
            },
            Event::Usage(usage) => {
                self.usage = self.usage.and(usage);
                Ok(())
            }
            Event::Stop { reason, .. } => {
                self.stop = reason;
                Ok(())
            }
            Event::Start { .. }
            | Event::Open(Block::Text | Block::Thinking | Block::RedactedThinking(_))
            | Event::Signature(_) => Ok(()),
        }
    }

    fn called(&mut self, id: String, name: String, arguments: Raw, out: &mut Vec<u8>) -> Result<()> {
        let call = call(self.calls, id, name, arguments, self.stop)?;
        self.calls += 1;
        self.piece(Said { tool_calls: &[call], ..Said::default() }, out)
    }

    fn piece(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.spoke.get_or_insert_with(Instant::now);
        put(out, &self.line(said))?;
        out.push(b'\n');
        Ok(())
    }

    fn line<'a>(&'a self, said: Said<'a>) -> Line<'a> {
        let line = Line { model: &self.told.model, created_at: &self.created_at, ..Line::default() };
        match self.form {
            Form::Chat => Line { message: Some(Message { role: "assistant", said }), ..line },
            Form::Generate => Line { response: Some(said.content), thinking: said.thinking, ..line },
        }
    }

    fn last<'a>(&'a self, said: Said<'a>) -> Line<'a> {
        let reason = match self.stop {
            StopReason::MaxTokens | StopReason::ContextWindow => "length",
            StopReason::EndTurn
            | StopReason::StopSequence
            | StopReason::ToolUse
            | StopReason::Refusal
            | StopReason::Pause => "stop",
        };
        let counts = self
            .usage
            .is_known()
            .then(|| Counts { prompt_eval_count: self.usage.total_input(), eval_count: self.usage.output });
        Line { done: true, done_reason: Some(reason), took: self.took(), counts, ..self.line(said) }
    }

    /// Ollama counts the reading of a prompt from its start to the first piece; of a whole reply nobody saw the first.
    fn took(&self) -> Took {
        let now = Instant::now();
        Took {
            total_duration: Some(nanoseconds(now - self.told.asked)),
            prompt_eval_duration: self.spoke.map(|spoke| nanoseconds(spoke - self.told.asked)),
            eval_duration: self.spoke.map(|spoke| nanoseconds(now - spoke)),
        }
    }

    fn whole(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let folded = fold(std::mem::take(&mut self.kept));
        (self.usage, self.stop) = (folded.usage, folded.stop);
        let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
        for part in folded.message.parts {
            match part {
                Part::Text(more) => text.push_str(&more),
                Part::Thinking { text: more, .. } => thought.push_str(&more),
                Part::ToolUse { id, name, input } => calls.push(call(calls.len(), id, name, input, self.stop)?),
                Part::Image(_)
                | Part::Document(_)
                | Part::RedactedThinking(_)
                | Part::ToolResult { .. }
                | Part::Other { .. } => {}
            }
        }
        put(out, &self.last(Said { content: &text, thinking: &thought, tool_calls: &calls }))
    }
}

impl ReplyWriter for Writer {
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()> {
        match self.shape {
            Shape::Whole => self.kept.extend(events),
            Shape::Stream => return events.into_iter().try_for_each(|event| self.event(event, out)),
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.shape {
            Shape::Whole => self.whole(out),
            Shape::Stream => {
                if let Some((id, name, arguments)) = self.cut.take() {
                    self.called(id, name, Raw::trusted(arguments), out)?;
                }
                put(out, &self.last(Said::default()))?;
                out.push(b'\n');
                Ok(())
            }
        }
    }
}

/// What is answered to a question that says nothing: Ollama's clients have a model loaded by one (and, with a
/// `keep_alive` of nothing, unloaded). Here nothing has to be.
pub(super) fn silence(form: Form, told: Told, reason: &'static str) -> Result<Vec<u8>> {
    let writer = Writer::new(form, told, Shape::Whole);
    let mut out = Vec::new();
    put(&mut out, &Line { done_reason: Some(reason), counts: None, ..writer.last(Said::default()) })?;
    Ok(out)
}

/// A call, its arguments as the object that Ollama's clients expect: what the answer's limit cut off is closed.
fn call(index: usize, id: String, name: String, arguments: Raw, stop: StopReason) -> Result<Call> {
    let arguments = match arguments.bytes().trim_ascii() {
        b"" => Raw::trusted("{}"),
        whole if is_object(whole) => in_one_line(arguments),
        cut => {
            let is_cut = !matches!(stop, StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence);
            let end = scan::closing(cut).filter(|_| is_cut && cut.starts_with(b"{")).ok_or_else(|| {
                Error::new(Kind::Protocol, format!("the model called {name} with arguments that are no JSON object"))
            })?;
            in_one_line(Raw::trusted(format!("{}{end}", arguments.as_str())))
        }
    };
    Ok(Call { id, function: Function { index, name, arguments } })
}

/// A line break ends a piece of the reply. In JSON it stands only where a space may.
fn in_one_line(json: Raw) -> Raw {
    const BREAKS: [char; 2] = ['\n', '\r'];
    if json.as_str().contains(BREAKS) { Raw::trusted(json.as_str().replace(BREAKS, " ")) } else { json }
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{") && scan::is_json(json)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn put(out: &mut Vec<u8>, line: &Line<'_>) -> Result<()> {
    serde_json::to_writer(&mut *out, line)
        .map_err(|error| Error::new(Kind::Internal, "a reply could not be written as JSON").because(error))
}
