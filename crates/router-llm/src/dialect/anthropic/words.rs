//! The dialect's words for usage and stop reasons.

use router_core::chat::{StopReason, Usage};
use serde::{Deserialize, Serialize};

/// `usage`, of which any part may be missing or null.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct UsageFields {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl From<UsageFields> for Usage {
    fn from(fields: UsageFields) -> Self {
        Self {
            input: fields.input_tokens.unwrap_or_default(),
            output: fields.output_tokens.unwrap_or_default(),
            cache_read: fields.cache_read_input_tokens.unwrap_or_default(),
            cache_write: fields.cache_creation_input_tokens.unwrap_or_default(),
            thinking: fields.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or_default(),
        }
    }
}

/// `usage` as it goes out: clients count on every number being there.
#[derive(Debug, Serialize)]
pub(super) struct UsageOut {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

impl From<Usage> for UsageOut {
    fn from(usage: Usage) -> Self {
        let thinking = (usage.thinking > 0).then_some(OutputDetails { thinking_tokens: Some(usage.thinking) });
        Self {
            input_tokens: usage.input,
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cache_read,
            output_tokens: usage.output,
            output_tokens_details: thinking,
        }
    }
}

/// Reads a stop reason. One that is not known yet ends the turn like any other.
pub(super) fn stop_reason(word: &str) -> StopReason {
    match word {
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "pause_turn" => StopReason::Pause,
        "refusal" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        _ => StopReason::EndTurn,
    }
}

/// Writes a stop reason.
pub(super) const fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Pause => "pause_turn",
        StopReason::Refusal => "refusal",
        StopReason::ContextWindow => "model_context_window_exceeded",
    }
}
