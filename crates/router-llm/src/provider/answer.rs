//! Reads what a provider answers: a refusal, one whole message, or the beginning of a stream.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use router_core::{
    Error, Kind, Outcome, Result,
    chat::{ChatReply, Frame, Meta, Shape},
    scan,
};
use router_http::Answer;
use tokio::time::timeout;

use super::{events, thoughts::Witness};
use crate::dialect::{Framing, Language};

/// The longest whole message.
const MAX_MESSAGE_MIB: usize = 64;

/// The longest refusal that is read.
const MAX_REFUSAL_BYTES: usize = 1 << 20;

/// How long the words of a refusal are waited for; without them its status has to do.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// What of a response's head is worth handing on, or tells when to come back.
const KEPT: [&str; 6] =
    ["request-id", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "apim-request-id"];

/// The same, by what the name begins with.
const KEPT_PREFIXES: [&str; 4] = ["anthropic-", "openai-", "x-ratelimit-", "ratelimit-"];

/// Reads a response that is one body, and no stream of events: a JSON text, with what came beside it.
pub(super) async fn whole_body(language: &'static dyn Language, response: Response<Answer>) -> Result<(Meta, Bytes)> {
    let (head, body) = response.into_parts();
    let meta = worth_keeping(&head.headers);
    if !head.status.is_success() {
        return Err(refusal(language, &head, &meta, body).await);
    }
    form(&head, Shape::Whole, language.framing())?;
    let body = read_whole(body).await?;
    if !scan::is_json(&body) {
        return Err(no_json());
    }
    Ok((meta, body))
}

/// Reads a response up to its first content.
pub(super) async fn read(
    language: &'static dyn Language,
    asked: Shape,
    response: Response<Answer>,
    witness: Option<Witness>,
) -> Result<ChatReply> {
    let (head, body) = response.into_parts();
    let meta = worth_keeping(&head.headers);
    if !head.status.is_success() {
        return Err(refusal(language, &head, &meta, body).await);
    }
    match form(&head, asked, language.framing())? {
        Shape::Whole => whole(language, meta, body, witness).await,
        Shape::Stream => events::read(language, meta, body, witness).await,
    }
}

/// What a response means whose status is not one of success.
pub(super) async fn refusal(language: &'static dyn Language, head: &Parts, meta: &Meta, body: Answer) -> Error {
    if head.status.is_redirection() {
        let place = head.headers.get(header::LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("nowhere");
        return Error::new(Kind::Protocol, format!("answered {} and pointed to {place}", head.status.as_u16()))
            .hint("set `base_url` to the address where it answers itself");
    }
    let words = timeout(REFUSAL_TIME, Limited::new(body, MAX_REFUSAL_BYTES).collect()).await;
    let words = words.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    language.failure(head.status.as_u16(), meta, words)
}

/// A body to its end.
async fn read_whole(body: Answer) -> Result<Bytes> {
    let body = Limited::new(body, MAX_MESSAGE_MIB << 20).collect().await.map_err(|error| {
        let message = if error.is::<LengthLimitError>() {
            format!("the answer is longer than {MAX_MESSAGE_MIB} MiB")
        } else {
            "the answer was cut before its end".to_owned()
        };
        Error::new(Kind::Protocol, message).because(error)
    })?;
    let body = body.to_bytes();
    if body.trim_ascii().is_empty() {
        return Err(Error::new(Kind::Protocol, "the answer was empty"));
    }
    Ok(body)
}

fn no_json() -> Error {
    Error::new(Kind::Protocol, "the answer is not JSON")
}

async fn whole(
    language: &'static dyn Language,
    meta: Meta,
    body: Answer,
    witness: Option<Witness>,
) -> Result<ChatReply> {
    let body = read_whole(body).await?;
    let mark = language.scan(&body, Shape::Whole);
    if !mark.json && !scan::is_json(&body) {
        return Err(no_json());
    }
    if let Some(witness) = witness {
        witness.see(&body);
    }
    if mark.error {
        return Err(language.failure(StatusCode::OK.as_u16(), &meta, body));
    }
    if !mark.content && !mark.last {
        return Err(Error::new(Kind::Protocol, format!("the answer is no reply of {}", language.name())));
    }
    let frame = Frame::Wire { bytes: body, usage: mark.usage.map(Box::new) };
    let reply = ChatReply::wire(language, Shape::Whole, meta, stream::iter([Ok(frame)]));
    Ok(reply.used(mark.usage.unwrap_or_default()))
}

/// Whether one message comes or a stream. Some servers answer with one message whatever was asked.
fn form(head: &Parts, asked: Shape, framing: Framing) -> Result<Shape> {
    let written = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (asked, media.as_str(), framing) {
        (shape, "", _) => Ok(shape),
        (Shape::Stream, "text/event-stream", Framing::Sse)
        | (Shape::Stream, "application/x-ndjson" | "application/json", Framing::Ndjson) => Ok(Shape::Stream),
        (Shape::Stream, "application/json", Framing::Sse)
        | (Shape::Whole, "application/json" | "application/x-ndjson", _) => Ok(Shape::Whole),
        _ => {
            let expected = if asked == Shape::Whole { "one message" } else { "a stream of events" };
            let message = format!("answered {} with {media} where {expected} was asked for", head.status.as_u16());
            Err(Error::new(Kind::Protocol, message)
                .outcome_is(Outcome::Failed)
                .hint("check that `base_url` leads to the interface itself, and not to a page about it"))
        }
    }
}

/// What of a response's head is handed on.
pub(super) fn worth_keeping(headers: &HeaderMap) -> Meta {
    let kept = headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    kept.filter_map(|(name, value)| {
        // A date is one by the upstream's own clock: only the time until then means anything here.
        let value = if name == header::RETRY_AFTER {
            seconds_until(value, headers).or_else(|| text(value))
        } else {
            text(value)
        };
        Some((name.as_str(), value?))
    })
    .collect()
}

/// How long it is until an HTTP date, by the clock of whoever sent it.
fn seconds_until(then: &HeaderValue, headers: &HeaderMap) -> Option<String> {
    let date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let (then, now) = (date(then)?, date(headers.get(header::DATE)?)?);
    Some(then.duration_since(now).unwrap_or_default().as_secs().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_to_come_back_at_is_a_time_to_wait() {
        let now = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let table = [
            (vec![("retry-after", "7")], Some("7")),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), now], Some("30")),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), now], Some("0")),
            (vec![("retry-after", "soon"), now], Some("soon")),
            (vec![now], None),
        ];
        for (headers, expect) in table {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(worth_keeping(&headers).get("retry-after"), expect, "{headers:?}");
        }
    }
}
