//! `GET /v1/models`: what can be asked for, in the shape of whoever asks.

use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
};
use http::{HeaderMap, HeaderValue, Response, header};
use router_core::{Error, Kind};
use router_llm::{
    dialect::{anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT},
    models,
};
use serde_json::Value;

use super::{
    Gate, Parameters,
    reject::{self, reject},
    visit::Visit,
};

/// All models.
pub async fn list(State(gateway): Gate, headers: HeaderMap, Query(parameters): Parameters) -> Response<Body> {
    let named = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let page = models::Page {
        limit: named("limit").and_then(|limit| limit.parse().ok()),
        after_id: named("after_id"),
        before_id: named("before_id"),
    };
    let cards = gateway.models.described_cards();
    json(&if speaks_anthropic(&headers) { models::anthropic_list(&cards, &page) } else { models::openai_list(&cards) })
}

/// One of them.
pub async fn one(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response<Body> {
    let anthropic = speaks_anthropic(&headers);
    match gateway.models.cards.iter().find(|card| card.id == id).map(|card| gateway.models.described(card)) {
        Some(card) if anthropic => json(&card.anthropic()),
        Some(card) => json(&card.openai()),
        None => {
            let error = Error::new(Kind::NotFound, format!("there is no model {id:?}")).hint("see GET /v1/models");
            let shape =
                if anthropic { reject::Shape::Dialect(&ANTHROPIC) } else { reject::Shape::Dialect(&OPENAI_CHAT) };
            reject(&error, shape, &visit)
        }
    }
}

fn speaks_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version") || headers.contains_key("x-api-key")
}

/// An answer of one JSON value.
pub fn json(body: &Value) -> Response<Body> {
    json_text(body.to_string())
}

/// An answer of JSON that is written already.
pub fn json_text(text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
