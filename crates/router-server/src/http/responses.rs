//! `/v1/responses`: a chat whose replies are kept, so that the next question can go on from one by its id.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use router_core::{
    Error, Kind, Name, Result, Store, StoreKey, Verbatim,
    chat::{Reference, Shape},
    scan,
};
use router_llm::dialect::openai_responses::{
    NAME, OPENAI_RESPONSES,
    thread::{Keeping, items, joined, listed, named_replies, said, said_by_id, with_named, written_out},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    CHAT_BYTES, Gate, Parameters,
    chat::{self, Asked},
    models::{self, json_text},
    read_body,
    reject::{self, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// How long a reply is kept, where there is room for it: as long as OpenAI does.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// How many items are listed, unless the client says how many.
const LISTED: usize = 20;

/// A reply that is kept, with the conversation that it answered.
#[derive(Deserialize, Serialize)]
struct Kept<'a> {
    /// Who answered, where that was in this dialect: the reply's id is his.
    by: Option<Name>,
    /// All items of the conversation before the reply.
    #[serde(borrow)]
    items: &'a RawValue,
    /// The reply as it was sent.
    #[serde(borrow)]
    response: &'a RawValue,
}

/// `POST /v1/responses`.
pub async fn create(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match read_body(&headers, body, CHAT_BYTES).await {
        Ok(body) => converse(&gateway, &visit, &headers, body).await.unwrap_or_else(|error| refuse(&error, &visit)),
        Err(error) => refuse(&error, &visit),
    }
}

fn refuse(error: &Error, visit: &Visit) -> Response<Body> {
    reject(error, reject::Shape::Dialect(&OPENAI_RESPONSES), visit)
}

async fn converse(gateway: &Arc<Gateway>, visit: &Visit, headers: &HeaderMap, body: Bytes) -> Result<Response<Body>> {
    let mut asked = Asked::read(&OPENAI_RESPONSES, headers, body.clone(), visit)?;
    let named = named(gateway, visit, &body).await?;
    let body = if named.is_empty() { body } else { with_named(&body, &named) };
    if !named.is_empty() {
        asked = Asked::read(&OPENAI_RESPONSES, headers, body.clone(), visit)?;
    }
    let keeping = Keeping::of(&body)?;
    let before = match &keeping.previous {
        Some(id) => Some(before(gateway, visit, id).await?),
        None => None,
    };
    if !keeping.store && before.is_none() {
        drop(body);
        return Ok(chat::answer(gateway, visit, asked).await);
    }
    let (kept_by, earlier) = before.unwrap_or((None, Bytes::from_static(b"[]")));
    let items = joined(&earlier, &items(&body));
    let reference = keeping.previous.is_some().then(|| Reference { kept_by, whole: written_out(&body, &items) });
    drop(body);
    let (shape, speaker) = (asked.shape(), Arc::default());
    let response = chat::answer(gateway, visit, asked.referring(reference).heard(&speaker)).await;
    if !keeping.store || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let keeper = Keeper { gateway: Arc::clone(gateway), visit: visit.clone(), items, speaker };
    Ok(keeper.listen(response, shape).await)
}

/// The conversation up to and with the reply `id`, and who keeps it, too.
async fn before(gateway: &Gateway, visit: &Visit, id: &str) -> Result<(Option<Name>, Bytes)> {
    let Some(record) = gateway.replies.get(&key(visit, id)).await? else { return Err(no_such_reply(id)) };
    let kept: Kept<'_> = read(&record)?;
    Ok((kept.by, joined(kept.items.get().as_bytes(), &said(kept.response.get().as_bytes()))))
}

/// What the items that a question only names said, by their ids, where it is kept here.
async fn named(gateway: &Gateway, visit: &Visit, body: &[u8]) -> Result<BTreeMap<String, Bytes>> {
    let mut said = BTreeMap::new();
    for id in named_replies(body) {
        if let Some(record) = gateway.replies.get(&key(visit, &id)).await? {
            said.extend(said_by_id(read(&record)?.response.get().as_bytes()));
        }
    }
    Ok(said)
}

/// One tenant's reply is another's unknown one.
fn key(visit: &Visit, id: &str) -> StoreKey {
    StoreKey::new(&visit.caller.tenant, NAME, id)
}

fn read(record: &Bytes) -> Result<Kept<'_>> {
    serde_json::from_slice(record)
        .map_err(|error| Error::new(Kind::Internal, "a kept reply does not read any more").because(error))
}

fn no_such_reply(id: &str) -> Error {
    worded(
        400,
        &format!("Previous response with id '{id}' not found."),
        "previous_response_id",
        "previous_response_not_found",
    )
}

/// An error in the words that clients know from OpenAI.
fn worded(status: u16, message: &str, param: &str, code: &str) -> Error {
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
    let body = json!({ "error": error }).to_string().into();
    let kind = if status == 404 { Kind::NotFound } else { Kind::Invalid };
    Error::new(kind, message).verbatim(Verbatim { dialect: NAME, status, meta: Arc::default(), body })
}

/// Keeps a reply once all of it has come, before its last words go out: whoever reads them may go on at once.
struct Keeper {
    gateway: Arc<Gateway>,
    visit: Visit,
    items: Bytes,
    speaker: Arc<OnceLock<Name>>,
}

impl Keeper {
    async fn listen(self, response: Response<Body>, shape: Shape) -> Response<Body> {
        let (head, body) = response.into_parts();
        let body = match shape {
            Shape::Whole => match body.collect().await {
                Ok(whole) => {
                    let whole = whole.to_bytes();
                    self.keep(&whole).await;
                    Body::from(whole)
                }
                // It was in memory already; there is nothing that could fail.
                Err(_) => Body::empty(),
            },
            Shape::Stream => self.listen_to_stream(body),
        };
        Response::from_parts(head, body)
    }

    fn listen_to_stream(self, body: Body) -> Body {
        let keeper = Arc::new(self);
        Body::from_stream(body.into_data_stream().then(move |frame| {
            let keeper = Arc::clone(&keeper);
            async move {
                let frame = frame.unwrap_or_default();
                if let Some(reply) = OPENAI_RESPONSES.finished(&frame) {
                    keeper.keep(&reply).await;
                }
                Ok::<_, Infallible>(frame)
            }
        }))
    }

    async fn keep(&self, reply: &Bytes) {
        let Some(id) = scan::find(reply, "/id").and_then(scan::text) else { return };
        let Some(record) = self.record(reply) else { return };
        if let Err(error) = self.gateway.replies.put(key(&self.visit, &id), record, KEPT).await {
            tracing::warn!(request_id = self.visit.id(), ?error, "a reply could not be kept");
        }
    }

    fn record(&self, reply: &[u8]) -> Option<Bytes> {
        let kept = Kept {
            by: self.speaker.get().cloned(),
            items: serde_json::from_slice(&self.items).ok()?,
            response: serde_json::from_slice(reply).ok()?,
        };
        serde_json::to_vec(&kept).ok().map(Bytes::from)
    }
}

/// `GET /v1/responses/{id}`: the reply as it was sent.
pub async fn one(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Response<Body> {
    if parameters.iter().any(|(name, value)| name == "stream" && value == "true") {
        let message = "stream: a kept reply is told in one piece";
        return refuse(&Error::new(Kind::Invalid, message).hint("leave `stream` out"), &visit);
    }
    match recall(&gateway, &visit, &id).await {
        Ok(record) => match read(&record) {
            Ok(kept) => json_text(kept.response.get().to_owned()),
            Err(error) => refuse(&error, &visit),
        },
        Err(error) => refuse(&error, &visit),
    }
}

async fn recall(gateway: &Gateway, visit: &Visit, id: &str) -> Result<Bytes> {
    let unknown = || {
        let message = format!("Response with id '{id}' not found.");
        worded(404, &message, "id", "response_not_found")
    };
    gateway.replies.get(&key(visit, id)).await?.ok_or_else(unknown)
}

/// `DELETE /v1/responses/{id}`.
pub async fn forget(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(id): Path<String>,
) -> Response<Body> {
    let gone = async {
        recall(&gateway, &visit, &id).await?;
        gateway.replies.remove(&key(&visit, &id)).await
    };
    match gone.await {
        Ok(()) => models::json(&json!({ "id": id, "object": "response", "deleted": true })),
        Err(error) => refuse(&error, &visit),
    }
}

/// `GET /v1/responses/{id}/input_items`: what the reply answered, the newest first unless the client wants it otherwise.
pub async fn input_items(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Response<Body> {
    let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let record = match recall(&gateway, &visit, &id).await {
        Ok(record) => record,
        Err(error) => return refuse(&error, &visit),
    };
    let mut items = match read(&record) {
        Ok(kept) => listed(kept.items.get().as_bytes(), &id),
        Err(error) => return refuse(&error, &visit),
    };
    if of("order") != Some("asc") {
        items.reverse();
    }
    if let Some(after) = of("after") {
        let at = items.iter().position(|item| item.get("id").is_some_and(|id| id == after));
        items.drain(..at.map_or(0, |at| at + 1));
    }
    let limit = of("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LISTED).clamp(1, 100);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id_of = |item: Option<&Value>| item.and_then(|item| item.get("id")).cloned();
    let (first, last) = (id_of(items.first()), id_of(items.last()));
    let page = json!({ "object": "list", "first_id": first, "last_id": last, "has_more": has_more, "data": items });
    models::json(&page)
}

/// `POST /v1/responses/{id}/cancel`: there is never anything to cancel.
pub async fn cancel(Extension(visit): Extension<Visit>, Path(id): Path<String>) -> Response<Body> {
    let message =
        format!("Response '{id}' cannot be cancelled: only background responses can, and none are made here.");
    refuse(&worded(400, &message, "id", "not_cancellable"), &visit)
}
