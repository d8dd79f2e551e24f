//! The vocabulary's words in OpenAI's, and back: why a model stopped, and what it used.

use router_core::chat::{StopReason, Usage};
use serde::{Deserialize, Serialize};

/// Why a model stopped; `None` while it has not.
pub(super) fn stop_reason(word: &str) -> Option<StopReason> {
    match word {
        "" => None,
        "length" | "max_tokens" | "model_length" => Some(StopReason::MaxTokens),
        "tool_calls" | "function_call" | "tool_use" => Some(StopReason::ToolUse),
        "content_filter" | "refusal" => Some(StopReason::Refusal),
        _ => Some(StopReason::EndTurn),
    }
}

/// The same for a client.
pub(in crate::dialect) fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause => "stop",
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
    }
}

/// Tokens as OpenAI counts them: what came from the cache is part of the prompt.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the words of the wire")]
pub(in crate::dialect) struct Tokens {
    #[serde(deserialize_with = "or_zero")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "or_zero")]
    completion_tokens: u64,
    #[serde(deserialize_with = "or_zero")]
    total_tokens: u64,
    #[serde(deserialize_with = "or_zero")]
    prompt_tokens_details: PromptDetails,
    #[serde(deserialize_with = "or_zero")]
    completion_tokens_details: CompletionDetails,
    /// DeepSeek's word for what came from the cache.
    #[serde(deserialize_with = "or_zero", skip_serializing)]
    prompt_cache_hit_tokens: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "or_zero")]
    cached_tokens: u64,
    #[serde(deserialize_with = "or_zero", skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "or_zero")]
    reasoning_tokens: u64,
}

/// Many servers write `null` for what they did not count.
fn or_zero<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let cache_read = tokens.prompt_tokens_details.cached_tokens.max(tokens.prompt_cache_hit_tokens);
        let cache_write = tokens.prompt_tokens_details.cache_write_tokens;
        Self {
            input: tokens.prompt_tokens.saturating_sub(cache_read).saturating_sub(cache_write),
            output: tokens.completion_tokens,
            cache_read,
            cache_write,
            thinking: tokens.completion_tokens_details.reasoning_tokens,
        }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.total_input(),
            completion_tokens: usage.output,
            total_tokens: usage.total_input() + usage.output,
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
            },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.thinking },
            prompt_cache_hit_tokens: 0,
        }
    }
}

/// The usage in a JSON object; `None` when there is none, or nobody counted.
pub(super) fn usage(json: &[u8]) -> Option<Usage> {
    let usage = Usage::from(serde_json::from_slice::<Option<Tokens>>(json).ok()??);
    usage.is_known().then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_the_cache_is_counted_once() {
        let table = [
            (
                r#"{"prompt_tokens":1000,"completion_tokens":20,"total_tokens":1020,"prompt_tokens_details":{"cached_tokens":800},"completion_tokens_details":{"reasoning_tokens":5}}"#,
                Some(Usage { input: 200, output: 20, cache_read: 800, cache_write: 0, thinking: 5 }),
            ),
            (
                r#"{"prompt_tokens":10,"prompt_cache_hit_tokens":4,"completion_tokens":null,"prompt_tokens_details":null}"#,
                Some(Usage { input: 6, cache_read: 4, ..Usage::default() }),
            ),
            (r#"{"prompt_tokens":0,"completion_tokens":0}"#, None),
            ("null", None),
        ];
        for (json, expected) in table {
            assert_eq!(usage(json.as_bytes()), expected, "{json}");
        }
        let usage = Usage { input: 200, output: 20, cache_read: 800, cache_write: 100, thinking: 5 };
        assert_eq!(Usage::from(Tokens::from(usage)), usage);
        assert_eq!(Tokens::from(usage).prompt_tokens, 1100);
    }
}
