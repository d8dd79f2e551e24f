//! From weight to tokens, by the family of a model's tokenizer.

use super::{picture::Size, text::Text, weight::Weight};
use crate::models::Tokenizer;

/// What things take in one family of tokenizers, in tokens.
#[derive(Debug)]
pub(super) struct Family {
    /// A text of ASCII, as many times as OpenAI's newest tokenizer makes of it.
    text: f64,
    /// A letter of two bytes.
    letter: f64,
    /// A Chinese, Japanese or Korean character.
    wide: f64,
    /// Another character of three bytes.
    sign: f64,
    /// An emoji.
    pictogram: f64,
    /// What is written around a message.
    message: f64,
    /// What is written around a tool.
    tool: f64,
    /// What the model is told about tools when there are any.
    tools: f64,
    /// What a picture takes.
    picture: fn(Option<Size>) -> u64,
}

/// What a byte of a PDF takes: a page of some 50 KB is read as a picture and as its text.
const TOKENS_PER_PDF_BYTE: f64 = 0.04;

/// The least that a document takes: one page.
const LEAST_PDF_TOKENS: f64 = 1500.0;

/// Beside the messages: the answer is primed with a few.
const PRIMING: f64 = 3.0;

/// OpenAI's, as measured with tiktoken on prose, code and JSON; a message as its cookbook says.
const O200K: Family = Family {
    text: 1.0,
    letter: 0.5,
    wide: 0.72,
    sign: 0.9,
    pictogram: 2.0,
    message: 4.0,
    tool: 8.0,
    tools: 0.0,
    picture: openai_picture,
};

/// The factors of the others are measured against OpenAI's newest, on the same texts.
static FAMILIES: [(Tokenizer, Family); 5] = [
    (Tokenizer::O200k, O200K),
    (Tokenizer::Cl100k, Family { text: 1.03, letter: 0.8, wide: 1.2, sign: 1.3, pictogram: 2.5, ..O200K }),
    (
        Tokenizer::Claude3,
        Family { text: 1.25, letter: 0.8, wide: 1.25, sign: 1.4, tools: 340.0, picture: claude_3_picture, ..O200K },
    ),
    (
        Tokenizer::Claude5,
        Family { text: 1.6, letter: 1.0, wide: 1.3, sign: 1.6, tools: 340.0, picture: claude_5_picture, ..O200K },
    ),
    (
        Tokenizer::Open,
        Family { text: 1.08, letter: 0.8, wide: 1.0, sign: 1.3, pictogram: 2.5, picture: open_picture, ..O200K },
    ),
];

impl Family {
    pub(super) fn of(tokenizer: Tokenizer) -> &'static Self {
        FAMILIES.iter().find(|(name, _)| *name == tokenizer).map_or(&O200K, |(_, family)| family)
    }

    pub(super) fn tokens(&self, weight: &Weight) -> u64 {
        let Weight { text, messages, tools, .. } = weight;
        let beyond = number(text.letters) * self.letter
            + number(text.wide) * self.wide
            + number(text.signs) * self.sign
            + number(text.pictograms) * self.pictogram;
        let around =
            number(*messages) * self.message + number(*tools) * self.tool + if *tools > 0 { self.tools } else { 0.0 };
        whole(ascii(text) * self.text + beyond + around + PRIMING) + self.payload_tokens(weight)
    }

    /// What pictures and documents take.
    pub(super) fn payload_tokens(&self, weight: &Weight) -> u64 {
        let Weight { pictures, documents, document_bytes, .. } = weight;
        let papers = (number(*document_bytes) * TOKENS_PER_PDF_BYTE).max(number(*documents) * LEAST_PDF_TOKENS);
        whole(papers) + pictures.iter().map(|size| (self.picture)(*size)).sum::<u64>()
    }
}

/// What OpenAI's newest tokenizer makes of a text of ASCII, as fitted to it.
fn ascii(text: &Text) -> f64 {
    number(text.words) * 1.06
        + number(text.tails) * 0.12
        + number(text.numbers) * 1.0
        + number(text.marks) * 0.76
        + number(text.more_marks) * 0.36
        + number(text.breaks) * 0.75
}

/// Anthropic's vision guide: width x height / 750, after the long side was brought down to 1568 pixels; at most 1600.
fn claude_3_picture(size: Option<Size>) -> u64 {
    claude_picture(size, 1568.0, 1600)
}

/// The same with the finer pictures that Claude takes since 4.7.
fn claude_5_picture(size: Option<Size>) -> u64 {
    claude_picture(size, 2576.0, 4784)
}

fn claude_picture(size: Option<Size>, long_side: f64, most: u64) -> u64 {
    let Some(Size { width, height }) = size else { return 1600.min(most) };
    let scale = (long_side / f64::from(width.max(height).max(1))).min(1.0);
    whole(f64::from(width) * scale * f64::from(height) * scale / 750.0).clamp(1, most)
}

/// OpenAI's vision guide: brought within 2048 x 2048, then the short side to 768; 170 for each tile of 512 x 512, and 85.
fn openai_picture(size: Option<Size>) -> u64 {
    let Some(Size { width, height }) = size else { return 85 + 4 * 170 };
    let (long, short) = (f64::from(width.max(height).max(1)), f64::from(width.min(height).max(1)));
    let fits = (2048.0 / long).min(1.0);
    let scale = fits * (768.0 / (short * fits)).min(1.0);
    let tiles = |side: f64| whole((side * scale / 512.0).ceil()).max(1);
    85 + 170 * tiles(long) * tiles(short)
}

/// The open models that see cut a picture into squares of 28 pixels (Qwen-VL), or take a fixed number (LLaVA, Gemma).
fn open_picture(size: Option<Size>) -> u64 {
    size.map_or(1024, |Size { width, height }| whole(f64::from(width) * f64::from(height) / 784.0).clamp(256, 4096))
}

#[expect(clippy::cast_precision_loss, reason = "nothing that is counted here comes near 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are positive and small")]
pub(super) fn whole(tokens: f64) -> u64 {
    tokens.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_counts_by_its_size() {
        let table = [
            (Tokenizer::Claude3, Some((1000, 1000)), 1334),
            (Tokenizer::Claude3, Some((8000, 8000)), 1600),
            (Tokenizer::Claude3, Some((200, 200)), 54),
            (Tokenizer::Claude3, Some((3136, 100)), 105),
            (Tokenizer::Claude3, None, 1600),
            (Tokenizer::Claude5, Some((2000, 1000)), 2667),
            (Tokenizer::Claude5, Some((8000, 8000)), 4784),
            (Tokenizer::O200k, Some((1024, 1024)), 765),
            (Tokenizer::O200k, Some((2048, 4096)), 1105),
            (Tokenizer::O200k, Some((10, 10)), 255),
            (Tokenizer::Open, Some((784, 784)), 784),
            (Tokenizer::Open, Some((0, 0)), 256),
        ];
        for (tokenizer, size, expect) in table {
            let size = size.map(|(width, height)| Size { width, height });
            assert_eq!((Family::of(tokenizer).picture)(size), expect, "{tokenizer:?} {size:?}");
        }
    }
}
