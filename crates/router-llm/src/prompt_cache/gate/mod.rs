//! The second gate: whether two questions that are near one another in meaning ask the very same thing.
//!
//! Vectors put "enable" beside "disable", 1914 beside 1941 and France beside Germany, so nearness alone lets the wrong
//! answer through. This gate believes no word that it does not know: a question is cut into tokens, what is mere manner
//! of speaking is taken off, words that mean the same become one, and what is left has to be equal, in its order. Numbers,
//! names, negations, units and code are among what is left, so none of them can differ. It would rather let a hundred
//! paraphrases go unrecognised than one opposite pass.

mod tokens;
mod words;

use tokens::{Token, tokens};
use words::{Language, Lexicon};

/// Longer questions are not compared: they say too much.
const MAX_BYTES: usize = 2000;

/// Whether the answer to `one` answers `other`, too.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    if one == other {
        return true;
    }
    if !is_comparable(one) || !is_comparable(other) {
        return false;
    }
    let (one, other) = (tokens(one), tokens(other));
    let language = Language::of(&one);
    if language != Language::of(&other) {
        return false;
    }
    let essence = essence(one, language);
    !essence.is_empty() && essence == self::essence(other, language)
}

/// Whether anything but the very same question could pass: lines mean code, lists, tables, and there every blank may count.
pub fn is_comparable(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.len() <= MAX_BYTES && !text.contains('\n')
}

/// What is left of a question without its manner of speaking.
fn essence(tokens: Vec<Token>, language: Language) -> Vec<String> {
    let lexicon = Lexicon::of(language);
    let words = tokens.into_iter().map(Token::plain).collect();
    let words = numbers(lexicon.stripped(lexicon.phrased(&lexicon.stripped(words))));
    turned(words, language).iter().map(|word| lexicon.meaning(word)).collect()
}

/// Numbers in words become digits: "twenty five" is 25, "two thousand" is 2000.
fn numbers(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut open: Option<u64> = None;
    for word in words {
        let joined = match (open, words::number(&word)) {
            (Some(tens), Some(ones)) if tens >= 20 && tens % 10 == 0 && tens < 100 && ones < 10 => Some(tens + ones),
            (Some(count), Some(scale)) if matches!(scale, 100 | 1000 | 1_000_000) && count < scale => {
                Some(count * scale)
            }
            _ => None,
        };
        let number = joined.or_else(|| words::number(&word));
        if joined.is_some() {
            out.pop();
        }
        open = number;
        out.push(number.map_or(word, |number| number.to_string()));
    }
    out
}

/// "The capital of France" is "France's capital".
fn turned(mut words: Vec<String>, language: Language) -> Vec<String> {
    if language != Language::English {
        return words;
    }
    let mut at = 1;
    while at + 1 < words.len() {
        let is_relation = words.get(at - 1).is_some_and(|before| words::has(words::RELATIONS, before));
        if is_relation && words.get(at).is_some_and(|word| word == "of") {
            words.remove(at);
            words.swap(at - 1, at);
        }
        at += 1;
    }
    words
}

#[cfg(test)]
mod tests;
