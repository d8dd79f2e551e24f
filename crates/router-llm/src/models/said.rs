//! What the configuration says of models, which goes before everything else that is known of them.

use super::known::{Abilities, Known, Price, Tokenizer};
use crate::dialect::Quirks;

/// What is said of the models that a pattern fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Their names: bare, behind their maker's or their provider's; `*` is any text.
    pub pattern: String,
    /// Tokens that question and answer may have together.
    pub window: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What they can do.
    pub abilities: Abilities,
    /// How their tokens are counted.
    pub tokenizer: Option<Tokenizer>,
    /// What they cost.
    pub price: Option<Price>,
    /// Their own ways.
    pub quirks: SaidQuirks,
}

/// What is said of the ways of models: each of [`Quirks`]' fields, where anything is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SaidQuirks {
    /// Takes `max_completion_tokens`, and no sampling.
    pub reasoning_model: Option<bool>,
    /// Refuses `top_k`.
    pub no_top_k: Option<bool>,
    /// Takes one system message, first.
    pub one_system_message: Option<bool>,
    /// Refuses to be told how hard to think.
    pub no_effort: Option<bool>,
    /// The levels of effort it takes.
    pub efforts: Option<&'static [&'static str]>,
    /// Wants its thoughts back.
    pub replays_thinking: Option<bool>,
    /// Refuses a conversation that ends with its own words.
    pub no_prefill: Option<bool>,
    /// The limit of an answer whose client named none.
    pub usual_output: Option<u64>,
    /// Is told how hard to think by a level of effort (Anthropic's).
    pub takes_effort: Option<bool>,
    /// Refuses a user message right after what a tool answered.
    pub no_user_after_tool: Option<bool>,
    /// Understands Anthropic's `cache_control` in OpenAI's words.
    pub keeps_cache_control: Option<bool>,
    /// Takes a JSON schema, and refuses to be told that any JSON will do.
    pub no_json_object: Option<bool>,
    /// Wants the `reasoning_details` back that it gave.
    pub replays_details: Option<bool>,
    /// Calls without results, and results without calls, are mended for it.
    pub repairs_calls: Option<bool>,
}

impl Said {
    /// Puts what is said in the place of what was known.
    pub(super) fn correct(&self, known: &mut Known) {
        known.window = self.window.or(known.window);
        known.max_output = self.max_output.or(known.max_output);
        known.abilities = self.abilities.or(known.abilities);
        known.tokenizer = self.tokenizer.unwrap_or(known.tokenizer);
        known.price = self.price.or(known.price);
        known.quirks =
            Quirks { max_output: self.max_output.or(known.quirks.max_output), ..self.quirks.over(known.quirks) };
    }
}

impl SaidQuirks {
    fn over(&self, known: Quirks) -> Quirks {
        Quirks {
            reasoning_model: self.reasoning_model.unwrap_or(known.reasoning_model),
            no_top_k: self.no_top_k.unwrap_or(known.no_top_k),
            one_system_message: self.one_system_message.unwrap_or(known.one_system_message),
            no_effort: self.no_effort.unwrap_or(known.no_effort),
            efforts: self.efforts.unwrap_or(known.efforts),
            replays_thinking: self.replays_thinking.unwrap_or(known.replays_thinking),
            no_prefill: self.no_prefill.unwrap_or(known.no_prefill),
            usual_output: self.usual_output.or(known.usual_output),
            takes_effort: self.takes_effort.unwrap_or(known.takes_effort),
            no_user_after_tool: self.no_user_after_tool.unwrap_or(known.no_user_after_tool),
            keeps_cache_control: self.keeps_cache_control.unwrap_or(known.keeps_cache_control),
            no_json_object: self.no_json_object.unwrap_or(known.no_json_object),
            replays_details: self.replays_details.unwrap_or(known.replays_details),
            repairs_calls: self.repairs_calls.unwrap_or(known.repairs_calls),
            max_output: known.max_output,
        }
    }
}
