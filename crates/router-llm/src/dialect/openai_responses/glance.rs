//! A look at a reply's bytes that decodes only what must be known: where it has content, what it cost, whose name it bears.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use router_core::{chat::Shape, scan};

use super::words;
use crate::{
    dialect::{Framing, Mark, openai_chat::glance::rename_at},
    sse,
};

/// What some servers end every stream with.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Looks at one event, or at the body of a whole reply.
pub(super) fn look(event: &[u8], shape: Shape) -> Mark {
    match shape {
        Shape::Whole => look_at_body(event),
        Shape::Stream => look_at_event(event),
    }
}

fn look_at_body(body: &[u8]) -> Mark {
    let failed = scan::find(body, "/status") == Some(b"\"failed\"");
    let error = failed || scan::find(body, "/error").is_some_and(|error| error != b"null");
    let answered = !error && scan::find(body, "/output").is_some();
    let usage = scan::find(body, "/usage").and_then(words::usage);
    Mark { content: answered, last: answered, error, usage, ..Mark::default() }
}

fn look_at_event(event: &[u8]) -> Mark {
    let Some(said) = sse::read(event) else { return Mark { idle: true, ..Mark::default() } };
    if said.data.trim_ascii() == DONE {
        return Mark { last: true, end: true, ..Mark::default() };
    }
    match &*kind(said.name, &said.data) {
        "response.completed" | "response.incomplete" => {
            let usage = scan::find(&said.data, "/response/usage").and_then(words::usage);
            Mark { content: true, last: true, end: true, usage, ..Mark::default() }
        }
        "response.failed" | "error" => Mark { error: true, ..Mark::default() },
        "response.output_item.added" => {
            let kind = scan::find(&said.data, "/item/type");
            Mark { content: !matches!(kind, Some(b"\"message\"" | b"\"reasoning\"") | None), ..Mark::default() }
        }
        "response.output_item.done" => Mark { content: true, ..Mark::default() },
        kind if kind.rsplit('.').next() == Some("delta") => Mark { content: true, ..Mark::default() },
        "keepalive" | "ping" => Mark { idle: true, ..Mark::default() },
        _ if scan::find(&said.data, "/error").is_some_and(|error| error != b"null") => {
            Mark { error: true, ..Mark::default() }
        }
        _ => Mark::default(),
    }
}

/// The kind of an event: SDKs go by its data, and some servers leave out its name.
fn kind<'a>(name: &'a str, data: &'a [u8]) -> Cow<'a, str> {
    match name {
        "" | "message" => scan::find(data, "/type").and_then(scan::text).unwrap_or_default(),
        name => name.into(),
    }
}

/// Writes `model` wherever the frame names another one: in a whole reply, or in the events that hold all of it.
pub(super) fn rename(frame: &Bytes, model: &str) -> Option<Bytes> {
    rename_at(frame, names(frame), model)
}

fn names(frame: &Bytes) -> Vec<Range<usize>> {
    let within = |value: &[u8]| {
        let start = value.as_ptr() as usize - frame.as_ptr() as usize;
        start..start + value.len()
    };
    if frame.trim_ascii_start().starts_with(b"{") {
        return scan::find(frame, "/model").map(within).into_iter().collect();
    }
    // A frame of deltas holds no name; most frames are of that kind.
    if memchr::memmem::find(frame, b"\"response\"").is_none() {
        return Vec::new();
    }
    let name = |event: &'_ [u8]| match sse::read(event)?.data {
        Cow::Borrowed(data) => {
            let at = data.as_ptr() as usize - event.as_ptr() as usize;
            scan::find(event.get(at..at + data.len())?, "/response/model").map(within)
        }
        Cow::Owned(_) => None,
    };
    sse::events(frame, Framing::Sse).filter_map(name).collect()
}

/// The number of the event that follows a frame.
pub(super) fn next_number(frame: &[u8]) -> u64 {
    let numbers = sse::events(frame, Framing::Sse).filter_map(sse::read).filter_map(|said| {
        let number = scan::find(&said.data, "/sequence_number")?;
        std::str::from_utf8(number).ok()?.parse::<u64>().ok()
    });
    numbers.last().map_or(0, |last| last.saturating_add(1))
}

/// The whole reply in the frame of a stream that ends it well, as it stands there.
pub(super) fn finished(frame: &[u8]) -> Option<Bytes> {
    memchr::memmem::find(frame, b"response.completed")
        .or_else(|| memchr::memmem::find(frame, b"response.incomplete"))?;
    sse::events(frame, Framing::Sse).filter_map(sse::read).find_map(|said| {
        let ends = matches!(&*kind(said.name, &said.data), "response.completed" | "response.incomplete");
        ends.then(|| scan::find(&said.data, "/response").map(Bytes::copy_from_slice))?
    })
}
