//! A look at a reply's bytes that decodes only what must be known: where it has content, what it cost, whose name it bears.

use bytes::Bytes;
use memchr::memmem;
use router_core::{
    chat::{Shape, Usage},
    scan,
};

use super::words::UsageFields;
use crate::{
    dialect::{Framing, Mark},
    sse,
};

/// Looks at one event, or at the body of a whole reply.
pub(super) fn look(event: &[u8], shape: Shape) -> Mark {
    match shape {
        Shape::Whole => look_at_body(event),
        Shape::Stream => look_at_event(event),
    }
}

fn look_at_body(body: &[u8]) -> Mark {
    let error = has_error(body);
    Mark { content: !error, last: true, error, usage: usage(body, "/usage"), ..Mark::default() }
}

fn look_at_event(event: &[u8]) -> Mark {
    // The common event by far, found out by its first bytes.
    if event.starts_with(b"event: content_block_delta\n") {
        return Mark { content: true, ..Mark::default() };
    }
    let Some(said) = sse::read(event) else { return Mark { idle: true, ..Mark::default() } };
    let data = &said.data;
    match kind(data).unwrap_or(said.name) {
        "content_block_delta" => Mark { content: true, ..Mark::default() },
        "content_block_start" => Mark { content: begins_with_content(data), ..Mark::default() },
        "message_start" => Mark { usage: usage(data, "/message/usage"), ..Mark::default() },
        "message_delta" => {
            Mark { content: true, last: says_why(data), usage: usage(data, "/usage"), ..Mark::default() }
        }
        "message_stop" => Mark { content: true, last: true, end: true, ..Mark::default() },
        "ping" => Mark { idle: true, ..Mark::default() },
        _ => Mark { error: has_error(data), ..Mark::default() },
    }
}

fn kind(json: &[u8]) -> Option<&str> {
    std::str::from_utf8(scan::find(json, "/type")?.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()
}

fn has_error(json: &[u8]) -> bool {
    scan::find(json, "/error").is_some_and(|error| error != b"null")
}

/// Texts and thoughts begin empty; a call already says which tool.
fn begins_with_content(data: &[u8]) -> bool {
    !matches!(scan::find(data, "/content_block/type"), Some(b"\"text\"" | b"\"thinking\""))
}

/// Whether the reply says why it stops: all of it is there then, even when `message_stop` is left out.
fn says_why(data: &[u8]) -> bool {
    scan::find(data, "/delta/stop_reason").is_some_and(|reason| reason != b"null")
}

fn usage(json: &[u8], pointer: &str) -> Option<Usage> {
    let fields: UsageFields = serde_json::from_slice(scan::find(json, pointer)?).ok()?;
    Some(fields.into())
}

/// Puts `model` where the reply names another one.
pub(super) fn rename(frame: &Bytes, model: &str) -> Option<Bytes> {
    let name = match frame.trim_ascii_start().first()? {
        b'{' => scan::find(frame, "/model")?,
        _ => name_in_stream(frame)?,
    };
    let start = (name.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    let (before, after) = (frame.get(..start)?, frame.get(start + name.len()..)?);
    let new = serde_json::to_vec(model).ok()?;
    (name != new).then(|| [before, &new, after].concat().into())
}

fn name_in_stream(frame: &Bytes) -> Option<&[u8]> {
    memmem::find(frame, b"message_start")?;
    let line = sse::events(frame, Framing::Sse).find_map(|event| {
        let line = event.split(|byte| matches!(byte, b'\n' | b'\r')).find_map(|line| line.strip_prefix(b"data:"))?;
        (kind(line) == Some("message_start")).then_some(line)
    })?;
    scan::find(line, "/message/model")
}
