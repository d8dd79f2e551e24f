//! A prompt, written as a request body.

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Format, Losses, Prompt, Shape, ThinkingMode, ToolChoice},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    NAME,
    tools::{self, Tool, own_names},
    turns::{self, Item},
};
use crate::dialect::{
    Ask,
    abroad::{self, Field},
    openai_chat::{effort::effort, encode::hashed, names},
};

/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 64;

/// The least that an answer may be limited to, in tokens.
const LEAST_TOKENS: u64 = 16;

/// Fields of OpenAI's other dialect that there is a word for here: all but the last, the same one.
const FROM_CHAT: [&str; 5] = ["metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", VERBOSITY];

/// Stands within `text` here.
const VERBOSITY: &str = "verbosity";

/// The body, in the order that providers document it.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WrittenFormat<'a>>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WrittenFormat<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        schema: &'a router_core::Raw,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// Writes a question.
pub(super) fn encode(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let said = abroad::said(ask, NAME, taken(ask.prompt), losses)?;
    write(&Ask { prompt: &said, ..*ask }, losses)
}

fn write(ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes> {
    let prompt = ask.prompt;
    let turns::Conversation { instructions, items } = turns::write(prompt, losses)?;
    if items.is_empty() && !prompt.extra.contains_key("prompt") {
        return Err(Error::new(Kind::Invalid, "input: none of it says anything").hint("send an item with text"));
    }
    let own = prompt.origin == Some(NAME);
    let mut further = if own { prompt.extra.clone() } else { shared(prompt) };
    further.shift_remove("tools");
    let text = text(prompt, further.shift_remove("text"));
    let tools = tools::encode(prompt);
    let mut fields = Fields(further);
    if tools.is_empty() {
        fields.0.shift_remove("tool_choice");
    } else {
        choice(prompt, &mut fields);
    }
    sampling(ask, &mut fields, losses);
    fields.put("reasoning", reasoning(ask, fields.0.get("reasoning"))?);
    user(prompt, &mut fields);
    if !own {
        // A client of another dialect can name no reply of the provider's: nothing is to be kept for him there.
        fields.put("store", Some(false));
        fields.put("include", ask.quirks.reasoning_model.then(|| json!(["reasoning.encrypted_content"])));
    }
    fields.put("stream", (ask.shape == Shape::Stream).then_some(true));
    let body = Body { model: ask.model, instructions, input: items, tools, text, further: fields.0 };
    let json = serde_json::to_vec(&body).map_err(|error| {
        Error::new(Kind::Invalid, "a schema or the arguments of a call are not JSON").because(error)
    })?;
    Ok(json.into())
}

fn taken(prompt: &Prompt) -> &'static [&'static str] {
    if prompt.origin == Some("openai") { &FROM_CHAT } else { &[] }
}

/// What is carried of fields that only another dialect has words for.
fn shared(prompt: &Prompt) -> Map<String, Value> {
    let carried = prompt.extra.iter().filter(|(name, _)| taken(prompt).contains(&name.as_str()));
    let spelled = carried.map(|(name, value)| match name.as_str() {
        VERBOSITY => ("text".to_owned(), json!({ VERBOSITY: value })),
        _ => (name.clone(), value.clone()),
    });
    spelled.collect()
}

fn text(prompt: &Prompt, further: Option<Value>) -> Option<Text<'_>> {
    let format = prompt.format.as_ref().map(|format| match format {
        Format::JsonObject => WrittenFormat::JsonObject,
        Format::JsonSchema { name, schema, strict } => {
            WrittenFormat::JsonSchema { name: name.as_deref().unwrap_or("answer"), schema, strict: *strict }
        }
    });
    let further = match further {
        Some(Value::Object(further)) => further,
        _ => Map::new(),
    };
    (format.is_some() || !further.is_empty()).then_some(Text { format, further })
}

fn choice(prompt: &Prompt, fields: &mut Fields) {
    if !fields.0.contains_key("tool_choice") {
        fields.put("tool_choice", prompt.tool_choice.as_ref().map(|choice| one_choice(prompt, choice)));
    }
    fields.put("parallel_tool_calls", prompt.parallel_tools);
}

fn one_choice(prompt: &Prompt, choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Any => "required".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Tool(flat) => {
            let told = prompt.extra.get("tools").filter(|_| prompt.origin == Some(NAME));
            match own_names(told).remove(flat) {
                Some(named) => {
                    let kind = if named.custom { "custom" } else { "function" };
                    let mut choice = json!({ "type": kind, "name": named.name });
                    if let (Some(space), Some(choice)) = (named.namespace, choice.as_object_mut()) {
                        choice.insert("namespace".to_owned(), space.into());
                    }
                    choice
                }
                None => json!({ "type": "function", "name": names::spelled(flat) }),
            }
        }
    }
}

fn sampling(ask: &Ask<'_>, fields: &mut Fields, losses: &mut Losses) {
    let prompt = ask.prompt;
    let own = prompt.origin == Some(NAME);
    let mut note = |lost: bool, field: Field| {
        if lost {
            losses.note(abroad::named(prompt, field));
        }
    };
    fields.put("max_output_tokens", prompt.max_tokens.map(|most| if own { most } else { most.max(LEAST_TOKENS) }));
    if ask.quirks.reasoning_model {
        note(prompt.temperature.is_some(), Field::Temperature);
        note(prompt.top_p.is_some(), Field::TopP);
    } else {
        fields.put("temperature", prompt.temperature);
        fields.put("top_p", prompt.top_p);
    }
    note(prompt.top_k.is_some(), Field::TopK);
    note(prompt.seed.is_some(), Field::Seed);
    note(tools::loosens(prompt), Field::Strict);
}

/// How hard to think, and whether to tell of it: a client of another dialect that asks for thoughts wants to see them.
fn reasoning(ask: &Ask<'_>, told: Option<&Value>) -> Result<Option<Value>> {
    let prompt = ask.prompt;
    let mut reasoning = told.and_then(Value::as_object).cloned().unwrap_or_default();
    let thinking = prompt.thinking.as_ref();
    let mode = thinking.and_then(|thinking| thinking.mode);
    if prompt.origin == Some(NAME) {
        let asked = thinking.and_then(|thinking| thinking.effort.as_deref());
        let effort = if mode == Some(ThinkingMode::Off) { Some("none") } else { asked };
        reasoning.extend(effort.map(|effort| ("effort".to_owned(), effort.into())));
    } else {
        reasoning.extend(effort(ask)?.map(|effort| ("effort".to_owned(), effort.into())));
        let hidden =
            prompt.extra.get("thinking").and_then(|told| told.get("display")).is_some_and(|to| to == "omitted");
        let shown = matches!(mode, Some(ThinkingMode::On | ThinkingMode::Adaptive)) && !hidden;
        reasoning.extend((shown && !ask.quirks.no_effort).then(|| ("summary".to_owned(), "auto".into())));
    }
    Ok((!reasoning.is_empty()).then_some(Value::Object(reasoning)))
}

fn user(prompt: &Prompt, fields: &mut Fields) {
    let Some(user) = prompt.user.as_deref() else { return };
    if fields.0.get("user").is_some_and(|told| told == user) {
        return;
    }
    let own = prompt.origin == Some(NAME);
    let name = if own || user.len() <= LONGEST_USER { user.to_owned() } else { hashed(user) };
    fields.put("safety_identifier", Some(name));
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
