//! What a client of each dialect may be sent, checked without any of the code that writes it: the order of a stream's
//! events, their fields, and that what belongs together is together.
//!
//! It knows nothing of the crate, so that the fuzzer uses it too.

mod anthropic;
mod ollama;
mod openai_chat;
mod openai_completions;
mod openai_responses;

use std::collections::HashSet;

use serde_json::Value;

/// What is wrong.
type Verdict = Result<(), String>;

/// What is wrong with a stream for a client of `dialect`, if anything is. It may end with an error at any place.
pub(super) fn of_stream(dialect: &str, stream: &[u8]) -> Verdict {
    match dialect {
        "anthropic" => anthropic::stream(stream),
        "openai" => openai_chat::stream(stream),
        "openai_completions" => openai_completions::stream(stream),
        "responses" => openai_responses::stream(stream),
        "ollama" => ollama::stream(stream, "message"),
        "ollama_generate" => ollama::stream(stream, "response"),
        _ => Err(format!("there is no grammar of {dialect}")),
    }
}

/// The same of a whole reply.
pub(super) fn of_whole(dialect: &str, body: &[u8]) -> Verdict {
    let body = json(body)?;
    match dialect {
        "anthropic" => anthropic::whole(&body),
        "openai" => openai_chat::whole(&body),
        "openai_completions" => openai_completions::whole(&body),
        "responses" => openai_responses::whole(&body),
        "ollama" => ollama::line(&body, "message", true),
        "ollama_generate" => ollama::line(&body, "response", true),
        _ => Err(format!("there is no grammar of {dialect}")),
    }
}

/// One server-sent event: its name, where it has one, and its data.
struct Sent<'a> {
    name: Option<&'a str>,
    data: &'a str,
}

/// The events of a stream, which consist of nothing but an `event` line, where there is one, and one `data` line.
fn events(stream: &[u8]) -> Result<Vec<Sent<'_>>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    let Some(text) = text.strip_suffix("\n\n") else { return Err("the last event is not ended".to_owned()) };
    text.split("\n\n").filter(|event| !event.starts_with(':')).map(event).collect()
}

fn event(text: &str) -> Result<Sent<'_>, String> {
    let (name, rest) = match text.strip_prefix("event: ").and_then(|rest| rest.split_once('\n')) {
        Some((name, rest)) => (Some(name), rest),
        None => (None, text),
    };
    let data = rest.strip_prefix("data: ").filter(|data| !data.contains(['\n', '\r']));
    Ok(Sent { name, data: data.ok_or_else(|| format!("{text:?} is no event"))? })
}

fn json(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text).map_err(|error| format!("{error} in {}", String::from_utf8_lossy(text)))
}

/// Says what is wrong, unless it is right.
fn must(right: bool, wrong: &str, at: &Value) -> Verdict {
    if right { Ok(()) } else { Err(format!("{wrong}: {at}")) }
}

fn is_filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// The ids of the calls of one reply, each of which is there and its own.
#[derive(Default)]
struct CallIds(HashSet<String>);

impl CallIds {
    fn take(&mut self, id: &Value) -> Verdict {
        let id = id.as_str().unwrap_or_default();
        let is_new = !id.is_empty() && self.0.insert(id.to_owned());
        if is_new { Ok(()) } else { Err(format!("the id {id:?} of a call is empty or another one's")) }
    }
}
