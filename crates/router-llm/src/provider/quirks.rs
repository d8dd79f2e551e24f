//! What single models do otherwise than their dialect says, known by their names.

use super::preset::{Preset, ProviderKind};
use crate::dialect::Quirks;

/// Models that think first: they take `max_completion_tokens`, and refuse `max_tokens` and any sampling but the default.
/// Each prefix with the levels of effort that are listed for it, where that is known; the first that fits counts.
///
/// Source: OpenAI's API reference (`max_completion_tokens`, `reasoning_effort`) and its pages on these models.
const REASONING: [(&str, &[&str]); 9] = [
    ("o1", &["low", "medium", "high"]),
    ("o3", &["low", "medium", "high"]),
    ("o4", &["low", "medium", "high"]),
    ("gpt-5.1", &["none", "low", "medium", "high"]),
    ("gpt-5.", &[]),
    ("gpt-5-codex", &["low", "medium", "high"]),
    ("gpt-5", &["minimal", "low", "medium", "high"]),
    ("gpt-6", &[]),
    ("codex-", &[]),
];

/// The models of ChatGPT among them, which take sampling and do not think.
const CHATTING: &str = "-chat";

/// Models from before that time: they refuse `reasoning_effort`.
const UNTHINKING: [&str; 3] = ["gpt-3.5", "gpt-4", "chatgpt-"];

/// Models whose chat template wants their thoughts back beside their tool calls (DeepSeek's and Moonshot's API guides).
const REPLAYING: [&str; 2] = ["deepseek", "kimi"];

impl Preset {
    /// The ways of one of its models.
    pub fn quirks_of(&self, model: &str) -> Quirks {
        let name = model.rsplit('/').next().unwrap_or(model);
        let starts = |prefix: &&str| name.starts_with(prefix);
        let replays_thinking = REPLAYING.iter().any(starts);
        if !matches!(self.kind, ProviderKind::OpenAi | ProviderKind::Azure | ProviderKind::OpenRouter) {
            return Quirks { replays_thinking, ..self.quirks };
        }
        let reasoning = REASONING.iter().find(|(prefix, _)| starts(prefix) && !name.contains(CHATTING));
        Quirks {
            reasoning_model: reasoning.is_some(),
            efforts: reasoning.map_or(&[], |(_, efforts)| efforts),
            no_effort: UNTHINKING.iter().any(starts) || (reasoning.is_none() && name.contains(CHATTING)),
            replays_thinking,
            ..self.quirks
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::preset::ProviderKind::{LmStudio, OpenAi, OpenRouter},
        *,
    };

    #[test]
    fn knows_models_by_their_names() {
        let thinks = Quirks { reasoning_model: true, ..Quirks::NONE };
        let levels: &[&str] = &["low", "medium", "high"];
        let table = [
            (OpenAi, "o3-mini", Quirks { efforts: levels, no_top_k: true, ..thinks }),
            (OpenAi, "gpt-5.6", Quirks { no_top_k: true, ..thinks }),
            (OpenAi, "gpt-5-chat-latest", Quirks { no_effort: true, no_top_k: true, ..Quirks::NONE }),
            (OpenAi, "gpt-4o", Quirks { no_effort: true, no_top_k: true, ..Quirks::NONE }),
            (OpenRouter, "openai/o3", Quirks { efforts: levels, ..thinks }),
            (OpenRouter, "anthropic/claude-sonnet-4", Quirks::NONE),
            (OpenRouter, "deepseek/deepseek-r1", Quirks { replays_thinking: true, ..Quirks::NONE }),
            (LmStudio, "openai/gpt-5-like", Quirks::NONE),
        ];
        for (kind, model, expect) in table {
            assert_eq!(Preset::of(kind, None).map(|preset| preset.quirks_of(model)), Some(expect), "{kind:?} {model}");
        }
    }
}
