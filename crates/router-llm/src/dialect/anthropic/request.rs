//! A request body, read into a prompt.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::chat::{Format, Message, Part, Prompt, Role, Thinking, ThinkingMode, ToolChoice, ToolSpec};
use serde_json::{Map, Value};

use super::{NAME, parts};
use crate::dialect::fields::{Fields, Misfit, read};

/// Reads a question.
pub(super) fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for these two: the model is routed by, and the shape answered in.
    fields.take_value("model");
    fields.take_value("stream");
    let mut prompt = Prompt {
        messages: messages(&mut fields)?,
        max_tokens: fields.take("max_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        origin: Some(NAME),
        ..Prompt::default()
    };
    let mut kept = Map::new();
    prompt.tools = tools(&mut fields, &mut kept)?;
    (prompt.tool_choice, prompt.parallel_tools) = tool_choice(&mut fields)?;
    prompt.user = user(&mut fields, &mut kept)?;
    (prompt.thinking, prompt.format) = thinking_and_format(&mut fields, &mut kept)?;
    if let Some(effort) = last_effort(&prompt.messages) {
        prompt.thinking.get_or_insert_default().effort = Some(effort);
    }
    kept.extend(fields.rest()?);
    prompt.extra = kept;
    Ok(prompt)
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, Misfit> {
    let mut messages = Vec::new();
    if let Some(system) = fields.take_value("system") {
        let parts = parts::decode(system, fields).map_err(|misfit| misfit.within("system"))?;
        messages.push(Message { role: Role::System, parts });
    }
    let list = fields.need_value("messages")?;
    for (index, (_, said)) in fields.each(list).map_err(|misfit| misfit.within("messages"))?.into_iter().enumerate() {
        let message = said.and_then(message).map_err(|misfit| misfit.within(format_args!("messages.{index}")))?;
        messages.push(message);
    }
    Ok(messages)
}

fn message(mut fields: Fields<'_>) -> Result<Message, Misfit> {
    let role = match &*fields.need::<Cow<'_, str>>("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Misfit::new("role", "Input should be 'user', 'assistant' or 'system'")),
    };
    let content = match fields.take_value("content") {
        Some(content) => parts::decode(content, &fields).map_err(|misfit| misfit.within("content"))?,
        None => Vec::new(),
    };
    let mut parts: Vec<Part> = parts::further(&fields.rest()?).into_iter().collect();
    parts.extend(content);
    Ok(Message { role, parts })
}

/// The effort that the last system message among the messages asks for from there on.
fn last_effort(messages: &[Message]) -> Option<String> {
    let mut systems = messages.iter().rev().filter(|message| message.role == Role::System);
    systems.find_map(|message| {
        let Some(Part::Other { raw, .. }) = message.parts.first() else { return None };
        let fields: Value = raw.decode().ok()?;
        Some(fields.pointer("/output_config/effort")?.as_str()?.to_owned())
    })
}

/// The client's own tools. What else is told of tools is kept, in the client's order, under the name of the field: of
/// his own tools the name and the further fields, the provider's tools whole.
fn tools(fields: &mut Fields<'_>, kept: &mut Map<String, Value>) -> Result<Vec<ToolSpec>, Misfit> {
    let (mut tools, mut told) = (Vec::new(), Vec::new());
    let mut plain = true;
    let Some(list) = fields.take_value("tools") else { return Ok(tools) };
    for (index, (value, inner)) in fields.each(list).map_err(|misfit| misfit.within("tools"))?.into_iter().enumerate() {
        let at = |misfit: Misfit| misfit.within(format_args!("tools.{index}"));
        let Some((tool, mut rest)) = inner.and_then(tool).map_err(at)? else {
            plain = false;
            told.push(read(value).map_err(at)?);
            continue;
        };
        plain &= rest.is_empty();
        rest.insert("name".to_owned(), tool.name.clone().into());
        told.push(Value::Object(rest));
        tools.push(tool);
    }
    if !plain {
        kept.insert("tools".to_owned(), Value::Array(told));
    }
    Ok(tools)
}

/// A tool, and the fields of it that the vocabulary has no word for.
type TaggedTool = (ToolSpec, Map<String, Value>);

/// A tool of the client's own with its further fields; `None` when it is one of the provider's.
fn tool(mut fields: Fields<'_>) -> Result<Option<TaggedTool>, Misfit> {
    let kind: Option<Cow<'_, str>> = fields.take("type")?;
    if kind.is_some_and(|kind| kind != "custom") {
        return Ok(None);
    }
    let tool = ToolSpec {
        name: fields.need("name")?,
        description: fields.take_text("description")?,
        schema: fields.need_raw("input_schema")?,
        strict: fields.take("strict")?,
    };
    Ok(Some((tool, fields.rest()?)))
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<(Option<ToolChoice>, Option<bool>), Misfit> {
    let Some(value) = fields.take_value("tool_choice") else { return Ok((None, None)) };
    let at = |misfit: Misfit| misfit.within("tool_choice");
    let mut inner = fields.of(value).map_err(at)?;
    let choice = match &*inner.need::<Cow<'_, str>>("type").map_err(at)? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Any,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(inner.need("name").map_err(at)?),
        _ => return Err(Misfit::new("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")),
    };
    let single: Option<bool> = inner.take("disable_parallel_tool_use").map_err(at)?;
    Ok((Some(choice), single.map(|single| !single)))
}

fn user(fields: &mut Fields<'_>, kept: &mut Map<String, Value>) -> Result<Option<String>, Misfit> {
    let Some(mut metadata) = fields.take::<Map<String, Value>>("metadata")? else { return Ok(None) };
    let user = match metadata.shift_remove("user_id") {
        Some(Value::String(user)) => Some(user),
        Some(_) | None => None,
    };
    keep(kept, "metadata", metadata);
    Ok(user)
}

fn thinking_and_format(
    fields: &mut Fields<'_>,
    kept: &mut Map<String, Value>,
) -> Result<(Option<Thinking>, Option<Format>), Misfit> {
    let mut asked = Thinking::default();
    if let Some(mut thinking) = fields.take::<Map<String, Value>>("thinking")? {
        asked.mode = match thinking.get("type").and_then(Value::as_str) {
            Some("enabled") => Some(ThinkingMode::On),
            Some("adaptive") => Some(ThinkingMode::Adaptive),
            Some("disabled") => Some(ThinkingMode::Off),
            Some(_) | None => None,
        };
        if asked.mode.is_some() {
            thinking.shift_remove("type");
            asked.budget = thinking.shift_remove("budget_tokens").and_then(|budget| budget.as_u64());
        }
        keep(kept, "thinking", thinking);
    }
    let mut format = None;
    if let Some(value) = fields.take_value("output_config") {
        let at = |misfit: Misfit| misfit.within("output_config");
        let mut config = fields.of(value).map_err(at)?;
        asked.effort = config.take("effort").map_err(at)?;
        format = match config.take_value("format") {
            Some(value) => Some(json_schema(config.of(value).map_err(at)?).map_err(at)?),
            None => None,
        };
        keep(kept, "output_config", config.rest()?);
    }
    Ok(((asked != Thinking::default()).then_some(asked), format))
}

fn json_schema(mut format: Fields<'_>) -> Result<Format, Misfit> {
    match &*format.need::<Cow<'_, str>>("type")? {
        "json_schema" => Ok(Format::JsonSchema { name: None, schema: format.need_raw("schema")?, strict: None }),
        _ => Err(Misfit::new("format.type", "Input should be 'json_schema'")),
    }
}

fn keep(kept: &mut Map<String, Value>, name: &str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        kept.insert(name.to_owned(), Value::Object(rest));
    }
}
