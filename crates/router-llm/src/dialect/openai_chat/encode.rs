//! A prompt, written as a request body.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Raw, Result,
    chat::{Format, Losses, Prompt, Shape, ThinkingMode, ToolChoice, ToolSpec},
};
use serde_json::{Map, Value, json};

use super::{
    NAME,
    effort::effort,
    names,
    outgoing::{Function, Tool},
    schema, turns,
};
use crate::dialect::{
    Ask, Quirks,
    abroad::{self, CUSTOM_TOOLS, Field},
    json::JsonWriter,
};

/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 64;

/// How many texts may end an answer.
const MOST_STOPS: usize = 4;

/// The schema of any JSON object.
const ANY_OBJECT: &str = "{\"type\":\"object\"}";

/// What reasoning models refuse, of what clients of this dialect may have sent.
const NOT_FOR_REASONING: [&str; 5] =
    ["presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"];

/// Writes a question.
pub(super) fn encode(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let said = abroad::said(ask, NAME, &[], losses)?;
    write(&Ask { prompt: &said, ..*ask }, losses)
}

/// How many of the texts that end an answer the upstream takes.
pub(super) fn most_stops(ask: &Ask<'_>) -> usize {
    if ask.quirks.reasoning_model { 0 } else { MOST_STOPS }
}

fn write(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let prompt = ask.prompt;
    let messages = turns::write(ask)?;
    if messages.is_empty() {
        return Err(Error::new(Kind::Invalid, "messages: none of them says anything").hint("send a message with text"));
    }
    let own = prompt.origin == Some(NAME);
    let mut lost = Vec::new();
    let custom = prompt.extra.get(CUSTOM_TOOLS).and_then(Value::as_array).filter(|_| own);
    let tools: Vec<_> = prompt.tools.iter().map(|spec| tool(spec, own, custom, &mut lost)).collect();
    let further = further(ask, &mut lost)?;
    note_losses(prompt, &lost, losses);
    let mut json = JsonWriter::default();
    // In the order that providers document.
    json.object(|json| {
        json.key("model").text(ask.model);
        json.key("messages").list(&messages, |json, turn| turn.write(json));
        if !tools.is_empty() {
            json.key("tools").list(&tools, |json, tool| tool.write(json));
        }
        json.members(&further);
        if let Some(format) = &prompt.format {
            json.key("response_format").object(|json| response_format(format, ask.quirks, json));
        }
    });
    Ok(json.into_bytes().into())
}

fn tool<'a>(spec: &'a ToolSpec, own: bool, custom: Option<&'a Vec<Value>>, lost: &mut Vec<Field>) -> Tool<'a> {
    let ToolSpec { name, description, schema, strict } = spec;
    let is_it = |tool: &&Value| tool.pointer("/custom/name").is_some_and(|custom| *custom == **name);
    if let Some(custom) = custom.into_iter().flatten().find(is_it) {
        return Tool::Custom(custom);
    }
    let asked = *strict;
    let parameters = if own { Cow::Borrowed(schema) } else { schema::plain(spec) };
    let strict = strict.filter(|strict| own || !strict || schema::is_strict(&parameters));
    if asked == Some(true) && strict.is_none() {
        lost.push(Field::Strict);
    }
    Tool::Function(Function { name: names::spelled(name), description: description.as_deref(), parameters, strict })
}

fn response_format(format: &Format, quirks: &Quirks, json: &mut JsonWriter) {
    let (name, schema, strict) = match format {
        Format::JsonObject if quirks.no_json_object => ("answer", &Raw::trusted(ANY_OBJECT), None),
        Format::JsonObject => return json.key("type").text("json_object"),
        Format::JsonSchema { name, schema, strict } => (name.as_deref().unwrap_or("answer"), schema, *strict),
    };
    json.key("type").text("json_schema");
    json.key("json_schema").object(|json| {
        json.key("name").text(name);
        json.key("schema").raw(schema);
        if let Some(strict) = strict {
            json.key("strict").value(&Value::Bool(strict));
        }
    });
}

/// Every field but the messages, the tools and the format.
fn further(ask: &Ask<'_>, lost: &mut Vec<Field>) -> Result<Map<String, Value>> {
    let mut fields = Fields(if ask.prompt.origin == Some(NAME) { ask.prompt.extra.clone() } else { Map::new() });
    fields.0.shift_remove(CUSTOM_TOOLS);
    if !ask.prompt.tools.is_empty() {
        fields.put("tool_choice", ask.prompt.tool_choice.as_ref().map(tool_choice));
        fields.put("parallel_tool_calls", ask.prompt.parallel_tools);
    }
    sampling(ask, &mut fields, lost);
    fields.put("seed", ask.prompt.seed);
    let effort = effort(ask)?;
    if effort.is_none() && ask.quirks.no_effort && wants_thoughts(ask.prompt) {
        lost.push(Field::Thinking);
    }
    fields.put("reasoning_effort", effort);
    match ask.prompt.user.as_deref() {
        Some(user) if user.len() > LONGEST_USER => {
            fields.put("safety_identifier", Some(hashed(user)));
        }
        user => fields.put("user", user),
    }
    if ask.shape == Shape::Stream {
        fields.put("stream", Some(true));
        fields.put("stream_options", Some(json!({ "include_usage": true })));
    }
    Ok(fields.0)
}

/// Whether the client asked for thoughts outright, and not as the model likes.
fn wants_thoughts(prompt: &Prompt) -> bool {
    let asked = prompt.thinking.as_ref().filter(|asked| asked.mode != Some(ThinkingMode::Off));
    asked.is_some_and(|asked| asked.mode == Some(ThinkingMode::On) || asked.effort.is_some() || asked.budget.is_some())
}

/// Names what a client asked for and the upstream is not told; in its own dialect it knows what it may ask.
fn note_losses(prompt: &Prompt, lost: &[Field], losses: &mut Losses) {
    if prompt.origin != Some(NAME) {
        for field in lost {
            losses.note(abroad::named(prompt, *field));
        }
    }
}

fn sampling(ask: &Ask<'_>, fields: &mut Fields, lost: &mut Vec<Field>) {
    let prompt = ask.prompt;
    let refused = |field: bool| field && ask.quirks.reasoning_model;
    let missing = [
        (refused(prompt.temperature.is_some()), Field::Temperature),
        (refused(prompt.top_p.is_some()), Field::TopP),
        (prompt.top_k.is_some() && (ask.quirks.reasoning_model || ask.quirks.no_top_k), Field::TopK),
    ];
    lost.extend(missing.into_iter().filter(|(lost, _)| *lost).map(|(_, field)| field));
    if ask.quirks.reasoning_model {
        fields.0.retain(|name, _| !NOT_FOR_REASONING.contains(&name.as_str()));
        return fields.put("max_completion_tokens", ask.max_tokens());
    }
    fields.put("max_tokens", ask.max_tokens());
    fields.put("temperature", prompt.temperature);
    fields.put("top_p", prompt.top_p);
    fields.put("top_k", prompt.top_k.filter(|_| !ask.quirks.no_top_k));
    let stops: Vec<&str> = prompt.stop.iter().map(String::as_str).take(most_stops(ask)).collect();
    fields.put("stop", (!stops.is_empty()).then_some(stops));
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Any => "required".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": names::spelled(name) } }),
    }
}

/// SHA-256 in hex: whoever has to find a user again can compute it with the tools of any system.
pub(in crate::dialect) fn hashed(user: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, user.as_bytes());
    let nibbles = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// Fields in the order they are put.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }
}
