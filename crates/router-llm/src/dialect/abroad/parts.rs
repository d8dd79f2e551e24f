//! What stands in messages that only one dialect has: search results, what a provider's own tools answered, hints about
//! caches. It is said as text where it says something, kept where the other dialect has it too, and refused where a model
//! would answer as if it had never been sent.

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Image, Losses, Message, Part, Prompt},
};
use serde_json::{Map, Value, json};

use super::fields::is_neutral;
use crate::dialect::{Quirks, openai_responses, proof};

/// Where the parts are going.
pub(super) struct Abroad<'a> {
    pub(super) dialect: &'static str,
    pub(super) quirks: &'a Quirks,
}

/// Fields of blocks and messages whose loss changes no answer, or that are read elsewhere.
const SILENT: [&str; 4] = ["output_config", "caller", "toolset_name", "annotations"];

/// The same of OpenAI's responses: names and states of items, and how they were told apart.
const SILENT_OF_RESPONSES: [&str; 12] = [
    "id",
    "status",
    "role",
    "phase",
    "message",
    "refusal",
    "summary",
    "content",
    "name",
    "namespace",
    "custom",
    "logprobs",
];

/// The hint that says up to where a prompt is to be kept: Anthropic's word, which OpenRouter understands in OpenAI's
/// dialect.
const CACHE_HINT: &str = "cache_control";

/// Whether anything stands in the messages that needs carrying.
pub(super) fn has_foreign(prompt: &Prompt) -> bool {
    fn is_foreign(part: &Part) -> bool {
        match part {
            Part::Other { .. } | Part::RedactedThinking(_) => true,
            Part::Thinking { signature, .. } => signature.is_some(),
            Part::ToolResult { parts, .. } => parts.iter().any(is_foreign),
            Part::Text(_) | Part::Image(_) | Part::Document(_) | Part::ToolUse { .. } => false,
        }
    }
    prompt.messages.iter().any(|message| message.parts.iter().any(is_foreign))
}

/// Says all of it for `abroad`.
pub(super) fn carry(prompt: &mut Prompt, abroad: &Abroad<'_>, losses: &mut Losses) -> Result<()> {
    for message in &mut prompt.messages {
        let Message { parts, .. } = message;
        *parts = abroad.all(std::mem::take(parts), losses)?;
    }
    Ok(())
}

impl Abroad<'_> {
    fn all(&self, parts: Vec<Part>, losses: &mut Losses) -> Result<Vec<Part>> {
        let mut carried = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Other { dialect, raw } => self.other(dialect, &raw, &mut carried, losses)?,
                Part::ToolResult { id, parts, is_error } => {
                    carried.push(Part::ToolResult { id, parts: self.all(parts, losses)?, is_error });
                }
                Part::Thinking { text, signature } => {
                    self.note_proof(signature.as_deref(), losses);
                    carried.push(Part::Thinking { text, signature });
                }
                Part::RedactedThinking(_) if self.dialect != "anthropic" => losses.note("redacted_thinking"),
                part @ (Part::RedactedThinking(_)
                | Part::Text(_)
                | Part::Image(_)
                | Part::Document(_)
                | Part::ToolUse { .. }) => {
                    carried.push(part);
                }
            }
        }
        Ok(carried)
    }

    fn other(&self, dialect: &str, raw: &Raw, carried: &mut Vec<Part>, losses: &mut Losses) -> Result<()> {
        let Ok(block) = raw.decode::<Map<String, Value>>() else { return Ok(()) };
        let Some(kind) = block.get("type").and_then(Value::as_str) else {
            self.further(dialect, block, carried, losses);
            return Ok(());
        };
        match (dialect, kind) {
            // The provider's books, which are nobody's words.
            ("anthropic", "text") => {}
            ("anthropic", _) => carried.extend(said(kind, &block, losses)?),
            // What its provider keeps and the model is to see; all else is what the provider did, of which the answer
            // that came of it is told in words.
            (openai_responses::NAME, kind) if kind != "item_reference" && !kind.starts_with("input_") => {
                losses.note(kind.to_owned());
            }
            _ => return Err(refused(kind)),
        }
        Ok(())
    }

    /// A proof is lost on everybody but its maker.
    fn note_proof(&self, signature: Option<&str>, losses: &mut Losses) {
        let Some(signature) = signature else { return };
        losses.note_if(self.dialect != "anthropic" && proof::is_anthropics(signature), "thinking.signature");
        let responses = proof::made_by(openai_responses::NAME, signature).is_some();
        losses.note_if(self.dialect != openai_responses::NAME && responses, "reasoning.encrypted_content");
    }

    /// Fields that add to the part before them, or to their message.
    fn further(&self, dialect: &str, fields: Map<String, Value>, carried: &mut Vec<Part>, losses: &mut Losses) {
        let own: &[&str] = if dialect == openai_responses::NAME { &SILENT_OF_RESPONSES } else { &[] };
        for (name, value) in fields {
            let silent = SILENT.contains(&name.as_str()) || own.contains(&name.as_str());
            if name == CACHE_HINT && self.keeps_hints() {
                hint(
                    carried,
                    Part::Other { dialect: self.dialect, raw: Raw::trusted(json!({ name: value }).to_string()) },
                );
            } else if !is_neutral(&value) && !silent {
                losses.note(name);
            }
        }
    }

    fn keeps_hints(&self) -> bool {
        self.dialect == "anthropic" || (self.dialect == "openai" && self.quirks.keeps_cache_control)
    }
}

/// Puts a hint behind what it belongs to; a tool's answer is a message of its own there, so the hint goes into it.
fn hint(carried: &mut Vec<Part>, hint: Part) {
    match carried.last_mut() {
        Some(Part::ToolResult { parts, .. }) if !parts.is_empty() => parts.push(hint),
        Some(Part::Text(_) | Part::Image(_) | Part::Document(_)) => carried.push(hint),
        Some(_) | None => {}
    }
}

fn refused(what: &str) -> Error {
    Error::new(Kind::Invalid, format!("messages: `{what}` cannot be carried to this model"))
        .hint("send its text, or ask a model of the provider that has it")
}

/// A block of Anthropic's, in parts that everybody has.
fn said(kind: &str, block: &Map<String, Value>, losses: &mut Losses) -> Result<Vec<Part>> {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    let named = |words: &str| {
        let name = text("tool_name").or_else(|| text("name")).unwrap_or_default();
        vec![Part::Text(words.replace("{}", name))]
    };
    Ok(match kind {
        "search_result" => vec![Part::Text(search_result(block))],
        "tool_reference" => named("The tool `{}` is loaded and can be called."),
        "server_tool_use" | "mcp_tool_use" => {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            named(&format!("(The tool `{{}}` was called with {input}.)"))
        }
        "document" => document(block)?,
        "image" => return Err(refused("image.source.file")),
        "container_upload" => return Err(refused(kind)),
        "compaction" => text("content").map(|summary| Part::Text(summary.to_owned())).into_iter().collect(),
        _ if kind.ends_with("_tool_result") => {
            let content = block.get("content").cloned().map(readable).unwrap_or_default();
            let content = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            vec![Part::Text(format!("(It answered: {content})"))]
        }
        _ => {
            losses.note(kind.to_owned());
            Vec::new()
        }
    })
}

fn search_result(block: &Map<String, Value>) -> String {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = block.get("content").and_then(Value::as_array).into_iter().flatten();
    let said = said.filter_map(|part| part.get("text")?.as_str());
    let heading = format!("{} ({})", text("title"), text("source"));
    std::iter::once(heading.as_str()).chain(said).collect::<Vec<_>>().join("\n\n")
}

/// A document that is neither base64 nor text: its parts where it has some, a refusal where only its provider can get it.
fn document(block: &Map<String, Value>) -> Result<Vec<Part>> {
    let source = block.get("source");
    let field = |name: &str| source.and_then(|source| source.get(name));
    if field("type").and_then(Value::as_str) != Some("content") {
        let kind = field("type").and_then(Value::as_str).unwrap_or_default();
        return Err(refused(&format!("document.source.{kind}")));
    }
    let title = block.get("title").and_then(Value::as_str).map(|title| Part::Text(format!("{title}:")));
    let content = match field("content") {
        Some(Value::String(text)) => vec![Part::Text(text.clone())],
        Some(Value::Array(parts)) => parts.iter().map(piece).collect::<Result<_>>()?,
        Some(_) | None => Vec::new(),
    };
    Ok(title.into_iter().chain(content).collect())
}

fn piece(block: &Value) -> Result<Part> {
    let text = |pointer: &str| block.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let image = || match (text("/source/media_type"), text("/source/data"), text("/source/url")) {
        (Some(media_type), Some(data), _) => Some(Image::Inline { media_type, data }),
        (_, _, Some(url)) => Some(Image::Url(url)),
        _ => None,
    };
    let part = text("/text").map(Part::Text).or_else(|| image().map(Part::Image));
    part.ok_or_else(|| refused("document.source.content"))
}

/// What of an answer a model can read: without the parts that only its provider can.
fn readable(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let hidden = |name: &str| name.starts_with("encrypted_") || matches!(name, "type" | CACHE_HINT);
            fields.into_iter().filter(|(name, _)| !hidden(name)).map(|(name, value)| (name, readable(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(readable).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}
