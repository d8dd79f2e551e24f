//! A server that somebody else runs, over Streamable HTTP: a request of ours is a request of HTTP.

mod asides;
mod exchange;
mod headers;
mod mirrored;
mod older;
mod proof;
mod resume;
mod sse;
mod transport;

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use router_core::{Cx, Error, Kind, Name, Outcome, Raw, Repeat, Result, tool::Answer};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

pub(super) use self::older::Older;
use self::{
    asides::{Call, Nobody, Place, Standing},
    exchange::{Post, Posted, Rejection, SESSION_ID},
    mirrored::Mirrored,
};
use super::{
    Endpoint, Question, Surroundings, answer,
    eras::{self, DISCOVER, Era, Greeting, INITIALIZE, INITIALIZED, Protocol, Request, discover_params},
    in_flight::InFlight,
    listener::Listener,
    loudness::{Loudness, SET_LEVEL},
    news::{Ended, LISTEN},
    session::{AFTER_DEADLINE, Reply},
};
use crate::{
    fields,
    rpc::{self, code},
};

/// How long a message that nobody waits for may take: an answer to the server, a cancellation, a farewell.
const ASIDE_MAX: Duration = Duration::from_secs(5);
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// How many pages of tools are read to learn what their calls repeat in headers.
const PAGES_MAX: usize = 20;
/// How long the server may take to say whether it has a standing stream before it counts as met without.
const STANDING_MAX: Duration = Duration::from_secs(1);

const TOOLS: &str = "tools/list";

/// A server over HTTP.
pub(crate) struct Remote {
    name: Name,
    post: Arc<Post>,
    mirrored: Mirrored,
    met: ArcSwapOption<Met>,
    /// Held while a lost session is replaced, so that everybody who lost it gets the same new one.
    renewal: tokio::sync::Mutex<()>,
    loudness: Loudness,
    next: AtomicU64,
    /// How often the server has answered.
    heard: AtomicU64,
    /// How many callers wait.
    waiting: AtomicUsize,
    /// Those of a legacy session, whom its standing stream may be about.
    calls: InFlight,
    /// The server has said whether it has a standing stream.
    stands: Notify,
    /// The session has been replaced.
    renewed: Notify,
    around: Surroundings,
}

/// What was agreed on with the server.
struct Met {
    greeting: Greeting,
    session: Option<HeaderValue>,
    /// What goes along with each message since.
    headers: HeaderMap,
}

impl Met {
    fn new(greeting: Greeting, session: Option<HeaderValue>, standing: &HeaderMap) -> Self {
        let mut headers = HeaderMap::new();
        if headers::is_sent(greeting.era, &greeting.version) {
            headers::version(&mut headers, &greeting.version);
        }
        if let Some(session) = &session {
            headers.insert(SESSION_ID, session.clone());
        }
        headers.extend(standing.clone());
        Self { greeting, session, headers }
    }
}

/// Why a request was not answered.
enum Failure {
    /// The server has forgotten our session, or seems to say so.
    SessionLost(Rejection),
    /// The headers do not repeat what the server wants repeated.
    Disagrees(Rejection),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Remote {
    pub(super) fn new(name: &Name, endpoint: &Endpoint, around: &Surroundings) -> Result<Self> {
        Ok(Self {
            name: Arc::clone(name),
            post: Arc::new(Post::new(name, endpoint, around)?),
            mirrored: Mirrored::default(),
            met: ArcSwapOption::empty(),
            renewal: tokio::sync::Mutex::default(),
            loudness: Loudness::default(),
            next: AtomicU64::new(1),
            heard: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            calls: InFlight::default(),
            stands: Notify::new(),
            renewed: Notify::new(),
            around: around.clone(),
        })
    }

    /// The same server over the older transport.
    pub(super) fn older(&self) -> Older {
        Older::start(&self.name, Arc::clone(&self.post), &self.around)
    }

    /// Finds out what the server speaks, unless it would not have the question.
    pub(super) async fn greet(&self, protocol: Protocol, until: Instant) -> Result<Result<Greeting, Rejection>> {
        let greeting = async {
            match protocol {
                Protocol::Auto => self.probe().await,
                Protocol::Legacy => self.initialize().await,
                Protocol::Modern => self.discovered().await,
            }
        };
        let late = |_| Error::new(Kind::Unavailable, "the server did not answer its first question");
        timeout_at(until, greeting).await.map_err(late)?
    }

    /// The modern question first. A refused credential, a busy server or a dead one tell nothing about eras.
    async fn probe(&self) -> Result<Result<Greeting, Rejection>> {
        let modern = match self.discovered().await {
            Ok(Ok(greeting)) => return Ok(Ok(greeting)),
            Ok(Err(rejection)) if matches!(rejection.status.as_u16(), 401 | 403 | 429 | 500..) => {
                return Ok(Err(rejection));
            }
            Ok(Err(rejection)) => match rejection.code() {
                Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY) => true,
                Some(code::METHOD_NOT_FOUND) => rejection.status.as_u16() == 404,
                _ => false,
            },
            // Some answer whatever they are asked: what it is tells that they do not know the question.
            Err(error) if error.kind() == Kind::Protocol => false,
            Err(error) => return Err(error),
        };
        let found = self.initialize().await;
        let is_refused = match &found {
            Ok(Ok(_)) => false,
            Ok(Err(rejection)) => !rejection.clone().into_error().is_fault(),
            Err(error) => !error.is_fault(),
        };
        if modern && is_refused {
            let greeting = Greeting::unspoken();
            self.met.store(Some(Arc::new(Met::new(greeting.clone(), None, &self.post.standing))));
            return Ok(Ok(greeting));
        }
        found
    }

    /// A server that refuses our version and names it among its own means it the second time.
    async fn discovered(&self) -> Result<Result<Greeting, Rejection>> {
        match self.discover().await? {
            Err(rejection) if rejection.offers(eras::MODERN_VERSION) => self.discover().await,
            found => Ok(found),
        }
    }

    async fn discover(&self) -> Result<Result<Greeting, Rejection>> {
        let params = discover_params();
        let mut headers = self.post.standing.clone();
        headers::mirror(&mut headers, DISCOVER, &params);
        let reply = match self.exchange((DISCOVER, &params), &headers).await? {
            Posted::Answered(reply, _) => reply,
            Posted::Rejected(rejection) => return Ok(Err(rejection)),
            Posted::Accepted => return Err(Error::new(Kind::Protocol, "the server took a question without an answer")),
        };
        let greeting = match reply {
            Ok(result) => Greeting::from_discover(&result),
            Err(error) => return Ok(Err(Rejection::from_reply(error))),
        };
        let greeting = greeting?;
        self.met.store(Some(Arc::new(Met::new(greeting.clone(), None, &self.post.standing))));
        Ok(Ok(greeting))
    }

    async fn initialize(&self) -> Result<Result<Greeting, Rejection>> {
        let (reply, session) = match self.exchange((INITIALIZE, &self.around.greeting()), &self.post.standing).await? {
            Posted::Answered(reply, session) => (reply, session),
            Posted::Rejected(rejection) => return Ok(Err(rejection)),
            Posted::Accepted => return Err(Error::new(Kind::Protocol, "the server took a question without an answer")),
        };
        let greeting = Greeting::from_initialize(&reply.map_err(|error| answer::failure(&error))?)?;
        let met = Met::new(greeting.clone(), session, &self.post.standing);
        self.post.send(rpc::notification(INITIALIZED, None), &met.headers, None, &Nobody(self)).await?;
        self.met.store(Some(Arc::new(met)));
        self.loudness.forget();
        Ok(Ok(greeting))
    }

    async fn exchange(&self, (method, params): (&str, &Raw), headers: &HeaderMap) -> Result<Posted> {
        let id = self.next_id();
        self.post.send(rpc::request(id, method, Some(params)), headers, Some(id), &Nobody(self)).await
    }

    /// Asks on behalf of a caller. Dropping the future tells the server that nobody waits any more.
    pub(super) async fn call(self: &Arc<Self>, cx: &Cx, question: Question<'_>) -> Result<Answer> {
        tokio::select! {
            biased;
            answer = self.call_twice(cx, question) => answer,
            () = cx.overdue(AFTER_DEADLINE) => Err(Error::new(Kind::Deadline, "no answer before the deadline")),
        }
    }

    /// A request whose session is lost is put again, once, if it was not begun, or may be put twice.
    async fn call_twice(self: &Arc<Self>, cx: &Cx, question: Question<'_>) -> Result<Answer> {
        let met = self.met()?;
        if let Some(level) = cx.peer().log_level() {
            self.want_level(level);
        }
        let rejection = match self.attempt(cx, question, &met).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::Disagrees(_)) => return self.call_anew(cx, question, &met).await,
            Err(Failure::SessionLost(rejection)) => rejection,
        };
        let renewed = self.renew(&met).await;
        if !rejection.was_not_begun() && question.repeat() == Repeat::Unsafe {
            return Err(rejection.into_error());
        }
        let met = renewed?;
        self.attempt(cx, question, &met).await.map_err(|failure| match failure {
            Failure::SessionLost(_) => {
                Error::new(Kind::Protocol, "the server forgets its sessions at once").outcome_is(Outcome::NotSent)
            }
            Failure::Disagrees(rejection) => rejection.into_error(),
            Failure::Other(error) => error,
        })
    }

    /// The tools of the server may be others than those that we know: they are listed, and the call, which was not begun,
    /// is put again.
    async fn call_anew(self: &Arc<Self>, cx: &Cx, question: Question<'_>, met: &Arc<Met>) -> Result<Answer> {
        self.learn_tools().await?;
        self.attempt(cx, question, met).await.map_err(|failure| match failure {
            Failure::SessionLost(rejection) | Failure::Disagrees(rejection) => rejection.into_error(),
            Failure::Other(error) => error,
        })
    }

    /// Lists the tools, for what their calls repeat in headers.
    async fn learn_tools(&self) -> Result<()> {
        let mut params = discover_params();
        for _ in 0..PAGES_MAX {
            let mut headers = self.post.standing.clone();
            headers::mirror(&mut headers, TOOLS, &params);
            let Posted::Answered(Ok(page), _) = self.exchange((TOOLS, &params), &headers).await? else { break };
            let next = fields::get(&page, "nextCursor");
            self.mirrored.learn(&self.name, page);
            let Some(cursor) = next else { break };
            params = fields::with_field(&params, "cursor", &cursor);
        }
        Ok(())
    }

    async fn attempt(self: &Arc<Self>, cx: &Cx, question: Question<'_>, met: &Arc<Met>) -> Result<Answer, Failure> {
        let id = self.next_id();
        let request = question.request(met.greeting.era, id, cx);
        let mut headers = Cow::Borrowed(&met.headers);
        if met.greeting.era == Era::Modern {
            let headers = headers.to_mut();
            headers::mirror(headers, request.method.clone(), &request.params);
            if let Question::Tool(_) = question {
                if !self.mirrored.is_known() {
                    self.learn_tools().await.map_err(|error| error.outcome_is(Outcome::NotSent))?;
                }
                self.mirrored.mirror(headers, &request.params);
            }
        }
        let Request { method, params, token, from } = request;
        let call = Call { remote: Arc::clone(self), met: Arc::clone(met), listener: Listener::new(cx, token) };
        let body = rpc::request(id, &method, Some(&params));
        let mut place = Place::of(&call, id);
        let posted = self.post.send(body, &headers, Some(id), &call).await;
        place.done = true;
        drop(place);
        self.heard.fetch_add(u64::from(posted.is_ok()), Ordering::Relaxed);
        match posted? {
            Posted::Answered(reply, _) => {
                let is_list = met.greeting.era == Era::Modern && method == TOOLS;
                let reply = if is_list { reply.map(|page| self.mirrored.learn(&self.name, page)) } else { reply };
                Ok(answer::read(reply, from)?)
            }
            Posted::Accepted => Err(Error::new(Kind::Protocol, "the server took a question without an answer").into()),
            Posted::Rejected(rejection) if met.session.is_some() && rejection.forgot_session() => {
                Err(Failure::SessionLost(rejection))
            }
            Posted::Rejected(rejection)
                if rejection.code() == Some(code::HEADER_MISMATCH) && matches!(question, Question::Tool(_)) =>
            {
                Err(Failure::Disagrees(rejection))
            }
            Posted::Rejected(rejection) => Err(rejection.into_error().into()),
        }
    }

    /// Whether no caller waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// How often the server has answered a caller.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Asks for a sign of life. Whatever is answered is one, a refusal too.
    pub(super) async fn ping(&self, until: Instant) -> Result<()> {
        let met = self.met()?;
        let (method, params) = met.greeting.era.ping();
        let mut headers = Cow::Borrowed(&met.headers);
        if met.greeting.era == Era::Modern {
            headers::mirror(headers.to_mut(), method, &params);
        }
        let late = |_| Error::new(Kind::Deadline, "no sign of life");
        let posted = timeout_at(until, self.exchange((method, &params), &headers)).await.map_err(late)??;
        match posted {
            Posted::Rejected(rejection) if met.session.is_some() && rejection.forgot_session() => {
                self.renew(&met).await.map(drop)
            }
            Posted::Rejected(_) | Posted::Answered(..) | Posted::Accepted => Ok(()),
        }
    }

    /// Listens for news of the lists: on a subscription, or on the standing stream of a legacy session.
    pub(super) async fn news(self: &Arc<Self>, params: &Raw, turn: Option<u64>) -> Ended {
        let Ok(met) = self.met() else { return Ended::ForGood };
        let heard = match met.greeting.era {
            Era::Modern => {
                let mut headers = self.post.standing.clone();
                headers::mirror(&mut headers, LISTEN, params);
                let id = self.next_id();
                if let Some(turn) = turn {
                    self.around.watched.listens(id, turn);
                }
                self.post.send(rpc::request(id, LISTEN, Some(params)), &headers, Some(id), &Nobody(self)).await
            }
            Era::Legacy => {
                let standing = Standing { remote: Arc::clone(self), met: Arc::clone(&met) };
                tokio::select! {
                    heard = self.post.overhear(&met.headers, &standing, &self.stands) => heard,
                    () = self.renewed.notified() => return Ended::Broke,
                }
            }
        };
        match heard {
            Ok(Posted::Rejected(rejection)) => match rejection.status.as_u16() {
                404 if met.session.is_some() => Ended::Broke,
                // Another stream of ours, whose end the server has not noticed yet, is in the way.
                409 | 429 | 500.. => Ended::Broke,
                _ => Ended::ForGood,
            },
            Ok(Posted::Answered(Err(error), _)) => Ended::by(&error),
            Ok(Posted::Accepted) => Ended::ForGood,
            Ok(Posted::Answered(Ok(_), _)) | Err(_) => Ended::Broke,
        }
    }

    /// Waits until a legacy server can ask whoever calls it, on its standing stream; or has none, or lets us wait for it.
    pub(super) async fn stands(&self) {
        if self.met().is_ok_and(|met| met.greeting.era == Era::Legacy) {
            let _ = timeout(STANDING_MAX, self.stands.notified()).await;
        }
    }

    /// Asks for ourselves. A session that is lost is replaced, and what was asked in it goes with it.
    pub(super) async fn request(&self, method: &str, params: &Raw, until: Instant) -> Result<Reply> {
        let met = self.met()?;
        let late = |_| Error::new(Kind::Deadline, format!("no answer to {method} before the deadline"));
        match timeout_at(until, self.exchange((method, params), &met.headers)).await.map_err(late)?? {
            Posted::Answered(reply, _) => Ok(reply),
            Posted::Accepted => Err(Error::new(Kind::Protocol, "the server took a question without an answer")),
            Posted::Rejected(rejection) => {
                if met.session.is_some() && rejection.forgot_session() {
                    self.renew(&met).await?;
                }
                Err(rejection.into_error())
            }
        }
    }

    /// A new session in the place of `lost`, unless somebody else has got one meanwhile.
    async fn renew(&self, lost: &Arc<Met>) -> Result<Arc<Met>> {
        let _one_at_a_time = self.renewal.lock().await;
        let met = self.met()?;
        if !Arc::ptr_eq(&met, lost) {
            return Ok(met);
        }
        let met = self.initialize().await.and_then(|met| met.map_err(Rejection::into_error));
        met.map_err(|error| error.outcome_is(Outcome::NotSent))?;
        self.renewed.notify_waiters();
        self.around.changes.tell();
        self.around.watched.begin_anew();
        self.met()
    }

    /// Has the server tell its log from this level on, if it does not already.
    pub(super) fn want_level(self: &Arc<Self>, level: &str) {
        let Ok(met) = self.met() else { return };
        if let Some(params) = self.loudness.raise(level, &met.greeting) {
            self.aside(&met, rpc::request(self.next_id(), SET_LEVEL, Some(&params)));
        }
    }

    /// Ends the session, where there is one.
    pub(super) async fn leave(&self) {
        let Some(met) = self.met.swap(None) else { return };
        if met.session.is_some() {
            let _ = timeout(FAREWELL_MAX, self.post.delete(&met.headers)).await;
        }
    }

    fn met(&self) -> Result<Arc<Met>> {
        let stopped = || Error::new(Kind::Unavailable, "the server was stopped").outcome_is(Outcome::NotSent);
        self.met.load_full().ok_or_else(stopped)
    }

    fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a message that nobody waits for.
    fn aside(self: &Arc<Self>, met: &Arc<Met>, message: Bytes) {
        self.around.tasks.spawn(Arc::clone(self).tell(Arc::clone(met), message));
    }

    async fn tell(self: Arc<Self>, met: Arc<Met>, message: Bytes) {
        let _ = timeout(ASIDE_MAX, self.post.send(message, &met.headers, None, &Nobody(&self))).await;
    }
}

impl Rejection {
    /// Whether it says that the server speaks this version.
    fn offers(&self, version: &str) -> bool {
        let Some(error) = self.error.as_ref().filter(|error| error.code == code::UNSUPPORTED_VERSION) else {
            return false;
        };
        let supported = error.data.as_ref().and_then(|data| fields::get(data, "supported"));
        supported.is_some_and(|versions| fields::elements(&versions).contains(&rpc::quoted(version)))
    }

    fn from_reply(error: rpc::RpcError) -> Self {
        Self { status: http::StatusCode::OK, error: Some(error), text: String::new(), retry_after: None }
    }
}
