//! Calls and what answers them: both vendors refuse a call without its result and a result without its call, in the very
//! turn that follows.

use std::borrow::Cow;

use router_core::{
    Error, Kind, Result,
    chat::{Message, Part, Prompt, Role},
};

use crate::dialect::openai_responses;

/// What a result says that nobody recorded.
const UNRECORDED: &str = "(No result of this call was recorded.)";

/// What stands before a result whose call is not in the conversation.
const UNCALLED: &str = "(What a tool answered, whose call is not part of this conversation:)";

/// Refuses a conversation in which calls and results do not match, naming the first that does not; or mends it, where
/// `repair` says so: a missing result is said to be missing, a result without its call becomes plain text.
///
/// Refusing is the default, because a made-up result is something that nobody said.
pub(super) fn settle(prompt: &mut Cow<'_, Prompt>, repair: bool) -> Result<()> {
    let Some(misfit) = misfit(&prompt.messages) else { return Ok(()) };
    if !repair {
        return Err(misfit.refusal(prompt.origin));
    }
    let prompt = prompt.to_mut();
    prompt.messages = mended(std::mem::take(&mut prompt.messages));
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Misfit<'a> {
    Unanswered(&'a str),
    Uncalled(&'a str),
}

impl Misfit<'_> {
    /// In the words that the client's own vendor has for it, by which clients know what to do.
    fn refusal(&self, origin: Option<&str>) -> Error {
        let message = match (self, origin) {
            (Self::Unanswered(id), Some("openai")) => format!(
                "messages: an assistant message with 'tool_calls' must be followed by tool messages responding to each \
                 'tool_call_id'. The following tool_call_ids did not have response messages: {id}"
            ),
            (Self::Uncalled(id), Some("openai")) => format!(
                "messages: messages with role 'tool' must be a response to a preceding message with 'tool_calls': {id} \
                 is none"
            ),
            (Self::Unanswered(id), Some(openai_responses::NAME)) => {
                format!("input: No tool output found for function call {id}.")
            }
            (Self::Uncalled(id), Some(openai_responses::NAME)) => {
                format!("input: No tool call found for function call output with call_id {id}.")
            }
            (Self::Unanswered(id), _) => format!(
                "messages: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message."
            ),
            (Self::Uncalled(id), _) => format!(
                "messages: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must \
                 have a corresponding `tool_use` block in the previous message."
            ),
        };
        Error::new(Kind::Invalid, message)
    }
}

fn misfit(messages: &[Message]) -> Option<Misfit<'_>> {
    let mut open: Vec<&str> = Vec::new();
    let mut answering = false;
    for message in messages {
        if message.role == Role::Assistant && answering {
            if let Some(id) = open.first() {
                return Some(Misfit::Unanswered(id));
            }
            answering = false;
        }
        answering |= message.role == Role::User;
        for part in &message.parts {
            match part {
                Part::ToolUse { id, .. } => open.push(id),
                Part::ToolResult { id, .. } => match open.iter().position(|called| called == id) {
                    Some(at) => drop(open.remove(at)),
                    None => return Some(Misfit::Uncalled(id)),
                },
                Part::Text(_)
                | Part::Image(_)
                | Part::Document(_)
                | Part::Thinking { .. }
                | Part::RedactedThinking(_)
                | Part::Other { .. } => {}
            }
        }
    }
    open.first().map(|id| Misfit::Unanswered(id))
}

fn mended(messages: Vec<Message>) -> Vec<Message> {
    let mut mended: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    let mut open: Vec<String> = Vec::new();
    // Where results of the open calls go that nobody recorded.
    let mut after = 0;
    for Message { role, parts } in messages {
        if role == Role::Assistant && after < mended.len() {
            answer(&mut mended, after, &mut open);
        }
        let parts = parts.into_iter().flat_map(|part| mend(part, &mut open)).collect();
        mended.push(Message { role, parts });
        if role == Role::Assistant {
            after = mended.len();
        }
    }
    answer(&mut mended, after, &mut open);
    mended
}

/// What becomes of a part, while the calls `open` are not answered.
fn mend(part: Part, open: &mut Vec<String>) -> Vec<Part> {
    if let Part::ToolUse { id, .. } = &part {
        open.push(id.clone());
    }
    let Part::ToolResult { id, parts, is_error } = part else { return vec![part] };
    if let Some(at) = open.iter().position(|called| *called == id) {
        open.remove(at);
        return vec![Part::ToolResult { id, parts, is_error }];
    }
    std::iter::once(Part::Text(UNCALLED.to_owned())).chain(parts).collect()
}

fn answer(messages: &mut Vec<Message>, at: usize, open: &mut Vec<String>) {
    let missing = |id| Part::ToolResult { id, parts: vec![Part::Text(UNRECORDED.to_owned())], is_error: true };
    let parts: Vec<Part> = open.drain(..).map(missing).collect();
    if !parts.is_empty() {
        messages.insert(at.min(messages.len()), Message { role: Role::User, parts });
    }
}
