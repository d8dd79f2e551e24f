//! What Anthropic's interface no longer takes since 2026-10-21, for those who ask for that version and are answered by
//! somebody else: a program that is written against one vendor is not to find out at the other.

use router_core::{
    Error, Kind, Result,
    chat::{Message, Part, Prompt, Role},
};
use serde_json::Value;

use super::NAME;
use crate::dialect::fields::Misfit;

/// The version from which on it holds; versions are dates, and compare like them.
const SINCE: &str = "2026-10-21";

/// Says what of a prompt is refused under `version`, where there is anything. It does not hold for prompts that came in another dialect.
pub fn check(prompt: &Prompt, version: Option<&str>) -> Result<()> {
    if prompt.origin != Some(NAME) || version.is_none_or(|version| version < SINCE) {
        return Ok(());
    }
    look(prompt).map_err(|misfit| Error::new(Kind::Invalid, misfit.to_string()))
}

fn look(prompt: &Prompt) -> Result<(), Misfit> {
    let sampling = [
        ("temperature", prompt.temperature.is_some()),
        ("top_k", prompt.top_k.is_some()),
        ("top_p", prompt.top_p.is_some()),
    ];
    if let Some((name, _)) = sampling.into_iter().find(|(_, is_set)| *is_set) {
        return Err(Misfit::new(name, "Extra inputs are not permitted"));
    }
    // The system field is read as a first message, which the client does not count.
    let uncounted = prompt.messages.first().is_some_and(|message| message.role == Role::System);
    prompt.messages.iter().skip(usize::from(uncounted)).enumerate().try_for_each(|(index, message)| {
        look_at(message).map_err(|misfit| misfit.within(format_args!("messages.{index}")))
    })
}

fn look_at(message: &Message) -> Result<(), Misfit> {
    let mut block = 0_usize;
    for part in &message.parts {
        let fields = further(part);
        if let (Role::User, Some(fields)) = (message.role, &fields)
            && fields.get("citations").and_then(Value::as_array).is_some_and(|citations| !citations.is_empty())
        {
            let misfit = Misfit::new("citations", "Extra inputs are not permitted");
            return Err(misfit.within(format_args!("content.{}", block.saturating_sub(1))));
        }
        if message.role == Role::Assistant && is_document(part) {
            let why = "Input tag 'document' found using 'type' does not match any of the expected tags";
            return Err(Misfit::new(format!("content.{block}"), why));
        }
        block += usize::from(fields.is_none());
    }
    Ok(())
}

/// The further fields of the block before, where `part` is that and no block of its own.
fn further(part: &Part) -> Option<Value> {
    let Part::Other { raw, .. } = part else { return None };
    raw.decode::<Value>().ok().filter(|fields| fields.get("type").is_none())
}

fn is_document(part: &Part) -> bool {
    match part {
        Part::Document(_) => true,
        Part::Other { raw, .. } => {
            raw.decode::<Value>().is_ok_and(|block| block.get("type") == Some(&"document".into()))
        }
        Part::Text(_)
        | Part::Image(_)
        | Part::Thinking { .. }
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::ToolResult { .. } => false,
    }
}
