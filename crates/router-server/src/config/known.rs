//! What the file says of models, over what is known of them anyway.

use router_llm::models::{Tokenizer, tokenizer};
use schemars::JsonSchema;

use super::{
    leaf::{Positive, Switch, Text},
    problem::Flaw,
    read::{Leaf, Spanned, section},
    source::Source,
    suggest,
};

section! {
    /// What is said of the models whose names fit a pattern.
    KnownFile {
        /// Tokens that question and answer may have together.
        window: Positive,
        /// Tokens that an answer may have; more is not asked for.
        max_output: Positive,
        /// Whether they call tools.
        tools: Switch,
        /// Whether they see pictures.
        images: Switch,
        /// Whether they read documents (PDF).
        documents: Switch,
        /// Whether they keep to a JSON schema.
        schema: Switch,
        /// Whether they think first when told to.
        thinking: Switch,
        /// How their tokens are counted.
        tokenizer: TokenizerWord,
        /// What they cost.
        price: PriceFile,
        /// What they do otherwise than their dialect.
        quirks: QuirksFile,
    }
}

section! {
    /// What a million tokens cost, in US dollars.
    PriceFile {
        /// Read.
        input: Dollars,
        /// Written.
        output: Dollars,
        /// Read from the provider's prompt cache; otherwise as any other.
        cache_read: Dollars,
        /// Written to the provider's prompt cache; otherwise as any other.
        cache_write: Dollars,
    }
}

section! {
    /// What models do otherwise than their dialect.
    QuirksFile {
        /// Take `max_completion_tokens`, and refuse `max_tokens` and any sampling but the default.
        reasoning_model: Switch,
        /// Refuse `top_k`.
        no_top_k: Switch,
        /// Take one system message, which comes first (strict chat templates).
        one_system_message: Switch,
        /// Refuse to be told how hard to think.
        no_effort: Switch,
        /// The levels of effort that they take.
        efforts: Vec<Spanned<Text>>,
        /// Want their thoughts back beside their tool calls.
        replays_thinking: Switch,
        /// Refuse a conversation that ends with their own words.
        no_prefill: Switch,
        /// The limit of an answer whose client named none, where the dialect wants one.
        usual_output: Positive,
        /// Are told how hard to think by a level of effort and not by a budget (Anthropic's dialect).
        takes_effort: Switch,
        /// Refuse a user message right after what a tool answered (Mistral's chat templates).
        no_user_after_tool: Switch,
        /// Understand Anthropic's `cache_control` in OpenAI's words.
        keeps_cache_control: Switch,
        /// Take a JSON schema, and refuse to be told that any JSON will do.
        no_json_object: Switch,
        /// Want the `reasoning_details` back that they gave, as they gave them.
        replays_details: Switch,
        /// Calls without results, and results without calls, are mended for them instead of being refused.
        repairs_calls: Switch,
    }
}

/// A family of tokenizers.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct TokenizerWord(#[schemars(with = "Text")] pub(super) Tokenizer);

impl Leaf for TokenizerWord {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let known = Tokenizer::ALL.map(Tokenizer::as_str);
        let unknown = || Flaw::new("is no family of tokenizers").remedy(suggest::remedy(text, &known));
        tokenizer(text).map(Self).ok_or_else(unknown)
    }
}

/// An amount of US dollars.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct Dollars(pub(super) f64);

impl Leaf for Dollars {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let dollars = text.trim().trim_start_matches('$').parse::<f64>().ok();
        let dollars = dollars.filter(|dollars| dollars.is_finite() && *dollars >= 0.0);
        dollars.map(Self).ok_or_else(|| Flaw::new("is no price").remedy("write dollars for a million tokens: 2.5"))
    }
}
