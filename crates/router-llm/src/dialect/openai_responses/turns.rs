//! The messages of a prompt, written as instructions and items.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use router_core::{
    Error, Kind, Raw, Result,
    chat::{Document, Image, Losses, Message, Part, Prompt, Role},
    scan,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    NAME,
    items::{further_of, is_answer},
    tools::text_input,
};
use crate::dialect::{BOOKKEEPING, openai_chat::names, proof};

/// The longest id of a call.
const LONGEST_ID: usize = 64;

/// An item of the wire.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    /// Written from a part.
    Written {
        #[serde(flatten)]
        said: Said<'a>,
        #[serde(flatten)]
        further: Map<String, Value>,
    },
    /// Carried.
    Carried(&'a Raw),
}

/// What an item says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Said<'a> {
    Message {
        role: Cow<'a, str>,
        content: Vec<Piece<'a>>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<Vec<Content<'a>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
    FunctionCall {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, str>,
    },
    CustomToolCall {
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: String,
    },
    FunctionCallOutput {
        call_id: Cow<'a, str>,
        output: Output<'a>,
    },
    CustomToolCallOutput {
        call_id: Cow<'a, str>,
        output: Output<'a>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Output<'a> {
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

/// A part of a message's content.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Piece<'a> {
    Written {
        #[serde(flatten)]
        content: Content<'a>,
        #[serde(flatten)]
        further: Map<String, Value>,
    },
    Carried(&'a Raw),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    InputText { text: Cow<'a, str> },
    OutputText { text: Cow<'a, str> },
    SummaryText { text: &'a str },
    Refusal { refusal: &'a str },
    InputImage { image_url: String },
    InputFile { filename: &'a str, file_data: String },
}

impl<'a> Piece<'a> {
    fn of(content: Content<'a>) -> Self {
        Self::Written { content, further: Map::new() }
    }

    fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::of(Content::InputText { text: text.into() })
    }
}

/// What comes first, and the rest.
pub(super) struct Conversation<'a> {
    pub(super) instructions: Option<String>,
    pub(super) items: Vec<Item<'a>>,
}

/// Writes the messages; what says nothing is left out.
pub(super) fn write<'a>(prompt: &'a Prompt, losses: &mut Losses) -> Result<Conversation<'a>> {
    let is_instruction =
        |message: &&Message| message.role == Role::System && fields_of(message.parts.first()).is_none();
    let leading = prompt.messages.iter().take_while(is_instruction).count();
    let (first, rest) = prompt.messages.split_at(leading);
    let instructions: Vec<&str> = first.iter().flat_map(spoken).collect();
    let mut writer = Writer { own: prompt.origin == Some(NAME), items: Vec::with_capacity(rest.len()), losses };
    for message in rest {
        match message.role {
            Role::System => writer.system(message),
            Role::User => writer.user(message)?,
            Role::Assistant => writer.assistant(message),
        }
    }
    let instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
    Ok(Conversation { instructions, items: writer.items })
}

fn spoken(message: &Message) -> impl Iterator<Item = &str> {
    let texts =
        message.parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    texts.filter(|text| !text.trim().is_empty() && !text.starts_with(BOOKKEEPING))
}

/// The fields in a part that only adds to another one.
fn fields_of(part: Option<&Part>) -> Option<Map<String, Value>> {
    if let Some(Part::Other { dialect: NAME, raw }) = part { further_of(raw) } else { None }
}

struct Writer<'a, 'l> {
    /// Whether the client speaks this dialect himself.
    own: bool,
    items: Vec<Item<'a>>,
    losses: &'l mut Losses,
}

impl<'a> Writer<'a, '_> {
    fn put(&mut self, said: Said<'a>, further: Map<String, Value>) {
        self.items.push(Item::Written { said, further });
    }

    fn system(&mut self, message: &'a Message) {
        let mut further = fields_of(message.parts.first()).unwrap_or_default();
        let role = match further.shift_remove("role") {
            Some(Value::String(role)) => role.into(),
            _ => "developer".into(),
        };
        let content: Vec<_> = spoken(message).map(Piece::text).collect();
        if !content.is_empty() {
            self.put(Said::Message { role, content }, further);
        }
    }

    /// What tools answered comes first: it belongs to the calls before it.
    fn user(&mut self, message: &'a Message) -> Result<()> {
        let (mut content, mut of_result) = (Vec::new(), false);
        let further = fields_of(message.parts.first()).unwrap_or_default();
        for (at, part) in message.parts.iter().enumerate() {
            match part {
                Part::ToolResult { id, parts, is_error } => {
                    let further = fields_of(message.parts.get(at + 1)).unwrap_or_default();
                    self.result(id, (parts, *is_error), further)?;
                    of_result = true;
                }
                Part::Other { dialect: NAME, raw } if is_answer(raw) => self.items.push(Item::Carried(raw)),
                Part::Other { dialect: NAME, raw } if further_of(raw).is_some() && (at == 0 || of_result) => {}
                Part::Text(_)
                | Part::Image(_)
                | Part::Document(_)
                | Part::Thinking { .. }
                | Part::RedactedThinking(_)
                | Part::ToolUse { .. }
                | Part::Other { .. } => {
                    of_result = false;
                    piece(part, &mut content)?;
                }
            }
        }
        if !content.is_empty() {
            self.put(Said::Message { role: "user".into(), content }, further);
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: &'a str,
        (parts, failed): (&'a [Part], bool),
        mut further: Map<String, Value>,
    ) -> Result<()> {
        let mut pieces = Vec::with_capacity(parts.len());
        if failed {
            pieces.push(Piece::text("The tool failed:"));
        }
        for part in parts {
            piece(part, &mut pieces)?;
        }
        let (call_id, output) = (spelled_id(id), output(pieces, self.own));
        let said = match further.shift_remove("custom") {
            Some(_) => Said::CustomToolCallOutput { call_id, output },
            None => Said::FunctionCallOutput { call_id, output },
        };
        self.put(said, further);
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message) {
        let mut content = Vec::new();
        for (at, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => content.push(uttered(text, fields_of(message.parts.get(at + 1)))),
                Part::Other { dialect: NAME, raw } => match further_of(raw) {
                    Some(mut fields) => {
                        if let Some(Value::Object(further)) = fields.shift_remove("message") {
                            self.utter(&mut content, further);
                        }
                    }
                    None => {
                        self.utter(&mut content, Map::new());
                        self.items.push(Item::Carried(raw));
                    }
                },
                Part::ToolUse { id, name, input } => {
                    self.utter(&mut content, Map::new());
                    self.call(id, (name, input), fields_of(message.parts.get(at + 1)).unwrap_or_default());
                }
                Part::Thinking { text, signature } => {
                    self.utter(&mut content, Map::new());
                    let further = fields_of(message.parts.get(at + 1)).unwrap_or_default();
                    self.thought(text, signature.as_deref(), further);
                }
                Part::RedactedThinking(_) => self.losses.note("redacted_thinking"),
                Part::Image(_) | Part::Document(_) | Part::ToolResult { .. } | Part::Other { .. } => {}
            }
        }
        self.utter(&mut content, Map::new());
    }

    fn utter(&mut self, content: &mut Vec<Piece<'a>>, further: Map<String, Value>) {
        if !content.is_empty() {
            self.put(Said::Message { role: "assistant".into(), content: std::mem::take(content) }, further);
        }
    }

    fn call(&mut self, id: &'a str, (name, input): (&'a str, &'a Raw), mut further: Map<String, Value>) {
        let name = match further.shift_remove("name") {
            Some(Value::String(name)) => Cow::Owned(name),
            _ => names::spelled(name),
        };
        let call_id = spelled_id(id);
        let said = match further.shift_remove("custom") {
            Some(_) => Said::CustomToolCall { call_id, name, input: text_input(input.as_str()) },
            // A JSON string is what a model wrote that was no JSON: it gets it back as it wrote it.
            None => {
                let arguments = scan::text(input.bytes()).unwrap_or(Cow::Borrowed(input.as_str()));
                Said::FunctionCall { call_id, name, arguments }
            }
        };
        self.put(said, further);
    }

    /// Only a thought that was had here can be given back here.
    fn thought(&mut self, text: &'a str, signature: Option<&'a str>, further: Map<String, Value>) {
        let own = signature.and_then(|signature| proof::made_by(NAME, signature)?.split_once(':'));
        let known = self.own && further.contains_key("id") && signature.is_none();
        if own.is_none() && !known {
            return self.losses.note(if self.own { "reasoning" } else { "thinking" });
        }
        let summary = (!text.is_empty()).then_some(Content::SummaryText { text });
        let summary = (!further.contains_key("summary")).then(|| summary.into_iter().collect());
        let id = own.map(|(id, _)| id).filter(|id| !id.is_empty());
        self.put(Said::Reasoning { id, summary, encrypted_content: own.map(|(_, proof)| proof) }, further);
    }
}

fn uttered(text: &str, further: Option<Map<String, Value>>) -> Piece<'_> {
    match further.filter(|fields| !fields.contains_key("message")) {
        Some(fields) if fields.contains_key("refusal") => Piece::of(Content::Refusal { refusal: text }),
        further => {
            Piece::Written { content: Content::OutputText { text: text.into() }, further: further.unwrap_or_default() }
        }
    }
}

/// Texts alone are one text, unless the client made them several.
fn output(pieces: Vec<Piece<'_>>, own: bool) -> Output<'_> {
    let text = |piece: &Piece<'_>| match piece {
        Piece::Written { content: Content::InputText { text }, further } if further.is_empty() => {
            Some(text.to_string())
        }
        Piece::Written { .. } | Piece::Carried(_) => None,
    };
    match pieces.iter().map(text).collect::<Option<Vec<_>>>() {
        Some(texts) if !own || texts.len() < 2 => Output::Text(texts.join("\n\n").into()),
        Some(_) | None => Output::Pieces(pieces),
    }
}

/// Appends what a user says with `part`.
fn piece<'a>(part: &'a Part, pieces: &mut Vec<Piece<'a>>) -> Result<()> {
    match part {
        Part::Text(words) if words.is_empty() => {}
        Part::Text(words) => pieces.push(Piece::text(words)),
        Part::Image(Image::Url(url)) => pieces.push(Piece::of(Content::InputImage { image_url: url.clone() })),
        Part::Image(Image::Inline { media_type, data }) => {
            let image_url = format!("data:{media_type};base64,{data}");
            pieces.push(Piece::of(Content::InputImage { image_url }));
        }
        Part::Document(document) => pieces.push(file(document)?),
        Part::Other { dialect: NAME, raw } => match (further_of(raw), pieces.last_mut()) {
            (Some(more), Some(Piece::Written { further, .. })) => further.extend(more),
            (Some(_), _) => {}
            (None, _) => pieces.push(Piece::Carried(raw)),
        },
        Part::Other { .. }
        | Part::Thinking { .. }
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::ToolResult { .. } => {}
    }
    Ok(())
}

fn file(document: &Document) -> Result<Piece<'_>> {
    let Document { title, media_type, data } = document;
    let name = title.as_deref();
    match media_type.as_str() {
        media if media.starts_with("text/") => {
            let file_data = format!("data:{media};base64,{}", STANDARD.encode(data));
            Ok(Piece::of(Content::InputFile { filename: name.unwrap_or("document.txt"), file_data }))
        }
        "application/pdf" => {
            let file_data = format!("data:{media_type};base64,{data}");
            Ok(Piece::of(Content::InputFile { filename: name.unwrap_or("document.pdf"), file_data }))
        }
        _ => Err(Error::new(Kind::Invalid, format!("a document of type {media_type} cannot be given to this model"))
            .hint("send text or a PDF")),
    }
}

/// The id of a call, in the length that is allowed; calls and answers are respelled alike, so they still match.
fn spelled_id(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST_ID {
        return Cow::Borrowed(id);
    }
    let digest = blake3::hash(id.as_bytes()).to_hex();
    format!("call_{}", digest.get(..24).unwrap_or_default()).into()
}
