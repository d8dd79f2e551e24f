//! A cheap look at what passes: what a frame carries, and where it names its model.

use std::ops::Range;

use bytes::Bytes;
use router_core::{chat::Shape, scan};

use super::{reply::DONE, words};
use crate::{
    dialect::{Framing, Mark},
    sse,
};

/// What a chunk may say that a reader waits for.
const CONTENT: [&[u8]; 6] =
    [b"content", b"tool_calls", b"reasoning_content", b"reasoning", b"reasoning_details", b"refusal"];

/// What says nothing.
const NOTHING: [&[u8]; 3] = [b"null", b"\"\"", b"[]"];

/// Looks at one event, or at a whole reply.
pub(super) fn look(event: &[u8], shape: Shape) -> Mark {
    if shape == Shape::Whole {
        let mark = chunk(event);
        let answered = scan::find(event, "/choices/0").is_some();
        return Mark { content: answered, last: answered, ..mark };
    }
    match sse::read(event) {
        None => Mark { idle: true, ..Mark::default() },
        Some(said) if said.data.trim_ascii() == DONE => Mark { last: true, end: true, ..Mark::default() },
        Some(said) => chunk(&said.data),
    }
}

fn chunk(json: &[u8]) -> Mark {
    let mut mark = Mark::default();
    for (key, value) in scan::members(json) {
        match key {
            b"choices" => choices(value, &mut mark),
            b"usage" => mark.usage = words::usage(value),
            b"error" => mark.error |= !NOTHING.contains(&value),
            _ => {}
        }
    }
    mark
}

fn choices(json: &[u8], mark: &mut Mark) {
    let Some(choice) = scan::items(json).next() else { return };
    for (key, value) in scan::members(choice) {
        match key {
            // OpenRouter tells a failure there as well.
            b"finish_reason" if value == b"\"error\"" => mark.error = true,
            b"error" => mark.error |= !NOTHING.contains(&value),
            b"finish_reason" if !NOTHING.contains(&value) => (mark.content, mark.last) = (true, true),
            b"delta" => {
                let mut said = scan::members(value).filter(|(key, _)| CONTENT.contains(key));
                mark.content |= said.any(|(_, value)| !NOTHING.contains(&value));
            }
            _ => {}
        }
    }
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
