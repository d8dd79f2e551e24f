//! The front over a catalog of servers made of closures.

mod http;
mod input;
mod kept;
mod pipe;
mod sse;
mod tasks;
mod watching;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use router_core::Caller;

use super::*;
use crate::{
    catalog::Offer,
    testing::{Fake, raw},
};

/// What a server offers in these tests.
const OFFER: [(&str, &str); 7] = [
    (
        "tools/list",
        r#"{"tools":[{"name":"echo","inputSchema":{"properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}}}]}"#,
    ),
    ("resources/list", r#"{"resources":[{"uri":"x:1"}]}"#),
    ("resources/templates/list", r#"{"resourceTemplates":[]}"#),
    ("resources/read", r#"{"contents":[]}"#),
    ("prompts/list", r#"{"prompts":[{"name":"hi"}]}"#),
    ("prompts/get", r#"{"messages":[]}"#),
    ("completion/complete", r#"{"completion":{"values":[]}}"#),
];

/// A front over one server, `s`.
struct Bench {
    fake: Arc<Fake>,
    front: Front,
    closing: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let fake = Fake::new("s").says(&OFFER);
        let (front, closing) = front(vec![fake.offer()]);
        Self { fake, front, closing }
    }

    /// Sends one HTTP request.
    async fn send(&self, method: Method, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        self.send_as("anonymous", method, headers, body).await
    }

    async fn send_as(&self, caller: &str, method: Method, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut request = Request::builder().method(method).uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        self.front.handle(cx(caller), &parts, Bytes::copy_from_slice(body.as_bytes())).await
    }

    async fn post(&self, headers: &[(&str, &str)], body: &str) -> Heard {
        Heard::of(self.send(Method::POST, headers, body).await).await
    }

    /// A modern request whose headers say what its body says.
    async fn modern(&self, id: u64, method: &str, params: &str) -> Heard {
        self.post(&modern_headers(method, params), &modern_body(id, method, params)).await
    }

    /// Opens a legacy session.
    async fn session(&self, version: &str) -> String {
        let capabilities = r#"{"elicitation":{}}"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
        );
        let heard = self.post(&[("accept", BOTH)], &body).await;
        assert_eq!(heard.status, 200);
        heard.headers["mcp-session-id"].to_str().unwrap().to_owned()
    }
}

fn front(offers: Vec<Offer>) -> (Front, CancellationToken) {
    let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
    let catalog = Catalog::new(offers, &tasks, [7; 32]);
    let setup = Setup {
        tools: catalog.clone().boxed(),
        lookups: catalog.clone().boxed(),
        catalog,
        name: "router".into(),
        version: "1".into(),
        tasks,
        closing: closing.clone(),
        seal: Arc::new(Seal::new(None, || 0).unwrap()),
    };
    (Front::new(setup), closing)
}

fn cx(caller: &str) -> Cx {
    let caller = Caller { name: caller.into(), ..Caller::anonymous("test") };
    Cx::new(Arc::new(caller), Duration::from_mins(10))
}

const BOTH: &str = "application/json, text/event-stream";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const INFO: &str = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"router","version":"1"}}"#;

/// `params` are the members of an object, without its braces.
fn modern_body(id: u64, method: &str, params: &str) -> String {
    let params = if params.is_empty() { META.to_owned() } else { format!("{params},{META}") };
    legacy_body(id, method, &params)
}

fn legacy_body(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

fn modern_headers<'a>(method: &'a str, params: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("accept", BOTH), ("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    for key in ["\"name\":\"", "\"uri\":\""] {
        let name = params.split_once(key).and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
        if method != "completion/complete" {
            headers.extend(name.map(|name| ("mcp-name", name)));
        }
    }
    headers
}

/// A whole answer.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Heard {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    fn result(&self) -> &str {
        let (_, result) = self.body.split_once(r#""result":"#).unwrap_or_else(|| panic!("{self:?}"));
        result.strip_suffix('}').unwrap()
    }

    fn code(&self) -> Option<i64> {
        let message: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        message["error"]["code"].as_i64()
    }

    /// The messages of a stream of events.
    fn events(&self) -> Vec<&str> {
        assert_eq!(self.headers["content-type"], "text/event-stream");
        self.body.split("\n\n").filter(|event| !event.is_empty() && !opens(event)).map(datum).collect()
    }
}

/// The next message of a stream, or a comment.
async fn next(body: &mut Body) -> Option<String> {
    let event = next_event(body).await?;
    if opens(&event) { next_event(body).await } else { Some(event) }.map(|event| datum(&event).trim_end().to_owned())
}

/// The next event, as it is written.
async fn next_event(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap().into_data().unwrap();
    Some(String::from_utf8(frame.to_vec()).unwrap())
}

/// Whether an event only tells from where on the stream can be gone on with.
fn opens(event: &str) -> bool {
    event.contains("\nretry: ")
}

/// What an event tells, whatever its id.
fn datum(event: &str) -> &str {
    event.split_once("event: message\ndata: ").map_or(event, |(_, datum)| datum)
}
