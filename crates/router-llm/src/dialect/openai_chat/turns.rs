//! The messages of a prompt in the order and the roles that OpenAI wants: what tools answered stands in messages of its
//! own, right after the calls, and pictures stand with the user alone.

use std::borrow::Cow;

use router_core::{
    Error, Kind, Raw, Result,
    chat::{Document, Image, Message, Part, Role},
    scan,
};
use serde_json::{Map, Value};

use super::{
    NAME, names,
    outgoing::{Call, Content, Piece, Turn},
};
use crate::dialect::{
    Ask, BOOKKEEPING, Quirks,
    proof::{self, Borne},
};

/// What a tool message says for a picture that follows it.
const PICTURE_FOLLOWS: &str = "(The picture follows in the next message.)";

/// The same for a document.
const DOCUMENT_FOLLOWS: &str = "(The document follows in the next message.)";

/// What the assistant says where it has to say something.
const FILLER: &str = "(I have read what the tool answered.)";

/// Writes the messages; what says nothing is left out.
pub(super) fn write<'a>(ask: &Ask<'a>) -> Result<Vec<Turn<'a>>> {
    let mut turns = Vec::with_capacity(ask.prompt.messages.len() + 1);
    // Where the next answer of a tool goes: right after the calls, whatever else was said since.
    let mut answers = 0;
    for message in &ask.prompt.messages {
        match message.role {
            Role::System => turns.extend(system(message)),
            Role::User => user(message, &mut turns, &mut answers)?,
            Role::Assistant => {
                turns.extend(assistant(message, ask.quirks));
                answers = turns.len();
            }
        }
    }
    if ask.quirks.one_system_message {
        turns = one_system_message(turns);
    }
    Ok(if ask.quirks.no_user_after_tool { assistant_after_tool(turns) } else { turns })
}

impl<'a> Turn<'a> {
    fn new(role: &'static str, pieces: Vec<Piece<'a>>) -> Self {
        let content = content(pieces);
        Self {
            role,
            content,
            reasoning_content: None,
            reasoning_details: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            further: Map::new(),
        }
    }
}

/// Texts alone are one text: not every server reads a list.
fn content(mut pieces: Vec<Piece<'_>>) -> Option<Content<'_>> {
    if pieces.is_empty() {
        return None;
    }
    if !pieces.iter().all(|piece| matches!(piece, Piece::Text { further, .. } if further.is_empty())) {
        return Some(Content::Pieces(pieces));
    }
    if pieces.len() == 1
        && let Some(Piece::Text { text, .. }) = pieces.pop()
    {
        return Some(Content::Text(text));
    }
    Some(Content::Text(joined(&pieces).into()))
}

fn joined(pieces: &[Piece<'_>]) -> String {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text { text, .. } => Some(&**text),
        Piece::Image { .. } | Piece::File { .. } | Piece::Carried(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    Piece::Text { text: text.into(), further: Map::new() }
}

fn system(message: &Message) -> Option<Turn<'_>> {
    let mut texts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(words) if words.trim().is_empty() || words.starts_with(BOOKKEEPING) => {}
            Part::Text(words) => texts.push(text(words)),
            Part::Other { dialect: NAME, raw } => add(raw, texts.last_mut()),
            Part::Image(_)
            | Part::Document(_)
            | Part::Thinking { .. }
            | Part::RedactedThinking(_)
            | Part::ToolUse { .. }
            | Part::ToolResult { .. }
            | Part::Other { .. } => {}
        }
    }
    let turn = Turn { further: message_fields(message), ..Turn::new("system", texts) };
    turn.content.is_some().then_some(turn)
}

fn user<'a>(message: &'a Message, turns: &mut Vec<Turn<'a>>, answers: &mut usize) -> Result<()> {
    let mut after = Vec::new();
    for part in &message.parts {
        if let Part::ToolResult { id, parts, is_error } = part {
            turns.insert((*answers).min(turns.len()), result(id, parts, *is_error, &mut after)?);
            *answers += 1;
        }
    }
    for part in &message.parts {
        piece(part, &mut after)?;
    }
    if !after.is_empty() {
        turns.push(Turn { further: message_fields(message), ..Turn::new("user", after) });
    }
    Ok(())
}

/// What a tool answered: its texts; the rest of it goes to `after`, as the user's.
fn result<'a>(id: &'a str, parts: &'a [Part], is_error: bool, after: &mut Vec<Piece<'a>>) -> Result<Turn<'a>> {
    let mut pieces = Vec::new();
    for part in parts {
        piece(part, &mut pieces)?;
    }
    let (mut texts, rest): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| matches!(piece, Piece::Text { .. }));
    if rest.iter().any(|piece| matches!(piece, Piece::Image { .. })) {
        texts.push(text(PICTURE_FOLLOWS));
    } else if !rest.is_empty() {
        texts.push(text(DOCUMENT_FOLLOWS));
    }
    if is_error {
        texts.insert(0, text("The tool failed:"));
    }
    after.extend(rest);
    let content = content(texts).unwrap_or(Content::Text("".into()));
    Ok(Turn { content: Some(content), tool_call_id: Some(id), ..Turn::new("tool", Vec::new()) })
}

/// Appends what the user says with `part`; the thoughts and calls of a model are not his.
fn piece<'a>(part: &'a Part, pieces: &mut Vec<Piece<'a>>) -> Result<()> {
    match part {
        Part::Text(words) if words.is_empty() => {}
        Part::Text(words) => pieces.push(text(words)),
        Part::Image(image) => pieces.push(picture(image)),
        Part::Document(document) => pieces.push(file(document)?),
        Part::Other { dialect: NAME, raw } if fields(raw).is_some() => add(raw, pieces.last_mut()),
        Part::Other { dialect: NAME, raw } => pieces.push(Piece::Carried(raw)),
        Part::Other { .. }
        | Part::Thinking { .. }
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::ToolResult { .. } => {}
    }
    Ok(())
}

fn picture(image: &Image) -> Piece<'static> {
    let url = match image {
        Image::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
        Image::Url(url) => url.clone(),
    };
    Piece::Image { image_url: Map::from_iter([("url".to_owned(), url.into())]) }
}

fn file(document: &Document) -> Result<Piece<'_>> {
    let Document { title, media_type, data } = document;
    match media_type.as_str() {
        media if media.starts_with("text/") => Ok(match title {
            Some(title) => text(format!("{title}:\n\n{data}")),
            None => text(data),
        }),
        "application/pdf" => {
            let file_data = format!("data:{media_type};base64,{data}");
            let filename = title.as_deref().unwrap_or("document.pdf");
            Ok(Piece::File { filename, file_data })
        }
        _ => Err(Error::new(Kind::Invalid, format!("a document of type {media_type} cannot be given to this model"))
            .hint("send text or a PDF")),
    }
}

fn assistant<'a>(message: &'a Message, quirks: &Quirks) -> Option<Turn<'a>> {
    let (mut pieces, mut calls, mut thought) = (Vec::new(), Vec::new(), String::new());
    let mut reasoning_details = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(words) if !words.is_empty() => pieces.push(text(words)),
            Part::Thinking { text, signature } => {
                thought.push_str(text);
                reasoning_details.extend(signature.as_deref().map(details).unwrap_or_default());
            }
            Part::ToolUse { id, name, input } => calls.push(call(id, name, input)),
            Part::Other { dialect: NAME, raw } => add(raw, pieces.last_mut()),
            Part::Text(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::RedactedThinking(_)
            | Part::ToolResult { .. }
            | Part::Other { .. } => {}
        }
    }
    if pieces.is_empty() && calls.is_empty() {
        return None;
    }
    if !quirks.replays_details {
        reasoning_details.clear();
    }
    let replays_text = quirks.replays_thinking && !calls.is_empty() && reasoning_details.is_empty();
    let reasoning_content = replays_text.then_some(thought);
    let further = message_fields(message);
    Some(Turn { reasoning_content, reasoning_details, tool_calls: calls, further, ..Turn::new("assistant", pieces) })
}

/// The details of a thought that its signature bears.
fn details(signature: &str) -> Vec<Value> {
    let json = proof::borne(signature, Borne::Details);
    json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

fn call<'a>(id: &'a str, name: &'a str, input: &'a Raw) -> Call<'a> {
    // A JSON string is what a model wrote that was no JSON: it gets it back as it wrote it.
    let arguments = scan::text(input.bytes()).unwrap_or(Cow::Borrowed(input.as_str()));
    Call { id, name: names::spelled(name), arguments }
}

/// The fields of a message that the vocabulary has no word for.
fn message_fields(message: &Message) -> Map<String, Value> {
    match message.parts.first() {
        Some(Part::Other { dialect: NAME, raw }) => fields(raw).unwrap_or_default(),
        _ => Map::new(),
    }
}

/// Adds fields to the piece that they belong to.
fn add(raw: &Raw, piece: Option<&mut Piece<'_>>) {
    if let (Some(more), Some(Piece::Image { image_url: further, .. } | Piece::Text { further, .. })) =
        (fields(raw), piece)
    {
        further.extend(more);
    }
}

/// What only adds to the part before it, or to its message.
fn fields(raw: &Raw) -> Option<Map<String, Value>> {
    raw.decode::<Map<String, Value>>().ok().filter(|fields| !fields.contains_key("type"))
}

/// One system message, first; what the operator says later is said through the user, and neighbours of one role become
/// one message, because templates that are strict about the first are strict about the second.
fn one_system_message(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut strict: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for mut turn in turns {
        if turn.role == "system" && strict.iter().any(|former| former.role != "system") {
            turn.role = "user";
            if let Some(Content::Text(words)) = &turn.content {
                turn.content = Some(Content::Text(format!("<system-reminder>\n{words}\n</system-reminder>").into()));
            }
        }
        match strict.last_mut() {
            Some(former) if former.role == turn.role && matches!(turn.role, "system" | "user") => {
                let pieces = [former.content.take(), turn.content].into_iter().flatten().flat_map(Content::pieces);
                former.content = content(pieces.collect());
            }
            _ => strict.push(turn),
        }
    }
    strict
}

/// Some templates want the assistant to speak between what a tool answered and what the user says.
fn assistant_after_tool(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut spoken: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        if turn.role == "user" && spoken.last().is_some_and(|former| former.role == "tool") {
            spoken.push(Turn::new("assistant", vec![text(FILLER)]));
        }
        spoken.push(turn);
    }
    spoken
}

impl<'a> Content<'a> {
    fn pieces(self) -> Vec<Piece<'a>> {
        match self {
            Self::Text(words) => vec![text(words)],
            Self::Pieces(pieces) => pieces,
        }
    }
}
