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
    /// The same for a path at which nothing is: some dialects tell that from a model that does not exist.
    Nowhere(&'static dyn Language),
    /// As Anthropic's clients read that nobody here can do what they ask.
    Unsupported,
    /// As MCP's clients read it: an answer of JSON-RPC, to a message that was not read.
    Rpc,
    /// Ours.
    Plain,
}

impl Shape {
    /// The shape at a path at which nothing is.
    pub fn nowhere(self) -> Self {
        match self {
            Self::Dialect(language) => Self::Nowhere(language),
            Self::Nowhere(_) | Self::Unsupported | Self::Rpc | Self::Plain => self,
        }
    }
}

/// Turns an error into a response, and writes it down for the operator.
pub fn reject(error: &Error, shape: Shape, visit: &Visit) -> Response<Body> {
    report(error, visit);
    let (status, body) = match (shape, error.words()) {
        (Shape::Dialect(language), Some(words)) if words.dialect == language.name() => {
            (words.status, words.body.clone())
        }
        (Shape::Dialect(language), _) => language.error(error, visit.id()),
        (Shape::Nowhere(language), _) => language.nowhere(error, visit.id()),
        (Shape::Unsupported, _) => (501, unsupported_body(error, visit).into()),
        (Shape::Rpc, _) => (plain_status(error.kind()).as_u16(), rpc_body(error, visit).into()),
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
    let futile =
        !error.is_transient() && matches!(error.kind(), Kind::Credential | Kind::Unauthorized | Kind::Forbidden);
    if futile || matches!(shape, Shape::Unsupported) {
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    if let (Shape::Dialect(language), Some(words)) = (shape, error.words())
        && words.dialect == language.name()
    {
        forward(headers, words.meta.iter().map(|(name, value)| (&**name, &**value)));
    }
    let (upstream, dropped) = (error.upstream().cloned(), visit.cx.trail().dropped());
    let provenance = Provenance { upstream, dropped, ..Provenance::default() };
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

fn unsupported_body(error: &Error, visit: &Visit) -> String {
    let told = json!({ "type": "not_supported", "message": error.to_string() });
    json!({ "type": "error", "error": told, "request_id": visit.id() }).to_string()
}

/// The number is that of the status, which the protocol leaves alone; the id is that of nobody.
fn rpc_body(error: &Error, visit: &Visit) -> String {
    json!({
        "jsonrpc": "2.0",
        "id": null,
        "error": {
            "code": plain_status(error.kind()).as_u16(),
            "message": error.to_string(),
            "data": {
                "kind": error.kind().as_str(),
                "outcome": error.outcome().as_str(),
                "request_id": visit.id(),
            },
        },
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use router_core::Caller;
    use router_llm::dialect::{anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT};
    use serde_json::Value;

    use super::*;

    async fn told(error: &Error, shape: Shape) -> (u16, Value) {
        let response = reject(error, shape, &Visit::new(Caller::anonymous("r"), Duration::from_secs(1)));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn clients_of_mcp_read_an_answer_of_their_protocol() {
        let cases = [
            (Kind::Unauthorized, 401, "unauthorized"),
            (Kind::Forbidden, 403, "forbidden"),
            (Kind::NotFound, 404, "not_found"),
            (Kind::TooLong, 413, "too_long"),
        ];
        for (kind, status, word) in cases {
            let data = json!({ "kind": word, "outcome": "not_sent", "request_id": "r" });
            let error = json!({ "code": status, "message": "why (do)", "data": data });
            let expected = json!({ "jsonrpc": "2.0", "id": null, "error": error });
            assert_eq!(told(&Error::new(kind, "why").hint("do"), Shape::Rpc).await, (status, expected));
        }
    }

    #[test]
    fn every_door_has_its_shape() {
        let shape = |path| match super::super::shape_of(path) {
            Shape::Dialect(language) => language.name(),
            Shape::Nowhere(_) => "nowhere",
            Shape::Unsupported => "unsupported",
            Shape::Rpc => "rpc",
            Shape::Plain => "plain",
        };
        let table = [
            ("/mcp", "rpc"),
            ("/mcp/time", "rpc"),
            ("/mcp/time/more", "rpc"),
            ("/mcpx", "plain"),
            ("/ask", "plain"),
            ("/health/time", "plain"),
            ("/v1/messages/stream", "anthropic"),
            ("/v1/chat/completions", "openai"),
            ("/v1/nothing", "openai"),
            ("/v1/complete", "anthropic"),
            ("/v1/messages/batches", "anthropic"),
            ("/v1/completions", "openai"),
            ("/api/tags", "ollama"),
            ("/api/nothing", "ollama"),
        ];
        for (path, expected) in table {
            assert_eq!(shape(path), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_is_no_unknown_model() {
        let error = Error::new(Kind::NotFound, "there is nothing at /v1/x");
        let (status, body) = told(&error, Shape::Dialect(&OPENAI_CHAT).nowhere()).await;
        assert_eq!((status, &body["error"]["type"]), (404, &json!("invalid_request_error")));
        assert_eq!(
            (&body["error"]["code"], &body["error"]["message"]),
            (&json!("unknown_url"), &json!(error.message()))
        );
        let (status, body) = told(&error, Shape::Dialect(&ANTHROPIC).nowhere()).await;
        assert_eq!((status, &body["error"]["type"]), (404, &json!("not_found_error")));
        let (_, body) = told(&error, Shape::Dialect(&OPENAI_CHAT)).await;
        assert_eq!(body["error"]["code"], json!("model_not_found"));
    }
}
