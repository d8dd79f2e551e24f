//! Ollama's own interface: `/api/chat`, and the older [`generate`], which is a front only.
//!
//! Unlike Ollama's imitation of OpenAI, it lets the context window be chosen.

mod encode;
pub mod generate;
mod glance;
mod reply;
mod request;
mod writer;

#[cfg(test)]
mod front_tests;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Dialect, FrameDecoder, Losses, Meta, Needs, Prompt, Shape, Wire},
    scan,
};
use serde_json::json;

use super::{Ask, Framing, Head, Language, Mark, ReplyWriter, Told, envelope, glimpse, prepend, refusal};

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

    fn prepend(&self, question: &Wire, text: &str) -> Option<Wire> {
        prepend::messages(question, text)
    }
}

impl Language for Ollama {
    fn head(&self, body: &Bytes) -> Result<Head> {
        head(body)
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
        Box::new(writer::Writer::new(writer::Form::Chat, told, shape))
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

/// Both interfaces begin alike; they stream unless they are told not to.
fn head(body: &Bytes) -> Result<Head> {
    let ([model_at, stream, tools, format, think, options], needs) =
        envelope::read(body, ["model", "stream", "tools", "format", "think", "options"])?;
    let value = |at: &Option<std::ops::Range<usize>>| at.clone().and_then(|at| body.get(at));
    let Some((model, model_at)) = value(&model_at).and_then(scan::text).zip(model_at) else {
        return Err(Error::new(Kind::Invalid, "model is required"));
    };
    let shape = match value(&stream) {
        Some(b"false") => Shape::Whole,
        Some(b"true" | b"null") | None => Shape::Stream,
        Some(_) => return Err(Error::new(Kind::Invalid, "stream must be true or false")),
    };
    let said = |at: &Option<std::ops::Range<usize>>| value(at).unwrap_or_default();
    let needs = Needs {
        tools: glimpse::is_filled(said(&tools)),
        schema: said(&format).starts_with(b"{"),
        thinking: !matches!(said(&think), b"" | b"null" | b"false"),
        max_tokens: scan::find(said(&options), "/num_predict").and_then(glimpse::count),
        ..needs
    };
    // Ollama refuses no limit, so none has to be lowered.
    Ok(Head { model: model.into_owned(), model_at, shape, usage: true, limit_at: None, needs })
}

/// The answer to a chat that says nothing, by which clients have a model loaded; `None` for every other.
pub fn unspoken(body: &[u8], told: Told) -> Option<Result<Vec<u8>>> {
    let says_something = scan::find(body, "/messages").is_some_and(|messages| scan::items(messages).next().is_some());
    (!says_something).then(|| writer::silence(writer::Form::Chat, told, load_or_unload(body)))
}

/// What a question that says nothing is for.
fn load_or_unload(body: &[u8]) -> &'static str {
    match scan::find(body, "/keep_alive") {
        Some(b"0" | b"\"0\"" | b"\"0s\"" | b"\"0m\"") => "unload",
        Some(_) | None => "load",
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
