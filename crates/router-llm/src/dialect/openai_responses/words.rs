//! The vocabulary's words in those of responses, and back: why a model stopped, and what it used.

use router_core::chat::{StopReason, Usage};
use serde::{Deserialize, Serialize};

/// Why a reply is not complete, and with that why it stopped.
pub(super) fn stop_reason(incomplete: &str) -> StopReason {
    match incomplete {
        "content_filter" => StopReason::Refusal,
        _ => StopReason::MaxTokens,
    }
}

/// Why a reply is not complete; `None` when it is.
pub(super) const fn incomplete(reason: StopReason) -> Option<&'static str> {
    match reason {
        StopReason::MaxTokens | StopReason::ContextWindow => Some("max_output_tokens"),
        StopReason::Refusal => Some("content_filter"),
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse | StopReason::Pause => None,
    }
}

/// Tokens as OpenAI counts them: what came from the cache, or went there, is part of the input.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the words of the wire")]
pub(super) struct Tokens {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    total_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let details = tokens.input_tokens_details.unwrap_or_default();
        let cache_read = details.cached_tokens.unwrap_or_default();
        let cache_write = details.cache_write_tokens.unwrap_or_default();
        Self {
            input: tokens.input_tokens.unwrap_or_default().saturating_sub(cache_read).saturating_sub(cache_write),
            output: tokens.output_tokens.unwrap_or_default(),
            cache_read,
            cache_write,
            thinking: tokens.output_tokens_details.and_then(|told| told.reasoning_tokens).unwrap_or_default(),
        }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: Some(usage.total_input()),
            input_tokens_details: Some(InputDetails {
                cached_tokens: Some(usage.cache_read),
                cache_write_tokens: Some(usage.cache_write),
            }),
            output_tokens: Some(usage.output),
            output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.thinking) }),
            total_tokens: Some(usage.total_input() + usage.output),
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
                r#"{"input_tokens":1000,"input_tokens_details":{"cached_tokens":800},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":1020}"#,
                Some(Usage { input: 200, output: 20, cache_read: 800, cache_write: 0, thinking: 5 }),
            ),
            (r#"{"input_tokens":4,"input_tokens_details":null}"#, Some(Usage { input: 4, ..Usage::default() })),
            (r#"{"input_tokens":0}"#, None),
            ("null", None),
        ];
        for (json, expected) in table {
            assert_eq!(usage(json.as_bytes()), expected, "{json}");
        }
        let usage = Usage { input: 200, output: 20, cache_read: 800, cache_write: 100, thinking: 5 };
        assert_eq!(Usage::from(Tokens::from(usage)), usage);
    }
}
