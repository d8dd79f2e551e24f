//! The Anthropic Messages API, as a front and as an upstream.

mod blocks;
mod effort;
mod encode;
mod failure;
mod glance;
mod parts;
mod reply;
mod request;
pub mod strict;
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

use super::{Ask, Framing, Head, Language, Mark, ReplyWriter, Told, envelope, glimpse, prepend, proof, refusal};

const NAME: &str = "anthropic";

/// The Anthropic Messages API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

/// The one that everybody points to.
pub static ANTHROPIC: Anthropic = Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, body: &Bytes) -> Result<Prompt> {
        request::decode(body).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
    }

    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder> {
        match shape {
            Shape::Whole => Box::new(reply::WholeDecoder),
            Shape::Stream => Box::new(reply::StreamDecoder::default()),
        }
    }

    fn prepend(&self, question: &Wire, text: &str) -> Option<Wire> {
        prepend::field(question, "system", text)
    }
}

impl Language for Anthropic {
    fn head(&self, body: &Bytes) -> Result<Head> {
        let ([model, stream, limit_at, tools, thinking, format, config], needs) = envelope::read(
            body,
            ["model", "stream", "max_tokens", "tools", "thinking", "output_format", "output_config"],
        )?;
        let value = |at: Option<std::ops::Range<usize>>| at.and_then(|at| Some((body.get(at.clone())?, at)));
        let Some((name, model_at)) = value(model) else {
            return Err(Error::new(Kind::Invalid, "model: Field required"));
        };
        let Some(model) = scan::text(name) else {
            return Err(Error::new(Kind::Invalid, "model: Input should be a valid string"));
        };
        let shape = match value(stream).map(|(stream, _)| stream) {
            Some(b"true") => Shape::Stream,
            Some(b"false" | b"null") | None => Shape::Whole,
            Some(_) => return Err(Error::new(Kind::Invalid, "stream: Input should be a valid boolean")),
        };
        let said = |at: &Option<std::ops::Range<usize>>| at.clone().and_then(|at| body.get(at)).unwrap_or_default();
        let kind = |value, pointer| scan::find(value, pointer).unwrap_or_default();
        let needs = Needs {
            tools: glimpse::is_filled(said(&tools)),
            schema: kind(said(&format), "/type") == br#""json_schema""#
                || kind(said(&config), "/format/type") == br#""json_schema""#,
            thinking: kind(said(&thinking), "/type") == br#""enabled""#,
            max_tokens: glimpse::count(said(&limit_at)),
            ..needs
        };
        Ok(Head { model: model.into_owned(), model_at, shape, usage: true, limit_at, needs })
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        encode::encode(ask, losses)
    }

    fn unsent_stops(&self, ask: &Ask<'_>) -> Vec<String> {
        ask.prompt.stop.iter().filter(|stop| !encode::is_taken(stop)).cloned().collect()
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
        refusal::failure(NAME, status, meta, body)
    }

    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter> {
        match shape {
            Shape::Whole => Box::new(writer::WholeWriter { told, events: Vec::new() }),
            Shape::Stream => Box::new(writer::StreamWriter::new(told)),
        }
    }

    fn error(&self, error: &Error, request_id: &str) -> (u16, Bytes) {
        failure::tell(error, request_id)
    }

    fn error_event(&self, error: &Error, request_id: &str) -> Bytes {
        failure::tell_event(error, request_id)
    }

    fn ping(&self) -> Bytes {
        Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }
}
