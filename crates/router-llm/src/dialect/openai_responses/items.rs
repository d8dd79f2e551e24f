//! The items of a conversation, read into messages: what a model thought, said and called in one go becomes one message,
//! and so does what its tools answered.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use router_core::{
    Raw,
    chat::{Document, Message, Part, Role},
    scan,
};
use serde_json::{Map, Value, json};

use super::{NAME, request::arguments, tools::flat};
use crate::dialect::{
    fields::{Fields, Json, Misfit, list, read},
    openai_chat::request::{data_url, picture},
    proof,
};

/// The maker of a hidden thought of Anthropic's, in our marks.
pub(super) const REDACTED: &str = "redacted";
/// The maker of a proof of Anthropic's.
pub(super) const ANTHROPIC: &str = "anthropic";

/// Reads `input`: a text, or a list of items. `outer` are the fields of anything in the same body.
pub(super) fn decode<'a>(input: Json<'a>, outer: &Fields<'a>, messages: &mut Vec<Message>) -> Result<(), Misfit> {
    if input.get().starts_with('"') {
        messages.push(Message::text(Role::User, read::<String>(input)?));
        return Ok(());
    }
    for (index, value) in list(input)?.into_iter().enumerate() {
        item(value, outer, messages).map_err(|misfit| misfit.within(index))?;
    }
    Ok(())
}

fn item<'a>(value: Json<'a>, outer: &Fields<'a>, messages: &mut Vec<Message>) -> Result<(), Misfit> {
    let mut fields = outer.of(value)?;
    let kind: Option<Cow<'_, str>> = fields.take("type")?;
    let carried = || vec![Part::Other { dialect: NAME, raw: outer.raw(value) }];
    match kind.as_deref().unwrap_or("message") {
        "message" => message(fields, messages)?,
        "reasoning" => said(messages, reasoning(fields)?.unwrap_or_else(carried)),
        "function_call" => said(messages, function_call(fields)?),
        "custom_tool_call" => said(messages, custom_call(fields)?),
        kind @ ("function_call_output" | "custom_tool_call_output") => {
            answered(messages, output(fields, kind == "custom_tool_call_output")?);
        }
        kind if answers(kind) => answered(messages, carried()),
        _ => said(messages, carried()),
    }
    Ok(())
}

/// The model's own: it goes on with the message that it is in.
fn said(messages: &mut Vec<Message>, parts: Vec<Part>) {
    match messages.last_mut() {
        Some(Message { role: Role::Assistant, parts: before }) => before.extend(parts),
        _ => messages.push(Message { role: Role::Assistant, parts }),
    }
}

/// What a tool answered: it stands beside the answers of its neighbours.
fn answered(messages: &mut Vec<Message>, parts: Vec<Part>) {
    let carried = |part: &Part| matches!(part, Part::Other { dialect: NAME, raw } if is_answer(raw));
    let answers =
        |part: Option<&Part>| part.is_some_and(|part| matches!(part, Part::ToolResult { .. }) || carried(part));
    match messages.last_mut() {
        Some(Message { role: Role::User, parts: before }) if answers(before.first()) => before.extend(parts),
        _ => messages.push(Message { role: Role::User, parts }),
    }
}

/// Whether a carried item answers a call.
pub(super) fn is_answer(item: &Raw) -> bool {
    scan::find(item.bytes(), "/type").and_then(scan::text).is_some_and(|kind| answers(&kind))
}

fn answers(kind: &str) -> bool {
    kind.ends_with("_output") || kind.ends_with("_response")
}

/// Fields that only add to something else: an object without a `type`.
pub(super) fn further_of(raw: &Raw) -> Option<Map<String, Value>> {
    raw.decode::<Map<String, Value>>().ok().filter(|fields| !fields.contains_key("type"))
}

/// Fields that there is no word for, behind what they belong to.
fn further(rest: Map<String, Value>) -> Option<Part> {
    let told = that_say_something(rest);
    let raw = || Raw::trusted(Value::from(told.clone()).to_string());
    (!told.is_empty()).then(|| Part::Other { dialect: NAME, raw: raw() })
}

fn that_say_something(fields: Map<String, Value>) -> Map<String, Value> {
    let says = |value: &Value| !value.is_null() && value.as_array() != Some(&Vec::new());
    fields.into_iter().filter(|(_, value)| says(value)).collect()
}

fn message(mut fields: Fields<'_>, messages: &mut Vec<Message>) -> Result<(), Misfit> {
    let role: String = fields.need("role")?;
    let content = match fields.take_value("content") {
        Some(content) => contents(content, &fields).map_err(|misfit| misfit.within("content"))?,
        None => Vec::new(),
    };
    let mut rest = fields.rest()?;
    match role.as_str() {
        "assistant" => {
            let ends = that_say_something(rest);
            let ends = (!ends.is_empty()).then(|| Map::from_iter([("message".to_owned(), ends.into())]));
            said(messages, content.into_iter().chain(ends.and_then(further)).collect());
        }
        "user" => {
            messages.push(Message { role: Role::User, parts: further(rest).into_iter().chain(content).collect() });
        }
        "system" | "developer" => {
            rest.insert("role".to_owned(), role.into());
            let parts = further(rest).into_iter().chain(content).collect();
            messages.push(Message { role: Role::System, parts });
        }
        _ => return Err(Misfit::new("role", format!("`{role}` is none of system, developer, user, assistant"))),
    }
    Ok(())
}

/// The content of a message or of a tool's answer: a text, or a list of parts.
fn contents<'a>(content: Json<'a>, outer: &Fields<'a>) -> Result<Vec<Part>, Misfit> {
    if content.get().starts_with('"') {
        return Ok(vec![Part::Text(read(content)?)]);
    }
    let mut parts = Vec::new();
    for (index, value) in list(content)?.into_iter().enumerate() {
        parts.extend(part(value, outer).map_err(|misfit| misfit.within(index))?);
    }
    Ok(parts)
}

fn part<'a>(value: Json<'a>, outer: &Fields<'a>) -> Result<Vec<Part>, Misfit> {
    let mut fields = outer.of(value)?;
    let carried = || vec![Part::Other { dialect: NAME, raw: outer.raw(value) }];
    let part = match &*fields.need::<Cow<'_, str>>("type")? {
        "input_text" | "output_text" | "text" | "summary_text" => Part::Text(fields.need("text")?),
        "refusal" => {
            let refused = json!({ "refusal": true });
            return Ok([Part::Text(fields.need("refusal")?)].into_iter().chain(further(object(refused))).collect());
        }
        "input_image" => match fields.take::<String>("image_url")? {
            Some(url) => Part::Image(picture(url)),
            None => return Ok(carried()),
        },
        "input_file" => match file(&mut fields)? {
            Some(document) => Part::Document(document),
            None => return Ok(carried()),
        },
        _ => return Ok(carried()),
    };
    Ok([part].into_iter().chain(further(fields.rest()?)).collect())
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// A file that came with its bytes; `None` when only its provider can find it.
fn file(fields: &mut Fields<'_>) -> Result<Option<Document>, Misfit> {
    let Some(url) = fields.take::<String>("file_data")? else { return Ok(None) };
    let Some((media_type, data)) = data_url(&url) else { return Ok(None) };
    let data = if media_type.starts_with("text/") {
        let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| Misfit::new("file_data", "is no base64 of a text"))?
    } else {
        data.to_owned()
    };
    Ok(Some(Document { title: fields.take("filename")?, media_type: media_type.to_owned(), data }))
}

/// A thought; `None` when all that there is of it is with its provider.
fn reasoning(mut fields: Fields<'_>) -> Result<Option<Vec<Part>>, Misfit> {
    let id: Option<String> = fields.take("id")?;
    let encrypted = fields.take::<String>("encrypted_content")?.filter(|proof| !proof.is_empty());
    let (summary, content) = (texts(&mut fields, "summary")?, texts(&mut fields, "content")?);
    let (text, several) = match (content.is_empty(), summary.len()) {
        (true, several) => (summary.join("\n\n"), several > 1),
        (false, _) => (content.join("\n\n"), true),
    };
    let Some(part) = thought(text, id.as_deref().unwrap_or_default(), encrypted.as_deref()) else { return Ok(None) };
    let mut rest = fields.rest()?;
    if several {
        rest.insert("summary".to_owned(), texts_as("summary_text", &summary));
        if !content.is_empty() {
            rest.insert("content".to_owned(), texts_as("reasoning_text", &content));
        }
    }
    if let (Part::Thinking { signature: None, .. }, Some(id)) = (&part, id) {
        rest.insert("id".to_owned(), id.into());
    }
    Ok(Some([part].into_iter().chain(further(rest)).collect()))
}

/// The thought that an item holds; `None` when it holds nothing that anybody but its provider could use.
pub(super) fn thought(text: String, id: &str, encrypted: Option<&str>) -> Option<Part> {
    let signature = match encrypted {
        None if text.is_empty() => return None,
        None | Some(proof::UNSIGNED) => None,
        Some(marked) if proof::is_marked(marked) => {
            if let Some(hidden) = proof::made_by(REDACTED, marked) {
                return Some(Part::RedactedThinking(hidden.to_owned()));
            }
            // A mark that says more than that there is no proof goes on to whoever made it.
            Some(proof::made_by(ANTHROPIC, marked).unwrap_or(marked).to_owned())
        }
        Some(own) => Some(proof::marked(NAME, &format!("{id}:{own}"))),
    };
    Some(Part::Thinking { text, signature })
}

fn texts(fields: &mut Fields<'_>, name: &str) -> Result<Vec<String>, Misfit> {
    let parts: Vec<Map<String, Value>> = fields.take(name)?.unwrap_or_default();
    Ok(parts.iter().filter_map(|part| part.get("text")?.as_str().map(str::to_owned)).collect())
}

fn texts_as(kind: &str, texts: &[String]) -> Value {
    texts.iter().map(|text| json!({ "type": kind, "text": text })).collect()
}

fn function_call(mut fields: Fields<'_>) -> Result<Vec<Part>, Misfit> {
    let (id, name): (String, String) = (fields.need("call_id")?, fields.need("name")?);
    let space: Option<String> = fields.take("namespace")?;
    let input = arguments(fields.take_value("arguments"))?;
    let part = Part::ToolUse { id, name: flat(space.as_deref(), &name), input };
    let rest = spaced(fields.rest()?, space, name);
    Ok([part].into_iter().chain(further(rest)).collect())
}

fn custom_call(mut fields: Fields<'_>) -> Result<Vec<Part>, Misfit> {
    let (id, name): (String, String) = (fields.need("call_id")?, fields.need("name")?);
    let space: Option<String> = fields.take("namespace")?;
    let input = json!({ "input": fields.take::<String>("input")?.unwrap_or_default() });
    let part = Part::ToolUse { id, name: flat(space.as_deref(), &name), input: Raw::trusted(input.to_string()) };
    let mut rest = spaced(fields.rest()?, space, name);
    rest.insert("custom".to_owned(), true.into());
    Ok([part].into_iter().chain(further(rest)).collect())
}

/// The name of a tool in a namespace, in its two parts.
fn spaced(mut rest: Map<String, Value>, space: Option<String>, name: String) -> Map<String, Value> {
    if let Some(space) = space {
        rest.insert("namespace".to_owned(), space.into());
        rest.insert("name".to_owned(), name.into());
    }
    rest
}

fn output(mut fields: Fields<'_>, custom: bool) -> Result<Vec<Part>, Misfit> {
    let parts = match fields.take_value("output") {
        Some(output) => contents(output, &fields).map_err(|misfit| misfit.within("output"))?,
        None => Vec::new(),
    };
    let part = Part::ToolResult { id: fields.need("call_id")?, parts, is_error: false };
    let mut rest = fields.rest()?;
    if custom {
        rest.insert("custom".to_owned(), true.into());
    }
    Ok([part].into_iter().chain(further(rest)).collect())
}
