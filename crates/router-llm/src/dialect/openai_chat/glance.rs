//! A cheap look at what passes: what a frame carries, and where it names its model.

use std::ops::Range;

use bytes::Bytes;
use router_core::{
    chat::Shape,
    scan::{self, Flaw, Scanner},
};

use super::{reply::DONE, words};
use crate::{
    dialect::{Framing, Mark},
    sse,
};

/// What a chunk may say that a reader waits for.
const CONTENT: [&[u8]; 6] = [
    b"\"content\"",
    b"\"tool_calls\"",
    b"\"reasoning_content\"",
    b"\"reasoning\"",
    b"\"reasoning_details\"",
    b"\"refusal\"",
];

/// What says nothing.
const NOTHING: [&[u8]; 3] = [b"null", b"\"\"", b"[]"];

/// Looks at one event, or at a whole reply.
pub(super) fn look(event: &[u8], shape: Shape) -> Mark {
    if shape == Shape::Whole {
        let Seen { mark, answered, ended } = see(event);
        let json = ended && std::str::from_utf8(event).is_ok();
        return Mark { content: answered, last: answered, json, ..mark };
    }
    match sse::read(event) {
        None => Mark { idle: true, ..Mark::default() },
        Some(said) if said.data.trim_ascii() == DONE => Mark { last: true, end: true, ..Mark::default() },
        Some(said) => see(&said.data).mark,
    }
}

/// What one walk over a chunk finds.
#[derive(Default)]
struct Seen {
    mark: Mark,
    /// There is a choice.
    answered: bool,
    /// It is an object, in order to its end.
    ended: bool,
}

/// What is no JSON is seen up to where it breaks.
fn see(json: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut scanner = Scanner::trusted(json);
    seen.ended = chunk(&mut scanner, &mut seen).and_then(|()| scanner.end()).is_ok();
    seen
}

fn chunk(scanner: &mut Scanner<'_>, seen: &mut Seen) -> Result<(), Flaw> {
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        match (scanner.seen(key), scanner.peek()) {
            (br#""choices""#, Some(b'[')) => choices(scanner, seen)?,
            (key, _) => {
                let value = scanner.value()?;
                match (key, scanner.seen(value)) {
                    (br#""usage""#, usage) => seen.mark.usage = words::usage(usage),
                    (br#""error""#, error) => seen.mark.error |= !NOTHING.contains(&error),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Only the first one counts.
fn choices(scanner: &mut Scanner<'_>, seen: &mut Seen) -> Result<(), Flaw> {
    let mut place = scanner.array()?;
    while scanner.element(&mut place)? {
        let is_first = !std::mem::replace(&mut seen.answered, true);
        if is_first && scanner.peek() == Some(b'{') {
            choice(scanner, &mut seen.mark)?;
        } else {
            scanner.value()?;
        }
    }
    Ok(())
}

fn choice(scanner: &mut Scanner<'_>, mark: &mut Mark) -> Result<(), Flaw> {
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        match (scanner.seen(key), scanner.peek()) {
            (br#""delta""#, Some(b'{')) => delta(scanner, mark)?,
            (key, _) => {
                let value = scanner.value()?;
                match (key, scanner.seen(value)) {
                    // OpenRouter tells a failure there as well.
                    (br#""finish_reason""#, br#""error""#) => mark.error = true,
                    (br#""error""#, error) => mark.error |= !NOTHING.contains(&error),
                    (br#""finish_reason""#, reason) if !NOTHING.contains(&reason) => {
                        (mark.content, mark.last) = (true, true);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn delta(scanner: &mut Scanner<'_>, mark: &mut Mark) -> Result<(), Flaw> {
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        let (key, value) = (scanner.seen(key), scanner.value()?);
        mark.content |= CONTENT.contains(&key) && !NOTHING.contains(&scanner.seen(value));
    }
    Ok(())
}

/// Writes `model` wherever the frame names another one.
pub(super) fn rename(frame: &Bytes, model: &str) -> Option<Bytes> {
    rename_at(frame, names(frame), model)
}

/// Writes `model` at all `places` where another name stands.
pub(in crate::dialect) fn rename_at(frame: &Bytes, places: Vec<Range<usize>>, model: &str) -> Option<Bytes> {
    let name = serde_json::Value::from(model).to_string();
    let mut renamed = Vec::new();
    let mut kept = 0;
    for at in places {
        if frame.get(at.clone()) != Some(name.as_bytes()) {
            renamed.extend_from_slice(frame.get(kept..at.start)?);
            renamed.extend_from_slice(name.as_bytes());
            kept = at.end;
        }
    }
    if kept == 0 {
        return None;
    }
    renamed.extend_from_slice(frame.get(kept..)?);
    Some(renamed.into())
}

/// Where the models' names stand: in a whole reply, or in each event of a frame.
fn names(frame: &Bytes) -> Vec<Range<usize>> {
    let within = |value: &[u8]| {
        let start = value.as_ptr() as usize - frame.as_ptr() as usize;
        start..start + value.len()
    };
    let name = |json| scan::members(json).find(|(key, _)| *key == b"model").map(|(_, value)| within(value));
    if frame.trim_ascii_start().starts_with(b"{") {
        return name(frame).into_iter().collect();
    }
    let data = |event: &'_ [u8]| match sse::read(event)?.data {
        std::borrow::Cow::Borrowed(data) => Some(data.as_ptr() as usize - event.as_ptr() as usize..),
        std::borrow::Cow::Owned(_) => None,
    };
    sse::events(frame, Framing::Sse).filter_map(|event| name(event.get(data(event)?)?)).collect()
}
