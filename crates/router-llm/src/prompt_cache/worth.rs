//! Which answers are worth keeping: those that came to a good end.

use futures_util::{FutureExt, StreamExt};
use router_core::{
    Reply, Result,
    chat::{ChatRecording, ChatReply, Event, StopReason},
};

/// Whether a whole recording holds an answer that somebody else would want: not one that was cut at a limit, that
/// refuses, that pauses, or that says nothing.
pub(super) fn keeping(copy: &ChatRecording) -> bool {
    let Some(reply) = ChatReply::replay(copy) else { return false };
    // It is whole, so there is nothing to wait for.
    let events = reply.into_events().collect::<Vec<_>>().now_or_never().unwrap_or_default();
    let Ok(events) = events.into_iter().collect::<Result<Vec<_>>>() else { return false };
    let says = events.iter().any(|event| matches!(event, Event::Open(_)));
    let stop = events.iter().rev().find_map(|event| match event {
        Event::Stop { reason, .. } => Some(*reason),
        Event::Start { .. }
        | Event::Open(_)
        | Event::Text(_)
        | Event::Thinking(_)
        | Event::Signature(_)
        | Event::Arguments(_)
        | Event::Close
        | Event::Usage(_) => None,
    });
    says && stop.is_some_and(is_good)
}

pub(super) const fn is_good(reason: StopReason) -> bool {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse => true,
        StopReason::MaxTokens | StopReason::Refusal | StopReason::ContextWindow | StopReason::Pause => false,
    }
}
