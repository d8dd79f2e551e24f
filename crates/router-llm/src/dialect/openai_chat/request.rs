//! A request body, read into a prompt.

use bytes::Bytes;
use router_core::{
    Raw,
    chat::{Document, Format, Image, Message, Part, Prompt, Role, Thinking, ThinkingMode},
    scan,
};

use super::{
    NAME,
    tools::{self, Offer},
};
use crate::dialect::{
    abroad::CUSTOM_TOOLS,
    fields::{Fields, Json, Misfit, list, read, text},
};

/// Reads a question.
pub(super) fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    refuse_what_has_no_answer(&mut fields)?;
    // The envelope speaks for these: the model is routed by, and the shape answered in.
    for name in ["model", "stream", "stream_options"] {
        fields.take_value(name);
    }
    let Offer { tools, custom, choice } = tools::decode(&mut fields)?;
    let (most, older) = (fields.take("max_completion_tokens")?, fields.take("max_tokens")?);
    let mut prompt = Prompt {
        messages: messages(&mut fields)?,
        tools,
        tool_choice: choice,
        parallel_tools: fields.take("parallel_tool_calls")?,
        max_tokens: most.or(older),
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: stop(&mut fields)?,
        seed: fields.take("seed")?,
        thinking: thinking(&mut fields)?,
        format: format(&mut fields)?,
        user: fields.take("safety_identifier")?,
        origin: Some(NAME),
        ..Prompt::default()
    };
    if prompt.user.is_none() {
        prompt.user = fields.take("user")?;
    }
    prompt.extra = fields.rest()?;
    if !custom.is_empty() {
        prompt.extra.insert(CUSTOM_TOOLS.to_owned(), custom.into());
    }
    Ok(prompt)
}

fn refuse_what_has_no_answer(fields: &mut Fields<'_>) -> Result<(), Misfit> {
    if fields.take::<u64>("n")?.is_some_and(|count| count != 1) {
        return Err(Misfit::new("n", "only one answer can be given here; ask n times"));
    }
    for (old, new) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.take_value(old).is_some() {
            return Err(Misfit::new(old, format!("is out of use; write `{new}`")));
        }
    }
    Ok(())
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, Misfit> {
    let mut messages: Vec<Message> = Vec::new();
    for (index, value) in fields.need_list("messages")?.into_iter().enumerate() {
        let at = |misfit: Misfit| misfit.within(format_args!("messages.{index}"));
        match message(fields.of(value).map_err(at)?).map_err(at)? {
            Said::Message(message) => messages.push(message),
            Said::Result(result) => answer(&mut messages, result),
        }
    }
    Ok(messages)
}

/// What one message of the wire is to us.
enum Said {
    Message(Message),
    Result(Part),
}

/// Puts what a tool answered into the user message that holds its neighbours' answers.
fn answer(messages: &mut Vec<Message>, result: Part) {
    match messages.last_mut() {
        Some(Message { role: Role::User, parts })
            if parts.iter().all(|part| matches!(part, Part::ToolResult { .. })) =>
        {
            parts.push(result);
        }
        _ => messages.push(Message { role: Role::User, parts: vec![result] }),
    }
}

fn message(mut fields: Fields<'_>) -> Result<Said, Misfit> {
    let role: String = fields.need("role")?;
    let content = fields.take_value("content");
    let content =
        content.map(|content| parts(content, &fields)).transpose().map_err(|misfit| misfit.within("content"))?;
    let content = content.unwrap_or_default();
    let (role, content) = match role.as_str() {
        "system" | "developer" => (Role::System, content),
        "user" => (Role::User, content),
        "assistant" => (Role::Assistant, assistant(&mut fields, content)?),
        "tool" => {
            return Ok(Said::Result(Part::ToolResult {
                id: fields.need("tool_call_id")?,
                parts: content,
                is_error: false,
            }));
        }
        _ => return Err(Misfit::new("role", format!("`{role}` is none of system, developer, user, assistant, tool"))),
    };
    let further = further(fields)?;
    Ok(Said::Message(Message { role, parts: further.into_iter().chain(content).collect() }))
}

/// Fields that no word is there for, kept for an upstream of the same dialect.
fn further(fields: Fields<'_>) -> Result<Option<Part>, Misfit> {
    let rest = fields.rest()?;
    let raw = || Raw::trusted(serde_json::Value::from(rest.clone()).to_string());
    Ok((!rest.is_empty()).then(|| Part::Other { dialect: NAME, raw: raw() }))
}

fn assistant(fields: &mut Fields<'_>, content: Vec<Part>) -> Result<Vec<Part>, Misfit> {
    let (thought, other) = (fields.take::<String>("reasoning_content")?, fields.take::<String>("reasoning")?);
    let thought = thought.or(other).filter(|text| !text.is_empty());
    let mut parts: Vec<Part> = thought.map(|text| Part::Thinking { text, signature: None }).into_iter().collect();
    parts.extend(content);
    parts.extend(fields.take("refusal")?.map(Part::Text));
    for (index, call) in fields.take_list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let call = tool_call(fields.of(call)?).map_err(|misfit| misfit.within(format_args!("tool_calls.{index}")))?;
        parts.push(call);
    }
    Ok(parts)
}

fn tool_call(mut fields: Fields<'_>) -> Result<Part, Misfit> {
    let id = fields.need("id")?;
    if let Some(custom) = fields.take_value("custom") {
        return custom_call(id, fields.of(custom)?).map_err(|misfit| misfit.within("custom"));
    }
    let Some(function) = fields.take_value("function") else {
        return Err(Misfit::new("function", "is missing; only calls of functions and custom tools are understood"));
    };
    let mut function = fields.of(function)?;
    let name = function.need("name").map_err(|misfit| misfit.within("function"))?;
    let arguments: Option<String> = function.take("arguments").map_err(|misfit| misfit.within("function"))?;
    let input = match arguments.unwrap_or_default() {
        text if text.trim().is_empty() => Raw::trusted("{}"),
        text if scan::is_json(text.as_bytes()) => Raw::trusted(text),
        // What a model wrote is kept, even where it is no JSON: a conversation must not die of it.
        text => Raw::trusted(serde_json::Value::from(text).to_string()),
    };
    Ok(Part::ToolUse { id, name, input })
}

/// A call of a tool that takes a text: to everybody else, a function of one string.
fn custom_call(id: String, mut custom: Fields<'_>) -> Result<Part, Misfit> {
    let input: String = custom.need("input")?;
    let input = Raw::trusted(serde_json::json!({ "input": input }).to_string());
    Ok(Part::ToolUse { id, name: custom.need("name")?, input })
}

/// The content of a message: a text, or a list of parts.
fn parts<'a>(content: Json<'a>, outer: &Fields<'a>) -> Result<Vec<Part>, Misfit> {
    if content.get().starts_with('"') {
        return Ok(vec![Part::Text(text(content)?)]);
    }
    let mut parts = Vec::new();
    for (index, value) in list(content)?.into_iter().enumerate() {
        let of_part = part(value, outer).map_err(|misfit| misfit.within(index))?;
        parts.extend(of_part);
    }
    Ok(parts)
}

fn part<'a>(value: Json<'a>, outer: &Fields<'a>) -> Result<Vec<Part>, Misfit> {
    let mut fields = outer.of(value)?;
    let carried = || vec![Part::Other { dialect: NAME, raw: outer.raw(value) }];
    let kind: String = fields.need("type")?;
    let part = match kind.as_str() {
        "text" => Part::Text(fields.need_text("text")?),
        "refusal" => Part::Text(fields.need("refusal")?),
        "image_url" => return image(&mut fields),
        "file" => match file(&mut fields)? {
            Some(document) => Part::Document(document),
            None => return Ok(carried()),
        },
        _ => return Ok(carried()),
    };
    Ok([part].into_iter().chain(further(fields)?).collect())
}

fn image(fields: &mut Fields<'_>) -> Result<Vec<Part>, Misfit> {
    let Some(value) = fields.take_value("image_url") else { return Err(Misfit::new("image_url", "is missing")) };
    let within = |misfit: Misfit| misfit.within("image_url");
    if value.get().starts_with('"') {
        return Ok(vec![Part::Image(picture(read(value).map_err(within)?))]);
    }
    let mut inner = fields.of(value).map_err(within)?;
    let url = inner.need("url").map_err(within)?;
    Ok([Part::Image(picture(url))].into_iter().chain(further(inner)?).collect())
}

pub(in crate::dialect) fn picture(url: String) -> Image {
    match data_url(&url) {
        Some((media_type, data)) => Image::Inline { media_type: media_type.to_owned(), data: data.to_owned() },
        None => Image::Url(url),
    }
}

/// The media type and the base64 of a `data:` URL.
pub(in crate::dialect) fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// A file that came with its bytes; `None` when only its provider can find it.
fn file(fields: &mut Fields<'_>) -> Result<Option<Document>, Misfit> {
    let Some(value) = fields.take_value("file") else { return Err(Misfit::new("file", "is missing")) };
    let mut inner = fields.of(value)?;
    let Some(url) = inner.take::<String>("file_data")? else { return Ok(None) };
    let Some((media_type, data)) = data_url(&url) else { return Ok(None) };
    Ok(Some(Document { title: inner.take("filename")?, media_type: media_type.to_owned(), data: data.to_owned() }))
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Misfit> {
    match fields.take_value("stop") {
        None => Ok(Vec::new()),
        Some(one) if one.get().starts_with('"') => Ok(vec![read(one)?]),
        Some(many) => read(many).map_err(|misfit| misfit.within("stop")),
    }
}

/// `reasoning_effort`, or OpenRouter's `reasoning`.
fn thinking(fields: &mut Fields<'_>) -> Result<Option<Thinking>, Misfit> {
    let mut thinking = Thinking { effort: fields.take("reasoning_effort")?, ..Thinking::default() };
    if let Some(value) = fields.take_value("reasoning") {
        let within = |misfit: Misfit| misfit.within("reasoning");
        let mut inner = fields.of(value).map_err(within)?;
        thinking.budget = inner.take("max_tokens").map_err(within)?;
        thinking.effort = thinking.effort.or(inner.take("effort").map_err(within)?);
        let enabled: Option<bool> = inner.take("enabled").map_err(within)?;
        thinking.mode = enabled.map(|on| if on { ThinkingMode::On } else { ThinkingMode::Off });
    }
    if thinking.effort.as_deref() == Some("none") {
        thinking = Thinking { mode: Some(ThinkingMode::Off), ..Thinking::default() };
    }
    Ok((thinking != Thinking::default()).then_some(thinking))
}

fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Misfit> {
    let Some(value) = fields.take_value("response_format") else { return Ok(None) };
    let within = |misfit: Misfit| misfit.within("response_format");
    let mut inner = fields.of(value).map_err(within)?;
    match inner.need::<String>("type").map_err(within)?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let Some(schema) = inner.take_value("json_schema") else {
                return Err(Misfit::new("response_format.json_schema", "is missing"));
            };
            let mut inner = inner.of(schema).map_err(within)?;
            Ok(Some(Format::JsonSchema {
                name: inner.take("name").map_err(within)?,
                schema: inner.need_raw("schema").map_err(within)?,
                strict: inner.take("strict").map_err(within)?,
            }))
        }
        other => {
            Err(Misfit::new("response_format.type", format!("`{other}` is none of text, json_object, json_schema")))
        }
    }
}
