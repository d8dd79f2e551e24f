//! What a question asks of its own dialect's provider, and nobody else can give.

use router_core::{Error, Kind, Result, chat::Prompt};
use serde_json::Value;

/// Fields that let a provider search or call servers of its own accord.
const FIELDS: [&str; 2] = ["mcp_servers", "web_search_options"];

/// Refuses a question that offers tools which its own provider would run: left out in silence, the model would answer
/// as if it had searched, or computed, when it has not.
pub(super) fn refuse_providers_tools(prompt: &Prompt, dialect: &'static str) -> Result<()> {
    if prompt.origin == Some(dialect) {
        return Ok(());
    }
    let mut told = prompt.extra.get("tools").and_then(Value::as_array).into_iter().flatten();
    let tool = told.find_map(|tool| tool.get("type")?.as_str()).map(|kind| format!("tools: `{kind}`"));
    let asks = |field: &&&str| prompt.extra.get(**field).is_some_and(|value| value.as_array() != Some(&vec![]));
    match tool.or_else(|| FIELDS.iter().find(asks).map(|field| format!("`{field}`"))) {
        Some(what) => Err(Error::new(Kind::Invalid, format!("{what} cannot be carried to this model"))
            .hint("ask a model of the provider that has this tool, or leave the tool out")),
        None => Ok(()),
    }
}
