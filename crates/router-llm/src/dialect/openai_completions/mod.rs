//! OpenAI's legacy completions: one prompt, one text. Whoever is asked is asked by a chat, so it is a front only.

mod request;
mod writer;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Dialect, FrameDecoder, Losses, Meta, Prompt, Shape},
};

use super::{Ask, Framing, Head, Language, Mark, ReplyWriter, Told, openai_chat::OPENAI_CHAT};

pub use request::echoed;

/// OpenAI's legacy completions.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiCompletions;

/// The one that everybody points to.
pub static OPENAI_COMPLETIONS: OpenAiCompletions = OpenAiCompletions;

impl Dialect for OpenAiCompletions {
    fn name(&self) -> &'static str {
        "openai_completions"
    }

    fn decode(&self, body: &Bytes) -> Result<Prompt> {
        request::decode(body).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
    }

    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder> {
        OPENAI_CHAT.frames(shape)
    }
}

/// Towards upstreams it is a chat.
impl Language for OpenAiCompletions {
    fn head(&self, body: &Bytes) -> Result<Head> {
        OPENAI_CHAT.head(body)
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        OPENAI_CHAT.encode(ask, losses)
    }

    fn scan(&self, event: &[u8], shape: Shape) -> Mark {
        OPENAI_CHAT.scan(event, shape)
    }

    fn rename(&self, frame: &Bytes, model: &str) -> Option<Bytes> {
        OPENAI_CHAT.rename(frame, model)
    }

    fn failure(&self, status: u16, meta: &Meta, body: Bytes) -> Error {
        OPENAI_CHAT.failure(status, meta, body)
    }

    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter> {
        Box::new(writer::Writer::new(told, shape))
    }

    fn error(&self, error: &Error, request_id: &str) -> (u16, Bytes) {
        OPENAI_CHAT.error(error, request_id)
    }

    fn error_event(&self, error: &Error, request_id: &str) -> Bytes {
        OPENAI_CHAT.error_event(error, request_id)
    }

    fn ping(&self) -> Bytes {
        OPENAI_CHAT.ping()
    }

    fn framing(&self) -> Framing {
        OPENAI_CHAT.framing()
    }
}
