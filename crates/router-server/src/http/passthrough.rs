//! What only Anthropic has, batches and files: handed on to a provider of that kind as it is, and its answer handed back.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use http::{HeaderMap, Request, Response, header};
use router_core::{Error, Kind, Reply, Result, Upstream};
use router_llm::{
    dialect::{anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT},
    relay::{Relay, Relayed},
};

use super::{
    CHAT_BYTES, Gate,
    chat::worth_forwarding,
    read_body,
    reject::{Shape, forward, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// The version that both sides put before their paths.
const VERSION: &str = "/v1";

/// The doors. Nothing else of the provider's interface can be reached through them.
pub fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/messages/batches", get(batches).post(batches))
        .route("/v1/messages/batches/{id}", get(batches).delete(batches))
        .route("/v1/messages/batches/{id}/results", get(batches))
        .route("/v1/messages/batches/{id}/cancel", post(batches))
        .route("/v1/files", get(files).post(files))
        .route("/v1/files/{id}", get(files).delete(files))
        .route("/v1/files/{id}/content", get(files))
}

async fn batches(State(gateway): Gate, Extension(visit): Extension<Visit>, request: Request<Body>) -> Response<Body> {
    hand_on(&gateway, &visit, "batches", request).await
}

/// OpenAI has files of its own at the same place: only who speaks Anthropic's dialect means these.
async fn files(State(gateway): Gate, Extension(visit): Extension<Visit>, request: Request<Body>) -> Response<Body> {
    let headers = request.headers();
    if !headers.contains_key("anthropic-version") && !headers.contains_key("anthropic-beta") {
        let error = Error::new(Kind::NotFound, "OpenAI's files are not served here")
            .hint("Anthropic's are, to those who send `anthropic-version`");
        return reject(&error, Shape::Nowhere(&OPENAI_CHAT), &visit);
    }
    hand_on(&gateway, &visit, "files", request).await
}

async fn hand_on(gateway: &Gateway, visit: &Visit, area: &str, request: Request<Body>) -> Response<Body> {
    let Some(provider) = &gateway.models.relay else {
        let error =
            Error::new(Kind::Refused, format!("{area} are Anthropic's alone, and no provider of that kind is here"))
                .hint("configure a provider of `kind: anthropic`");
        return reject(&error, Shape::Unsupported, visit);
    };
    let answered = match read(area, request).await {
        Ok(relay) => provider.call(&visit.cx, relay).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(relayed) => respond(relayed, visit),
        Err(error) => reject(&error, Shape::Dialect(&ANTHROPIC), visit),
    }
}

async fn read(area: &str, request: Request<Body>) -> Result<Relay> {
    let (parts, body) = request.into_parts();
    let (path, asked) = (parts.uri.path(), parts.uri.path_and_query());
    // Whoever cleans paths up on the way must not end elsewhere, with our credential.
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"/_-".contains(&letter);
    let beside = asked.and_then(|asked| asked.as_str().strip_prefix(VERSION)).filter(|_| path.bytes().all(plain));
    let Some(beside) = beside else {
        return Err(Error::new(Kind::NotFound, format!("there is nothing at {path}")));
    };
    let known = worth_forwarding(&parts.headers);
    let of_the_body = [header::CONTENT_TYPE, header::ACCEPT];
    let of_the_body =
        of_the_body.iter().filter_map(|name| Some((name.as_str(), parts.headers.get(name)?.to_str().ok()?)));
    Ok(Relay {
        method: parts.method.clone(),
        path: beside.into(),
        area: area.into(),
        meta: known.iter().chain(of_the_body).collect(),
        body: read_body(&parts.headers, body, CHAT_BYTES).await?,
    })
}

fn respond(relayed: Relayed, visit: &Visit) -> Response<Body> {
    let (status, mut headers) = (relayed.status, HeaderMap::new());
    forward(&mut headers, relayed.meta().iter());
    visit.sign(&mut headers, relayed.provenance());
    // An error ends the body before its end, which a client cannot take for a whole one.
    let mut response = Response::new(Body::from_stream(relayed.into_body()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
