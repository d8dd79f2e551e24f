//! Ollama's interface, for programs that know no other: its two chats, and what they look at before they ask.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use router_core::{Error, Kind, Result, scan};
use router_llm::{
    dialect::{
        Language, Told,
        ollama::{self, OLLAMA, generate, generate::GENERATE},
    },
    models::{self, ModelCard},
};
use serde_json::json;

use super::{
    CHAT_BYTES, Gate,
    chat::{self, Asked},
    models::{json, json_text},
    read_body,
    reject::{Shape, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// The version of Ollama whose interface this is. Clients refuse one that is too old for them.
const INTERFACE: &str = "0.33.0";

/// The answer to a question that says nothing; `None` for every other question.
type Unspoken = fn(&[u8], Told) -> Option<Result<Vec<u8>>>;

/// One of the two interfaces for a chat.
#[derive(Clone, Copy)]
struct Interface {
    language: &'static dyn Language,
    unspoken: Unspoken,
    /// What is done with a question at the door.
    bend: fn(Asked) -> Result<Asked>,
}

const CHAT: Interface = Interface { language: &OLLAMA, unspoken: ollama::unspoken, bend: Ok };
const GENERATION: Interface = Interface { language: &GENERATE, unspoken: generate::unspoken, bend: Asked::understood };

/// The routes. What would change the models leads to where they are changed.
pub fn routes() -> Router<Arc<Gateway>> {
    let routes = Router::new()
        .route("/api/chat", post(chat_route))
        .route("/api/generate", post(generate_route))
        .route("/api/tags", get(tags))
        .route("/api/show", post(show))
        .route("/api/ps", get(running))
        .route("/api/version", get(version));
    ["/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs/{digest}"]
        .into_iter()
        .fold(routes, |routes, path| routes.route(path, any(unchangeable)))
}

async fn chat_route(gate: Gate, visit: Extension<Visit>, headers: HeaderMap, body: Body) -> Response<Body> {
    converse(gate, visit, CHAT, (headers, body)).await
}

async fn generate_route(gate: Gate, visit: Extension<Visit>, headers: HeaderMap, body: Body) -> Response<Body> {
    converse(gate, visit, GENERATION, (headers, body)).await
}

async fn converse(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    interface: Interface,
    (headers, body): (HeaderMap, Body),
) -> Response<Body> {
    let read = read_body(&headers, body, CHAT_BYTES).await;
    match read.and_then(|body| question(&gateway, &visit, interface, (&headers, body))) {
        Ok(Question::Spoken(asked)) => chat::answer(&gateway, &visit, *asked).await,
        Ok(Question::Unspoken(answer)) => json_text(answer),
        Err(error) => reject(&error, Shape::Dialect(interface.language), &visit),
    }
}

enum Question {
    Spoken(Box<Asked>),
    /// It says nothing, and this is the answer to it.
    Unspoken(Vec<u8>),
}

fn question(
    gateway: &Gateway,
    visit: &Visit,
    interface: Interface,
    (headers, body): (&HeaderMap, Bytes),
) -> Result<Question> {
    let asked = Asked::read(interface.language, headers, body.clone(), visit)?.untagged(&gateway.models.cards);
    known(gateway, visit, asked.model())?;
    match (interface.unspoken)(&body, asked.told().clone()) {
        Some(answer) => answer.map(Question::Unspoken),
        None => (interface.bend)(asked).map(|asked| Question::Spoken(Box::new(asked))),
    }
}

/// Says in Ollama's words that nobody answers for `model`: clients look for them.
fn known(gateway: &Gateway, visit: &Visit, model: &str) -> Result<()> {
    gateway.models.knows(&visit.cx, model).map_err(|error| {
        let message = format!("model {model:?} not found, try pulling it first");
        let remedy = error.remedy().unwrap_or("see GET /api/tags").to_owned();
        let unknown = Error::new(error.kind(), message);
        unknown.hint(format!("to MCP Router that is to add it to `models` of its configuration; {remedy}"))
    })
}

async fn tags(State(gateway): Gate) -> Response<Body> {
    json(&models::ollama_list(&gateway.models.described_cards()))
}

async fn show(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let read = read_body(&headers, body, CHAT_BYTES).await;
    match read.and_then(|body| card(&gateway, &visit, &body)) {
        Ok(card) => json(&gateway.models.described(&card).ollama_shown()),
        Err(error) => reject(&error, Shape::Dialect(&OLLAMA), &visit),
    }
}

/// The card of the model that is asked about; a model that is not listed has one too, if somebody answers for it.
fn card(gateway: &Gateway, visit: &Visit, body: &Bytes) -> Result<ModelCard> {
    let named = |field| scan::find(body, field).and_then(scan::text).filter(|name| !name.is_empty());
    let Some(name) = named("/model").or_else(|| named("/name")) else {
        return Err(Error::new(Kind::Invalid, "model is required"));
    };
    let cards = &gateway.models.cards;
    let name = models::untagged(cards, &name).unwrap_or(&name);
    if let Some(card) = cards.iter().find(|card| card.id == name) {
        return Ok(card.clone());
    }
    known(gateway, visit, name)?;
    let provider = name.split_once('/').map_or("mcp-router", |(provider, _)| provider);
    Ok(ModelCard::new(name, provider))
}

/// No model is loaded here.
async fn running() -> Response<Body> {
    json(&json!({ "models": [] }))
}

async fn version() -> Response<Body> {
    json(&json!({ "version": INTERFACE, "mcp_router": env!("CARGO_PKG_VERSION") }))
}

/// Models come and go with the configuration.
async fn unchangeable(Extension(visit): Extension<Visit>) -> Response<Body> {
    let error = Error::new(Kind::Refused, "MCP Router keeps no models of its own")
        .hint("name them under `models` and `providers` of its configuration; GET /api/tags lists what there is");
    let mut response = reject(&error, Shape::Dialect(&OLLAMA), &visit);
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response
}
