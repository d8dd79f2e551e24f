//! What an upstream's failed answer means: whose fault, when to come back, and what the caller may read of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use router_core::{Error, Kind, Outcome, Verbatim, chat::Meta};
use serde_json::Value;

use super::too_long;

/// The most of a vendor's message that is handed on, in bytes.
const MESSAGE_LIMIT: usize = 2000;

/// How vendors say that a prompt did not fit, in lower case: in a code or in words.
const TOO_LONG: [&str; 19] = [
    "context_length",
    "exceed_context_size",
    "maximum context length",
    "max context length",
    "model's context length",
    "context length exceeded",
    "exceeds the context length",
    "exceeds maximum context length",
    "exceeds the available context size",
    "exceed context limit",
    "maximum model length",
    "maximum prompt length",
    "context length of only",
    "greater than the context length",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "exceeds the maximum number of tokens",
    "reduce the length of the messages",
];

/// What ends a stream, in one line: the upstream's words where clients know them for an error, ours otherwise.
///
/// They are written anew, so that what was judged is what is read: of a key that comes twice, clients differ in which they
/// take.
pub(super) fn in_one_line(words: &[u8], is_known: fn(&Value) -> bool, ours: impl FnOnce() -> Bytes) -> Bytes {
    let told = serde_json::from_slice(words).ok().filter(is_known);
    told.map_or_else(ours, |told| told.to_string().into())
}

/// An upstream's complaint, from whichever of the shapes in use.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Complaint {
    /// Its words.
    pub(super) message: String,
    /// Its code and type, for matching.
    pub(super) code: String,
    /// The status that an error inside a successful answer names.
    pub(super) status: Option<u16>,
}

impl Complaint {
    /// Reads the body of a failed answer; `None` when there is no complaint in it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let value = if let Value::Array(mut list) = value { list.pop()? } else { value };
        let told = [value.get("error"), value.pointer("/choices/0/error")];
        let inner = told.into_iter().flatten().find(|error| !error.is_null()).unwrap_or(&value);
        let text = |value: &Value, key: &str| match value.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let worded = || ["message", "detail"].iter().map(|key| text(inner, key)).find(|text| !text.is_empty());
        let mut message = inner.as_str().map(str::to_owned).or_else(worded)?;
        // A router's own message says only that somebody behind it failed.
        if let Some(Value::String(raw)) = inner.pointer("/metadata/raw") {
            message = format!("{message}: {raw}");
        }
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
        let code = format!("{} {}", text(inner, "code"), text(inner, "type"));
        let status = inner.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Some(Self { message, code, status: status.filter(|status| (400..600).contains(status)) })
    }

    /// The status that it would have come with, had it not come with one of success.
    fn deserved_status(&self) -> u16 {
        self.status.unwrap_or_else(|| named_status(&self.code))
    }

    fn is_too_long(&self) -> bool {
        let message = self.message.to_lowercase();
        TOO_LONG.iter().any(|words| message.contains(words) || self.code.contains(words))
    }

    fn is_about_funds(&self) -> bool {
        ["insufficient_quota", "billing", "insufficient_funds"].iter().any(|code| self.code.contains(code))
            || self.message.contains("credit balance is too low")
    }

    fn is_about_key(&self) -> bool {
        self.code.contains("invalid_api_key") || self.message.contains("API key not valid")
    }
}

/// The error that a failed answer in `dialect` means, or one that stands in an answer with a status of success.
pub(super) fn failure(dialect: &'static str, status: u16, meta: &Meta, body: Bytes) -> Error {
    let told = Complaint::read(&body);
    let known = told.is_some();
    let complaint = told.unwrap_or_default();
    let status = match status {
        200..300 => complaint.deserved_status(),
        _ => status,
    };
    let error = judge(status, &complaint);
    let error = match retry_after(meta, &complaint.message) {
        Some(wait) if error.is_transient() => error.retry_after(wait),
        _ => error,
    };
    // What is said about our credential may quote it, and is nobody's business but the operator's.
    if error.kind() == Kind::Credential || !known {
        return error;
    }
    error.verbatim(Verbatim { dialect, status, meta: Arc::clone(&meta.0), body })
}

/// The status that a type or code stands for.
fn named_status(code: &str) -> u16 {
    const NAMED: [(&str, u16); 13] = [
        ("invalid_api_key", 401),
        ("authentication", 401),
        ("permission", 403),
        ("insufficient_quota", 429),
        ("rate_limit", 429),
        ("not_found", 404),
        ("invalid_request", 400),
        ("context_length", 400),
        ("billing", 402),
        ("request_too_large", 413),
        ("timeout_error", 504),
        ("overloaded_error", 529),
        ("overloaded", 503),
    ];
    NAMED.iter().find(|(name, _)| code.contains(name)).map_or(502, |(_, status)| *status)
}

fn judge(status: u16, complaint: &Complaint) -> Error {
    let mut kind = kind_of(status);
    if status == 402 || (matches!(kind, Kind::Refused | Kind::Limited) && complaint.is_about_funds()) {
        return out_of_funds(status);
    }
    if matches!(kind, Kind::Refused | Kind::Unavailable) && complaint.is_too_long() {
        kind = Kind::TooLong;
    } else if kind == Kind::Refused && complaint.is_about_key() {
        kind = Kind::Credential;
    }
    let outcome = if kind == Kind::Timeout { Outcome::Unknown } else { Outcome::Failed };
    let error = match (kind, complaint.message.as_str()) {
        (Kind::Credential, _) => Error::new(kind, format!("the provider refused our credential (status {status})"))
            .hint("check the provider's api_key and its rights"),
        (_, "") => Error::new(kind, format!("the provider answered with status {status} and no reason")),
        (Kind::TooLong, message) => {
            let error = Error::new(kind, message).hint("shorten the conversation");
            too_long::read(message).into_iter().fold(error, Error::by)
        }
        (_, message) => Error::new(kind, message),
    };
    error.outcome_is(outcome)
}

fn out_of_funds(status: u16) -> Error {
    Error::new(Kind::Credential, format!("our account at the provider is out of funds or quota (status {status})"))
        .hint("add credit to the provider's account")
}

fn kind_of(status: u16) -> Kind {
    match status {
        401..=403 => Kind::Credential,
        404 => Kind::NotFound,
        408 | 504 | 524 => Kind::Timeout,
        413 => Kind::TooLong,
        429 => Kind::Limited,
        409 | 425 | 500.. => Kind::Unavailable,
        400..500 => Kind::Refused,
        0..400 => Kind::Protocol,
    }
}

/// When to come back: what the headers say, else what the message does ("Please try again in 1.2s").
fn retry_after(meta: &Meta, message: &str) -> Option<Duration> {
    let seconds =
        |text: &str| text.trim().parse::<f64>().ok().and_then(|count| Duration::try_from_secs_f64(count).ok());
    let exact = meta.get("retry-after-ms").and_then(seconds).map(|thousandfold| thousandfold / 1000);
    let told = || meta.get("retry-after").and_then(seconds);
    let reset = || {
        let spent =
            |what: &str| meta.get(&format!("x-ratelimit-remaining-{what}")).is_some_and(|left| left.trim() == "0");
        let after = |what: &str| meta.get(&format!("x-ratelimit-reset-{what}")).and_then(span);
        ["requests", "tokens"].into_iter().filter(|what| spent(what)).filter_map(after).max()
    };
    let written = || {
        let (_, after) = message.split_once("try again in ")?;
        span(after.split_whitespace().next()?.trim_end_matches(['.', ',']))
    };
    exact.or_else(told).or_else(reset).or_else(|| meta.get("x-ratelimit-reset").and_then(span)).or_else(written)
}

/// A span of time as rate limits write it: `6m0s`, `1.5s`, `20ms`. A bare number may be a date, so it is none.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let (count, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(count.parse::<f64>().ok()? * unit).ok()?)?;
        rest = after;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: u16, body: &str) -> Error {
        failure("openai", status, &Meta::default(), Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn every_shape_of_complaint_is_read() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, ("m", "c t", None)),
            (r#"{"error":"m"}"#, ("m", " ", None)),
            (r#"{"choices":[{"finish_reason":"error","error":{"code":502,"message":"m"}}]}"#, ("m", "502 ", Some(502))),
            (r#"{"object":"error","message":"m","type":"t","code":400}"#, ("m", "400 t", Some(400))),
            (r#"{"detail":"m"}"#, ("m", " ", None)),
            (r#"[{"error":{"code":429,"message":"m"}}]"#, ("m", "429 ", Some(429))),
            (r#"{"error":{"message":"m","code":502,"metadata":{"raw":"r"}}}"#, ("m: r", "502 ", Some(502))),
        ];
        for (body, (message, code, status)) in cases {
            let expected = Complaint { message: message.into(), code: code.into(), status };
            assert_eq!(Complaint::read(body.as_bytes()), Some(expected), "{body}");
        }
        assert_eq!(Complaint::read(b"<html>"), None);
    }

    #[test]
    fn a_status_and_a_body_tell_whose_fault_it_is() {
        let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        let long = r#"{"error":{"message":"This model's maximum context length is 10 tokens","code":"context_length_exceeded"}}"#;
        let cases = [
            (400, "{}", Kind::Refused),
            (400, long, Kind::TooLong),
            (500, long, Kind::TooLong),
            (401, r#"{"error":{"message":"Incorrect API key provided: sk-abc"}}"#, Kind::Credential),
            (402, "{}", Kind::Credential),
            (403, "{}", Kind::Credential),
            (400, r#"{"error":{"message":"API key not valid. Please pass a valid API key."}}"#, Kind::Credential),
            (404, "{}", Kind::NotFound),
            (408, "", Kind::Timeout),
            (413, "", Kind::TooLong),
            (422, "{}", Kind::Refused),
            (429, "{}", Kind::Limited),
            (429, quota, Kind::Credential),
            (500, "oops", Kind::Unavailable),
            (503, "<html>", Kind::Unavailable),
            (529, "{}", Kind::Unavailable),
            (302, "", Kind::Protocol),
        ];
        for (status, body, kind) in cases {
            let error = at(status, body);
            assert_eq!(error.kind(), kind, "{status} {body}");
            let told = Complaint::read(body.as_bytes()).is_some();
            assert_eq!(error.words().is_some(), told && kind != Kind::Credential, "{status} {body}");
            assert!(!error.to_string().contains("sk-abc"), "{error}");
        }
    }

    #[test]
    fn every_vendors_too_long_is_recognised() {
        let table = [
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
            "Requested token count exceeds the model's maximum context length of 8192 tokens.",
            "The input (30000 tokens) is longer than the model's context length (16384 tokens).",
            "the request exceeds the available context size. try increasing the context size",
            "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context \
             length of only 4096 tokens",
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ];
        for message in table {
            let error = at(400, &serde_json::json!({ "error": { "message": message } }).to_string());
            assert_eq!((error.kind(), error.message()), (Kind::TooLong, message));
        }
        let other = r#"{"error":{"message":"max_tokens is too large: 9000. This model supports at most 4096"}}"#;
        assert_eq!(at(400, other).kind(), Kind::Refused);
    }

    #[test]
    fn an_error_in_a_success_has_the_status_that_it_names() {
        let table = [
            (r#"{"error":{"message":"m","code":429}}"#, Kind::Limited, Some(429)),
            (r#"{"error":{"message":"m","type":"invalid_request_error"}}"#, Kind::Refused, Some(400)),
            (r#"{"error":{"message":"m","code":"invalid_api_key"}}"#, Kind::Credential, None),
            (r#"{"error":{"message":"m"}}"#, Kind::Unavailable, Some(502)),
        ];
        for (body, kind, status) in table {
            let error = at(200, body);
            assert_eq!((error.kind(), error.words().map(|words| words.status)), (kind, status), "{body}");
        }
    }

    #[test]
    fn says_when_to_come_back() {
        type Headers = [(&'static str, &'static str)];
        let cases: &[(&Headers, &str, Option<u64>)] = &[
            (&[("retry-after", "2")], "", Some(2000)),
            (&[("retry-after", "2"), ("retry-after-ms", "150")], "", Some(150)),
            (&[("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-remaining-requests", "0")], "", Some(360_000)),
            (&[("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-remaining-requests", "3")], "", None),
            (&[("x-ratelimit-reset", "20ms")], "", Some(20)),
            (&[("x-ratelimit-reset", "1741305600000")], "", None),
            (&[("retry-after", "-1")], "", None),
            (&[], "Rate limit reached. Please try again in 1.5s. Visit", Some(1500)),
            (&[], "", None),
        ];
        for (headers, message, expected) in cases {
            let meta = headers.iter().copied().collect::<Meta>();
            assert_eq!(retry_after(&meta, message), expected.map(Duration::from_millis), "{headers:?} {message}");
        }
    }
}
