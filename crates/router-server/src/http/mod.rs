//! The front doors. A handler is a paragraph: read, ask the gateway, answer in the shape of the door.

pub mod accept;
pub mod admin;
mod alive;
mod ask;
mod chat;
mod client;
pub mod connection;
mod count;
pub mod door;
mod embeddings;
mod enhance;
mod health;
mod keep;
mod leftover;
mod loss;
mod mcp;
mod models;
pub mod oauth;
mod ollama;
mod passthrough;
mod patience;
mod reject;
mod response_schema;
mod responses;
mod sips;
mod visit;

pub use visit::new_request_id;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Query, RawQuery, State},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use router_core::{Caller, Error, Kind, Result};
use router_llm::dialect::{
    Language, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT, openai_completions::OPENAI_COMPLETIONS,
    openai_responses::OPENAI_RESPONSES,
};
use tokio::time::{Instant, timeout};
use tower_service::Service;

use self::{
    chat::Asked,
    door::{Access, Door},
    reject::reject,
    visit::Visit,
};
use crate::{
    gateway::Gateway,
    telemetry::{line::ACCESS, metrics::Metrics},
    wire::sign_in,
};

/// The most that a chat may weigh.
const CHAT_BYTES: usize = 32 << 20;
/// How long the address of a request may be.
const ADDRESS_BYTES: usize = 8 << 10;
/// The most that an MCP message may weigh.
const MCP_BYTES: usize = 4 << 20;
/// The most that a question to `/ask` may weigh.
const ASK_BYTES: usize = 4 << 20;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_mins(1);
/// How long any call may take, whatever its upstream is allowed.
const CALL_TIME: Duration = Duration::from_hours(1);

/// What is written down for a request whose client left before its answer began (a status of nginx's own making).
const GONE: u16 = 499;

/// All that a request meets: the door, the routes, and the gateway behind them.
pub struct House {
    door: Door,
    routes: Router,
    gateway: Arc<Gateway>,
}

impl House {
    /// A house around `gateway` with `door` in front.
    pub fn new(gateway: Arc<Gateway>, door: Door) -> Arc<Self> {
        Arc::new(Self { door, routes: routes(Arc::clone(&gateway)), gateway })
    }

    /// The life of a request, from its headers to the last byte of its answer.
    pub async fn enter(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let (request, leftover) = leftover::share(request);
        let (mut parts, body) = request.into_parts();
        if let Some(headers) = self.door.preflight(&parts) {
            return no_content(headers);
        }
        let client = client::take(&mut parts.uri);
        let (route, shape) = (route_label(parts.uri.path()), shape_of(parts.uri.path()));
        let origin = self.door.listed_origin(&parts.headers);
        let request_id = new_request_id();
        let (visit, refusal) = self.admit(&mut parts, client.as_deref(), &request_id);
        let mut tally = Tally {
            metrics: Arc::clone(&self.gateway.metrics),
            caller: Arc::clone(&visit.caller),
            route,
            status: GONE,
            upstream: None,
            started,
        };
        let mut response = match refusal {
            None => self.answer(Request::from_parts(parts, Body::new(body)), shape, visit.clone()).await,
            Some(error) if error.kind() == Kind::NotFound => reject(&error, shape.nowhere(), &visit),
            // At the door nothing else can be too long.
            Some(error) if error.kind() == Kind::TooLong => {
                let mut response = reject(&error, shape, &visit);
                *response.status_mut() = StatusCode::URI_TOO_LONG;
                response
            }
            Some(error) => reject(&error, shape, &visit),
        };
        leftover.clear(&mut response).await;
        mark(response.headers_mut(), &request_id, origin);
        tally.status = response.status().as_u16();
        tally.upstream = response.headers().get(&visit::UPSTREAM).cloned();
        tally.until_the_last_byte(response)
    }

    /// Lets a request in, on behalf of `client` where its path names one; or says why not.
    fn admit(&self, parts: &mut Parts, client: Option<&str>, request_id: &Arc<str>) -> (Visit, Option<Error>) {
        let (access, rules) = (access(&parts.uri), &self.gateway.models.rules);
        // The door takes our own headers off.
        let keep = keep::read(&parts.headers);
        let admitted = short_enough(&parts.uri).and_then(|()| self.door.admit(parts, access, Arc::clone(request_id)));
        let admitted = admitted.and_then(|caller| client::named(caller, client, &parts.headers, rules));
        match admitted.and_then(|caller| Ok((caller, loss::read(&parts.headers)?))) {
            Ok((caller, on_loss)) => {
                let by_path = client.is_some();
                (Visit { keep, by_path, on_loss, ..Visit::new(caller, CALL_TIME) }.ruled(rules), None)
            }
            Err(error) => (Visit::new(Caller::anonymous(Arc::clone(request_id)), CALL_TIME), Some(error)),
        }
    }

    /// Answers, and keeps a defect of ours from taking the process along.
    async fn answer(&self, mut request: Request<Body>, shape: reject::Shape, visit: Visit) -> Response<Body> {
        request.extensions_mut().insert(visit.clone());
        match AssertUnwindSafe(self.routes.clone().call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(_) => {
                self.gateway.metrics.panicked();
                reject(&Error::new(Kind::Internal, "a defect of the router ended this call"), shape, &visit)
            }
        }
    }
}

fn short_enough(address: &Uri) -> Result<()> {
    let length = address.path_and_query().map_or(0, |address| address.as_str().len());
    if length <= ADDRESS_BYTES {
        return Ok(());
    }
    Err(Error::new(Kind::TooLong, format!("the address of this request has {length} bytes, more than {ADDRESS_BYTES}"))
        .hint("what is long belongs in the body"))
}

/// What every answer carries: its id, and for a page of a listed origin the leave to read it.
fn mark(headers: &mut HeaderMap, request_id: &str, origin: Option<HeaderValue>) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        let [one, other] = &visit::IDS;
        headers.insert(one, id.clone());
        headers.insert(other, id);
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Counts an answer, and writes it down, when it is dropped: when its last byte has gone or it was given up.
struct Tally {
    metrics: Arc<Metrics>,
    caller: Arc<Caller>,
    route: &'static str,
    status: u16,
    upstream: Option<HeaderValue>,
    started: Instant,
}

impl Tally {
    fn until_the_last_byte(self, response: Response<Body>) -> Response<Body> {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _tally = &self;
                frame
            }))
        })
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let (route, status, took) = (self.route, self.status, self.started.elapsed());
        self.metrics.request(route, status, took);
        let Caller { name, request_id, .. } = &*self.caller;
        let upstream = self.upstream.as_ref().and_then(|upstream| upstream.to_str().ok());
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(target: ACCESS, request_id = &**request_id, caller = &**name, route, status, upstream, milliseconds);
    }
}

fn no_content(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = headers;
    response
}

/// The probes of an orchestrator have no key, and no name to come by; neither has a browser on its way to sign in
/// somewhere and back, which knows what nobody else does, or an authorization server that reads who we are. What `/health` tells of the upstreams is not for
/// everybody.
fn access(uri: &Uri) -> Access {
    match (uri.path(), uri.query()) {
        ("/health/live" | "/health/ready" | sign_in::START | sign_in::CALLBACK | sign_in::DESCRIPTION, _)
        | ("/health", Some("ready=true")) => Access::Probe,
        (path, _) if path == "/health" || path.starts_with("/health/") => Access::ByAddress,
        (path, _) if path == "/admin" || path.starts_with("/admin/") => Access::Admin,
        _ => Access::Guarded,
    }
}

fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(hello))
        .route("/ask", post(ask_route))
        .route("/enhance", post(enhance::ours))
        .route("/ollama/enhance", post(enhance::theirs))
        .route("/llm/enhance", post(enhance::theirs))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/stream", post(messages_streamed))
        .route("/v1/messages/count_tokens", post(count::count))
        .route("/v1/chat/completions", post(completions))
        .route("/v1/completions", post(legacy_completions))
        .route("/v1/embeddings", post(embeddings::openai))
        .route("/api/embed", post(embeddings::ollama))
        .route("/api/embeddings", post(embeddings::ollama_prompt))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::one).delete(responses::forget))
        .route("/v1/responses/{id}/input_items", get(responses::input_items))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/api/hello", get(hello))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/mcp", axum::routing::any(mcp::all))
        .route("/mcp/{server}", axum::routing::any(mcp::one))
        .route(sign_in::START, get(oauth::start).post(oauth::agreed))
        .route(sign_in::CALLBACK, get(oauth::callback))
        .route(sign_in::DESCRIPTION, get(oauth::description))
        .route("/mcp/v/{view}", axum::routing::any(mcp::view))
        .route("/sse", axum::routing::any(mcp::all_sse))
        .route("/sse/{server}", axum::routing::any(mcp::one_sse))
        .route("/sse/v/{view}", axum::routing::any(mcp::view_sse))
        .route("/health", get(health::all))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/{server}", get(health::one))
        .route("/metrics", get(metrics))
        .merge(admin::routes())
        .merge(ollama::routes())
        .merge(passthrough::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .with_state(gateway)
}

/// What every handler reads.
type Gate = State<Arc<Gateway>>;

async fn hello() -> &'static str {
    concat!(
        "MCP Router ",
        env!("CARGO_PKG_VERSION"),
        "\n/ask /enhance /v1/messages /v1/chat/completions /v1/completions /v1/embeddings /v1/responses /v1/models /api/chat /api/generate \
         /api/embed /api/tags /mcp /health /metrics\n"
    )
}

async fn ask_route(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match read_body(&headers, body, ASK_BYTES).await {
        Ok(body) => ask::ask(&gateway, &visit, &body).await,
        Err(error) => reject(&error, reject::Shape::Plain, &visit),
    }
}

async fn messages(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    converse(&gateway, &visit, &ANTHROPIC, (headers, body), |asked| Ok(asked.with_query(query.as_deref()))).await
}

async fn messages_streamed(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    converse(&gateway, &visit, &ANTHROPIC, (headers, body), |asked| asked.with_query(query.as_deref()).streamed()).await
}

async fn completions(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    converse(&gateway, &visit, &OPENAI_CHAT, (headers, body), Ok).await
}

async fn legacy_completions(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    converse(&gateway, &visit, &OPENAI_COMPLETIONS, (headers, body), Asked::repeating).await
}

/// A chat in any dialect.
async fn converse(
    gateway: &Arc<Gateway>,
    visit: &Visit,
    language: &'static dyn Language,
    (headers, body): (HeaderMap, Body),
    bend: impl FnOnce(Asked) -> Result<Asked>,
) -> Response<Body> {
    let read = read_body(&headers, body, CHAT_BYTES).await;
    match read.and_then(|body| Asked::read(language, &headers, body, visit)).and_then(bend) {
        Ok(asked) => chat::answer(gateway, visit, asked.untagged(&gateway.models.cards)).await,
        Err(error) => reject(&error, reject::Shape::Dialect(language), visit),
    }
}

async fn metrics(State(gateway): Gate) -> Response<Body> {
    let mut response = Response::new(Body::from(gateway.metrics_text()));
    let text = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

async fn nowhere(Extension(visit): Extension<Visit>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let error = Error::new(Kind::NotFound, format!("there is nothing at {path}")).hint(
        "try /ask, /v1/messages, /v1/chat/completions, /v1/embeddings, /v1/responses, /v1/models, /api/chat, /mcp, /health or /metrics",
    );
    reject(&error, shape_of(path).nowhere(), &visit)
}

async fn not_so(Extension(visit): Extension<Visit>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let error = Error::new(Kind::Invalid, format!("{path} does not take {}", request.method()))
        .hint("the header `allow` of this answer names what it takes");
    let mut response = reject(&error, shape_of(path), &visit);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// A body within its bounds, in size and in time.
async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes> {
    chat::refuse_encoding(headers)?;
    match timeout(BODY_TIME, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Error::new(Kind::TooLong, format!("the body is larger than {} MiB", limit >> 20)))
        }
        Ok(Err(error)) => Err(Error::new(Kind::Cancelled, "the body did not arrive whole").because(error)),
        Err(_) => Err(Error::new(Kind::Cancelled, format!("the body took longer than {} s", BODY_TIME.as_secs()))),
    }
}

/// In which shape an error is told at `path`.
fn shape_of(path: &str) -> reject::Shape {
    if path.starts_with("/v1/messages") || path == "/v1/complete" {
        reject::Shape::Dialect(&ANTHROPIC)
    } else if path == "/v1/responses" || path.starts_with("/v1/responses/") {
        reject::Shape::Dialect(&OPENAI_RESPONSES)
    } else if path.starts_with("/v1/") {
        reject::Shape::Dialect(&OPENAI_CHAT)
    } else if path.starts_with("/api/") {
        reject::Shape::Dialect(&OLLAMA)
    } else if matches!(path.split('/').nth(1), Some("mcp" | "sse")) {
        reject::Shape::Rpc
    } else {
        reject::Shape::Plain
    }
}

/// The path as a label of a closed set.
fn route_label(path: &str) -> &'static str {
    const EXACT: &[&str] = &[
        "/",
        "/ask",
        "/enhance",
        "/ollama/enhance",
        "/llm/enhance",
        "/v1/messages",
        "/v1/messages/stream",
        "/v1/messages/count_tokens",
        "/v1/chat/completions",
        "/v1/responses",
        "/mcp",
        "/sse",
        "/metrics",
        "/health",
        "/v1/models",
        "/v1/completions",
        "/v1/complete",
        "/api/hello",
        "/api/chat",
        "/api/generate",
        "/api/tags",
        "/api/show",
        "/api/ps",
        "/api/version",
        "/api/pull",
        "/api/push",
        "/api/create",
        "/api/copy",
        "/api/delete",
        "/v1/embeddings",
        "/api/embed",
        "/api/embeddings",
        sign_in::START,
        sign_in::CALLBACK,
        sign_in::DESCRIPTION,
    ];
    const UNDER: &[(&str, &str)] = &[
        ("/v1/models/", "/v1/models/{id}"),
        ("/v1/messages/batches", "/v1/messages/batches"),
        ("/v1/files", "/v1/files"),
        ("/v1/responses/", "/v1/responses/{id}"),
        ("/mcp/v/", "/mcp/v/{view}"),
        ("/mcp/", "/mcp/{server}"),
        ("/sse/v/", "/sse/v/{view}"),
        ("/sse/", "/sse/{server}"),
        ("/admin/servers", "/admin/servers"),
        ("/health/", "/health/{server}"),
    ];
    let exact = EXACT.iter().find(|known| **known == path).copied();
    exact
        .or_else(|| UNDER.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, label)| *label))
        .unwrap_or("other")
}

/// Query parameters by name; unknown ones are nobody's business.
type Parameters = Query<Vec<(String, String)>>;
