//! Tools that only one dialect has: those that wait until they are loaded, those whose schema a provider knows by heart,
//! and those that a provider runs itself.

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Losses, Part, Prompt, ToolSpec},
};
use serde_json::{Map, Value};

use super::fields::is_neutral;
use crate::dialect::{Quirks, openai_responses};

/// What Claude Code offers so that the field is never empty; it is never to be called.
const PLACEHOLDER: &str = "DeferredToolPlaceholder";

/// A provider's own search among tools that wait.
const SEARCH: &str = "tool_search_tool_";

/// Fields of a tool that speak of its transport, or are read here.
const SILENT: [&str; 4] = ["name", "type", "defer_loading", "eager_input_streaming"];

/// The tools whose schema Anthropic's models know, and which the client runs: what their names begin with, what they
/// do, and their input.
///
/// Source: Anthropic's reference of the bash, text editor and memory tools.
const KNOWN: [(&str, &str, &str); 5] = [
    ("bash_", "Runs a command in a bash session that persists from call to call.", BASH),
    (
        "text_editor_2024",
        "Views, creates and edits files. `str_replace` needs `old_str` to occur exactly once.",
        OLD_EDITOR,
    ),
    (
        "text_editor_20250124",
        "Views, creates and edits files. `str_replace` needs `old_str` to occur exactly once.",
        OLD_EDITOR,
    ),
    ("text_editor_", "Views, creates and edits files. `str_replace` needs `old_str` to occur exactly once.", EDITOR),
    (
        "memory_",
        "Keeps what is worth remembering in files under /memories. View that directory before anything else.",
        MEMORY,
    ),
];

const BASH: &str = r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run."},"restart":{"type":"boolean","description":"Restarts the session instead."}}}"#;

const OLD_EDITOR: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},"path":{"type":"string","description":"Absolute path of a file or directory."},"file_text":{"type":"string","description":"For create: the content."},"old_str":{"type":"string","description":"For str_replace: the text to replace."},"new_str":{"type":"string","description":"For str_replace and insert: the new text."},"insert_line":{"type":"integer","description":"For insert: the line after which to insert; 0 is the beginning."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line; -1 is the end."}},"required":["command","path"]}"#;

const EDITOR: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string","description":"Absolute path of a file or directory."},"file_text":{"type":"string","description":"For create: the content."},"old_str":{"type":"string","description":"For str_replace: the text to replace."},"new_str":{"type":"string","description":"For str_replace: the new text."},"insert_line":{"type":"integer","description":"For insert: the line after which to insert; 0 is the beginning."},"insert_text":{"type":"string","description":"For insert: the text."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line; -1 is the end."}},"required":["command","path"]}"#;

const MEMORY: &str = r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string","description":"A path under /memories."},"file_text":{"type":"string","description":"For create: the content."},"old_str":{"type":"string","description":"For str_replace: the text to replace."},"new_str":{"type":"string","description":"For str_replace: the new text."},"insert_line":{"type":"integer","description":"For insert: the line after which to insert; 0 is the beginning."},"insert_text":{"type":"string","description":"For insert: the text."},"old_path":{"type":"string","description":"For rename: the path as it is."},"new_path":{"type":"string","description":"For rename: the path as it shall be."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line."}},"required":["command"]}"#;

/// The tools of a question that told more of them than the vocabulary has words for, as anybody understands them; `None`
/// when it did not. They keep the client's order; those that were loaded on the way come last, in the order of their
/// loading, so that what stood before them stands there still.
pub(super) fn carried(prompt: &Prompt, quirks: &Quirks, losses: &mut Losses) -> Result<Option<Vec<ToolSpec>>> {
    let Some(told) = prompt.extra.get("tools").and_then(Value::as_array) else { return Ok(None) };
    if prompt.origin == Some(openai_responses::NAME) {
        note_hosted(told, quirks, losses);
        return Ok(None);
    }
    let loaded = loaded(prompt);
    // The provider's search is not to be had elsewhere, so the model is given at once what it might have found.
    let all = told.iter().any(|tool| kind(tool).is_some_and(|kind| kind.starts_with(SEARCH)));
    let (mut tools, mut late) = (Vec::with_capacity(told.len()), Vec::new());
    for entry in told {
        match kind(entry) {
            Some(search) if search.starts_with(SEARCH) => losses.note(format!("tools.{search}")),
            Some(kind) => tools.push(known(kind, entry)?),
            None => {
                let Some(tool) = named(prompt, entry) else { continue };
                note_further(entry, quirks, losses);
                let waits = entry.get("defer_loading") == Some(&Value::Bool(true));
                match loaded.iter().position(|name| *name == tool.name) {
                    _ if tool.name == PLACEHOLDER => {}
                    _ if !waits || all => tools.push(tool.clone()),
                    Some(at) => late.push((at, tool.clone())),
                    None => {}
                }
            }
        }
    }
    late.sort_by_key(|(at, _)| *at);
    tools.extend(late.into_iter().map(|(_, tool)| tool));
    let is_told = |tool: &ToolSpec| told.iter().any(|entry| entry.get("name").is_some_and(|name| *name == *tool.name));
    tools.extend(prompt.tools.iter().filter(|tool| !is_told(tool)).cloned());
    Ok(Some(tools))
}

/// Clients of OpenAI's responses offer tools that their provider would run always, whether they need them or not: there
/// each is a loss. The ones that they run themselves are functions already.
fn note_hosted(told: &[Value], quirks: &Quirks, losses: &mut Losses) {
    for entry in told {
        match kind(entry) {
            Some(own) if openai_responses::OWN_TOOLS.contains(&own) => {}
            Some(hosted) => losses.note(format!("tools.{hosted}")),
            None => note_further(entry, quirks, losses),
        }
    }
}

fn kind(tool: &Value) -> Option<&str> {
    tool.get("type")?.as_str()
}

fn named<'a>(prompt: &'a Prompt, entry: &Value) -> Option<&'a ToolSpec> {
    let name = entry.get("name")?.as_str()?;
    prompt.tools.iter().find(|tool| tool.name == name)
}

/// A tool that the client runs, as a function; one that its provider runs is refused: left out in silence, the model
/// would answer as if it had searched, or computed, when it has not.
fn known(kind: &str, entry: &Value) -> Result<ToolSpec> {
    let (Some((_, description, schema)), Some(name)) =
        (KNOWN.iter().find(|(start, ..)| kind.starts_with(start)), entry.get("name").and_then(Value::as_str))
    else {
        return Err(Error::new(Kind::Invalid, format!("tools: `{kind}` cannot be carried to this model"))
            .hint("ask a model of the provider that has this tool, or leave the tool out"));
    };
    let schema = Raw::trusted(*schema);
    Ok(ToolSpec { name: name.to_owned(), description: Some((*description).to_owned()), schema, strict: None })
}

fn note_further(entry: &Value, quirks: &Quirks, losses: &mut Losses) {
    for (name, value) in entry.as_object().into_iter().flatten() {
        match name.as_str() {
            // The tools come first in every cache: what is said of the texts after them is said of them.
            "cache_control" => losses.note_if(!quirks.keeps_cache_control, "cache_control"),
            name if SILENT.contains(&name) || is_neutral(value) => {}
            name => losses.note(format!("tools.{name}")),
        }
    }
}

/// The names of the tools that were loaded, or called, on the way: each once, the first first.
fn loaded(prompt: &Prompt) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for part in prompt.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolUse { name, .. } => add(name.clone()),
            Part::ToolResult { parts, .. } => parts.iter().filter_map(reference).for_each(&mut add),
            Part::Other { .. } => reference(part).into_iter().for_each(&mut add),
            Part::Text(_) | Part::Image(_) | Part::Document(_) | Part::Thinking { .. } | Part::RedactedThinking(_) => {}
        }
    }
    names
}

fn reference(part: &Part) -> Option<String> {
    let Part::Other { raw, .. } = part else { return None };
    let block: Map<String, Value> = raw.decode().ok()?;
    let name = (block.get("type")? == "tool_reference").then(|| block.get("tool_name")?.as_str())?;
    name.map(str::to_owned)
}
