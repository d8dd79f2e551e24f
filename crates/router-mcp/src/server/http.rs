//! The HTTP side: Streamable HTTP of every revision on one endpoint.

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use router_core::{Cx, Provenance, Raw};
use tokio::{
    sync::mpsc,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Body, Front, Outcome, Question,
    body::{Request, Source},
    failure, headers,
    kept::{CALL, STANDING},
    listen::Listener,
    meta::{META, Meta},
    origin::{Origin, Refusal, admit},
    pieces::Pieces,
    version::Version,
};
use crate::{
    fields,
    rpc::{self, Id, Message, RpcError, code},
};

/// After how much silence the answer begins as a stream, so that nobody on the way gives up on it.
const QUIET: Duration = Duration::from_secs(10);
/// How many notes wait for a client that reads slowly; those beyond are lost.
const NOTES: usize = 64;

/// Proxies must not hold events back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

impl Front {
    /// Answers one HTTP request. The caller has read the body, and checked its size, who asks, `Host` and `Origin`.
    /// Where a single answer of an upstream is the whole response, its [`Provenance`] is in the extensions.
    pub async fn handle(&self, cx: Cx, parts: &Parts, body: Bytes) -> Response<Body> {
        let outcome = match parts.method {
            Method::POST => self.post(cx, &parts.headers, body).await,
            Method::GET => self.stream(&cx, &parts.headers),
            Method::DELETE => self.delete(&cx, &parts.headers),
            _ => Ok(not_allowed("POST")),
        };
        outcome.unwrap_or_else(|refusal| refused(None, &refusal))
    }

    async fn post(&self, cx: Cx, headers: &HeaderMap, body: Bytes) -> Result<Response<Body>, Refusal> {
        if rpc::is_batch(&body) {
            return self.batch(cx, headers, &body).await;
        }
        match rpc::read_client(&body)? {
            Message::Request { id, method, params } => {
                let outcome = self.request(cx, headers, Question::new(id.clone(), method, params)).await;
                Ok(outcome.unwrap_or_else(|refusal| refused(Some(&id), &refusal)))
            }
            Message::Notification { method, params } => {
                let meta = params.as_ref().and_then(|params| fields::get(params, META));
                let origin = self.origin(headers, &cx.caller().name, &Meta::read(meta.as_ref()))?;
                if let (Some(session), "notifications/cancelled") = (origin.session(), &*method) {
                    session.cancel(params.as_ref());
                }
                Ok(status(StatusCode::ACCEPTED))
            }
            Message::Response { id, outcome } => {
                let session = self.session(headers, &cx.caller().name)?;
                let lost = || RpcError::new(code::INVALID_REQUEST, "an answer needs the session of its question");
                session.ok_or_else(lost)?.answered(id.as_ref(), outcome);
                Ok(status(StatusCode::ACCEPTED))
            }
        }
    }

    async fn request(&self, cx: Cx, headers: &HeaderMap, mut question: Question) -> Result<Response<Body>, Refusal> {
        // What says that it is modern has no handshake: it is told so like of any other method that is gone.
        if &*question.method == "initialize" && !question.meta.is_modern() {
            return Ok(self.initialize(&cx, &question.id, question.params.as_ref()));
        }
        let origin = self.origin(headers, &cx.caller().name, &question.meta)?;
        question.version = origin.version();
        question.session = origin.session().cloned();
        if question.version.is_modern() {
            admit(headers, self, &question)?;
            if &*question.method == "subscriptions/listen" {
                return self.listen(&cx, headers, &question).await;
            }
        }
        let accepts = Accepts::read(headers);
        let (out, notes) = mpsc::channel(NOTES);
        let keeper = question.session.clone().filter(|_| !question.version.is_modern());
        let work = self.work(cx, question, out);
        let begun = match respond(work, notes, accepts).await {
            Ok(whole) => return Ok(whole),
            Err(begun) => begun,
        };
        let source = Source::Request(begun);
        Ok(events(match keeper {
            Some(session) => Body::of(self.kept(&session, CALL, source)),
            None => Body::of(source),
        }))
    }

    /// The answer in the making. Dropping it cancels a modern request; a legacy one goes on, as its protocol wants.
    fn work(&self, cx: Cx, question: Question, out: mpsc::Sender<Bytes>) -> BoxFuture<'static, Answered> {
        let (id, version) = (question.id.clone(), question.version);
        let run = self.clone().run(cx, question, out);
        if version.is_modern() {
            return run.map(move |outcome| Answered::new(&id, version, outcome)).boxed();
        }
        // It is moved about before it runs, and is large.
        let task = self.0.setup.tasks.spawn(Box::pin(run));
        let broken = || Some(Err(RpcError::new(code::INTERNAL, "the request failed for a reason of ours")));
        task.map(move |outcome| Answered::new(&id, version, outcome.unwrap_or_else(|_| broken()))).boxed()
    }

    fn initialize(&self, cx: &Cx, id: &Id, params: Option<&Raw>) -> Response<Body> {
        let (hello, result) = self.greeting(params);
        match self.0.sessions.open(&cx.caller().name, hello) {
            Ok(session) => {
                let mut response = json(StatusCode::OK, rpc::result(id, &result));
                if let Ok(value) = HeaderValue::from_str(&session.id) {
                    response.headers_mut().insert(headers::SESSION, value);
                }
                response
            }
            Err(error) => {
                let error = failure::of(&error, Version::LastLegacy);
                json(StatusCode::INTERNAL_SERVER_ERROR, rpc::error(Some(id), &error))
            }
        }
    }

    async fn listen(&self, cx: &Cx, headers: &HeaderMap, question: &Question) -> Result<Response<Body>, Refusal> {
        if !Accepts::read(headers).events {
            return Err(not_acceptable());
        }
        let until = (CancellationToken::new(), self.0.setup.closing.clone());
        let listener = Listener::subscribed(&self.0.setup.catalog, cx, question, until).await;
        Ok(events(Body::of(Source::Listener(Box::new(listener)))))
    }

    /// The standing stream of a legacy session, or the rest of one that was cut.
    fn stream(&self, cx: &Cx, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
        let Some(session) = self.session(headers, &cx.caller().name)? else { return Ok(not_allowed("POST")) };
        if !Accepts::read(headers).events {
            return Err(not_acceptable());
        }
        if let Some(last) = headers.get(headers::LAST_EVENT_ID) {
            let last = last.to_str().unwrap_or_default();
            if let Some(rest) = self.rest_of(&session, last) {
                return Ok(events(Body::of(rest)));
            }
            // A standing stream can begin anew; what was said about a request is lost.
            if !last.starts_with(STANDING) {
                return Err(
                    RpcError::new(code::INVALID_REQUEST, "what followed this event is not kept any more").into()
                );
            }
        }
        let listener =
            Listener::standing(&self.0.setup.catalog, &session, session.over.clone(), self.0.setup.closing.clone());
        Ok(events(Body::of(self.kept(&session, STANDING, Source::Listener(Box::new(listener))))))
    }

    fn delete(&self, cx: &Cx, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
        let Some(session) = self.session(headers, &cx.caller().name)? else { return Ok(not_allowed("POST")) };
        self.0.sessions.close(&session);
        Ok(status(StatusCode::NO_CONTENT))
    }

    /// Several messages at once, which only the revision 2025-03-26 has. Their notes are lost: there is one answer.
    async fn batch(&self, cx: Cx, headers: &HeaderMap, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let origin = self.origin(headers, &cx.caller().name, &Meta::default())?;
        let Origin::Legacy { version: Version::Batching, session } = origin else {
            let message = "batches belong to protocol version 2025-03-26 only";
            return Err(RpcError::new(code::INVALID_REQUEST, message).into());
        };
        let front = self.clone();
        let messages = rpc::read_batch(body)?;
        let (out, _) = mpsc::channel(1);
        let answers = self.0.setup.tasks.spawn(async move { front.answer_all(&cx, messages, session, &out).await });
        match answers.await {
            Ok(Some(answers)) => Ok(json(StatusCode::OK, answers)),
            Ok(None) => Ok(status(StatusCode::ACCEPTED)),
            Err(_) => {
                Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, RpcError::new(code::INTERNAL, "a batch failed")))
            }
        }
    }
}

/// The message that answers a request, and the status under which it goes when nothing went before it.
struct Answered {
    status: StatusCode,
    message: Pieces,
    provenance: Option<Provenance>,
}

impl Answered {
    fn new(id: &Id, version: Version, outcome: Outcome) -> Self {
        let outcome = outcome.unwrap_or_else(|| Err(failure::of(&failure::cancelled(), version)));
        let status = match &outcome {
            Err(error) if version.is_modern() => status_of(error.code),
            _ => StatusCode::OK,
        };
        let message = Pieces::reply(id, &outcome);
        Self { status, message, provenance: outcome.ok().and_then(|told| told.provenance) }
    }

    /// It alone, with nothing before it.
    fn alone(self) -> Response<Body> {
        let mut response = json(self.status, self.message);
        if let Some(provenance) = self.provenance {
            response.extensions_mut().insert(provenance);
        }
        response
    }
}

/// Modern clients learn of errors of the protocol itself from the status, too.
fn status_of(number: i64) -> StatusCode {
    match number {
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// One message when the answer comes first, which is the rule; what has begun when something else does, or nothing for
/// long.
async fn respond(
    mut work: BoxFuture<'static, Answered>,
    mut notes: mpsc::Receiver<Bytes>,
    accepts: Accepts,
) -> Result<Response<Body>, Request> {
    if !accepts.events {
        drop(notes);
        return Ok(work.await.alone());
    }
    let first = tokio::select! {
        biased;
        Some(note) = notes.recv() => Some(note),
        answered = &mut work => {
            if accepts.json && notes.is_empty() {
                return Ok(answered.alone());
            }
            work = std::future::ready(answered).boxed();
            None
        }
        () = sleep(QUIET) => None,
    };
    Err(Request::new(work.map(|answered| answered.message.joined()).boxed(), notes, first))
}

/// What a client can read. One that does not say can read JSON.
#[derive(Clone, Copy)]
struct Accepts {
    json: bool,
    events: bool,
}

impl Accepts {
    fn read(headers: &HeaderMap) -> Self {
        let mut listed = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
        if listed.peek().is_none() {
            return Self { json: true, events: false };
        }
        let (mut json, mut events) = (false, false);
        for value in listed {
            json |= value.contains("application/json") || value.contains("*/*") || value.contains("application/*");
            events |= value.contains("text/event-stream");
        }
        Self { json: json || !events, events }
    }
}

pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, message: impl Into<Pieces>) -> Response<Body> {
    let mut response = Response::new(Body::whole(message.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn events(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

pub(super) fn refused(id: Option<&Id>, refusal: &Refusal) -> Response<Body> {
    json(refusal.status, rpc::error(id, &refusal.error))
}

fn not_acceptable() -> Refusal {
    let error = RpcError::new(code::INVALID_REQUEST, "the answer is a stream: accept text/event-stream");
    Refusal::new(StatusCode::NOT_ACCEPTABLE, error)
}

/// Only the methods of `allowed` are left.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
