//! A model in memory: what its files say, and the mean of a text's tokens.

use half::f16;
use router_core::{Error, Kind, Outcome, Result, embed::Matrix};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use tokenizers::Tokenizer;

/// The three files of a model's folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`.
    pub model: Vec<u8>,
    /// `config.json`.
    pub config: Vec<u8>,
}

/// A model that can be asked.
pub struct StaticModel {
    tokenizer: Tokenizer,
    /// The token that stands for what the tokenizer does not know, and counts for nothing.
    unknown: Option<u32>,
    width: usize,
    /// The rows, one after another.
    rows: Vec<f32>,
    /// The row of each token, where tokens share rows.
    row_of: Option<Vec<usize>>,
    /// What each token weighs, where that differs.
    weights: Option<Vec<f32>>,
    normalize: bool,
}

impl StaticModel {
    /// The model that `files` describe, or what in them does not fit.
    pub fn read(files: &Files) -> Result<Self> {
        let config: Config = serde_json::from_slice(&files.config).map_err(|error| broken("config.json", error))?;
        let (tokenizer, unknown) = tokenizer(&files.tokenizer).map_err(|error| broken("tokenizer.json", error))?;
        let wrong = |error: String| broken("model.safetensors", error);
        let tensors = SafeTensors::deserialize(&files.model).map_err(|error| wrong(error.to_string()))?;
        let table = ["embeddings", "embedding.weight", "0"].iter().find_map(|name| tensors.tensor(name).ok());
        let table = table.ok_or_else(|| wrong("it has no `embeddings`".to_owned()))?;
        let &[count, width] = table.shape() else { return Err(wrong("its `embeddings` are no table".to_owned())) };
        let of = |name: &str| tensors.tensor(name).ok().map(|tensor| numbers(&tensor)).transpose();
        let row_of = tensors.tensor("mapping").ok().map(|tensor| indices(&tensor)).transpose().map_err(wrong)?;
        let known = row_of.as_ref().map_or(count, Vec::len);
        let vocabulary = tokenizer.get_vocab_size(true);
        if vocabulary > known || row_of.iter().flatten().any(|row| *row >= count) {
            return Err(wrong(format!(
                "it has {count} rows, which are not those of the tokenizer's {vocabulary} tokens"
            )));
        }
        Ok(Self {
            unknown,
            width,
            rows: numbers(&table).map_err(wrong)?,
            row_of,
            weights: of("weights").map_err(wrong)?,
            normalize: config.normalize.unwrap_or(true),
            tokenizer,
        })
    }

    /// How long its vectors are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vectors of `texts`, cut to `width`, and how many tokens they were.
    pub fn embed(&self, texts: &[String], width: usize) -> Result<(Matrix, u64)> {
        let (mut rows, mut tokens) = (Vec::with_capacity(texts.len()), 0);
        for text in texts {
            let encoded = self
                .tokenizer
                .encode_fast(text.as_str(), false)
                .map_err(|error| Error::new(Kind::Internal, "the model's tokenizer failed").because(error))?;
            tokens += encoded.len() as u64;
            rows.push(self.mean(encoded.get_ids(), width));
        }
        Ok((Matrix::of(rows)?, tokens))
    }

    fn mean(&self, tokens: &[u32], width: usize) -> Vec<f32> {
        let mut mean = vec![0.0; width];
        let mut count = 0.0_f32;
        for token in tokens.iter().filter(|token| Some(**token) != self.unknown) {
            let Some((row, weight)) = self.row(*token) else { continue };
            mean.iter_mut().zip(row).for_each(|(sum, number)| *sum += number * weight);
            count += 1.0;
        }
        let divisor = if self.normalize {
            mean.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
        } else {
            count.max(1.0)
        };
        for number in &mut mean {
            *number /= divisor;
        }
        mean
    }

    fn row(&self, token: u32) -> Option<(&[f32], f32)> {
        let token = usize::try_from(token).ok()?;
        let row = self.row_of.as_ref().map_or(Some(token), |row_of| row_of.get(token).copied())?;
        let weight = self.weights.as_ref().and_then(|weights| weights.get(token)).copied().unwrap_or(1.0);
        Some((self.rows.get(row * self.width..(row + 1) * self.width)?, weight))
    }
}

impl std::fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticModel").field("width", &self.width).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Config {
    normalize: Option<bool>,
}

/// The part of `tokenizer.json` that tells its unknown token: by its text, or by its number.
#[derive(Deserialize)]
struct Vocabulary {
    model: Unknown,
}

#[derive(Deserialize)]
struct Unknown {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

/// The tokenizer without the limits it was trained with, and its unknown token.
fn tokenizer(file: &[u8]) -> Result<(Tokenizer, Option<u32>), tokenizers::Error> {
    let mut tokenizer = Tokenizer::from_bytes(file)?;
    tokenizer.with_truncation(None)?;
    tokenizer.with_padding(None);
    let Vocabulary { model: Unknown { unk_token, unk_id } } = serde_json::from_slice(file)?;
    let unknown = unk_id.or_else(|| tokenizer.token_to_id(&unk_token?));
    Ok((tokenizer, unknown))
}

#[expect(clippy::cast_possible_truncation, reason = "weights are written with more digits than they are used with")]
#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds is another's, and grows")]
fn numbers(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::I8 => data.iter().map(|byte| f32::from(byte.cast_signed())).collect(),
        other => return Err(format!("its numbers are of the kind {other:?}, which is none of F32, F16, F64 and I8")),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds is another's, and grows")]
fn indices(tensor: &TensorView<'_>) -> Result<Vec<usize>, String> {
    let data = tensor.data();
    let numbers: Vec<i64> = match tensor.dtype() {
        Dtype::I64 => data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
        other => return Err(format!("its mapping is of the kind {other:?}, which is neither I64 nor I32")),
    };
    numbers.into_iter().map(|row| usize::try_from(row).map_err(|_| format!("its mapping holds {row}"))).collect()
}

fn broken(file: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Unavailable, format!("{file} is not that of a model2vec model: {why}"))
        .outcome_is(Outcome::NotSent)
        .hint("fetch the folder anew, as it is published")
}
