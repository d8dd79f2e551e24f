//! The dialects against one another: what one says, said in the other, and read back.

mod anything;
mod cuts;
mod goldens;
mod grammar;
mod losses;
mod ollama;
mod prefixes;
mod properties;
mod replies;
mod requests;
mod responses;
mod tongues;
mod traps;
mod traps_replies;
mod traps_tools;

use bytes::Bytes;
use router_core::{
    Error, Result,
    chat::{Block, Event, Losses, Shape},
};
use serde_json::{Value, json};

use super::{Ask, Language, Quirks, Told, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT};
use crate::sse::Splitter;

/// The dialects that are fronts.
const FRONTS: [&dyn Language; 2] = [&ANTHROPIC, &OPENAI_CHAT];

/// Every dialect there is.
const ALL: [&dyn Language; 3] = [&ANTHROPIC, &OPENAI_CHAT, &OLLAMA];

/// What became of a question: the body that the upstream gets, and what was lost on the way.
struct Carried {
    body: Value,
    lost: String,
}

/// Writes what a client of `from` asks for an upstream that speaks `to` and has `quirks`.
fn carried(from: &dyn Language, to: &dyn Language, body: &Value, quirks: &Quirks) -> Result<Carried> {
    let prompt = from.decode(&Bytes::from(body.to_string()))?;
    let ask = Ask { quirks, ..Ask::of(&prompt, "m") };
    let mut losses = Losses::default();
    let body = to.encode(&ask, &mut losses)?;
    Ok(Carried { body: serde_json::from_slice(&body).unwrap(), lost: losses.to_string() })
}

/// The body alone, for an upstream that does everything as its dialect says.
fn sent(from: &dyn Language, to: &dyn Language, body: &Value) -> Value {
    carried(from, to, body, &Quirks::NONE).unwrap_or_else(|error| panic!("{error} for {body}")).body
}

/// Why it is refused.
fn refused(from: &dyn Language, to: &dyn Language, body: &Value, quirks: &Quirks) -> Error {
    match carried(from, to, body, quirks) {
        Ok(carried) => panic!("{} of {body}", carried.body),
        Err(error) => error,
    }
}

/// A question of Anthropic's with these messages.
fn asked(messages: &Value) -> Value {
    json!({ "model": "m", "max_tokens": 9, "messages": messages })
}

fn told() -> Told {
    Told { usage: true, ..Told::of("req_1", "alias", 1_700_000_000) }
}

/// Reads a reply that arrives in `chunks`, as a provider does.
fn read<'a>(language: &dyn Language, shape: Shape, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>> {
    let mut frames = Vec::new();
    match shape {
        Shape::Whole => frames.push(chunks.into_iter().collect::<Vec<_>>().concat().into()),
        Shape::Stream => {
            let mut splitter = Splitter::new(language.framing());
            for chunk in chunks {
                splitter.push(Bytes::copy_from_slice(chunk), &mut frames)?;
            }
            frames.extend(splitter.finish());
        }
    }
    let mut decoder = language.frames(shape);
    let mut events = Vec::new();
    frames.iter().try_for_each(|frame| decoder.decode(frame, &mut events))?;
    decoder.finish(&mut events)?;
    Ok(events)
}

/// Writes a reply for a client, each event on its own.
fn write(language: &dyn Language, shape: Shape, events: &[Event]) -> Result<String> {
    let mut writer = language.writer(told(), shape);
    let mut out = Vec::new();
    for event in events {
        writer.write(vec![event.clone()], &mut out)?;
    }
    writer.finish(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// What a decoder promises: `Start`, then blocks, each opened, filled with what belongs to it and closed before the
/// next, and `Stop` once, after the last of them.
fn disorder(events: &[Event]) -> Option<String> {
    let mut open: Option<&Block> = None;
    let (mut started, mut stopped) = (false, false);
    for (at, event) in events.iter().enumerate() {
        let fits = match (event, open) {
            (Event::Start { .. }, None) => !std::mem::replace(&mut started, true),
            (Event::Open(block), None) => open.replace(block).is_none() && started && !stopped,
            (Event::Text(text), Some(Block::Text))
            | (Event::Thinking(text) | Event::Signature(text), Some(Block::Thinking))
            | (Event::Arguments(text), Some(Block::ToolUse { .. })) => !text.is_empty(),
            (Event::Close, Some(_)) => open.take().is_some(),
            (Event::Usage(_), _) => started,
            (Event::Stop { .. }, None) => started && !std::mem::replace(&mut stopped, true),
            _ => false,
        };
        if !fits {
            return Some(format!("{event:?} at {at} of {events:#?}"));
        }
    }
    (!stopped).then(|| format!("no stop in {events:#?}"))
}
