//! A prompt, written as a request body.

use std::collections::HashMap;

use bytes::Bytes;
use router_core::{
    Error, Kind, Raw, Result,
    chat::{Format, Image, Losses, Message, Part, Prompt, Role, Shape, Thinking, ThinkingMode, ToolChoice, ToolSpec},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::NAME;
use crate::dialect::{
    Ask, BOOKKEEPING, Quirks,
    abroad::{self, Field},
};

/// The window that Ollama has unless it is told otherwise, in tokens; what does not fit is cut off in silence.
const USUAL_WINDOW: u64 = 4096;

/// Options that clients of other dialects write beside the question.
const OPTIONS: [&str; 6] = ["num_ctx", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "typical_p"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatOf<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Value>,
    #[serde(flatten)]
    further: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: Map<String, Value>,
    stream: bool,
}

#[derive(Default, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Call<'a> {
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    name: &'a str,
    arguments: &'a Raw,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a Raw,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FormatOf<'a> {
    Word(&'static str),
    Schema(&'a Raw),
}

/// Writes a question.
pub(super) fn encode(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let said = abroad::said(ask, NAME, &OPTIONS, losses)?;
    write(&Ask { prompt: &said, ..*ask }, losses)
}

fn write(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let prompt = ask.prompt;
    if prompt.origin != Some(NAME) {
        note_losses(ask, losses);
    }
    let messages = messages(prompt)?;
    if messages.is_empty() {
        return Err(Error::new(Kind::Invalid, "messages: none of them says anything").hint("send a message with text"));
    }
    let body = Body {
        model: ask.model,
        options: options(ask),
        messages,
        tools: tools(prompt),
        format: prompt.format.as_ref().map(|format| match format {
            Format::JsonObject => FormatOf::Word("json"),
            Format::JsonSchema { schema, .. } => FormatOf::Schema(schema),
        }),
        think: prompt.thinking.as_ref().and_then(|thinking| think(thinking, ask.quirks)),
        stream: ask.shape == Shape::Stream,
        further: further(prompt),
    };
    match serde_json::to_vec(&body) {
        Ok(json) => Ok(json.into()),
        Err(error) => Err(Error::new(Kind::Invalid, "a schema or the arguments of a call are not JSON").because(error)),
    }
}

/// Names what another dialect's client asked for and Ollama has no words for.
fn note_losses(ask: &Ask<'_>, losses: &mut Losses) {
    let prompt = ask.prompt;
    let on =
        prompt.thinking.as_ref().is_some_and(|asked| asked.mode == Some(ThinkingMode::On) || asked.effort.is_some());
    let off = prompt.thinking.as_ref().is_some_and(|asked| asked.mode == Some(ThinkingMode::Off));
    let lost = [
        (matches!(prompt.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_))), Field::ToolChoice),
        (prompt.parallel_tools == Some(false), Field::ParallelTools),
        (on && !off && ask.quirks.no_effort, Field::Thinking),
        (prompt.tools.iter().any(|tool| tool.strict == Some(true)), Field::Strict),
    ];
    for (_, field) in lost.into_iter().filter(|(lost, _)| *lost) {
        losses.note(abroad::named(prompt, field));
    }
}

fn tools(prompt: &Prompt) -> Vec<Tool<'_>> {
    if prompt.tool_choice == Some(ToolChoice::None) {
        return Vec::new();
    }
    prompt.tools.iter().map(tool).collect()
}

fn tool(tool: &ToolSpec) -> Tool<'_> {
    let ToolSpec { name, description, schema, .. } = tool;
    Tool { r#type: "function", function: Function { name, description: description.as_deref(), parameters: schema } }
}

/// The fields that no word is there for: all of a client of Ollama's, and one that others write for its sake.
fn further(prompt: &Prompt) -> Map<String, Value> {
    let own = prompt.origin == Some(NAME);
    let is_option = |name: &str| name == "options" || OPTIONS.contains(&name);
    let carried = prompt.extra.iter().filter(|(name, _)| *name == "keep_alive" || (own && !is_option(name)));
    carried.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is set, and the window that was chosen, where that is more than the usual one.
fn options(ask: &Ask<'_>) -> Map<String, Value> {
    let prompt = ask.prompt;
    let mut options = match prompt.extra.get("options") {
        Some(Value::Object(options)) => options.clone(),
        _ => Map::new(),
    };
    let beside = OPTIONS.iter().filter_map(|name| Some((*name, prompt.extra.get(*name)?.clone())));
    let set = [
        ("num_predict", ask.max_tokens().map(Value::from)),
        ("temperature", prompt.temperature.map(Value::from)),
        ("top_p", prompt.top_p.map(Value::from)),
        ("top_k", prompt.top_k.map(Value::from)),
        ("seed", prompt.seed.map(Value::from)),
        ("stop", (!prompt.stop.is_empty()).then(|| json!(prompt.stop))),
    ];
    let set = set.into_iter().filter_map(|(name, value)| Some((name, value?)));
    options.extend(beside.chain(set).map(|(name, value)| (name.to_owned(), value)));
    if let Some(window) = ask.window.filter(|window| *window > USUAL_WINDOW) {
        options.entry("num_ctx").or_insert(window.into());
    }
    options
}

fn messages(prompt: &Prompt) -> Result<Vec<Turn<'_>>> {
    let mut turns = Vec::with_capacity(prompt.messages.len());
    let mut called = HashMap::new();
    for message in &prompt.messages {
        match message.role {
            Role::System => turns.extend(said("system", &message.parts)?),
            Role::User => user(message, &called, &mut turns)?,
            Role::Assistant => {
                for part in &message.parts {
                    if let Part::ToolUse { id, name, .. } = part {
                        called.insert(id.as_str(), name.as_str());
                    }
                }
                turns.extend(said("assistant", &message.parts)?);
            }
        }
    }
    Ok(turns)
}

fn user<'a>(message: &'a Message, called: &HashMap<&str, &'a str>, turns: &mut Vec<Turn<'a>>) -> Result<()> {
    for part in &message.parts {
        if let Part::ToolResult { id, parts, is_error } = part {
            let mut turn = said("tool", parts)?.unwrap_or(Turn { role: "tool", ..Turn::default() });
            if *is_error {
                turn.content.insert_str(0, "The tool failed:\n\n");
            }
            turns.push(Turn { tool_name: called.get(id.as_str()).copied(), ..turn });
        }
    }
    turns.extend(said("user", &message.parts)?);
    Ok(())
}

/// What the parts say; `None` when that is nothing.
fn said<'a>(role: &'static str, parts: &'a [Part]) -> Result<Option<Turn<'a>>> {
    let mut turn = Turn { role, ..Turn::default() };
    for part in parts {
        match part {
            Part::Text(text) if text.starts_with(BOOKKEEPING) => {}
            Part::Text(text) => turn.say(text),
            Part::Image(Image::Inline { data, .. }) => turn.images.push(data),
            Part::Image(Image::Url(_)) => {
                return Err(Error::new(Kind::Invalid, "Ollama cannot fetch a picture by its address")
                    .hint("send the picture as base64"));
            }
            Part::Document(document) if document.media_type.starts_with("text/") => {
                let title = document.title.as_ref().map(|title| format!("{title}:"));
                title.iter().chain([&document.data]).for_each(|text| turn.say(text));
            }
            Part::Document(document) => {
                let message = format!("a document of type {} cannot be given to Ollama", document.media_type);
                return Err(Error::new(Kind::Invalid, message).hint("send its text"));
            }
            Part::Thinking { text, .. } if !text.is_empty() => turn.thinking = Some(text),
            Part::ToolUse { name, input, .. } => {
                turn.tool_calls.push(Call { function: CalledFunction { name, arguments: input } });
            }
            Part::Thinking { .. } | Part::RedactedThinking(_) | Part::ToolResult { .. } | Part::Other { .. } => {}
        }
    }
    let silent = turn.content.is_empty() && turn.images.is_empty() && turn.tool_calls.is_empty();
    Ok((!silent).then_some(turn))
}

impl Turn<'_> {
    fn say(&mut self, text: &str) {
        if !self.content.is_empty() && !text.is_empty() {
            self.content.push_str("\n\n");
        }
        self.content.push_str(text);
    }
}

/// `think`: a level, or whether at all; `None` leaves it to the model, because those that cannot refuse to be told.
fn think(thinking: &Thinking, quirks: &Quirks) -> Option<Value> {
    match (thinking.mode, thinking.effort.as_deref()) {
        (Some(ThinkingMode::Off), _) | (_, Some("none")) => Some(false.into()),
        _ if quirks.no_effort => None,
        (Some(ThinkingMode::Adaptive), _) | (None, None) => None,
        (_, Some("minimal" | "low")) => Some("low".into()),
        (_, Some("medium")) => Some("medium".into()),
        (_, Some(_)) => Some("high".into()),
        (Some(ThinkingMode::On), None) => Some(true.into()),
    }
}
