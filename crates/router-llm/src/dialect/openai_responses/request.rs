//! A request body, read into a prompt.

use std::borrow::Cow;

use bytes::Bytes;
use router_core::{
    chat::{Format, Message, Prompt, Role, Thinking, ThinkingMode, ToolChoice},
    scan,
};
use serde_json::{Map, Value};

use super::{NAME, items, tools};
use crate::dialect::fields::{Fields, Json, Misfit, read};

/// Reads a question. What has no word here stays in `extra`, by the name of its field.
pub(super) fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for these: the model is routed by, and the shape answered in.
    for name in ["model", "stream", "stream_options"] {
        fields.take_value(name);
    }
    let mut extra = Map::new();
    let mut prompt = Prompt {
        messages: messages(&mut fields)?,
        tools: tools::decode(&mut fields, &mut extra)?,
        tool_choice: tool_choice(&mut fields, &mut extra)?,
        parallel_tools: fields.take("parallel_tool_calls")?,
        max_tokens: fields.take("max_output_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        thinking: thinking(&mut fields, &mut extra)?,
        format: format(&mut fields, &mut extra)?,
        user: fields.take("safety_identifier")?,
        origin: Some(NAME),
        ..Prompt::default()
    };
    if prompt.user.is_none() {
        prompt.user = fields.take("user")?;
        extra.extend(prompt.user.as_deref().map(|user| ("user".to_owned(), user.into())));
    }
    extra.extend(fields.rest()?);
    prompt.extra = extra;
    Ok(prompt)
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, Misfit> {
    let instructions = fields.take::<String>("instructions")?.filter(|text| !text.is_empty());
    let mut messages: Vec<Message> = instructions.map(|text| Message::text(Role::System, text)).into_iter().collect();
    if let Some(input) = fields.take_value("input") {
        items::decode(input, fields, &mut messages).map_err(|misfit| misfit.within("input"))?;
    }
    Ok(messages)
}

/// A word, or the one function that must be called. Everything else says which of the tools may be, or names one that
/// its provider runs: that is kept as it is.
fn tool_choice(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<ToolChoice>, Misfit> {
    let Some(value) = fields.take_value("tool_choice") else { return Ok(None) };
    let json = value.get().as_bytes();
    if let Some(word) = scan::text(json) {
        return match &*word {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Any)),
            _ => Err(Misfit::new("tool_choice", "must be `auto`, `none`, `required` or name a tool")),
        };
    }
    let text = |place: &str| scan::find(json, place).and_then(scan::text);
    let only = |place: &str| text(place).map(|name| ToolChoice::Tool(name.into_owned()));
    let kind = text("/type").unwrap_or_default();
    if matches!(&*kind, "function" | "custom") {
        let name = text("/name").ok_or_else(|| Misfit::new("tool_choice.name", "Field required"))?;
        return Ok(Some(ToolChoice::Tool(tools::flat(text("/namespace").as_deref(), &name))));
    }
    extra.insert("tool_choice".to_owned(), read(value)?);
    let required = text("/mode").is_some_and(|mode| mode == "required");
    let single = scan::find(json, "/tools/1").is_none();
    Ok(match (&*kind, required) {
        ("allowed_tools", true) if single => only("/tools/0/name").or(Some(ToolChoice::Any)),
        ("allowed_tools", true) => Some(ToolChoice::Any),
        _ => Some(ToolChoice::Auto),
    })
}

fn thinking(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<Thinking>, Misfit> {
    let Some(mut reasoning) = fields.take::<Map<String, Value>>("reasoning")? else { return Ok(None) };
    let effort = reasoning.shift_remove("effort").and_then(|effort| effort.as_str().map(str::to_owned));
    keep(extra, "reasoning", reasoning);
    Ok(match effort.as_deref() {
        None => None,
        Some("none") => Some(Thinking { mode: Some(ThinkingMode::Off), ..Thinking::default() }),
        Some(_) => Some(Thinking { effort, ..Thinking::default() }),
    })
}

fn format(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Option<Format>, Misfit> {
    let Some(value) = fields.take_value("text") else { return Ok(None) };
    let mut text = fields.of(value).map_err(|misfit| misfit.within("text"))?;
    let format = match text.take_value("format") {
        Some(value) => one_format(text.of(value)?).map_err(|misfit| misfit.within("text.format"))?,
        None => None,
    };
    keep(extra, "text", text.rest()?);
    Ok(format)
}

fn one_format(mut format: Fields<'_>) -> Result<Option<Format>, Misfit> {
    match &*format.need::<Cow<'_, str>>("type")? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => Ok(Some(Format::JsonSchema {
            name: format.take("name")?,
            schema: format.need_raw("schema")?,
            strict: format.take("strict")?,
        })),
        other => Err(Misfit::new("type", format!("`{other}` is none of text, json_object, json_schema"))),
    }
}

fn keep(extra: &mut Map<String, Value>, name: &str, rest: Map<String, Value>) {
    let kept: Map<String, Value> = rest.into_iter().filter(|(_, value)| !value.is_null()).collect();
    if !kept.is_empty() {
        extra.insert(name.to_owned(), Value::Object(kept));
    }
}

/// Reads the arguments of a call: JSON, or whatever a model wrote in its place, as a text.
pub(super) fn arguments(value: Option<Json<'_>>) -> Result<router_core::Raw, Misfit> {
    use router_core::Raw;
    let text: String = match value {
        Some(value) if value.get().starts_with('"') => read(value)?,
        Some(value) => value.get().to_owned(),
        None => String::new(),
    };
    Ok(match text {
        text if text.trim().is_empty() => Raw::trusted("{}"),
        text if scan::is_json(text.as_bytes()) => Raw::trusted(text),
        text => Raw::trusted(Value::from(text).to_string()),
    })
}
