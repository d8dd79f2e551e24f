//! Errors, both ways: what one inside a reply means, and how a client of this dialect is told of a failure.

use bytes::Bytes;
use router_core::{Error, Excess, Kind, chat::Meta};
use serde_json::{Value, json};

use super::NAME;
use crate::dialect::{refusal, too_long};

/// What Anthropic says when the question alone is too long.
const PROMPT: &str = "prompt is too long";

/// What an error under a status of success means.
pub(super) fn in_band(json: &[u8]) -> Error {
    refusal::failure(NAME, 200, &Meta::default(), Bytes::copy_from_slice(json))
}

/// An error as clients know it: the upstream's own words where they are in this dialect, ours otherwise.
pub(super) fn tell(error: &Error, request_id: &str) -> (u16, Bytes) {
    match error.words() {
        Some(words) if words.dialect == NAME && words.status >= 400 => (words.status, words.body.clone()),
        Some(_) | None => tell_ourselves(error, request_id),
    }
}

/// The same in our own words.
fn tell_ourselves(error: &Error, request_id: &str) -> (u16, Bytes) {
    let (status, kind) = status_and_type(error);
    (status, write(kind, &message(error), request_id))
}

/// The same in a stream that has begun, where clients know an error by its types and its message.
pub(super) fn tell_event(error: &Error, request_id: &str) -> Bytes {
    let ours = || tell_ourselves(error, request_id).1;
    let one_line = refusal::in_one_line(&tell(error, request_id).1, is_known, ours);
    [&b"event: error\ndata: "[..], &one_line, b"\n\n"].concat().into()
}

fn is_known(told: &Value) -> bool {
    let text = |place: &str| told.pointer(place).and_then(Value::as_str);
    let is_typed = text("/error/type").is_some_and(|kind| !kind.is_empty());
    text("/type") == Some("error") && is_typed && text("/error/message").is_some()
}

fn status_and_type(error: &Error) -> (u16, &'static str) {
    match error.kind() {
        Kind::Invalid | Kind::Refused => (400, "invalid_request_error"),
        Kind::Unauthorized => (401, "authentication_error"),
        Kind::Forbidden => (403, "permission_error"),
        Kind::NotFound => (404, "not_found_error"),
        // A window is the model's; a size that we refuse ourselves is the protocol's.
        Kind::TooLong if error.upstream().is_some() => (400, "invalid_request_error"),
        Kind::TooLong => (413, "request_too_large"),
        Kind::Limited | Kind::Shed => (429, "rate_limit_error"),
        Kind::Timeout | Kind::Deadline => (504, "timeout_error"),
        // 529 has no name in HTTP; it is this protocol's word for "I have too much to do".
        Kind::Open => (529, "overloaded_error"),
        Kind::Unavailable | Kind::Protocol | Kind::Credential => (502, "api_error"),
        Kind::Cancelled => (408, "api_error"),
        Kind::Internal => (500, "api_error"),
    }
}

/// Clients shorten a conversation when they read the words that Anthropic has for it, so these come first.
fn message(error: &Error) -> String {
    match error.kind() {
        Kind::TooLong if error.upstream().is_some() => {
            match error.excess().or_else(|| too_long::read(error.message())) {
                Some(excess) => fitting(excess),
                None if error.message().contains(PROMPT) => error.to_string(),
                None => format!("{PROMPT} ({error})"),
            }
        }
        Kind::Invalid
        | Kind::Unauthorized
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::TooLong
        | Kind::Limited
        | Kind::Shed
        | Kind::Timeout
        | Kind::Deadline
        | Kind::Unavailable
        | Kind::Open
        | Kind::Protocol
        | Kind::Refused
        | Kind::Credential
        | Kind::Cancelled
        | Kind::Internal => error.to_string(),
    }
}

/// What clients read to shorten the conversation, or to ask for a shorter answer.
fn fitting(excess: Excess) -> String {
    let Excess { question, answer, window } = excess;
    match answer {
        Some(answer) => format!(
            "input length and `max_tokens` exceed context limit: {question} + {answer} > {window}, decrease input length \
             or `max_tokens` and try again"
        ),
        None => format!("{PROMPT}: {question} tokens > {window} maximum"),
    }
}

fn write(kind: &str, message: &str, request_id: &str) -> Bytes {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": request_id });
    body.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_with_words_that_clients_know_for_an_error() {
        let theirs = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let table = [
            (theirs, Some(theirs)),
            (
                "{\"type\":\"error\",\r\n\"error\":{\"type\":\"overloaded_error\",\n\"message\":\"Overloaded\"}}",
                Some(theirs),
            ),
            (r#"{"type":"error","error":{"type":7,"type":"overloaded_error","message":"Overloaded"}}"#, Some(theirs)),
            (r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#, None),
            (r#"{"type":"eRror","error":{"type":"overloaded_error","message":"Overloaded"}}"#, None),
            (r#"{"type":"error","error":{"type":"","message":"Overloaded"}}"#, None),
            (r#"{"type":"error","error":{"type":"overloaded_error","type":7,"message":"Overloaded"}}"#, None),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":null,"detail":"Overloaded"}}"#, None),
            (r#"{"type":"error","error":"Overloaded"}"#, None),
        ];
        for (said, handed_on) in table {
            let told = tell_event(&in_band(said.as_bytes()), "req_1");
            let told = told.strip_prefix(b"event: error\ndata: ").and_then(|told| told.strip_suffix(b"\n\n")).unwrap();
            let told = std::str::from_utf8(told).unwrap();
            match handed_on {
                Some(words) => assert_eq!(told, words),
                None => {
                    let ours: Value = serde_json::from_str(told).unwrap();
                    assert_eq!((is_known(&ours), &ours["request_id"]), (true, &json!("req_1")), "{said}");
                }
            }
        }
    }
}
