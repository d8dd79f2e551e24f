//! Ollama's `/api/embed`, and the older `/api/embeddings`, at which only clients ask.

use bytes::Bytes;
use router_core::{
    Result,
    chat::{Losses, Usage},
    embed::{Dialect, Matrix, Texts},
    scan,
};
use serde::{Deserialize, Serialize};

use super::{Glance, Head, Language, Told, invalid, json, number, question, unreadable};
use crate::dialect::{
    self,
    fields::{Fields, Json, Misfit, read},
    ollama::OLLAMA as OLLAMA_CHAT,
};

/// The name that Ollama's chats go by, too: an error of one is an error of the other.
const NAME: &str = "ollama";

/// Ollama's embeddings.
#[derive(Clone, Copy, Debug)]
pub struct Ollama(Form);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `{ input }`, answered with `{ embeddings }`.
    Inputs,
    /// `{ prompt }`, answered with `{ embedding }`.
    Prompt,
}

/// `/api/embed`.
pub static OLLAMA: Ollama = Ollama(Form::Inputs);

/// `/api/embeddings`.
pub static OLLAMA_PROMPT: Ollama = Ollama(Form::Prompt);

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        match self.0 {
            Form::Inputs => NAME,
            // No upstream is asked in it, so none has its name.
            Form::Prompt => "ollama's prompts",
        }
    }

    fn decode(&self, body: &Bytes) -> Result<Texts> {
        decode(body, self.0).map_err(|misfit| invalid(&misfit))
    }

    fn matrix(&self, body: &Bytes) -> Result<Matrix> {
        let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
        match answer.embeddings {
            Some(embeddings) => Matrix::of(embeddings),
            None => Matrix::of(answer.embedding),
        }
    }
}

impl Language for Ollama {
    fn chats(&self) -> &'static dyn dialect::Language {
        &OLLAMA_CHAT
    }

    fn head(&self, body: &[u8]) -> Result<Head> {
        let input = if self.0 == Form::Inputs { "input" } else { "prompt" };
        Ok(super::head(body, input)?.0)
    }

    fn encode(&self, texts: &Texts, model: &str, losses: &mut Losses) -> Bytes {
        let mut question = question(texts, model, NAME, losses);
        question.extend(texts.truncate.map(|truncate| ("truncate".to_owned(), truncate.into())));
        json(&question)
    }

    fn glance(&self, answer: &[u8]) -> Glance {
        let mut glance = Glance::default();
        for (key, value) in scan::members(answer) {
            match key {
                b"embeddings" if value.starts_with(b"[") => glance.count = Some(scan::items(value).count()),
                b"prompt_eval_count" => {
                    glance.usage = Usage { input: number(Some(value)), ..Usage::default() };
                }
                b"error" => glance.error = value != b"null",
                _ => {}
            }
        }
        glance
    }

    fn write(&self, matrix: &Matrix, told: &Told<'_>) -> Bytes {
        match self.0 {
            Form::Inputs => json(&Answered {
                model: told.model,
                embeddings: matrix.rows().collect(),
                total_duration: u64::try_from(told.took.as_nanos()).unwrap_or(u64::MAX),
                prompt_eval_count: told.usage.total_input(),
            }),
            Form::Prompt => json(&Embedding { embedding: matrix.rows().next().unwrap_or_default() }),
        }
    }
}

fn decode(body: &Bytes, form: Form) -> Result<Texts, Misfit> {
    let mut fields = Fields::of_body(body)?;
    fields.take_value("model");
    let inputs = match form {
        Form::Inputs => fields.take_value("input").map_or_else(|| Ok(Vec::new()), inputs)?,
        Form::Prompt => vec![fields.need("prompt")?],
    };
    Ok(Texts {
        inputs: inputs.into(),
        dimensions: fields.take("dimensions")?,
        truncate: fields.take("truncate")?,
        origin: Some(NAME),
        extra: fields.rest()?,
    })
}

fn inputs(input: Json<'_>) -> Result<Vec<String>, Misfit> {
    let wrong = |_| Misfit::new("input", "must be text or a list of texts");
    if input.get().starts_with('[') { read(input).map_err(wrong) } else { Ok(vec![read(input).map_err(wrong)?]) }
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Option<Vec<Vec<f32>>>,
    /// Of the older interface.
    embedding: Option<Vec<f32>>,
}

#[derive(Serialize)]
struct Answered<'a> {
    model: &'a str,
    embeddings: Vec<&'a [f32]>,
    /// In nanoseconds.
    total_duration: u64,
    prompt_eval_count: u64,
}

#[derive(Serialize)]
struct Embedding<'a> {
    embedding: &'a [f32],
}
