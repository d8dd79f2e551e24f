//! The order that the provider asks of a conversation: system first, turns by turns, results before anything else.

use router_core::chat::{Message, Part, Prompt, Role};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    NAME,
    blocks::{self, Block, Content},
};

/// A message as it goes out.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block<'a>>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

/// What stands before the first turn, and the turns.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

/// Where system text goes that comes after the first turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LateSystem {
    /// It keeps its place and its role: the client has found that the provider takes it.
    Kept,
    /// It keeps its place, in the user's turn, marked as no word of his: moving it to the top would spoil the
    /// provider's prompt cache from there on.
    Reminder,
}

/// Puts a prompt's messages in order.
pub(super) fn arrange(prompt: &Prompt, one_system_message: bool) -> Conversation<'_> {
    let late = if prompt.origin == Some(NAME) && !one_system_message { LateSystem::Kept } else { LateSystem::Reminder };
    let leading = prompt.messages.iter().take_while(|message| message.role == Role::System).count();
    let (first, rest) = prompt.messages.split_at(leading);
    let mut conversation = Conversation {
        system: first.iter().flat_map(|message| blocks::encode(&message.parts)).collect(),
        turns: Vec::with_capacity(rest.len() + 1),
    };
    for message in rest {
        push(&mut conversation.turns, message, late);
    }
    for turn in conversation.turns.iter_mut().filter(|turn| turn.role == "user") {
        turn.content.sort_by_key(|block| !block.is_tool_result());
    }
    begin_with_the_user(&mut conversation);
    end_without_space(&mut conversation.turns);
    conversation
}

fn push<'a>(turns: &mut Vec<Turn<'a>>, message: &'a Message, late: LateSystem) {
    let (further, parts) = match message.parts.split_first().map(|(first, rest)| (blocks::further_fields(first), rest))
    {
        Some((Some(further), rest)) => (further, rest),
        Some((None, _)) | None => (Map::new(), message.parts.as_slice()),
    };
    let (role, content) = match (message.role, late) {
        (Role::User, _) => ("user", blocks::encode(parts)),
        (Role::Assistant, _) => ("assistant", blocks::encode(parts)),
        (Role::System, LateSystem::Kept) => ("system", blocks::encode(parts)),
        (Role::System, LateSystem::Reminder) => ("user", reminders(parts)),
    };
    match turns.last_mut() {
        Some(last) if last.role == role && role != "system" => {
            last.content.extend(content);
            last.further.extend(further);
        }
        _ if content.is_empty() && (role != "system" || further.is_empty()) => {}
        _ => turns.push(Turn { role, content, further }),
    }
}

fn reminders(parts: &[Part]) -> Vec<Block<'_>> {
    let texts = parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
    let marked = texts
        .filter(|text| !text.trim().is_empty())
        .map(|text| Block::text(format!("<system-reminder>\n{text}\n</system-reminder>")));
    marked.collect()
}

/// A conversation begins with a turn of the user's, and has one.
fn begin_with_the_user(conversation: &mut Conversation<'_>) {
    let content = match conversation.turns.first() {
        Some(first) if first.role != "assistant" => return,
        Some(_) => vec![Block::text("(The assistant speaks first.)")],
        None => std::mem::take(&mut conversation.system),
    };
    if !content.is_empty() {
        conversation.turns.insert(0, Turn { role: "user", content, further: Map::new() });
    }
}

/// An answer that the model is to continue must not end in white space.
fn end_without_space(turns: &mut [Turn<'_>]) {
    let Some(last) = turns.last_mut().filter(|turn| turn.role == "assistant") else { return };
    if let Some(Block::Written { content: Content::Text { text }, .. }) = last.content.last_mut()
        && text.trim_end() != text
    {
        *text = text.trim_end().to_owned().into();
    }
}
