//! A reply, written for a client: one message, or a line for each piece of it.

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Block, Event, Part, Shape, StopReason, Usage, fold},
};
use serde_json::{Map, Value, json};

use crate::dialect::{ReplyWriter, Told};

/// Writes one reply.
pub(super) struct Writer {
    told: Told,
    shape: Shape,
    /// The events of a whole message, until it has ended.
    kept: Vec<Event>,
    /// The call whose arguments are coming: a line holds a call whole.
    call: Option<(String, String)>,
    usage: Usage,
    stop: StopReason,
}

impl Writer {
    pub(super) fn new(told: Told, shape: Shape) -> Self {
        Self { told, shape, kept: Vec::new(), call: None, usage: Usage::default(), stop: StopReason::EndTurn }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Text(text) => self.line(json!({ "role": "assistant", "content": text }), out),
            Event::Thinking(text) => self.line(json!({ "role": "assistant", "content": "", "thinking": text }), out),
            Event::Open(Block::ToolUse { name, .. }) => {
                self.call = Some((name, String::new()));
                Ok(())
            }
            Event::Arguments(more) => {
                if let Some((_, arguments)) = &mut self.call {
                    arguments.push_str(&more);
                }
                Ok(())
            }
            Event::Close => match self.call.take() {
                Some((name, arguments)) => {
                    let calls = json!([call(&name, &Raw::trusted(arguments))]);
                    self.line(json!({ "role": "assistant", "content": "", "tool_calls": calls }), out)
                }
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

    fn line(&self, message: Value, out: &mut Vec<u8>) -> Result<()> {
        put(out, &Value::from(self.envelope(message, false)))?;
        out.push(b'\n');
        Ok(())
    }

    fn last(&self, message: Value) -> Value {
        let mut line = self.envelope(message, true);
        let reason = match self.stop {
            StopReason::MaxTokens | StopReason::ContextWindow => "length",
            StopReason::EndTurn
            | StopReason::StopSequence
            | StopReason::ToolUse
            | StopReason::Refusal
            | StopReason::Pause => "stop",
        };
        line.insert("done_reason".into(), reason.into());
        line.insert("prompt_eval_count".into(), self.usage.total_input().into());
        line.insert("eval_count".into(), self.usage.output.into());
        line.into()
    }

    fn envelope(&self, message: Value, done: bool) -> Map<String, Value> {
        let fields = [
            ("model", self.told.model.clone().into()),
            ("created_at", date(self.told.created).into()),
            ("message", message),
            ("done", done.into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn whole(&mut self) -> Value {
        let folded = fold(std::mem::take(&mut self.kept));
        (self.usage, self.stop) = (folded.usage, folded.stop);
        let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
        for part in &folded.message.parts {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Thinking { text: more, .. } => thought.push_str(more),
                Part::ToolUse { name, input, .. } => calls.push(call(name, input)),
                Part::Image(_)
                | Part::Document(_)
                | Part::RedactedThinking(_)
                | Part::ToolResult { .. }
                | Part::Other { .. } => {}
            }
        }
        let mut message =
            Map::from_iter([("role".to_owned(), "assistant".into()), ("content".to_owned(), text.into())]);
        if !thought.is_empty() {
            message.insert("thinking".into(), thought.into());
        }
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
        self.last(message.into())
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
            Shape::Whole => put(out, &self.whole()),
            Shape::Stream => {
                put(out, &self.last(json!({ "role": "assistant", "content": "" })))?;
                out.push(b'\n');
                Ok(())
            }
        }
    }
}

/// A call, its arguments as the object that Ollama's clients expect.
fn call(name: &str, arguments: &Raw) -> Value {
    let arguments = arguments.decode::<Map<String, Value>>().unwrap_or_default();
    json!({ "function": { "name": name, "arguments": arguments } })
}

fn put(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    serde_json::to_writer(&mut *out, value)
        .map_err(|error| Error::new(Kind::Internal, "a reply could not be written as JSON").because(error))
}

/// A Unix time in seconds as RFC 3339 has it: days since the epoch become a civil date in eras of 400 years that begin
/// in March, so that the leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn date(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400) + 719_468, unix.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
