//! Ollama's `/api/generate`: one prompt, one text. Whoever is asked is asked by a chat, so it is a front only.

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Dialect, FrameDecoder, Losses, Message, Meta, Part, Prompt, Role, Shape},
    scan,
};

use super::{
    NAME, OLLAMA, load_or_unload, request,
    writer::{self, Form, Writer},
};
use crate::dialect::{
    Ask, Framing, Head, Language, Mark, ReplyWriter, Told,
    fields::{Fields, Misfit},
    infill,
};

/// Ollama's `/api/generate`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generate;

/// The one that everybody points to.
pub static GENERATE: Generate = Generate;

impl Dialect for Generate {
    fn name(&self) -> &'static str {
        "ollama_generate"
    }

    fn decode(&self, body: &Bytes) -> Result<Prompt> {
        decode(body).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
    }

    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder> {
        OLLAMA.frames(shape)
    }
}

/// Towards upstreams it is a chat.
impl Language for Generate {
    fn head(&self, body: &Bytes) -> Result<Head> {
        super::head(body)
    }

    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
        OLLAMA.encode(ask, losses)
    }

    fn scan(&self, event: &[u8], shape: Shape) -> Mark {
        OLLAMA.scan(event, shape)
    }

    fn rename(&self, frame: &Bytes, model: &str) -> Option<Bytes> {
        OLLAMA.rename(frame, model)
    }

    fn failure(&self, status: u16, meta: &Meta, body: Bytes) -> Error {
        OLLAMA.failure(status, meta, body)
    }

    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter> {
        Box::new(Writer::new(Form::Generate, told, shape))
    }

    fn error(&self, error: &Error, request_id: &str) -> (u16, Bytes) {
        OLLAMA.error(error, request_id)
    }

    fn error_event(&self, error: &Error, request_id: &str) -> Bytes {
        OLLAMA.error_event(error, request_id)
    }

    fn ping(&self) -> Bytes {
        const NOTHING: &str =
            "{\"model\":\"\",\"created_at\":\"1970-01-01T00:00:00Z\",\"response\":\"\",\"done\":false}\n";
        Bytes::from_static(NOTHING.as_bytes())
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }
}

/// The answer to a question that says nothing, by which clients have a model loaded; `None` for every other.
pub fn unspoken(body: &[u8], told: Told) -> Option<Result<Vec<u8>>> {
    let says_something =
        |field: &str| scan::find(body, field).is_some_and(|value| !matches!(value, b"\"\"" | b"null" | b"[]"));
    let is_silent = !["/prompt", "/suffix", "/images"].into_iter().any(says_something);
    is_silent.then(|| writer::silence(Form::Generate, told, load_or_unload(body)))
}

fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for the first two: the model is routed by, and the shape answered in. The others mean nothing
    // here, and would mean much in the chat that this becomes.
    for name in ["model", "stream", "messages", "tools"] {
        fields.take_value(name);
    }
    refuse_what_only_ollama_can(&mut fields)?;
    let mut prompt = Prompt {
        messages: messages(&mut fields)?,
        thinking: request::think(&mut fields)?,
        format: request::format(&mut fields)?,
        origin: Some(NAME),
        ..Prompt::default()
    };
    request::options(&mut fields, &mut prompt)?;
    prompt.extra.extend(fields.rest()?);
    Ok(prompt)
}

/// These speak of a model's own template and tokens, of which whoever is asked by a chat is never told.
fn refuse_what_only_ollama_can(fields: &mut Fields<'_>) -> Result<(), Misfit> {
    const ONLY: [(&str, &[&str], &str); 3] = [
        ("raw", &["false"], "a prompt without the model's template cannot be carried; leave it out"),
        ("template", &["\"\""], "the model's template cannot be replaced here; use `system`"),
        ("context", &["[]"], "tokens of a former reply cannot be carried; send the conversation to /api/chat"),
    ];
    for (name, nothing, reason) in ONLY {
        match fields.take_value(name) {
            Some(value) if !nothing.contains(&value.get()) => return Err(Misfit::new(name, reason)),
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, Misfit> {
    let text = |fields: &mut Fields<'_>, name| fields.take::<String>(name).map(Option::unwrap_or_default);
    let (prompt, suffix, system) = (text(fields, "prompt")?, text(fields, "suffix")?, text(fields, "system")?);
    let order = (!suffix.is_empty()).then(|| infill::ORDER.to_owned());
    let systems = [Some(system).filter(|text| !text.is_empty()), order].into_iter().flatten();
    let said = if suffix.is_empty() { prompt } else { infill::sides(&prompt, &suffix) };
    let mut parts: Vec<Part> = request::pictures(fields)?.collect();
    parts.extend((!said.is_empty()).then_some(Part::Text(said)));
    let user = Message { role: Role::User, parts };
    Ok(systems.map(|text| Message::text(Role::System, text)).chain([user]).collect())
}
