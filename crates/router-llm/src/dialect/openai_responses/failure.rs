//! Errors, both ways: what one inside a reply means, and how a client of this dialect is told of a failure.

use bytes::Bytes;
use router_core::{Error, chat::Meta, scan};
use serde_json::{Value, json};

use super::NAME;
use crate::dialect::{openai_chat::failure, refusal};

/// What an upstream's failed answer means. Inside an answer it stands in an event, or in the reply that failed.
pub(super) fn read(status: u16, meta: &Meta, body: Bytes) -> Error {
    let body = if (200..300).contains(&status) { complaint(&body).unwrap_or(body) } else { body };
    refusal::failure(NAME, status, meta, body)
}

/// What an error under a status of success means.
pub(super) fn in_band(json: &[u8]) -> Error {
    read(200, &Meta::default(), Bytes::copy_from_slice(json))
}

/// The body that it would have come with, had it not come within an answer.
fn complaint(json: &[u8]) -> Option<Bytes> {
    let told = |place: &str| scan::find(json, place).filter(|error| error.starts_with(b"{"));
    if let Some(error) = told("/response/error").or_else(|| told("/error")) {
        return Some([b"{\"error\":", error, b"}"].concat().into());
    }
    let text = |place: &str| scan::find(json, place).and_then(scan::text);
    let (message, code) = (text("/message")?, text("/code"));
    Some(json!({ "error": { "message": message, "type": code, "param": null, "code": code } }).to_string().into())
}

/// An error as clients know it: the upstream's own words where they are in this dialect, ours otherwise.
pub(super) fn tell(error: &Error) -> (u16, Bytes) {
    match error.words() {
        Some(words) if words.dialect == NAME && words.status >= 400 => (words.status, words.body.clone()),
        Some(_) | None => failure::tell_ourselves(error),
    }
}

/// The same in a stream that has come to its event `number`: SDKs wait for the one event, Codex for the other.
pub(super) fn tell_event(error: &Error, request_id: &str, number: u64) -> Bytes {
    let (_, body) = tell(error);
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let of = |key: &str| told.pointer(&format!("/error/{key}")).cloned().unwrap_or_default();
    let message = of("message");
    let message = message.as_str().filter(|message| !message.is_empty());
    let message = message.map_or_else(|| error.to_string(), str::to_owned);
    let code = if of("code").is_null() { of("type") } else { of("code") };
    let event = json!({
        "type": "error", "sequence_number": number, "code": code, "message": message, "param": of("param"),
        "error": { "type": of("type"), "code": code, "message": message, "param": of("param") },
    });
    let id = format!("resp_{}", request_id.strip_prefix("req_").unwrap_or(request_id));
    let response = json!({
        "id": id, "object": "response", "status": "failed", "error": { "code": code, "message": message },
        "incomplete_details": null, "output": [], "usage": null,
    });
    let failed =
        json!({ "type": "response.failed", "sequence_number": number.saturating_add(1), "response": response });
    format!("event: error\ndata: {event}\n\nevent: response.failed\ndata: {failed}\n\n").into()
}
