//! Content blocks as they go out, borrowed from the parts they are written from.

use std::borrow::Cow;

use router_core::{
    Raw,
    chat::{Document, Image, Part},
    scan,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::NAME;
use crate::dialect::proof;

/// A block of a message.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    /// Written from a part.
    Written {
        #[serde(flatten)]
        content: Content<'a>,
        #[serde(flatten)]
        further: Map<String, Value>,
    },
    /// Carried.
    Carried(&'a Raw),
}

/// What a block says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Cow<'a, Raw>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

/// Where the bytes of a picture or document are.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

impl<'a> Block<'a> {
    /// A text of our own.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Written { content: Content::Text { text: text.into() }, further: Map::new() }
    }

    /// Whether it answers a call.
    pub(super) fn is_tool_result(&self) -> bool {
        matches!(self, Self::Written { content: Content::ToolResult { .. }, .. })
    }
}

/// Writes parts as blocks. Left out is what the provider would refuse: empty texts, thoughts that are not Anthropic's,
/// parts of another dialect.
pub(super) fn encode(parts: &[Part]) -> Vec<Block<'_>> {
    let mut blocks = Vec::with_capacity(parts.len());
    let mut was_written = false;
    for part in parts {
        match (further_fields(part), blocks.last_mut()) {
            (Some(fields), Some(Block::Written { further, .. })) if was_written => further.extend(fields),
            (Some(_), _) => {}
            (None, _) => {
                let block = block(part);
                was_written = block.is_some();
                blocks.extend(block);
            }
        }
    }
    blocks
}

/// The fields of a part that only adds to another one.
pub(super) fn further_fields(part: &Part) -> Option<Map<String, Value>> {
    let Part::Other { dialect: NAME, raw } = part else { return None };
    raw.decode::<Map<String, Value>>().ok().filter(|fields| !fields.contains_key("type"))
}

fn block(part: &Part) -> Option<Block<'_>> {
    let content = match part {
        Part::Text(text) if text.trim().is_empty() => return None,
        Part::Text(text) => Content::Text { text: text.into() },
        Part::Image(Image::Inline { media_type, data }) => {
            Content::Image { source: Source::Base64 { media_type, data } }
        }
        Part::Image(Image::Url(url)) => Content::Image { source: Source::Url { url } },
        Part::Document(document) => Content::Document { source: source(document), title: document.title.as_deref() },
        Part::Thinking { text, signature: Some(signature) } if proof::is_anthropics(signature) => {
            Content::Thinking { thinking: text, signature }
        }
        Part::RedactedThinking(data) => Content::RedactedThinking { data },
        Part::ToolUse { id, name, input } => Content::ToolUse { id: spelled(id), name, input: object(input) },
        Part::ToolResult { id, parts, is_error } => {
            Content::ToolResult { tool_use_id: spelled(id), content: encode(parts), is_error: *is_error }
        }
        Part::Other { dialect: NAME, raw } => return Some(Block::Carried(raw)),
        Part::Thinking { .. } | Part::Other { .. } => return None,
    };
    Some(Block::Written { content, further: Map::new() })
}

fn source(document: &Document) -> Source<'_> {
    let (media_type, data) = (document.media_type.as_str(), document.data.as_str());
    match media_type {
        "text/plain" => Source::Text { media_type, data },
        _ => Source::Base64 { media_type, data },
    }
}

/// The id of a call in the letters that Anthropic allows; calls and results are respelled alike, so they still match.
fn spelled(id: &str) -> Cow<'_, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if id.chars().all(allowed) {
        return Cow::Borrowed(id);
    }
    id.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect::<String>().into()
}

/// The arguments of a call in the history. Only objects are taken, and a model may have written something else; the
/// model is shown what it wrote rather than the conversation being refused from then on.
fn object(input: &Raw) -> Cow<'_, Raw> {
    if input.decode::<Map<String, Value>>().is_ok() {
        return Cow::Borrowed(input);
    }
    let written = scan::text(input.bytes()).unwrap_or_else(|| input.as_str().into());
    Cow::Owned(Raw::trusted(json!({ "INVALID_JSON": written }).to_string()))
}
