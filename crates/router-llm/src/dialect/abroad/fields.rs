//! The fields of a question: those that nobody but its dialect's provider can honour, and those that are lost.

use std::borrow::Cow;

use router_core::{
    Error, Kind, Result,
    chat::{Losses, Prompt},
};
use serde_json::{Map, Value};

use crate::dialect::{Quirks, openai_responses};

/// Fields that let a provider search or call servers of its own accord, or that ask for another kind of answer: left out
/// in silence, the model would answer as if it had been told.
const REFUSED: [&str; 6] = ["mcp_servers", "web_search_options", "audio", "logprobs", "top_logprobs", "prompt"];

/// Fields whose loss changes no answer: they speak of caches, of counting, of the machine, or are read elsewhere.
const SILENT: [&str; 19] = [
    "tools",
    "user",
    "usage",
    "include_reasoning",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "diagnostics",
    "billing_policy",
    "keep_alive",
    "num_ctx",
    "num_gpu",
    "num_thread",
    "num_batch",
    "num_keep",
    "main_gpu",
    "use_mmap",
    "truncate",
    "shift",
];

/// The same, said by clients of OpenAI's responses: of what is kept, which we do ourselves.
const SILENT_OF_RESPONSES: [&str; 5] = ["store", "include", "previous_response_id", "client_metadata", "truncation"];

/// Fields that hold fields, of which each is named for itself: `output_config.task_budget`. With those among them that
/// are honoured nevertheless.
const NESTED: [(&str, &[&str]); 5] = [
    ("thinking", &["display"]),
    ("output_config", &[]),
    ("options", &[]),
    ("reasoning", &["summary", "generate_summary"]),
    ("text", &[]),
];

/// Refuses what would be missed.
pub(super) fn refuse(prompt: &Prompt) -> Result<()> {
    let asked = |field: &str| prompt.extra.get(field).is_some_and(|value| value.is_object() || !is_neutral(value));
    if asked("safeguards") {
        // In these words: Claude Code reads them, and makes the check itself.
        return Err(Error::new(Kind::Invalid, "safeguards: Extra inputs are not permitted"));
    }
    let speaks = prompt.extra.get("modalities").is_some_and(|value| !is_neutral(value));
    let field = REFUSED.into_iter().find(|field| asked(field)).or(speaks.then_some("modalities"));
    match field {
        Some(field) => Err(Error::new(Kind::Invalid, format!("`{field}` cannot be carried to this model"))
            .hint("ask a model of the provider that has it, or leave it out")),
        None => Ok(()),
    }
}

/// Names the fields that no word is there for and the upstream does not take.
pub(super) fn note(prompt: &Prompt, taken: &[&str], quirks: &Quirks, losses: &mut Losses) {
    for (name, value) in &prompt.extra {
        let hint = name == "cache_control" && quirks.keeps_cache_control;
        let silent = SILENT.contains(&name.as_str())
            || (prompt.origin == Some(openai_responses::NAME) && SILENT_OF_RESPONSES.contains(&name.as_str()));
        if taken.contains(&name.as_str()) || silent || hint || is_neutral(value) {
            continue;
        }
        match (NESTED.iter().find(|(outer, _)| outer == name), value) {
            (Some((outer, honoured)), Value::Object(fields)) => note_within(outer, fields, &[honoured, taken], losses),
            _ if name == CUSTOM_TOOLS => losses.note("tools.custom"),
            _ => losses.note(name.clone()),
        }
    }
}

/// Where OpenAI's dialect keeps the tools that take a text instead of JSON.
pub(crate) const CUSTOM_TOOLS: &str = "custom_tools";

fn note_within(outer: &str, fields: &Map<String, Value>, taken: &[&[&str]], losses: &mut Losses) {
    for (name, value) in fields {
        let is_taken = taken.iter().any(|names| names.contains(&name.as_str()));
        if !is_taken && !SILENT.contains(&name.as_str()) && !is_neutral(value) {
            losses.note(format!("{outer}.{name}"));
        }
    }
}

/// Whether a value asks for nothing but what is done anyway.
pub(super) fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(word) => matches!(word.as_str(), "" | "auto"),
        Value::Array(items) => items.iter().all(|item| item == "text" || item == "direct"),
        Value::Object(fields) => fields.values().all(is_neutral),
    }
}

/// What the vocabulary has a word for, and a dialect a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Temperature,
    TopP,
    TopK,
    Seed,
    Thinking,
    ToolChoice,
    ParallelTools,
    Strict,
}

/// The name that the dialect of `prompt` has for it.
pub(crate) fn named(prompt: &Prompt, field: Field) -> Cow<'static, str> {
    let sampling = |name: &'static str| match prompt.origin {
        Some("ollama") => format!("options.{name}").into(),
        _ => Cow::Borrowed(name),
    };
    let one_of = |[anthropics, openais, responses, ollamas]: [&'static str; 4]| match prompt.origin {
        Some("openai") => openais.into(),
        Some(openai_responses::NAME) => responses.into(),
        Some("ollama") => ollamas.into(),
        _ => anthropics.into(),
    };
    match field {
        Field::Temperature => sampling("temperature"),
        Field::TopP => sampling("top_p"),
        Field::TopK => sampling("top_k"),
        Field::Seed => sampling("seed"),
        Field::Thinking => one_of(["thinking", "reasoning_effort", "reasoning.effort", "think"]),
        Field::ToolChoice => "tool_choice".into(),
        Field::ParallelTools => {
            let openais = "parallel_tool_calls";
            one_of(["tool_choice.disable_parallel_tool_use", openais, openais, openais])
        }
        Field::Strict => "tools.strict".into(),
    }
}
