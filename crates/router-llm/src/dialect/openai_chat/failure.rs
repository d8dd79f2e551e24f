//! How a client of this dialect is told of a failure.

use bytes::Bytes;
use router_core::{Error, Excess, Kind};
use serde_json::{Value, json};

use super::NAME;
use crate::dialect::refusal;

/// The code by which clients know that a question does not fit the model's window.
const TOO_LONG: &str = "context_length_exceeded";

/// An error as clients know it: the upstream's own words where they are in this dialect, ours otherwise.
pub(super) fn tell(error: &Error) -> (u16, Bytes) {
    match error.words() {
        Some(words) if words.dialect == NAME && words.status >= 400 => (words.status, words.body.clone()),
        Some(_) | None => tell_ourselves(error),
    }
}

/// The same in our own words.
pub(in crate::dialect) fn tell_ourselves(error: &Error) -> (u16, Bytes) {
    let (status, kind, code) = status_type_and_code(error);
    (status, write(error, kind, code))
}

fn write(error: &Error, kind: &str, code: Option<&str>) -> Bytes {
    let excess = error.excess().filter(|_| code == Some(TOO_LONG));
    let (message, param) = match excess {
        Some(excess) => (fitting(excess), Some("messages")),
        None => (error.to_string(), None),
    };
    let body = json!({ "error": { "message": message, "type": kind, "param": param, "code": code } });
    body.to_string().into()
}

/// What clients read to shorten the conversation.
fn fitting(excess: Excess) -> String {
    let Excess { question, answer, window } = excess;
    match answer {
        Some(answer) => format!(
            "This model's maximum context length is {window} tokens. However, you requested {} tokens ({question} in the \
             messages, {answer} in the completion). Please reduce the length of the messages or completion.",
            question.saturating_add(answer)
        ),
        None => format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {question} \
             tokens. Please reduce the length of the messages."
        ),
    }
}

/// The same for a path at which nothing is.
pub(in crate::dialect) fn tell_nowhere(error: &Error) -> (u16, Bytes) {
    let (status, kind, _) = status_type_and_code(error);
    (status, write(error, kind, Some("unknown_url")))
}

/// The same in a stream that has begun, where clients know an error by its message and by nothing else.
pub(super) fn tell_event(error: &Error) -> Bytes {
    let is_known = |told: &Value| told.pointer("/error/message").is_some_and(Value::is_string);
    let one_line = refusal::in_one_line(&tell(error).1, is_known, || tell_ourselves(error).1);
    [&b"data: "[..], &one_line, b"\n\n"].concat().into()
}

fn status_type_and_code(error: &Error) -> (u16, &'static str, Option<&'static str>) {
    const REQUEST: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    match error.kind() {
        Kind::Invalid => (400, REQUEST, None),
        Kind::Refused => (400, REQUEST, Some("upstream_refused")),
        Kind::Unauthorized => (401, REQUEST, Some("invalid_api_key")),
        Kind::Forbidden => (403, "permission_error", Some("forbidden")),
        Kind::NotFound => (404, REQUEST, Some("model_not_found")),
        // A window is the model's; a size that we refuse ourselves is the protocol's.
        Kind::TooLong if error.upstream().is_some() => (400, REQUEST, Some(TOO_LONG)),
        Kind::TooLong => (413, REQUEST, Some("request_too_large")),
        Kind::Limited | Kind::Shed => (429, "rate_limit_error", Some("rate_limit_exceeded")),
        Kind::Timeout | Kind::Deadline => (504, SERVER, Some("timeout")),
        Kind::Open | Kind::Unavailable => (503, SERVER, Some("upstream_unavailable")),
        Kind::Protocol => (502, SERVER, Some("upstream_protocol")),
        Kind::Credential => (502, SERVER, Some("upstream_credential")),
        Kind::Cancelled => (408, SERVER, Some("cancelled")),
        Kind::Internal => (500, SERVER, Some("internal")),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use router_core::chat::Meta;

    use super::*;

    #[test]
    fn a_stream_ends_with_words_that_clients_know_for_an_error() {
        let theirs = r#"{"error":{"message":"no","code":502}}"#;
        let table = [
            (theirs, Some(theirs)),
            (r#"{"error":"gpt","choices":[]}"#, None),
            (r#"{"error":{"message":"no","message":7,"detail":"no"}}"#, None),
            (r#"{"choices":[{"error":{"message":"no","code":502},"finish_reason":"error"}]}"#, None),
        ];
        for (said, handed_on) in table {
            let error = refusal::failure(NAME, 502, &Meta::default(), Bytes::from_static(said.as_bytes()));
            let told = tell_event(&error);
            let told = told.strip_prefix(b"data: ").and_then(|told| told.strip_suffix(b"\n\n")).unwrap();
            match handed_on {
                Some(words) => assert_eq!(told, words.as_bytes()),
                None => {
                    let told: Value = serde_json::from_slice(told).unwrap();
                    assert!(told["error"]["message"].is_string() && told.get("choices").is_none(), "{told}");
                }
            }
        }
    }
}
