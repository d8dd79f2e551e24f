//! What a question is known by: a keyed hash of all that can change its answer.

use std::ops::Range;

use router_core::{
    Fingerprint,
    chat::{Chat, Needs, Part, Prompt, Role, Shape, Wire},
    scan,
};

use crate::dialect::BOOKKEEPING;

/// The client's metadata that can change an answer.
const TELLING: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// Fields of dialects by which a model gets tools that the vocabulary has no word for.
const TOOLS: [&str; 6] = ["container", "functions", "mcp_servers", "plugins", "tools", "web_search_options"];

/// Hashes `chat`; `None` when it cannot be read.
pub(super) fn hash(key: &[u8; 32], chat: &Chat) -> Option<Fingerprint> {
    let mut hasher = begin(key, chat);
    match chat.wire() {
        Some(wire) => pieces(wire).for_each(|piece| hasher.part(piece)),
        None => hasher.part(format!("{:?}", said(chat)?).as_bytes()),
    }
    Some(hasher.end())
}

/// A question in two halves: a hash of all else that can change its answer, and the words with which it ends. `None` where
/// it must not be compared with others: when it has tools, pictures or documents, when it is hotter than `hottest`, or
/// does not end with words of whoever asks.
pub(super) fn halves(key: &[u8; 32], chat: &Chat, hottest: f64) -> Option<(Fingerprint, String)> {
    // What the door's own scan has seen need not be decoded to be refused.
    let Needs { tools, images, documents, .. } = chat.needs;
    if tools || images || documents {
        return None;
    }
    let mut prompt = said(chat)?;
    let has_tools = !prompt.tools.is_empty() || TOOLS.iter().any(|field| prompt.extra.contains_key(*field));
    let is_hot = prompt.temperature.is_some_and(|temperature| temperature > hottest);
    if has_tools || is_hot || !prompt.messages.iter().flat_map(|message| &message.parts).all(is_words) {
        return None;
    }
    let last = prompt.messages.last_mut().filter(|message| message.role == Role::User)?;
    let texts = last.parts.iter_mut().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
    let words = texts.map(std::mem::take).collect::<Vec<_>>().join("\n");
    let mut hasher = begin(key, chat);
    hasher.part(b"meaning");
    hasher.part(format!("{prompt:?}").as_bytes());
    Some((hasher.end(), words))
}

/// The first half, where `teller` says what the second means.
pub(super) fn told_by(Fingerprint(rest): &Fingerprint, teller: &str) -> Fingerprint {
    Fingerprint::of([&rest[..], teller.as_bytes()])
}

/// Words, or what says more about the words before it.
fn is_words(part: &Part) -> bool {
    match part {
        Part::Text(_) | Part::Thinking { .. } | Part::RedactedThinking(_) => true,
        Part::Other { raw, .. } => scan::find(raw.bytes(), "/type").is_none(),
        Part::Image(_) | Part::Document(_) | Part::ToolUse { .. } | Part::ToolResult { .. } => false,
    }
}

fn begin(key: &[u8; 32], chat: &Chat) -> Hasher {
    let mut hasher = Hasher(blake3::Hasher::new_keyed(key));
    let shape: &[u8] = match chat.shape {
        Shape::Whole => b"whole",
        Shape::Stream => b"stream",
    };
    hasher.part(if chat.wire().is_some() { b"wire" } else { b"typed" });
    hasher.part(chat.origin().unwrap_or_default().as_bytes());
    hasher.part(chat.model.as_bytes());
    hasher.part(shape);
    for name in TELLING {
        hasher.part(chat.meta.get(name).unwrap_or_default().as_bytes());
    }
    hasher
}

/// A prompt in words, without its bookkeeping.
fn said(chat: &Chat) -> Option<Prompt> {
    let mut prompt = Prompt::clone(&*chat.prompt().ok()?);
    for message in &mut prompt.messages {
        message.parts.retain(|part| match part {
            Part::Text(text) => !text.starts_with(BOOKKEEPING),
            Part::Other { raw, .. } => !keeps_books(raw.bytes()),
            Part::Image(_)
            | Part::Document(_)
            | Part::Thinking { .. }
            | Part::RedactedThinking(_)
            | Part::ToolUse { .. }
            | Part::ToolResult { .. } => true,
        });
    }
    Some(prompt)
}

/// The body but for the model's name, which is hashed by itself, and the block in which Claude Code keeps its books,
/// which is another one in every request.
fn pieces(wire: &Wire) -> impl Iterator<Item = &[u8]> {
    let mut left_out = vec![wire.model.clone()];
    left_out.extend(bookkeeping(&wire.body));
    left_out.sort_by_key(|range| range.start);
    let starts = [0].into_iter().chain(left_out.clone().into_iter().map(|range| range.end));
    let ends = left_out.into_iter().map(|range| range.start).chain([wire.body.len()]);
    let ranges: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
    ranges.into_iter().filter_map(|range| wire.body.get(range))
}

fn bookkeeping(body: &[u8]) -> Option<Range<usize>> {
    memchr::memmem::find(body, BOOKKEEPING.as_bytes())?;
    let blocks = scan::items(scan::find(body, "/system")?);
    let block = { blocks }.find(|block| keeps_books(block))?;
    let start = block.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    Some(start..start + block.len())
}

/// Whether a block of the system text holds the books, and nothing for the model.
fn keeps_books(block: &[u8]) -> bool {
    let text = scan::find(block, "/text").and_then(scan::text);
    text.is_some_and(|text| text.starts_with(BOOKKEEPING))
}

struct Hasher(blake3::Hasher);

impl Hasher {
    /// One more part, framed by its length so that no two lists of parts collide.
    fn part(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn end(&self) -> Fingerprint {
        Fingerprint(*self.0.finalize().as_bytes())
    }
}
