//! One message to a server over HTTP, and everything that comes back for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use router_core::{Error, Kind, Name, Outcome, Raw, Result};
use router_http::{Answer, Pieces};
use tokio::sync::Notify;

use super::{
    super::{Endpoint, Surroundings, answer, session::Reply},
    proof,
    transport::Transport,
};
use crate::{
    oauth::Keyring,
    rpc::{self, Message, RpcError},
};

/// The largest answer, in bytes.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// What is read of the body of a refusal.
pub(super) const REFUSAL_MAX: usize = 64 * 1024;

/// A shorter word of a header stands in texts by chance.
const SECRET_MIN: usize = 8;

/// An id that no request of ours ever has.
const NO_REQUEST: u64 = u64::MAX;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Where messages go, and what goes along with each.
pub(super) struct Post {
    pub(super) url: Uri,
    /// What goes along before anything is agreed on.
    pub(super) standing: HeaderMap,
    /// Those of the configuration, which nobody is told.
    pub(super) secrets: HeaderMap,
    pub(super) transport: Transport,
    pub(super) keyring: Option<Keyring>,
    pub(super) around: Surroundings,
}

/// A message on its way. It may have to be sent again, with another proof of who asks.
pub(super) struct Draft<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
}

impl Draft<'_> {
    pub(super) fn showing(&self, proof: Option<&HeaderValue>) -> Request<Pieces> {
        let mut request = Request::new(Pieces::from(Bytes::clone(&self.body)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(proof) = proof {
            request.headers_mut().insert(AUTHORIZATION, proof.clone());
        }
        request
    }
}

/// A request of the server, in the middle of its answer to ours.
pub(super) struct Asked {
    pub(super) id: rpc::Id,
    pub(super) method: Arc<str>,
    pub(super) params: Option<Raw>,
}

/// What hears the rest of what a server says while it answers.
pub(super) trait Aside: Sync {
    /// Something that wants no answer.
    fn heard(&self, method: Arc<str>, params: Option<Raw>);
    /// A question back.
    fn asked(&self, asked: Asked);
}

/// What became of a message.
pub(super) enum Posted {
    /// It was a request, and this is its answer; with the session that the server opened.
    Answered(Reply, Option<HeaderValue>),
    /// It was taken, and needs no answer.
    Accepted,
    /// The server would not have it.
    Rejected(Rejection),
}

/// A status that says no.
#[derive(Clone, Debug)]
pub(in super::super) struct Rejection {
    pub(super) status: StatusCode,
    /// The JSON-RPC error in the body, where there is one.
    pub(super) error: Option<RpcError>,
    /// The beginning of any other body.
    pub(super) text: String,
    pub(super) retry_after: Option<Duration>,
}

impl Post {
    pub(super) fn new(name: &Name, endpoint: &Endpoint, around: &Surroundings) -> Result<Self> {
        let mut secrets = HeaderMap::new();
        for (header, value) in &endpoint.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| Error::new(Kind::Invalid, format!("the header {header} cannot be sent")).at(name))?;
            value.set_sensitive(true);
            secrets.insert(header.clone(), value);
        }
        let mut standing = HeaderMap::new();
        standing.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        standing.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        standing.extend(secrets.clone());
        let (url, keyring) = (endpoint.url.clone(), endpoint.keyring.clone());
        Ok(Self { transport: Transport::to(&url)?, url, standing, secrets, keyring, around: around.clone() })
    }

    /// Sends a request with the id `id`, or, without one, a message that needs no answer.
    pub(super) async fn send(
        &self,
        body: Bytes,
        headers: &HeaderMap,
        id: Option<u64>,
        aside: &impl Aside,
    ) -> Result<Posted> {
        let response = self.deliver(self.draft(Method::POST, headers, body)).await?;
        let (status, session) = (response.status(), response.headers().get(SESSION_ID).cloned());
        if !status.is_success() {
            return Ok(Posted::Rejected(Rejection::read(response, &self.secrets).await));
        }
        let Some(id) = id else {
            response.into_body().leave();
            return Ok(Posted::Accepted);
        };
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let reply = if is_events(&response) {
            self.stream(response.into_body(), (id, headers), aside).await?
        } else if kind.starts_with("application/json") {
            let body = collect(response.into_body(), BODY_MAX).await?;
            self.take(&body, id, aside)?.ok_or_else(|| unanswered("the body holds no answer"))?
        } else {
            return Err(unanswered(&format!("HTTP {} with the content type {kind:?}", status.as_u16())));
        };
        Ok(Posted::Answered(reply, session))
    }

    /// Opens the standing stream of a session, and hears what comes until it ends. `answered` is told once the server has
    /// said whether there is one.
    pub(super) async fn overhear(&self, headers: &HeaderMap, aside: &impl Aside, answered: &Notify) -> Result<Posted> {
        let response = self.deliver(self.draft(Method::GET, headers, Bytes::new())).await;
        answered.notify_one();
        let response = response?;
        if response.status() != StatusCode::OK {
            return Ok(Posted::Rejected(Rejection::read(response, &self.secrets).await));
        }
        if !is_events(&response) {
            return Ok(Posted::Accepted);
        }
        let reply = self.stream(response.into_body(), (NO_REQUEST, headers), aside).await?;
        Ok(Posted::Answered(reply, None))
    }

    /// Ends a session.
    pub(super) async fn delete(&self, headers: &HeaderMap) -> Result<StatusCode> {
        Ok(self.deliver(self.draft(Method::DELETE, headers, Bytes::new())).await?.status())
    }

    pub(super) async fn deliver(&self, draft: Draft<'_>) -> Result<Response<Answer>> {
        match &self.keyring {
            None => self.transport.send(draft.showing(None)).await,
            Some(keyring) => proof::send(keyring, &self.transport, &draft).await,
        }
    }

    /// A message to the address of the server.
    pub(super) fn draft<'a>(&'a self, method: Method, headers: &'a HeaderMap, body: Bytes) -> Draft<'a> {
        Draft { method, url: &self.url, headers, body }
    }

    /// Reads one message, or a batch of them; the answer when it is among them.
    pub(super) fn take(&self, frame: &Bytes, id: u64, aside: &impl Aside) -> Result<Option<Reply>> {
        let unreadable = |error: RpcError| unanswered(&error.message);
        let messages =
            if rpc::is_batch(frame) { rpc::read_batch(frame).map_err(unreadable)? } else { vec![rpc::read(frame)] };
        let mut reply = None;
        for message in messages {
            match message.map_err(unreadable)? {
                Message::Response { id: found, outcome } => {
                    if found.as_ref().is_none_or(|found| found.as_u64() == Some(id)) {
                        reply = Some(outcome);
                    }
                }
                Message::Notification { method, params } => {
                    self.around.hear(&method, params.as_ref());
                    aside.heard(method, params);
                }
                Message::Request { id, method, params } => aside.asked(Asked { id, method, params }),
            }
        }
        Ok(reply)
    }
}

/// Whether a response is a stream of events.
pub(super) fn is_events(response: &Response<Answer>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

pub(super) fn unanswered(why: &str) -> Error {
    Error::new(Kind::Protocol, format!("no answer that can be read: {why}"))
}

pub(super) async fn collect(body: Answer, max: usize) -> Result<Bytes> {
    let whole = Limited::new(body, max).collect().await.map_err(|error| {
        let is_long = error.is::<LengthLimitError>();
        let why = if is_long { format!("the body is above {max} bytes") } else { "the body broke off".to_owned() };
        unanswered(&why).because(error)
    })?;
    Ok(whole.to_bytes())
}

/// The same without the values of our headers: some servers quote what they refuse.
fn without(body: Bytes, secrets: &HeaderMap) -> Bytes {
    let values = secrets.values().filter_map(|value| value.to_str().ok());
    let words = values.flat_map(str::split_whitespace).filter(|word| word.len() >= SECRET_MIN);
    words.fold(body, |body, word| match memchr::memmem::find(&body, word.as_bytes()) {
        None => body,
        Some(_) => String::from_utf8_lossy(&body).replace(word, "****").into(),
    })
}

impl Rejection {
    pub(super) async fn read(response: Response<Answer>, secrets: &HeaderMap) -> Self {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let body = collect(response.into_body(), REFUSAL_MAX).await.unwrap_or_default();
        let body = without(body, secrets);
        let error = match rpc::read(&body) {
            Ok(Message::Response { outcome: Err(error), .. }) => Some(error),
            Ok(_) | Err(_) => None,
        };
        let text = String::from_utf8_lossy(body.get(..200).unwrap_or(&body)).trim().to_owned();
        Self { status, error, text, retry_after: retry_after.map(Duration::from_secs) }
    }

    /// The number of the JSON-RPC error in it.
    pub(super) fn code(&self) -> Option<i64> {
        self.error.as_ref().map(|error| error.code)
    }

    /// Whether it says that the session is not known any more. Some servers say it with a 400.
    pub(super) fn forgot_session(&self) -> bool {
        let says = || self.text.to_ascii_lowercase().contains("session");
        self.status == StatusCode::NOT_FOUND || (self.status == StatusCode::BAD_REQUEST && says())
    }

    /// Whether the request was surely not begun: only an unknown session has that status by the protocol's word.
    pub(super) fn was_not_begun(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Whether the server may be one of the older transport, which takes no messages at the address of its stream.
    pub(in super::super) fn may_be_older(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 404 | 405)
    }

    /// What the caller is told.
    pub(in super::super) fn into_error(self) -> Error {
        let status = self.status.as_u16();
        if matches!(status, 401 | 403) {
            let message = format!("the server refuses our credential (HTTP {status})");
            return Error::new(Kind::Credential, message).hint("check the server's `headers`");
        }
        if let Some(error) = &self.error {
            return answer::failure(error);
        }
        let message = format!("HTTP {status}: {}", if self.text.is_empty() { "no reason given" } else { &self.text });
        match status {
            429 => {
                let error = Error::new(Kind::Limited, message);
                self.retry_after.map_or(error.clone(), |wait| error.retry_after(wait))
            }
            502 | 504 => Error::new(Kind::Unavailable, message),
            500.. => Error::new(Kind::Unavailable, message).outcome_is(Outcome::Failed),
            300..400 => Error::new(Kind::Refused, message).hint("redirects are not followed: use the final address"),
            _ => Error::new(Kind::Refused, message),
        }
    }
}
