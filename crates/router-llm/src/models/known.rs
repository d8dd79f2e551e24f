//! What is known of a model before it is asked.

use crate::dialect::Quirks;

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
}
