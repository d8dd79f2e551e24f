//! A prompt, written as a request body.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    Error, Kind, Raw, Result,
    chat::{Format, Losses, Shape, ToolChoice, ToolSpec},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{NAME, effort::effort, names, schema, turns};
use crate::dialect::{Ask, foreign};

/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 64;

/// How many texts may end an answer.
const MOST_STOPS: usize = 4;

/// What reasoning models refuse, of what clients of this dialect may have sent.
const NOT_FOR_REASONING: [&str; 5] =
    ["presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"];

/// The body, in the order that providers document it.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<turns::Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(flatten)]
    further: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    schema: &'a Raw,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Writes a question.
pub(super) fn encode(ask: &Ask<'_>, _losses: &mut Losses) -> Result<Bytes> {
    let prompt = ask.prompt;
    foreign::refuse_providers_tools(prompt, NAME)?;
    let messages = turns::write(ask)?;
    if messages.is_empty() {
        return Err(Error::new(Kind::Invalid, "messages: none of them says anything").hint("send a message with text"));
    }
    let own = prompt.origin == Some(NAME);
    let tools = prompt.tools.iter().map(|spec| tool(spec, own)).collect();
    let further = further(ask)?;
    let response_format = prompt.format.as_ref().map(response_format);
    let body = Body { model: ask.model, messages, tools, further, response_format };
    match serde_json::to_vec(&body) {
        Ok(json) => Ok(json.into()),
        Err(error) => Err(Error::new(Kind::Invalid, "a schema or the arguments of a call are not JSON").because(error)),
    }
}

fn tool(spec: &ToolSpec, own: bool) -> Tool<'_> {
    let ToolSpec { name, description, schema, strict } = spec;
    let parameters = if own { Cow::Borrowed(schema) } else { schema::plain(spec) };
    let strict = strict.filter(|strict| own || !strict || schema::is_strict(&parameters));
    let function = Function { name: names::spelled(name), description: description.as_deref(), parameters, strict };
    Tool { r#type: "function", function }
}

fn response_format(format: &Format) -> ResponseFormat<'_> {
    match format {
        Format::JsonObject => ResponseFormat::JsonObject,
        Format::JsonSchema { name, schema, strict } => {
            let name = name.as_deref().unwrap_or("answer");
            ResponseFormat::JsonSchema { json_schema: NamedSchema { name, schema, strict: *strict } }
        }
    }
}

/// Every field but the messages, the tools and the format.
fn further(ask: &Ask<'_>) -> Result<Map<String, Value>> {
    let mut fields = Fields(if ask.prompt.origin == Some(NAME) { ask.prompt.extra.clone() } else { Map::new() });
    if !ask.prompt.tools.is_empty() {
        fields.put("tool_choice", ask.prompt.tool_choice.as_ref().map(tool_choice));
        fields.put("parallel_tool_calls", ask.prompt.parallel_tools);
    }
    sampling(ask, &mut fields);
    fields.put("seed", ask.prompt.seed);
    fields.put("reasoning_effort", effort(ask)?);
    match ask.prompt.user.as_deref() {
        Some(user) if user.len() > LONGEST_USER => {
            fields.put("safety_identifier", Some(blake3::hash(user.as_bytes()).to_hex().as_str()));
        }
        user => fields.put("user", user),
    }
    if ask.shape == Shape::Stream {
        fields.put("stream", Some(true));
        fields.put("stream_options", Some(json!({ "include_usage": true })));
    }
    Ok(fields.0)
}

fn sampling(ask: &Ask<'_>, fields: &mut Fields) {
    let prompt = ask.prompt;
    if ask.quirks.reasoning_model {
        fields.0.retain(|name, _| !NOT_FOR_REASONING.contains(&name.as_str()));
        return fields.put("max_completion_tokens", ask.max_tokens());
    }
    fields.put("max_tokens", ask.max_tokens());
    fields.put("temperature", prompt.temperature);
    fields.put("top_p", prompt.top_p);
    fields.put("top_k", prompt.top_k.filter(|_| !ask.quirks.no_top_k));
    let stops: Vec<&str> = prompt.stop.iter().map(String::as_str).take(MOST_STOPS).collect();
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

/// Fields in the order they are put.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }
}
