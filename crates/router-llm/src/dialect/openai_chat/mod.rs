//! OpenAI's chat completions, as a front and as an upstream: the dialect that most servers speak.

mod calls;
mod details;
pub(super) mod effort;
pub(super) mod encode;
pub(super) mod failure;
pub(super) mod glance;
pub(super) mod names;
mod outgoing;
mod reply;
pub(super) mod request;
pub(super) mod schema;
mod sound;
pub(super) mod tools;
mod turns;
pub(super) mod words;
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

use super::{Ask, Framing, Head, Language, Mark, ReplyWriter, Told, envelope, glimpse, prepend, refusal};

const NAME: &str = "openai";

/// OpenAI's chat completions.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiChat;

/// The one that everybody points to.
pub static OPENAI_CHAT: OpenAiChat = OpenAiChat;

impl Dialect for OpenAiChat {
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
        prepend::messages(question, text)
    }
}

impl Language for OpenAiChat {
    fn head(&self, body: &Bytes) -> Result<Head> {
        let ([model_at, stream, options, tools, format, effort, newer, older], needs) = envelope::read(
            body,
            [
                "model",
                "stream",
                "stream_options",
                "tools",
                "response_format",
                "reasoning_effort",
                "max_completion_tokens",
                "max_tokens",
            ],
        )?;
        let value = |at: &Option<std::ops::Range<usize>>| at.clone().and_then(|at| body.get(at));
        let Some((model, model_at)) = value(&model_at).and_then(scan::text).zip(model_at) else {
            return Err(Error::new(Kind::Invalid, "model: a string is required").hint("name the model to ask"));
        };
        let shape = match value(&stream) {
            Some(b"true") => Shape::Stream,
            Some(b"false" | b"null") | None => Shape::Whole,
            Some(_) => return Err(Error::new(Kind::Invalid, "stream: must be true or false")),
        };
        let usage = value(&options).and_then(|options| scan::find(options, "/include_usage")) == Some(b"true");
        let limit_at = newer.or(older);
        let said = |at: &Option<std::ops::Range<usize>>| value(at).unwrap_or_default();
        let needs = Needs {
            tools: glimpse::is_filled(said(&tools)),
            schema: scan::find(said(&format), "/type") == Some(br#""json_schema""#),
            thinking: !matches!(said(&effort), b"" | b"null" | br#""none""# | br#""minimal""#),
            max_tokens: glimpse::count(said(&limit_at)),
            ..needs
        };
        Ok(Head { model: model.into_owned(), model_at, shape, usage, limit_at, needs })
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        encode::encode(ask, losses)
    }

    fn respelled(&self, prompt: &Prompt) -> Vec<(String, String)> {
        names::respelled(prompt)
    }

    fn unsent_stops(&self, ask: &Ask<'_>) -> Vec<String> {
        ask.prompt.stop.iter().skip(encode::most_stops(ask)).cloned().collect()
    }

    fn scan(&self, event: &[u8], shape: Shape) -> Mark {
        glance::look(event, shape)
    }

    fn rename(&self, frame: &Bytes, model: &str) -> Option<Bytes> {
        glance::rename(frame, model)
    }

    fn failure(&self, status: u16, meta: &Meta, body: Bytes) -> Error {
        refusal::failure(NAME, status, meta, body)
    }

    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter> {
        match shape {
            Shape::Whole => Box::new(writer::WholeWriter::new(told)),
            Shape::Stream => Box::new(writer::StreamWriter::new(told)),
        }
    }

    fn error(&self, error: &Error, _: &str) -> (u16, Bytes) {
        failure::tell(error)
    }

    fn nowhere(&self, error: &Error, _: &str) -> (u16, Bytes) {
        failure::tell_nowhere(error)
    }

    fn error_event(&self, error: &Error, _: &str) -> Bytes {
        failure::tell_event(error)
    }

    fn ping(&self) -> Bytes {
        Bytes::from_static(b": ping\n\n")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }
}
