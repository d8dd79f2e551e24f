//! What a question asks of its own dialect's provider, and nobody else can give.

use router_core::{Error, Kind, Result, chat::Prompt};
use serde_json::Value;

/// Refuses a question that offers tools which its own provider would run: left out in silence, the model would answer
/// as if it had searched, or computed, when it has not.
pub(super) fn refuse_providers_tools(prompt: &Prompt, dialect: &'static str) -> Result<()> {
    if prompt.origin == Some(dialect) {
        return Ok(());
    }
    let mut told = prompt.extra.get("tools").and_then(Value::as_array).into_iter().flatten();
    match told.find_map(|tool| tool.get("type")?.as_str()) {
        Some(kind) => Err(Error::new(Kind::Invalid, format!("tools: `{kind}` cannot be carried to this model"))
            .hint("ask a model of the provider that has this tool, or leave the tool out")),
        None => Ok(()),
    }
}
