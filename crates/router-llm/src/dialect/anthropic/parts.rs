//! Content blocks as they come in, read into parts.

use std::borrow::Cow;

use router_core::{
    Raw,
    chat::{Document, Image, Part},
};
use serde_json::{Map, Value};

use super::NAME;
use crate::dialect::{
    fields::{Fields, Json, Misfit, text},
    proof::{self, Borne},
};

/// Claude Code's first system block: it differs from prompt to prompt and is for Anthropic's eyes only.
const BILLING: &str = "x-anthropic-billing-header:";

/// Reads the content of a message or of a tool's result: a text, or a list of blocks. `fields` are those of anything in
/// the same body.
pub(super) fn decode<'a>(content: Json<'a>, fields: &Fields<'a>) -> Result<Vec<Part>, Misfit> {
    if content.get().starts_with('"') {
        return Ok(vec![Part::Text(text(content)?)]);
    }
    let blocks = fields.each(content)?;
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, (block, inner)) in blocks.into_iter().enumerate() {
        let read = inner.and_then(|inner| decode_block(block, inner, &mut parts));
        read.map_err(|misfit| misfit.within(index))?;
    }
    Ok(parts)
}

/// Fields of a block or message that the vocabulary has no word for, as a part of their own behind (or, for a message,
/// before) what they belong to.
pub(super) fn further(fields: &Map<String, Value>) -> Option<Part> {
    let raw = (!fields.is_empty()).then(|| Raw::encode(fields).ok())??;
    Some(Part::Other { dialect: NAME, raw })
}

fn decode_block<'a>(block: Json<'a>, mut fields: Fields<'a>, parts: &mut Vec<Part>) -> Result<(), Misfit> {
    let kind: Cow<'_, str> = fields.need("type")?;
    let part = match &*kind {
        "text" => said(&mut fields)?,
        "image" => image(&mut fields)?.map(Part::Image),
        "document" => document(&mut fields)?.map(Part::Document),
        "thinking" => Some(thinking(&mut fields)?),
        "redacted_thinking" => Some(Part::RedactedThinking(fields.need("data")?)),
        "tool_use" => {
            Some(Part::ToolUse { id: fields.need("id")?, name: fields.need("name")?, input: fields.need_raw("input")? })
        }
        "tool_result" => Some(tool_result(&mut fields)?),
        _ => None,
    };
    match part {
        Some(part) => {
            parts.push(part);
            parts.extend(further(&fields.rest()?));
        }
        None => parts.push(Part::Other { dialect: NAME, raw: fields.raw(block) }),
    }
    Ok(())
}

fn said(fields: &mut Fields<'_>) -> Result<Option<Part>, Misfit> {
    let text = fields.need_text("text")?;
    Ok((!text.starts_with(BILLING)).then_some(Part::Text(text)))
}

fn image(fields: &mut Fields<'_>) -> Result<Option<Image>, Misfit> {
    let mut source = nested(fields, "source")?;
    Ok(match &*source.need::<Cow<'_, str>>("type")? {
        "base64" => Some(Image::Inline { media_type: source.need("media_type")?, data: source.need("data")? }),
        "url" => Some(Image::Url(source.need("url")?)),
        _ => None,
    })
}

fn document(fields: &mut Fields<'_>) -> Result<Option<Document>, Misfit> {
    let mut source = nested(fields, "source")?;
    Ok(match &*source.need::<Cow<'_, str>>("type")? {
        "base64" | "text" => Some(Document {
            title: fields.take("title")?,
            media_type: source.need("media_type")?,
            data: source.need("data")?,
        }),
        _ => None,
    })
}

fn thinking(fields: &mut Fields<'_>) -> Result<Part, Misfit> {
    let signature: Option<String> = fields.take("signature")?;
    let text = fields.take_text("thinking")?.unwrap_or_default();
    let hidden = signature.as_deref().and_then(|mark| proof::borne(mark, Borne::Text));
    let text = match hidden.and_then(|thought| String::from_utf8(thought).ok()) {
        Some(thought) if text.is_empty() => thought,
        Some(_) | None => text,
    };
    Ok(Part::Thinking { text, signature: signature.filter(|mark| proof::says(mark)) })
}

fn tool_result(fields: &mut Fields<'_>) -> Result<Part, Misfit> {
    let parts = match fields.take_value("content") {
        Some(content) => decode(content, fields).map_err(|misfit| misfit.within("content"))?,
        None => Vec::new(),
    };
    let is_error = fields.take("is_error")?.unwrap_or_default();
    Ok(Part::ToolResult { id: fields.need("tool_use_id")?, parts, is_error })
}

fn nested<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Fields<'a>, Misfit> {
    let value = fields.take_value(name).ok_or_else(|| Misfit::new(name, "Field required"))?;
    fields.of(value).map_err(|misfit| misfit.within(name))
}
