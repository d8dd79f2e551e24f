//! A reply, written for a client: one text, or a stream of pieces of it.

use router_core::{
    Error, Kind, Result,
    chat::{Event, Shape, StopReason, Usage},
};
use serde::Serialize;

use crate::dialect::{
    ReplyWriter, Told,
    openai_chat::words::{Tokens, finish_reason},
};

/// A chunk of a stream, or a whole reply: they are alike.
#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    system_fingerprint: Option<&'a str>,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

/// Writes one reply. What is no text (thoughts, calls) has no words here and is left out.
pub(super) struct Writer {
    told: Told,
    shape: Shape,
    id: String,
    /// The text of a whole reply, until it has ended; of a stream what is to be repeated before it begins.
    text: String,
    usage: Usage,
    stop: StopReason,
}

impl Writer {
    pub(super) fn new(mut told: Told, shape: Shape) -> Self {
        let (id, text) = (told.reply_id("cmpl-"), told.echo.take().unwrap_or_default());
        Self { told, shape, id, text, usage: Usage::default(), stop: StopReason::EndTurn }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Text(more) => {
                self.text.push_str(&more);
                if self.shape == Shape::Stream {
                    return self.release(out);
                }
            }
            Event::Start { id: Some(id), .. } => self.id = id,
            Event::Usage(usage) => self.usage = self.usage.and(usage),
            Event::Stop { reason, .. } => self.stop = reason,
            Event::Start { id: None, .. }
            | Event::Open(_)
            | Event::Thinking(_)
            | Event::Signature(_)
            | Event::Arguments(_)
            | Event::Close => {}
        }
        Ok(())
    }

    /// Writes what there is of the text as a chunk.
    fn release(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        self.chunk(&[choice(&text, None)], None, out)
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<Tokens>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"data: ");
        self.put(choices, usage, out)?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }

    fn put(&self, choices: &[Choice<'_>], usage: Option<Tokens>, out: &mut Vec<u8>) -> Result<()> {
        let Told { model, created, answered_by, .. } = &self.told;
        let body = Completion {
            id: &self.id,
            object: "text_completion",
            created: *created,
            model,
            system_fingerprint: answered_by.as_deref(),
            choices,
            usage,
        };
        serde_json::to_writer(&mut *out, &body)
            .map_err(|error| Error::new(Kind::Internal, "a reply could not be written as JSON").because(error))
    }

    fn reason(&self) -> &'static str {
        // There is nothing to call here, whatever the model thinks.
        finish_reason(if self.stop == StopReason::ToolUse { StopReason::EndTurn } else { self.stop })
    }
}

impl ReplyWriter for Writer {
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()> {
        events.into_iter().try_for_each(|event| self.event(event, out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let usage = || Some(Tokens::from(self.usage));
        let last = [choice(&self.text, Some(self.reason()))];
        if self.shape == Shape::Whole {
            return self.put(&last, usage(), out);
        }
        self.chunk(&last, None, out)?;
        if self.told.usage {
            self.chunk(&[], usage(), out)?;
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }
}

fn choice<'a>(text: &'a str, finish_reason: Option<&'static str>) -> Choice<'a> {
    Choice { index: 0, text, logprobs: None, finish_reason }
}
