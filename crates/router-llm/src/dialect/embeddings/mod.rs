//! How the dialects ask for vectors and answer with them, as pure functions over bytes.

mod ollama;
mod openai;
#[cfg(test)]
mod tests;

pub use ollama::{OLLAMA, OLLAMA_PROMPT};
pub use openai::OPENAI;

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Losses, Usage},
    embed::{Dialect, Matrix, Texts},
    scan,
};
use serde_json::{Map, Value};

use super::{Language as ChatLanguage, envelope, fields::Misfit};

/// A dialect's words for embeddings. What it has in common with its chats is asked of those: how it tells an error, and
/// where an answer names its model.
pub trait Language: Dialect {
    /// The dialect of chats that is spoken at the same doors.
    fn chats(&self) -> &'static dyn ChatLanguage;

    /// Checks a request body in one scan and reads from it what routing needs.
    fn head(&self, body: &[u8]) -> Result<Head>;

    /// Writes a question, and notes what it has no words for.
    fn encode(&self, texts: &Texts, model: &str, losses: &mut Losses) -> Bytes;

    /// Looks at an answer without reading its numbers.
    fn glance(&self, answer: &[u8]) -> Glance;

    /// Writes an answer for a client.
    fn write(&self, matrix: &Matrix, told: &Told<'_>) -> Bytes;
}

/// What routing needs of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The model asked for.
    pub model: String,
    /// Where its name stands in the body, with its quotes.
    pub model_at: Range<usize>,
    /// How many vectors answer it.
    pub count: usize,
    /// How the client wants the numbers.
    pub numbers: Numbers,
}

/// How the numbers of a vector are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As a list.
    Floats,
    /// As the base64 of their four bytes each, the lowest first (`encoding_format` of OpenAI's SDKs).
    Base64,
}

/// What a cheap look at an answer tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Glance {
    /// How many vectors it has; `None` when it is no answer of this dialect.
    pub count: Option<usize>,
    /// It is an error under a status of success.
    pub error: bool,
    /// What it cost.
    pub usage: Usage,
}

/// What a client is told beside the vectors.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The model, by the name the client asked for.
    pub model: &'a str,
    /// What it cost.
    pub usage: Usage,
    /// How it wants the numbers.
    pub numbers: Numbers,
    /// How long it took.
    pub took: Duration,
}

/// The head of a question whose texts stand under `input`, and where it says how the numbers are wanted.
fn head(body: &[u8], input: &str) -> Result<(Head, Option<Range<usize>>)> {
    let ([model_at, input_at, format_at], _) = envelope::read(body, ["model", input, "encoding_format"])?;
    let value = |at: &Range<usize>| body.get(at.clone());
    let Some((model, model_at)) = model_at.as_ref().and_then(value).and_then(scan::text).zip(model_at.clone()) else {
        return Err(Error::new(Kind::Invalid, "model: a string is required").hint("name the model to ask"));
    };
    let count = input_at.as_ref().and_then(value).map_or(0, count);
    Ok((Head { model: model.into_owned(), model_at, count, numbers: Numbers::Floats }, format_at))
}

/// How many vectors an input asks for: a list of numbers is one text, by its tokens.
fn count(input: &[u8]) -> usize {
    match input.first() {
        Some(b'[') => {
            let mut items = scan::items(input);
            match items.next().and_then(<[u8]>::first) {
                Some(b'"' | b'[') => 1 + items.count(),
                Some(_) => 1,
                None => 0,
            }
        }
        Some(b'"') => 1,
        Some(_) | None => 0,
    }
}

/// A question in the words that all dialects share, with the fields that only `dialect` knows where it came in that.
fn question(texts: &Texts, model: &str, dialect: &str, losses: &mut Losses) -> Map<String, Value> {
    let mut fields =
        Map::from_iter([("model".to_owned(), Value::from(model)), ("input".to_owned(), Value::from(&*texts.inputs))]);
    fields.extend(texts.dimensions.map(|dimensions| ("dimensions".to_owned(), dimensions.into())));
    if texts.origin == Some(dialect) {
        for (name, value) in &texts.extra {
            // What was read is what is asked: a field without a meaning at the client's door may have one at the upstream's.
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    } else {
        texts.extra.keys().for_each(|name| losses.note(name.clone()));
    }
    fields
}

fn invalid(misfit: &Misfit) -> Error {
    Error::new(Kind::Invalid, misfit.to_string())
}

fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Protocol, format!("the answer's vectors cannot be read: {why}"))
}

fn number(json: Option<&[u8]>) -> u64 {
    json.and_then(|json| std::str::from_utf8(json).ok()).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// Writes what cannot fail to be written.
fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
