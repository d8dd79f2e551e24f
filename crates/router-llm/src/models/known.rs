//! What is known of a model before it is asked.

use router_core::chat::Usage;

use super::table;
use crate::{dialect::Quirks, provider::ProviderKind};

/// What is known of a model: from the table of models, from the configuration, or from the provider itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Tokens that question and answer may have together.
    pub window: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What it can do.
    pub abilities: Abilities,
    /// How its tokens are counted.
    pub tokenizer: Tokenizer,
    /// What it costs; `None` where nobody knows, which is not the same as nothing.
    pub price: Option<Price>,
    /// Its own ways.
    pub quirks: Quirks,
}

impl Known {
    /// What the table of models says of `model`, by the name that a provider of `kind` has for it: bare, behind its
    /// maker's (`openai/gpt-5`), or with a tag (`llama3.1:8b`).
    pub fn of(kind: ProviderKind, model: &str) -> Self {
        table::find(kind, model)
    }
}

/// What a model can do; `None` where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It calls tools.
    pub tools: Option<bool>,
    /// It sees pictures.
    pub images: Option<bool>,
    /// It reads documents (PDF).
    pub documents: Option<bool>,
    /// It keeps to a JSON schema when told to.
    pub schema: Option<bool>,
    /// It thinks first when told to.
    pub thinking: Option<bool>,
}

impl Abilities {
    /// What `self` says, and where it says nothing, what `other` does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools.or(other.tools),
            images: self.images.or(other.images),
            documents: self.documents.or(other.documents),
            schema: self.schema.or(other.schema),
            thinking: self.thinking.or(other.thinking),
        }
    }
}

/// A family of tokenizers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// OpenAI's since GPT-4o.
    #[default]
    O200k,
    /// OpenAI's before that.
    Cl100k,
    /// Anthropic's before Claude 4.7.
    Claude3,
    /// Anthropic's since then.
    Claude5,
    /// Those of the open models (Llama, Qwen, DeepSeek, Mistral, Gemma).
    Open,
}

impl Tokenizer {
    /// Every family.
    pub const ALL: [Self; 5] = [Self::O200k, Self::Cl100k, Self::Claude3, Self::Claude5, Self::Open];

    /// The word that the configuration has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::O200k => "o200k",
            Self::Cl100k => "cl100k",
            Self::Claude3 => "claude3",
            Self::Claude5 => "claude5",
            Self::Open => "open",
        }
    }
}

/// What a million tokens cost, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Read at full price.
    pub input: f64,
    /// Written.
    pub output: f64,
    /// Read from the provider's prompt cache.
    pub cache_read: f64,
    /// Written to the provider's prompt cache.
    pub cache_write: f64,
    /// How much more a long question costs, where it does.
    pub long: Option<Long>,
}

/// What a question costs that is longer than the usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Long {
    /// Tokens of a question that is still of the usual length, whatever of it is cached.
    pub above: u64,
    /// How many times as much everything that is read costs then.
    pub input: f64,
    /// How many times as much everything that is written costs then.
    pub output: f64,
}

impl Price {
    /// What this usage costs, in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "no usage comes near 2^52 tokens")]
    pub fn cost(&self, usage: Usage) -> f64 {
        let question = usage.total_input();
        let (dear_input, dear_output) = match self.long {
            Some(long) if question > long.above => (long.input, long.output),
            Some(_) | None => (1.0, 1.0),
        };
        let read = usage.input as f64 * self.input
            + usage.cache_read as f64 * self.cache_read
            + usage.cache_write as f64 * self.cache_write;
        (read * dear_input + usage.output as f64 * self.output * dear_output) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_price() {
        let long = Some(Long { above: 1_000_000, input: 2.0, output: 1.5 });
        let price = Price { input: 2.0, output: 10.0, cache_read: 0.2, cache_write: 2.5, long };
        let usage =
            |input, output, cache_read, cache_write| Usage { input, output, cache_read, cache_write, thinking: 0 };
        let table = [
            (usage(0, 0, 0, 0), 0.0),
            (usage(1_000_000, 0, 0, 0), 2.0),
            (usage(0, 100_000, 0, 0), 1.0),
            (usage(0, 0, 500_000, 100_000), 0.35),
            (usage(1_000_000, 100_000, 1_000_000, 0), 4.4 + 1.5),
        ];
        for (usage, dollars) in table {
            assert!((price.cost(usage) - dollars).abs() < 1e-9, "{usage:?}: {}", price.cost(usage));
        }
    }
}
