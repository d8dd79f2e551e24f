//! A request body, read into a prompt.

use bytes::Bytes;
use router_core::{
    Raw,
    chat::{Format, Image, Message, Part, Prompt, Role, Thinking, ThinkingMode, ToolSpec},
};

use super::NAME;
use crate::dialect::fields::{Fields, Misfit, read};

/// Reads a question.
pub(super) fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for these: the model is routed by, and the shape answered in.
    for name in ["model", "stream"] {
        fields.take_value(name);
    }
    let mut prompt = Prompt {
        messages: messages(&mut fields)?,
        tools: tools(&mut fields)?,
        thinking: think(&mut fields)?,
        format: format(&mut fields)?,
        origin: Some(NAME),
        ..Prompt::default()
    };
    options(&mut fields, &mut prompt)?;
    prompt.extra.extend(fields.rest()?);
    Ok(prompt)
}

/// Reads what both interfaces take beside the question itself.
pub(super) fn options(fields: &mut Fields<'_>, prompt: &mut Prompt) -> Result<(), Misfit> {
    match fields.take_value("options") {
        Some(value) => sampling(fields.of(value)?, prompt).map_err(|misfit| misfit.within("options")),
        None => Ok(()),
    }
}

fn sampling(mut options: Fields<'_>, prompt: &mut Prompt) -> Result<(), Misfit> {
    prompt.max_tokens = options.take::<i64>("num_predict")?.and_then(|most| u64::try_from(most).ok());
    prompt.temperature = options.take("temperature")?;
    prompt.top_p = options.take("top_p")?;
    prompt.top_k = options.take("top_k")?;
    prompt.seed = options.take("seed")?;
    prompt.stop = options.take("stop")?.unwrap_or_default();
    let rest = options.rest()?;
    if !rest.is_empty() {
        prompt.extra.insert("options".into(), rest.into());
    }
    Ok(())
}

fn messages(fields: &mut Fields<'_>) -> Result<Vec<Message>, Misfit> {
    let mut messages = Vec::new();
    let mut calls = Calls::default();
    for (index, value) in fields.need_list("messages")?.into_iter().enumerate() {
        let read = fields.of(value).and_then(|fields| message(fields, &mut calls));
        messages.push(read.map_err(|misfit| misfit.within(format_args!("messages.{index}")))?);
    }
    Ok(messages)
}

/// Pairs results with calls. Ids are new to Ollama and most clients have none: then the name of the tool tells which
/// call a result answers, or else their order does.
#[derive(Default)]
struct Calls {
    count: usize,
    unanswered: Vec<(String, String)>,
}

impl Calls {
    /// A call of `name` is made; its id is the client's own, where it has one.
    fn made(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{}", self.count));
        self.count += 1;
        self.unanswered.push((id.clone(), name.to_owned()));
        id
    }

    /// The call that a result answers.
    fn answered(&mut self, id: Option<&str>, name: Option<&str>) -> Option<String> {
        let by = |wanted: &dyn Fn(&(String, String)) -> bool| self.unanswered.iter().position(wanted);
        let by_id = id.and_then(|id| by(&|(known, _)| known == id));
        let by_name = || name.and_then(|name| by(&|(_, known)| known == name));
        let place = by_id.or_else(by_name).unwrap_or(0);
        (place < self.unanswered.len()).then(|| self.unanswered.remove(place).0)
    }
}

fn message(mut fields: Fields<'_>, calls: &mut Calls) -> Result<Message, Misfit> {
    let role: String = fields.need("role")?;
    let mut parts = Vec::new();
    let thought: Option<String> = fields.take("thinking")?;
    parts.extend(thought.filter(|text| !text.is_empty()).map(|text| Part::Thinking { text, signature: None }));
    let text: Option<String> = fields.take("content")?;
    parts.extend(text.filter(|text| !text.is_empty()).map(Part::Text));
    parts.extend(pictures(&mut fields)?);
    for call in fields.take_list("tool_calls")?.unwrap_or_default() {
        parts.push(tool_call(fields.of(call)?, calls).map_err(|misfit| misfit.within("tool_calls"))?);
    }
    let role = match role.to_ascii_lowercase().as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => {
            let (id, name): (Option<String>, Option<String>) =
                (fields.take("tool_call_id")?, fields.take("tool_name")?);
            let Some(id) = calls.answered(id.as_deref(), name.as_deref()) else {
                return Err(Misfit::new("role", "a tool answers, but none was called before"));
            };
            let result = Part::ToolResult { id, parts, is_error: false };
            return Ok(Message { role: Role::User, parts: vec![result] });
        }
        _ => return Err(Misfit::new("role", format!("`{role}` is none of system, user, assistant, tool"))),
    };
    Ok(Message { role, parts })
}

/// The pictures of a question or a message.
pub(super) fn pictures(fields: &mut Fields<'_>) -> Result<impl Iterator<Item = Part> + use<>, Misfit> {
    Ok(fields.take::<Vec<String>>("images")?.unwrap_or_default().into_iter().map(picture))
}

/// A picture; its format is known by how its bytes begin, here in base64.
fn picture(data: String) -> Part {
    let media_type = match data.as_bytes() {
        [b'/', b'9', b'j', ..] => "image/jpeg",
        [b'R', b'0', b'l', b'G', ..] => "image/gif",
        [b'U', b'k', b'l', b'G', ..] => "image/webp",
        _ => "image/png",
    };
    Part::Image(Image::Inline { media_type: media_type.to_owned(), data })
}

fn tool_call(mut fields: Fields<'_>, calls: &mut Calls) -> Result<Part, Misfit> {
    let Some(function) = fields.take_value("function") else { return Err(Misfit::new("function", "is missing")) };
    let id = fields.take("id")?;
    let mut function = fields.of(function)?;
    let input = function.take_value("arguments").map_or_else(|| Raw::trusted("{}"), |value| function.raw(value));
    let name: String = function.need("name")?;
    Ok(Part::ToolUse { id: calls.made(id, &name), name, input })
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<ToolSpec>, Misfit> {
    let tools = fields.take_list("tools")?.unwrap_or_default();
    let one = |(index, value)| tool(fields.of(value)?).map_err(|misfit| misfit.within(format_args!("tools.{index}")));
    tools.into_iter().enumerate().map(one).collect()
}

fn tool(mut fields: Fields<'_>) -> Result<ToolSpec, Misfit> {
    let Some(function) = fields.take_value("function") else { return Err(Misfit::new("function", "is missing")) };
    let mut function = fields.of(function)?;
    let schema = function.take_value("parameters").map(|value| function.raw(value));
    Ok(ToolSpec {
        name: function.need("name")?,
        description: function.take("description")?,
        schema: schema.unwrap_or_else(|| Raw::trusted("{\"type\":\"object\"}")),
        strict: None,
    })
}

pub(super) fn think(fields: &mut Fields<'_>) -> Result<Option<Thinking>, Misfit> {
    let Some(value) = fields.take_value("think") else { return Ok(None) };
    Ok(Some(match value.get() {
        "true" => Thinking { mode: Some(ThinkingMode::On), ..Thinking::default() },
        "false" => Thinking { mode: Some(ThinkingMode::Off), ..Thinking::default() },
        _ => Thinking { effort: Some(read(value).map_err(|misfit| misfit.within("think"))?), ..Thinking::default() },
    }))
}

pub(super) fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Misfit> {
    let Some(value) = fields.take_value("format") else { return Ok(None) };
    match value.get() {
        "\"json\"" => Ok(Some(Format::JsonObject)),
        "\"\"" => Ok(None),
        schema if schema.starts_with('{') => {
            Ok(Some(Format::JsonSchema { name: None, schema: fields.raw(value), strict: None }))
        }
        _ => Err(Misfit::new("format", "must be `json` or a JSON schema")),
    }
}
