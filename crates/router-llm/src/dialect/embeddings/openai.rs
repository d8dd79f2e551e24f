//! OpenAI's `/v1/embeddings`, which most servers speak.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Losses, Usage},
    embed::{Dialect, Matrix, Texts},
    scan,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Glance, Head, Language, Numbers, Told, invalid, json, number, question, unreadable};
use crate::dialect::{
    self,
    fields::{Fields, Json, Misfit, list, read},
    openai_chat::OPENAI_CHAT,
};

/// The name that OpenAI's chats go by, too: an error of one is an error of the other.
const NAME: &str = "openai";

/// OpenAI's embeddings.
#[derive(Clone, Copy, Debug)]
pub struct OpenAi;

/// The one that everybody points to.
pub static OPENAI: OpenAi = OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, body: &Bytes) -> Result<Texts> {
        decode(body).map_err(|misfit| invalid(&misfit))
    }

    fn matrix(&self, body: &Bytes) -> Result<Matrix> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        let rows = answer.data.iter().enumerate();
        let rows = rows.map(|(place, item)| Ok((item.index.unwrap_or(place), floats(item.embedding)?)));
        let mut rows = rows.collect::<Result<Vec<_>>>()?;
        rows.sort_by_key(|(index, _)| *index);
        if let Some((place, (index, _))) = rows.iter().enumerate().find(|(place, (index, _))| place != index) {
            return Err(unreadable(format_args!("one is numbered {index} where {place} should stand")));
        }
        Matrix::of(rows.into_iter().map(|(_, row)| row))
    }
}

impl Language for OpenAi {
    fn chats(&self) -> &'static dyn dialect::Language {
        &OPENAI_CHAT
    }

    fn head(&self, body: &[u8]) -> Result<Head> {
        let (head, format_at) = super::head(body, "input")?;
        let numbers = match format_at.and_then(|at| body.get(at)) {
            Some(b"\"base64\"") => Numbers::Base64,
            Some(b"\"float\"" | b"null") | None => Numbers::Floats,
            Some(_) => return Err(Error::new(Kind::Invalid, "encoding_format: must be \"float\" or \"base64\"")),
        };
        Ok(Head { numbers, ..head })
    }

    fn encode(&self, texts: &Texts, model: &str, losses: &mut Losses) -> Bytes {
        // What does not fit is refused there, as it is by whoever is told not to cut it.
        losses.note_if(texts.truncate == Some(true), "truncate");
        json(&question(texts, model, NAME, losses))
    }

    fn glance(&self, answer: &[u8]) -> Glance {
        let mut glance = Glance::default();
        for (key, value) in scan::members(answer) {
            match key {
                b"data" if value.starts_with(b"[") => glance.count = Some(scan::items(value).count()),
                b"usage" => {
                    let input = number(scan::find(value, "/prompt_tokens"));
                    glance.usage = Usage { input, ..Usage::default() };
                }
                b"error" => glance.error = value != b"null",
                _ => {}
            }
        }
        glance
    }

    fn write(&self, matrix: &Matrix, told: &Told<'_>) -> Bytes {
        let vectors = matrix.rows().enumerate().map(|(index, row)| Vector {
            object: "embedding",
            index,
            embedding: match told.numbers {
                Numbers::Floats => Written::Floats(row),
                Numbers::Base64 => Written::Base64(base64(row)),
            },
        });
        let tokens = told.usage.total_input();
        json(&List {
            object: "list",
            data: vectors.collect(),
            model: told.model,
            usage: Tokens { prompt_tokens: tokens, total_tokens: tokens },
        })
    }
}

fn decode(body: &Bytes) -> Result<Texts, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for these: the model is routed by, and the numbers are written as was asked.
    for name in ["model", "encoding_format"] {
        fields.take_value(name);
    }
    let input = fields.take_value("input").ok_or_else(|| Misfit::new("input", "Field required"))?;
    Ok(Texts {
        inputs: inputs(input)?.into(),
        dimensions: fields.take("dimensions")?,
        truncate: None,
        origin: Some(NAME),
        extra: fields.rest()?,
    })
}

fn inputs(input: Json<'_>) -> Result<Vec<String>, Misfit> {
    if input.get().starts_with('"') {
        return Ok(vec![read(input).map_err(|misfit| misfit.within("input"))?]);
    }
    let items = list(input).map_err(|_| Misfit::new("input", "must be text or a list of texts"))?;
    match items.first().map(|item| item.get().as_bytes().first().copied()) {
        None => Err(Misfit::new("input", "must hold at least one text")),
        Some(Some(b'[' | b'0'..=b'9')) => Err(Misfit::new(
            "input",
            "tokens mean something only to a provider that speaks OpenAI's dialect, which this model's does not; send text",
        )),
        Some(_) => items
            .iter()
            .enumerate()
            .map(|(index, item)| read(*item).map_err(|misfit| misfit.within(format_args!("input.{index}"))))
            .collect(),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// The numbers of a vector, in whichever of the two forms they came: some servers do not do as they are asked.
fn floats(written: &RawValue) -> Result<Vec<f32>> {
    if !written.get().starts_with('"') {
        return serde_json::from_str(written.get()).map_err(unreadable);
    }
    let text: Cow<'_, str> = serde_json::from_str(written.get()).map_err(unreadable)?;
    let bytes = BASE64_STANDARD.decode(text.as_bytes()).map_err(unreadable)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(unreadable("their base64 ends within a number"));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

fn base64(row: &[f32]) -> String {
    BASE64_STANDARD.encode(row.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Vector<'a>>,
    model: &'a str,
    usage: Tokens,
}

#[derive(Serialize)]
struct Vector<'a> {
    object: &'static str,
    index: usize,
    embedding: Written<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Floats(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}
