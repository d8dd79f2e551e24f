//! A cheap look at what passes: what a line carries, and where it names its model.

use bytes::Bytes;
use router_core::{
    chat::{Shape, Usage},
    scan,
};

use crate::dialect::Mark;

/// What says nothing.
const NOTHING: [&[u8]; 3] = [b"null", b"\"\"", b"[]"];

/// Looks at one line, or at a whole reply.
pub(super) fn look(event: &[u8], shape: Shape) -> Mark {
    let mut mark = Mark { idle: event.trim_ascii().is_empty(), ..Mark::default() };
    let mut usage = Usage::default();
    for (key, value) in scan::members(event) {
        match key {
            b"message" => mark.content |= shape == Shape::Whole || says_something(value),
            b"done" if value == b"true" => (mark.content, mark.last, mark.end) = (true, true, true),
            b"error" => mark.error = !NOTHING.contains(&value),
            b"prompt_eval_count" => usage.input = count(value),
            b"eval_count" => usage.output = count(value),
            _ => {}
        }
    }
    Mark { usage: usage.is_known().then_some(usage), ..mark }
}

fn says_something(message: &[u8]) -> bool {
    let mut said = scan::members(message).filter(|(key, _)| matches!(*key, b"content" | b"thinking" | b"tool_calls"));
    said.any(|(_, value)| !NOTHING.contains(&value))
}

fn count(json: &[u8]) -> u64 {
    std::str::from_utf8(json).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Writes `model` wherever a line names another one.
pub(super) fn rename(frame: &Bytes, model: &str) -> Option<Bytes> {
    let name = serde_json::Value::from(model).to_string();
    let mut renamed = Vec::new();
    let mut kept = 0;
    for line in frame.split(|byte| *byte == b'\n') {
        let Some((_, named)) = scan::members(line).find(|(key, _)| *key == b"model") else { continue };
        if named != name.as_bytes() {
            let start = named.as_ptr() as usize - frame.as_ptr() as usize;
            renamed.extend_from_slice(frame.get(kept..start)?);
            renamed.extend_from_slice(name.as_bytes());
            kept = start + named.len();
        }
    }
    if kept == 0 {
        return None;
    }
    renamed.extend_from_slice(frame.get(kept..)?);
    Some(renamed.into())
}
