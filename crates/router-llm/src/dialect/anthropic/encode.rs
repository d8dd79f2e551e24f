//! A prompt, written as a request body.

use bytes::Bytes;
use router_core::{
    Error, Kind, Raw, Result,
    chat::{Format, Losses, Prompt, Shape, Thinking, ThinkingMode, ToolChoice, ToolSpec},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    NAME,
    blocks::Block,
    effort::{Fitted, fit, limit},
    turns::{Turn, arrange},
};
use crate::dialect::{
    Ask,
    abroad::{self, Field},
};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    thinking: Map<String, Value>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    further: Map<String, Value>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<JsonSchema<'a>>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none() && self.further.is_empty()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "json_schema")]
struct JsonSchema<'a> {
    schema: &'a Raw,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Tool<'a> {
    Own {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Schema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(flatten)]
        further: Map<String, Value>,
    },
    Providers(Value),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Carried(&'a Raw),
    Completed(Map<String, Value>),
}

/// Writes a question.
pub(super) fn encode(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let said = abroad::said(ask, NAME, &[], losses)?;
    write(&Ask { prompt: &said, ..*ask }, losses)
}

fn write(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let prompt = ask.prompt;
    let native = prompt.origin == Some(NAME);
    let mut further = if native { prompt.extra.clone() } else { Map::new() };
    let mut take = |name: &str| match further.shift_remove(name) {
        Some(Value::Object(fields)) => fields,
        Some(_) | None => Map::new(),
    };
    let (thinking, config, mut metadata) = (take("thinking"), take("output_config"), take("metadata"));
    let Fitted { max_tokens, thinking, effort, may_sample } = fit(ask, thinking);
    let told = further.shift_remove("tools");
    let tools = tools(prompt, told.as_ref());
    if let Some(user) = &prompt.user {
        metadata.insert("user_id".to_owned(), user.as_str().into());
    }
    let mut conversation = arrange(prompt, ask.quirks.one_system_message);
    if prompt.format == Some(Format::JsonObject) {
        conversation.system.push(Block::text("Answer with one JSON object and nothing else."));
    }
    let sampling = |value: Option<f64>| value.filter(|_| may_sample);
    if !native {
        note_losses(ask, may_sample, thinking.is_empty(), losses);
    }
    let body = Body {
        model: ask.model,
        max_tokens: limit(ask.quirks, max_tokens),
        system: conversation.system,
        messages: conversation.turns,
        tool_choice: tool_choice(prompt).filter(|_| !tools.is_empty()),
        tools,
        // Other dialects' scale ends at 2, and newer models take one of the two only.
        temperature: sampling(prompt.temperature).map(|heat| if native { heat } else { heat.min(1.0) }),
        top_p: sampling(prompt.top_p).filter(|_| native || prompt.temperature.is_none()),
        top_k: prompt.top_k.filter(|_| may_sample && !ask.quirks.no_top_k),
        stop_sequences: prompt.stop.iter().map(String::as_str).filter(|stop| is_taken(stop)).collect(),
        thinking,
        output_config: OutputConfig { effort, format: json_schema(prompt), further: config },
        metadata,
        stream: ask.shape == Shape::Stream,
        further,
    };
    let json = serde_json::to_vec(&body).map_err(|error| {
        Error::new(Kind::Invalid, "the conversation holds something that is not JSON").because(error)
    })?;
    Ok(json.into())
}

/// Whether a text may end an answer: white space alone is refused.
pub(super) fn is_taken(stop: &str) -> bool {
    !stop.trim().is_empty()
}

/// Names what another dialect's client asked for and is not told.
fn note_losses(ask: &Ask<'_>, may_sample: bool, unthinking: bool, losses: &mut Losses) {
    let prompt = ask.prompt;
    let asked = prompt.thinking.as_ref();
    let thinks = asked.is_some_and(|asked| asked.mode != Some(ThinkingMode::Off) && *asked != Thinking::default());
    let lost = [
        (prompt.temperature.is_some_and(|heat| !may_sample || heat > 1.0), Field::Temperature),
        (prompt.top_p.is_some() && (!may_sample || prompt.temperature.is_some()), Field::TopP),
        (prompt.top_k.is_some() && (!may_sample || ask.quirks.no_top_k), Field::TopK),
        (prompt.seed.is_some(), Field::Seed),
        (thinks && unthinking, Field::Thinking),
        (prompt.tools.iter().any(|tool| tool.strict == Some(true)), Field::Strict),
    ];
    for (_, field) in lost.into_iter().filter(|(lost, _)| *lost) {
        losses.note(abroad::named(prompt, field));
    }
}

fn json_schema(prompt: &Prompt) -> Option<JsonSchema<'_>> {
    match &prompt.format {
        Some(Format::JsonSchema { schema, .. }) => Some(JsonSchema { schema }),
        Some(Format::JsonObject) | None => None,
    }
}

fn tool_choice(prompt: &Prompt) -> Option<Value> {
    let mut choice = match (&prompt.tool_choice, prompt.parallel_tools) {
        (None, None | Some(true)) => return None,
        (None | Some(ToolChoice::Auto), _) => json!({ "type": "auto" }),
        (Some(ToolChoice::Any), _) => json!({ "type": "any" }),
        (Some(ToolChoice::None), _) => return Some(json!({ "type": "none" })),
        (Some(ToolChoice::Tool(name)), _) => json!({ "type": "tool", "name": name }),
    };
    if let (Some(parallel), Some(fields)) = (prompt.parallel_tools, choice.as_object_mut()) {
        fields.insert("disable_parallel_tool_use".to_owned(), (!parallel).into());
    }
    Some(choice)
}

/// The tools in the order of `told`, where a client of this dialect told more of them than the vocabulary has words
/// for; those that a layer added come behind them, those that it took away do not come.
fn tools<'a>(prompt: &'a Prompt, told: Option<&Value>) -> Vec<Tool<'a>> {
    let native = prompt.origin == Some(NAME);
    let mut left: Vec<&ToolSpec> = prompt.tools.iter().collect();
    let mut tools = Vec::with_capacity(left.len());
    for told in told.and_then(Value::as_array).into_iter().flatten() {
        if told.get("type").is_some() {
            tools.push(Tool::Providers(told.clone()));
        } else if let Some(at) = left.iter().position(|tool| told.get("name").is_some_and(|name| *name == *tool.name)) {
            let mut further = told.as_object().cloned().unwrap_or_default();
            further.shift_remove("name");
            tools.push(own(left.remove(at), native, further));
        }
    }
    tools.extend(left.into_iter().map(|tool| own(tool, native, Map::new())));
    tools
}

/// A tool of the client's. Another dialect's `strict` asks for less of a schema than Anthropic's does, so it is left out.
fn own(tool: &ToolSpec, native: bool, further: Map<String, Value>) -> Tool<'_> {
    Tool::Own {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema: schema(&tool.schema),
        strict: tool.strict.filter(|_| native),
        further,
    }
}

/// A schema has to be that of an object, and to say so.
fn schema(schema: &Raw) -> Schema<'_> {
    match schema.decode::<Map<String, Value>>() {
        Ok(fields) if fields.contains_key("type") => Schema::Carried(schema),
        Ok(fields) => {
            let kind = ("type".to_owned(), Value::from("object"));
            Schema::Completed(std::iter::once(kind).chain(fields).collect())
        }
        Err(_) => Schema::Completed(Map::from_iter([("type".to_owned(), "object".into())])),
    }
}
