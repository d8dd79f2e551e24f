//! HTTP+SSE, the transport of 2024-11-05: the server speaks on one stream that lasts, and begins with the address to which
//! it wants messages posted. What is said there is a conversation, as over a pipe.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use router_core::{Error, Kind, Name, Outcome, Result};
use router_http::Answer;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    super::{
        Surroundings,
        outlet::{Outlet, Posting, Posts},
        session::Session,
    },
    exchange::{Draft, Post, REFUSAL_MAX, Rejection, collect, is_events, unanswered},
    sse::{EVENT_MAX, Events, TooLarge},
};
use crate::egress::Place;

/// How long the server may take to name the address once its stream is open.
const ADDRESS_MAX: Duration = Duration::from_secs(10);
/// How long it may take to accept a request, and a message that needs no answer.
const REQUEST_MAX: Duration = Duration::from_mins(1);
const MESSAGE_MAX: Duration = Duration::from_secs(5);
/// How many requests are posted at a time.
const AT_ONCE: usize = 64;

/// A server on its one stream.
pub(crate) struct Older {
    session: Arc<Session>,
    /// Ends when nothing more will be heard, with the reason.
    listening: JoinHandle<Error>,
    /// That reason, once it is known.
    silence: Option<Error>,
}

impl Older {
    pub(super) fn start(name: &Name, post: Arc<Post>, around: &Surroundings) -> Self {
        let (posts, messages, over) = Posts::new();
        let session = Arc::new(Session::new(name, Outlet::Posts(posts), around));
        let heard = Arc::clone(&session);
        let listening = around.tasks.spawn(async move {
            let stopped = || Error::new(Kind::Unavailable, "the server was stopped");
            over.run_until_cancelled(converse(&post, &heard, messages)).await.unwrap_or_else(stopped)
        });
        Self { session, listening, silence: None }
    }

    pub(in super::super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Waits until the stream has ended, or the server gives no sign of life; tells everybody who waits for an answer.
    pub(in super::super) async fn over(&mut self) -> Error {
        if self.silence.is_none() {
            let silence = tokio::select! {
                ended = &mut self.listening => ended.ok(),
                () = self.session.death() => None,
            };
            let dead = || Error::new(Kind::Unavailable, "the server gives no sign of life");
            self.silence = Some(silence.unwrap_or_else(dead));
        }
        let error = self.silence.clone().unwrap_or_else(|| Error::new(Kind::Unavailable, "the stream has ended"));
        self.session.close(&error);
        error
    }

    /// Leaves the stream.
    pub(in super::super) fn stop(&self) {
        self.session.close(&Error::new(Kind::Unavailable, "the server is being stopped"));
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Speaks and listens until the stream ends; why it did.
async fn converse(post: &Post, session: &Arc<Session>, messages: mpsc::UnboundedReceiver<Posting>) -> Error {
    let (stream, address) = match open(post).await {
        Ok(opened) => opened,
        Err(error) => return error,
    };
    let speaker = Speaker { post, address, session };
    tokio::select! {
        error = listen(stream, session) => error,
        error = speaker.post_all(messages) => error,
    }
}

/// Opens the stream, and waits for the address that it begins with.
async fn open(post: &Post) -> Result<(Stream, Uri)> {
    let response = post.deliver(post.draft(Method::GET, &post.standing, Bytes::new())).await?;
    if response.status() != StatusCode::OK {
        return Err(Rejection::read(response, &post.secrets).await.into_error());
    }
    if !is_events(&response) {
        return Err(unanswered("there is no stream of events"));
    }
    let mut stream = Stream { body: response.into_body(), events: Events::default() };
    let first = timeout(ADDRESS_MAX, stream.next()).await.map_err(|_| unanswered("the stream does not begin"))??;
    if !stream.events.was_endpoint() {
        return Err(unanswered("the stream does not begin with an address for messages"));
    }
    let named = String::from_utf8_lossy(&first);
    Ok((stream, address(&post.url, named.trim())?))
}

/// Where messages go: to the server itself. What it is shown is meant for nobody else, whomever it names.
fn address(stream: &Uri, named: &str) -> Result<Uri> {
    let refused =
        |why: &str| Error::new(Kind::Protocol, format!("the address that the server names for messages {why}"));
    let base = Place::of(stream).map_err(|why| Error::new(Kind::Invalid, format!("the server's address {why}")))?;
    let path = stream.path();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = match named.as_bytes() {
        [b'/', b'/', ..] => format!("{}:{named}", if base.is_encrypted() { "https" } else { "http" }),
        [b'/', ..] => base.with_path(named),
        [b'?', ..] => base.with_path(&format!("{path}{named}")),
        _ if named.contains("://") => named.to_owned(),
        _ => base.with_path(&format!("{folder}/{named}")),
    };
    let place = Place::read(&whole).map_err(refused)?;
    if place.is_beside(&base) { Ok(place.uri().clone()) } else { Err(refused("is another server's")) }
}

/// What the server says.
struct Stream {
    body: Answer,
    events: Events,
}

impl Stream {
    /// The data of the next event.
    async fn next(&mut self) -> Result<Bytes> {
        loop {
            let too_large = |TooLarge| unanswered(&format!("an event is above {EVENT_MAX} bytes"));
            if let Some(data) = self.events.next().map_err(too_large)? {
                return Ok(data);
            }
            let ended = || Error::new(Kind::Unavailable, "the server ended its stream");
            let frame = self.body.frame().await.ok_or_else(ended)?;
            let frame =
                frame.map_err(|error| Error::new(Kind::Unavailable, "the server's stream broke").because(error))?;
            if let Ok(piece) = frame.into_data() {
                self.events.push(&piece);
            }
        }
    }
}

/// Hands every message to the session until there are no more; why.
async fn listen(mut stream: Stream, session: &Arc<Session>) -> Error {
    loop {
        match stream.next().await {
            Ok(message) if stream.events.was_endpoint() => drop(message),
            Ok(message) => drop(session.receive(&message)),
            Err(error) => return error,
        }
    }
}

/// Posts what is said.
struct Speaker<'a> {
    post: &'a Post,
    address: Uri,
    session: &'a Session,
}

impl Speaker<'_> {
    /// Requests go beside one another. Everything else is taken before what follows it is sent: a server has to know that
    /// we are ready before it is asked anything.
    async fn post_all(&self, mut messages: mpsc::UnboundedReceiver<Posting>) -> Error {
        let mut under_way = FuturesUnordered::new();
        loop {
            let lost = tokio::select! {
                Some(lost) = under_way.next(), if !under_way.is_empty() => lost,
                message = messages.recv(), if under_way.len() < AT_ONCE => match message {
                    Some(request) if request.id.is_some() => {
                        under_way.push(self.say(request, REQUEST_MAX));
                        None
                    }
                    Some(message) => self.say(message, MESSAGE_MAX).await,
                    None => Some(Error::new(Kind::Unavailable, "nobody speaks any more")),
                },
            };
            if let Some(lost) = lost {
                return lost;
            }
        }
    }

    /// Posts one message. Whoever waits for its answer is told when there will be none; an error when there will never be
    /// one, because the server does not know us any more.
    async fn say(&self, Posting { id, body, .. }: Posting, patience: Duration) -> Option<Error> {
        let draft = Draft { method: Method::POST, url: &self.address, headers: &self.post.standing, body };
        let (error, is_lost) = match timeout(patience, self.deliver(draft)).await {
            Ok(Ok(None)) => return None,
            Ok(Ok(Some(rejection))) if rejection.was_not_begun() => {
                let error = Error::new(Kind::Unavailable, "the server does not know its own stream any more");
                (error.outcome_is(Outcome::NotSent), true)
            }
            Ok(Ok(Some(rejection))) => (rejection.into_error(), false),
            Ok(Err(error)) => (error, false),
            Err(_) => {
                let error =
                    Error::new(Kind::Unavailable, format!("the server did not take a message within {patience:?}"));
                (error.outcome_is(Outcome::Unknown), false)
            }
        };
        if let Some(id) = id {
            self.session.fail(id, error.clone());
        }
        is_lost.then_some(error)
    }

    async fn deliver(&self, draft: Draft<'_>) -> Result<Option<Rejection>> {
        let response = self.post.deliver(draft).await?;
        if response.status().is_success() {
            // Read to its end, so that the connection can be used again.
            drop(collect(response.into_body(), REFUSAL_MAX).await);
            return Ok(None);
        }
        Ok(Some(Rejection::read(response, &self.post.secrets).await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_server_itself() {
        for (stream, named, expected) in [
            ("http://h:1/sse", "/messages?id=1", Some("http://h:1/messages?id=1")),
            ("http://h:1/a/sse", "messages?id=1", Some("http://h:1/a/messages?id=1")),
            ("https://h/a/sse?x=1", "?id=1", Some("https://h/a/sse?id=1")),
            ("https://h/sse", "https://H:443/m", Some("https://H:443/m")),
            ("https://h/sse", "//h/m", Some("https://h/m")),
            ("https://h/sse", "http://h/m", None),
            ("http://h:1/sse", "http://h:2/m", None),
            ("http://h:1/sse", "//other/m", None),
            ("http://h:1/sse", "http://h:1@other/m", None),
            ("http://h:1/sse", "http://u:p@h:1/m", None),
            ("http://h:1/sse", "file:///etc/passwd", None),
            ("http://h:1/sse", "/m#x", None),
        ] {
            let found = address(&stream.parse().unwrap(), named).ok().map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{stream} {named}");
        }
    }
}
