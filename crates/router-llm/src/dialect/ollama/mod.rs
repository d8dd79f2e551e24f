//! Ollama's own `/api/chat`: unlike its imitation of OpenAI, it lets the context window be chosen.

mod encode;
mod glance;
mod reply;
mod request;
mod writer;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Dialect, FrameDecoder, Losses, Meta, Prompt, Shape},
    scan,
};
use serde_json::json;

use super::{Ask, Framing, Head, Language, Mark, ReplyWriter, Told, envelope, refusal};

const NAME: &str = "ollama";

/// Ollama's `/api/chat`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

/// The one that everybody points to.
pub static OLLAMA: Ollama = Ollama;

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, body: &Bytes) -> Result<Prompt> {
        request::decode(body).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
    }

    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder> {
        Box::new(reply::Decoder::new(shape))
    }
}

impl Language for Ollama {
    fn head(&self, body: &Bytes) -> Result<Head> {
        let [model_at, stream] = envelope::read(body, ["model", "stream"])?;
        let value = |at: &Option<std::ops::Range<usize>>| at.clone().and_then(|at| body.get(at));
        let Some((model, model_at)) = value(&model_at).and_then(scan::text).zip(model_at) else {
            return Err(Error::new(Kind::Invalid, "model is required"));
        };
        let shape = match value(&stream) {
            Some(b"false") => Shape::Whole,
            Some(b"true" | b"null") | None => Shape::Stream,
            Some(_) => return Err(Error::new(Kind::Invalid, "stream must be true or false")),
        };
        Ok(Head { model: model.into_owned(), model_at, shape, usage: true })
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        encode::encode(ask, losses)
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
        Box::new(writer::Writer::new(told, shape))
    }

    fn error(&self, error: &Error, _: &str) -> (u16, Bytes) {
        match error.words() {
            Some(words) if words.dialect == NAME && words.status >= 400 => (words.status, words.body.clone()),
            Some(_) | None => (status(error.kind()), json!({ "error": error.to_string() }).to_string().into()),
        }
    }

    fn error_event(&self, error: &Error, _: &str) -> Bytes {
        format!("{}\n", json!({ "error": error.to_string() })).into()
    }

    fn ping(&self) -> Bytes {
        // Clients read every line as a piece of the reply, so it has to be one that says nothing.
        const NOTHING: &str = "{\"model\":\"\",\"created_at\":\"1970-01-01T00:00:00Z\",\
                               \"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n";
        Bytes::from_static(NOTHING.as_bytes())
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }
}

fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Invalid | Kind::Refused | Kind::TooLong => 400,
        Kind::Unauthorized => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Limited | Kind::Shed => 429,
        Kind::Cancelled => 408,
        Kind::Internal => 500,
        Kind::Protocol | Kind::Credential => 502,
        Kind::Unavailable | Kind::Open => 503,
        Kind::Timeout | Kind::Deadline => 504,
    }
}
