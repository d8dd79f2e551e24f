//! HTTP+SSE, the transport of 2024-11-05, for clients that know no other: one stream for everything that they hear, which
//! begins with the address to which they post everything that they say.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::RETRY_AFTER, request::Parts};
use parking_lot::Mutex;
use router_core::Cx;
use tokio::sync::mpsc;

use super::{
    Body, Front,
    body::{self, Events},
    failure,
    http::{events, not_allowed, refused, status},
    origin::Refusal,
    pipe::Pipe,
    session::{Hello, Session},
    version::Version,
};
use crate::rpc::{self, RpcError, code};

/// How many messages wait for a client that reads slowly; one that does not read may say nothing more.
const WAITING: usize = 64;
/// How many requests of one client may be under way.
const UNDERWAY: usize = 100;
/// What names the session in an address for messages.
const SESSION: &str = "sessionId";

/// The clients of an endpoint whose streams are open, by the ids of their sessions.
pub(super) type Pipes = Mutex<HashMap<Box<str>, Arc<Pipe>>>;

impl Front {
    /// Answers one HTTP request of the older transport. `path` is where the client posts to; empty, he posts to where his
    /// stream is from. The caller has checked what [`Front::handle`] wants checked.
    pub async fn handle_sse(&self, cx: Cx, (parts, path): (&Parts, &str), body: Bytes) -> Response<Body> {
        let outcome = match parts.method {
            Method::GET => self.open(&cx, path),
            Method::POST => self.posted(cx, parts, &body).await,
            _ => Ok(not_allowed("GET, POST")),
        };
        outcome.unwrap_or_else(|refusal| refused(None, &refusal))
    }

    fn open(&self, cx: &Cx, path: &str) -> Result<Response<Body>, Refusal> {
        let hello = Hello { version: Version::First, ..Hello::silent() };
        let session =
            self.0.sessions.open(&cx.caller().name, hello).map_err(|error| {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, failure::of(&error, Version::First))
            })?;
        let (out, messages) = mpsc::channel(WAITING);
        let pipe = Arc::new(Pipe::new(self.clone(), Arc::clone(&session), out, UNDERWAY));
        self.0.pipes.lock().insert(session.id.clone(), Arc::clone(&pipe));
        let opening = format!("event: endpoint\ndata: {path}?{SESSION}={}\n\n", session.id);
        Ok(events(Body::of(Hearing { pipe, session, front: self.clone(), messages, opening: Some(opening.into()) })))
    }

    async fn posted(&self, cx: Cx, parts: &Parts, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let pipe = self.pipe(parts, &cx.caller().name);
        let unknown =
            || Refusal::new(StatusCode::NOT_FOUND, RpcError::new(404, "no such session: open a stream first"));
        let pipe = pipe.ok_or_else(unknown)?;
        if pipe.is_full() {
            let full = RpcError::new(code::INTERNAL, "read the stream first: there are answers waiting");
            let mut response = refused(None, &Refusal::new(StatusCode::SERVICE_UNAVAILABLE, full));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Ok(response);
        }
        if rpc::is_batch(body) {
            pipe.batch(cx, body).await;
        } else {
            pipe.take(cx, rpc::read_client(body)?).await;
        }
        Ok(status(StatusCode::ACCEPTED))
    }

    /// The client that the address names, when it is this caller.
    fn pipe(&self, parts: &Parts, caller: &str) -> Option<Arc<Pipe>> {
        let pairs = parts.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        let (_, id) = pairs.into_iter().find(|(name, _)| *name == SESSION)?;
        let session = self.0.sessions.find(id, caller)?;
        self.0.pipes.lock().get(&session.id).map(Arc::clone)
    }
}

/// What a client hears, until he leaves, which ends his session; or until we close, when what was under way has ended.
struct Hearing {
    front: Front,
    pipe: Arc<Pipe>,
    session: Arc<Session>,
    messages: mpsc::Receiver<Bytes>,
    opening: Option<Bytes>,
}

impl Events for Hearing {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        self.session.touch();
        let farewell = async {
            self.front.0.setup.closing.cancelled().await;
            self.pipe.is_idle().await;
        };
        let message = tokio::select! {
            biased;
            message = self.messages.recv() => message,
            () = self.session.over.cancelled() => None,
            () = farewell => None,
        };
        message.map(body::event)
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.front.0.pipes.lock().remove(&self.session.id);
        self.front.0.sessions.close(&self.session);
    }
}
