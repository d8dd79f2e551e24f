//! The one place where an error becomes a response.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use router_core::{Error, Kind, Provenance};
use router_llm::dialect::Language;
use serde_json::json;

use super::visit::Visit;

/// An error in the shape of the door it is told at.
#[derive(Clone, Copy)]
pub enum Shape {
    /// As the clients of a dialect know it; an upstream of the same dialect speaks for itself.
    Dialect(&'static dyn Language),
    /// Ours.
    Plain,
}

/// Turns an error into a response, and writes it down for the operator.
pub fn reject(error: &Error, shape: Shape, visit: &Visit) -> Response<Body> {
    report(error, visit);
    let (status, body) = match (shape, error.words()) {
        (Shape::Dialect(language), Some(words)) if words.dialect == language.name() => {
            (words.status, words.body.clone())
        }
        (Shape::Dialect(language), _) => language.error(error, visit.id()),
        (Shape::Plain, _) => (plain_status(error.kind()).as_u16(), plain_body(error, visit).into()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = error.wait() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if error.kind() == Kind::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if !error.is_transient() && matches!(error.kind(), Kind::Credential | Kind::Unauthorized | Kind::Forbidden) {
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    if let (Shape::Dialect(language), Some(words)) = (shape, error.words())
        && words.dialect == language.name()
    {
        forward(headers, words.meta.iter().map(|(name, value)| (&**name, &**value)));
    }
    let provenance = Provenance { upstream: error.upstream().cloned(), ..Provenance::default() };
    visit.sign(headers, &provenance);
    response
}

/// Hands on metadata of an upstream, under names that cannot be taken for ours.
pub fn forward<'a>(headers: &mut HeaderMap, meta: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in meta {
        let name = match name {
            "request-id" | "x-request-id" => "x-mcp-router-upstream-request-id",
            name => name,
        };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

fn report(error: &Error, visit: &Visit) {
    let (request_id, caller, kind) = (visit.id(), &*visit.caller.name, error.kind());
    let word = kind.as_str();
    if kind == Kind::Internal {
        tracing::error!(request_id, caller, kind = word, ?error, "request failed");
    } else if kind == Kind::Credential {
        tracing::warn!(request_id, caller, kind = word, ?error, "an upstream refuses our credential");
    } else {
        tracing::debug!(request_id, caller, kind = word, ?error, "request refused");
    }
}

/// Retry-After has no fractions, and zero would be no wait.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn plain_body(error: &Error, visit: &Visit) -> String {
    json!({
        "error": {
            "type": error.kind().as_str(),
            "message": error.to_string(),
            "upstream": error.upstream(),
            "outcome": error.outcome().as_str(),
        },
        "request_id": visit.id(),
    })
    .to_string()
}

/// The status of an error at our own doors.
pub const fn plain_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::Refused => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Shed | Kind::Unavailable | Kind::Open => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout | Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::Protocol | Kind::Credential => StatusCode::BAD_GATEWAY,
        Kind::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
