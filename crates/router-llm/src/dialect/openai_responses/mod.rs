//! OpenAI's responses, as a front and as an upstream: what Codex and the newer programs speak.

pub(crate) mod disown;
mod encode;
mod failure;
mod glance;
mod items;
mod output;
mod reply;
mod request;
pub mod thread;
mod tools;
mod turns;
mod words;
mod writer;

#[cfg(test)]
mod reply_tests;
#[cfg(test)]
mod request_tests;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Dialect, FrameDecoder, Losses, Meta, Needs, Prompt, Shape, Wire},
    scan,
};

use super::{
    Ask, Framing, Head, Language, Mark, ReplyWriter, Told, envelope, glimpse,
    openai_chat::{failure::tell_nowhere, names},
    prepend, proof,
};

/// Its name.
pub const NAME: &str = "responses";

/// The kinds of tools that the client runs itself; all others are its provider's.
pub(super) const OWN_TOOLS: [&str; 3] = ["function", "custom", "namespace"];

/// OpenAI's responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiResponses;

/// The one that everybody points to.
pub static OPENAI_RESPONSES: OpenAiResponses = OpenAiResponses;

impl OpenAiResponses {
    /// The whole reply in the frame of a stream that ends it well, as it stands there.
    pub fn finished(&self, frame: &[u8]) -> Option<Bytes> {
        glance::finished(frame)
    }
}

impl Dialect for OpenAiResponses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, body: &Bytes) -> Result<Prompt> {
        request::decode(body).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
    }

    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder> {
        Box::new(reply::Decoder::new(shape))
    }

    fn prepend(&self, question: &Wire, text: &str) -> Option<Wire> {
        prepend::field(question, "instructions", text)
    }
}

impl Language for OpenAiResponses {
    fn head(&self, body: &Bytes) -> Result<Head> {
        let ([model_at, stream, tools, text, reasoning, limit_at], needs) =
            envelope::read(body, ["model", "stream", "tools", "text", "reasoning", "max_output_tokens"])?;
        let value = |at: &Option<std::ops::Range<usize>>| at.clone().and_then(|at| body.get(at));
        let Some((model, model_at)) = value(&model_at).and_then(scan::text).zip(model_at) else {
            return Err(Error::new(Kind::Invalid, "model: a string is required").hint("name the model to ask"));
        };
        let shape = match value(&stream) {
            Some(b"true") => Shape::Stream,
            Some(b"false" | b"null") | None => Shape::Whole,
            Some(_) => return Err(Error::new(Kind::Invalid, "stream: must be true or false")),
        };
        let said = |at: &Option<std::ops::Range<usize>>| value(at).unwrap_or_default();
        let effort = scan::find(said(&reasoning), "/effort").unwrap_or_default();
        let needs = Needs {
            tools: glimpse::is_filled(said(&tools)),
            schema: scan::find(said(&text), "/format/type") == Some(br#""json_schema""#),
            thinking: !matches!(effort, b"" | b"null" | br#""none""# | br#""minimal""#),
            max_tokens: glimpse::count(said(&limit_at)),
            ..needs
        };
        Ok(Head { model: model.into_owned(), model_at, shape, usage: true, limit_at, needs })
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        encode::encode(ask, losses)
    }

    fn respelled(&self, prompt: &Prompt) -> Vec<(String, String)> {
        names::respelled(prompt)
    }

    /// It has no word for them at all.
    fn unsent_stops(&self, ask: &Ask<'_>) -> Vec<String> {
        ask.prompt.stop.clone()
    }

    fn carries(&self, body: &[u8]) -> bool {
        !proof::stands_in(body)
    }

    fn scan(&self, event: &[u8], shape: Shape) -> Mark {
        glance::look(event, shape)
    }

    fn rename(&self, frame: &Bytes, model: &str) -> Option<Bytes> {
        glance::rename(frame, model)
    }

    fn failure(&self, status: u16, meta: &Meta, body: Bytes) -> Error {
        failure::read(status, meta, body)
    }

    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter> {
        Box::new(writer::Writer::new(told, shape))
    }

    fn error(&self, error: &Error, _: &str) -> (u16, Bytes) {
        failure::tell(error)
    }

    fn nowhere(&self, error: &Error, _: &str) -> (u16, Bytes) {
        tell_nowhere(error)
    }

    fn error_event(&self, error: &Error, request_id: &str) -> Bytes {
        failure::tell_event(error, request_id, 0)
    }

    fn numbers_events(&self) -> bool {
        true
    }

    fn error_event_after(&self, before: &[u8], error: &Error, request_id: &str) -> Bytes {
        failure::tell_event(error, request_id, glance::next_number(before))
    }

    fn ping(&self) -> Bytes {
        Bytes::from_static(b": ping\n\n")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn repeated(&self, question: &Bytes) -> Bytes {
        writer::repeated(question)
    }
}
