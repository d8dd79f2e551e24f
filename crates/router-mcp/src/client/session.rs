//! One conversation in which both sides speak when they like: many callers ask at once, and each is given his own answer and nobody else's.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use router_core::{Cx, Error, Kind, Name, Outcome, Raw, Result, tool::Answer};
use serde_json::json;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Question, Surroundings, answer,
    eras::{self, Era, Greeting},
    in_flight,
    lines::Edges,
    listener::{self, Listener},
    loudness::{Loudness, SET_LEVEL},
    news::{ENDLESS, Ended, LISTEN},
    outlet::Outlet,
    watched::UPDATED,
};
use crate::rpc::{self, Message, RpcError};

/// How much later than the caller's deadline we give up ourselves: the layer in front knows whose fault the delay is,
/// and must be the first to speak.
pub(super) const AFTER_DEADLINE: Duration = Duration::from_millis(500);
/// How long a server may be silent when it is asked for a sign of life.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// What a peer answered: a result, or an error.
pub(super) type Reply = Result<Raw, RpcError>;

/// A conversation with a process, or over one stream of HTTP.
pub(crate) struct Session {
    name: Name,
    outlet: Outlet,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
    /// How many messages the server has sent.
    heard: AtomicU64,
    /// A call took too long: is the server still alive?
    doubt: Notify,
    greeting: OnceLock<Greeting>,
    loudness: Loudness,
    around: Surroundings,
}

/// What happened to a server, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often it was started again.
    pub(crate) restarts: AtomicU64,
    /// Why it was down the last time.
    pub(crate) last_error: Mutex<Option<String>>,
    /// Answers that nobody waited for.
    pub(crate) strays: AtomicU64,
    /// Lines that were no messages.
    pub(crate) garbage: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    callers: HashMap<u64, Waiter>,
    /// Set when the conversation is over.
    over: Option<Error>,
}

struct Waiter {
    reply: oneshot::Sender<Result<Reply>>,
    /// None for our own requests.
    listener: Option<Listener>,
}

impl Waiting {
    /// The callers, by the ids of their requests.
    fn listeners(&self) -> impl Iterator<Item = (u64, &Listener)> {
        self.callers
            .iter()
            .filter_map(|(id, waiter)| Some((*id, waiter.listener.as_ref()?)))
            .filter(|(_, listener)| !listener.is_router())
    }
}

impl Session {
    pub(super) fn new(name: &Name, outlet: Outlet, around: &Surroundings) -> Self {
        Self {
            name: Arc::clone(name),
            outlet,
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            heard: AtomicU64::new(0),
            doubt: Notify::new(),
            greeting: OnceLock::new(),
            loudness: Loudness::default(),
            around: around.clone(),
        }
    }

    pub(super) fn settle(&self, greeting: Greeting) {
        let _ = self.greeting.set(greeting);
    }

    pub(super) fn era(&self) -> Era {
        self.greeting.get().map_or(Era::Legacy, |greeting| greeting.era)
    }

    /// Asks on behalf of a caller. Dropping the future tells the server that nobody waits any more.
    pub(super) async fn call(&self, cx: &Cx, question: Question<'_>) -> Result<Answer> {
        if let Some(level) = cx.peer().log_level() {
            self.want_level(level);
        }
        let id = self.next_id();
        let request = question.request(self.era(), id, cx);
        let listener = Listener::new(cx, request.token);
        let late = cx.overdue(AFTER_DEADLINE);
        let reply = self.ask(id, (&request.method, &request.params), Some(listener), late).await?;
        answer::read(reply, request.from)
    }

    /// Has the server tell its log from this level on, if it does not already. What it answers matters to nobody.
    pub(super) fn want_level(&self, level: &str) {
        let Some(params) = self.greeting.get().and_then(|greeting| self.loudness.raise(level, greeting)) else {
            return;
        };
        let (id, (reply, _)) = (self.next_id(), oneshot::channel());
        self.waiting.lock().callers.insert(id, Waiter { reply, listener: None });
        if let Err(error) = self.outlet.send(None, line(rpc::request(id, SET_LEVEL, Some(&params)))) {
            tracing::debug!(server = %self.name, %error, "the server could not be told the level of its log");
        }
    }

    /// Asks for ourselves.
    pub(super) async fn request(&self, method: &str, params: &Raw, until: Instant) -> Result<Reply> {
        self.ask(self.next_id(), (method, params), None, sleep_until(until)).await
    }

    /// Waits until the server turns out to be dead to us. It is asked for a sign of life only after a call took too
    /// long; one that is slow answers that, or says something else meanwhile.
    pub(super) async fn death(&self) {
        loop {
            self.doubt.notified().await;
            // Several who gave up meanwhile have the same question.
            let _ = self.doubt.notified().now_or_never();
            if !self.shows_life().await {
                return;
            }
        }
    }

    async fn shows_life(&self) -> bool {
        let (before, until) = (self.heard(), Instant::now() + SILENT_MAX);
        if self.ping(until).await.is_ok() {
            return true;
        }
        sleep_until(until).await;
        self.heard() != before
    }

    /// Whether no caller waits. What we wait for ourselves (news) lasts for ever, and does not count.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.lock().callers.values().all(|waiter| waiter.listener.is_none())
    }

    /// How many messages the server has sent.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Asks for a sign of life. Whatever is answered is one.
    pub(super) async fn ping(&self, until: Instant) -> Result<()> {
        let (method, params) = self.era().ping();
        self.request(method, &params, until).await.map(drop)
    }

    /// Asks for news of the lists; a legacy server tells it unasked.
    pub(super) async fn news(&self, params: &Raw, turn: Option<u64>) -> Ended {
        if self.era() == Era::Legacy {
            return Ended::ForGood;
        }
        let id = self.next_id();
        if let Some(turn) = turn {
            self.around.watched.listens(id, turn);
        }
        let mut listening = Listening { session: self, id, over: false };
        let ended = self.ask(id, (LISTEN, params), None, sleep_until(Instant::now() + ENDLESS)).await;
        listening.over = true;
        match ended {
            Ok(Ok(_)) => Ended::Broke,
            Ok(Err(error)) => Ended::by(&error),
            Err(_) => Ended::ForGood,
        }
    }

    /// Tells the server something.
    pub(super) fn notify(&self, method: &str, params: Option<&Raw>) -> Result<()> {
        self.outlet.send(None, line(rpc::notification(method, params)))
    }

    async fn ask(
        &self,
        id: u64,
        (method, params): (&str, &Raw),
        listener: Option<Listener>,
        late: impl Future<Output = ()>,
    ) -> Result<Reply> {
        let (reply, answer) = oneshot::channel();
        let _place = self.enter(id, Waiter { reply, listener })?;
        self.outlet.send(Some(id), line(rpc::request(id, method, Some(params))))?;
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| {
                Err(Error::new(Kind::Unavailable, "the conversation with the server is over"))
            }),
            () = late => Err(Error::new(Kind::Deadline, format!("no answer to {method} before the deadline"))),
        }
    }

    fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn enter(&self, id: u64, waiter: Waiter) -> Result<Place<'_>> {
        let mut waiting = self.waiting.lock();
        if let Some(over) = &waiting.over {
            return Err(over.clone().outcome_is(Outcome::NotSent));
        }
        waiting.callers.insert(id, waiter);
        Ok(Place { session: self, id })
    }

    /// What somebody asked could not be sent.
    pub(super) fn fail(&self, id: u64, error: Error) {
        if let Some(waiter) = self.waiting.lock().callers.remove(&id) {
            drop(waiter.reply.send(Err(error)));
        }
    }

    /// Ends the conversation: everybody who still waits is told why.
    pub(super) fn close(&self, error: &Error) {
        self.outlet.close();
        let callers = {
            let mut waiting = self.waiting.lock();
            waiting.over.get_or_insert_with(|| error.clone());
            std::mem::take(&mut waiting.callers)
        };
        for waiter in callers.into_values() {
            let _ = waiter.reply.send(Err(error.clone().outcome_is(Outcome::Unknown)));
        }
    }

    /// Takes in what the server said in one line. Whether it was a message.
    pub(super) fn receive(self: &Arc<Self>, line: &Bytes) -> Heard {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Heard::Nothing;
        }
        if rpc::is_batch(line) {
            let Ok(messages) = rpc::read_batch(line) else { return self.broken(line) };
            messages.into_iter().flatten().for_each(|message| self.route(message));
            return Heard::Message;
        }
        match rpc::read(line) {
            Ok(message) => {
                self.route(message);
                Heard::Message
            }
            Err(_) => self.broken(line),
        }
    }

    /// A line that is no message is somebody's log; but an answer that we cannot read is the answer that there is.
    fn broken(&self, line: &Bytes) -> Heard {
        let Some(waiter) = self.claimed(&Edges::of(line)) else {
            self.around.tally.garbage.fetch_add(1, Ordering::Relaxed);
            return Heard::Garbage;
        };
        let flaw = rpc::read(line).err().map(|error| error.message).unwrap_or_default();
        let _ = waiter.reply.send(Err(Error::new(Kind::Protocol, format!("the server's answer is {flaw}"))));
        Heard::Message
    }

    /// A line was too long to be read: whoever it was for is told.
    pub(super) fn too_long(&self, edges: &Edges) {
        let message = format!("the server's answer is longer than {} MiB", super::lines::LINE_MAX >> 20);
        match self.claimed(edges) {
            Some(waiter) => drop(waiter.reply.send(Err(Error::new(Kind::Protocol, message)))),
            None => drop(self.around.tally.garbage.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn claimed(&self, edges: &Edges) -> Option<Waiter> {
        let id = id_at_the_edge(edges)?;
        self.waiting.lock().callers.remove(&id)
    }

    fn route(self: &Arc<Self>, message: Message) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        match message {
            Message::Response { id, outcome } => {
                let waiter = id.and_then(|id| id.as_u64()).and_then(|id| self.waiting.lock().callers.remove(&id));
                match waiter {
                    Some(waiter) => drop(waiter.reply.send(Ok(outcome))),
                    None => drop(self.around.tally.strays.fetch_add(1, Ordering::Relaxed)),
                }
            }
            Message::Notification { method, params } => self.hear(method, params),
            Message::Request { id, method, params } => self.asked(id, method, params),
        }
    }

    fn hear(&self, method: Arc<str>, params: Option<Raw>) {
        self.around.hear(&method, params.as_ref());
        let listener = match &*method {
            listener::PROGRESS => params.as_ref().and_then(eras::token_of).and_then(|id| self.listener(id)),
            // A log line names no request: with one caller it is his, with more it would be told to the wrong one.
            listener::MESSAGE => self.only_listener(),
            method if listener::is_foreign(method) => self.only_listener(),
            _ => None,
        };
        match listener {
            Some(listener) => listener.hear(method, params),
            None => self.remark(&method, params.as_ref()),
        }
    }

    /// Something that belongs to no request: for everybody while there is none, else for the one caller of them all. What
    /// may be about one caller is not told to another.
    fn remark(&self, method: &Arc<str>, params: Option<&Raw>) {
        // Whose these are is known by what they name.
        if matches!(&**method, UPDATED | listener::TASK) {
            return self.around.remark(method, params, None);
        }
        let audience = in_flight::audience(self.waiting.lock().listeners().map(|(_, listener)| listener));
        self.around.remark_to(audience, method, params);
    }

    fn listener(&self, id: u64) -> Option<Listener> {
        self.waiting.lock().callers.get(&id)?.listener.clone()
    }

    /// The caller in flight, when there is exactly one.
    fn only_listener(&self) -> Option<Listener> {
        in_flight::only(self.waiting.lock().listeners().map(|(_, listener)| listener))
    }

    /// What the server is told of its clients when it is met.
    pub(super) fn greeting(&self) -> Raw {
        self.around.greeting()
    }

    /// A question of the server, which names no request that caused it.
    fn asked(self: &Arc<Self>, id: rpc::Id, method: Arc<str>, params: Option<Raw>) {
        let meant = in_flight::meant(self.waiting.lock().listeners());
        let listener = match listener::who_answers(&method, meant, &self.around) {
            Ok(listener) => listener,
            Err(answered) => return self.respond(&id, &answered),
        };
        let Some(place) = self.around.question() else { return self.respond(&id, &Err(listener::too_much())) };
        let session = Arc::clone(self);
        self.around.tasks.spawn(async move {
            let answered = listener.answer(&method, params).await;
            session.respond(&id, &answered);
            drop(place);
        });
    }

    fn respond(&self, id: &rpc::Id, answered: &Reply) {
        let frame = match answered {
            Ok(result) => rpc::result(id, result),
            Err(error) => rpc::error(Some(id), error),
        };
        if let Err(error) = self.outlet.send(None, line(frame)) {
            tracing::debug!(server = %self.name, %error, "an answer to the server could not be sent");
        }
    }
}

/// What a line was.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Message,
    Garbage,
    Nothing,
}

/// A caller's place among those who wait; giving it up before the answer cancels the request.
struct Place<'a> {
    session: &'a Session,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waiter = self.session.waiting.lock().callers.remove(&self.id);
        let Some(Waiter { listener: Some(listener), .. }) = waiter else { return };
        if !listener.has_left() {
            self.session.doubt.notify_one();
        }
        if self.session.outlet.retract(self.id) {
            return;
        }
        let params = json!({ "requestId": self.id, "reason": "the caller no longer waits" });
        let _ = self.session.notify("notifications/cancelled", Some(&Raw::trusted(params.to_string())));
    }
}

/// A request for news; giving it up tells the server that nobody listens any more.
struct Listening<'a> {
    session: &'a Session,
    id: u64,
    over: bool,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if !self.over {
            let params = json!({ "requestId": self.id, "reason": "nobody listens any more" });
            let _ = self.session.notify("notifications/cancelled", Some(&Raw::trusted(params.to_string())));
        }
    }
}

/// A frame as a line: pipes carry one message per line. A line break that a client wrote between two tokens would
/// begin another message, of his own making, which nobody here has looked at.
fn line(frame: Bytes) -> Bytes {
    let mut line = match rpc::one_line(frame).try_into_mut() {
        Ok(frame) => frame,
        Err(frame) => frame.as_ref().into(),
    };
    line.extend_from_slice(b"\n");
    line.freeze()
}

/// The id of a response of which only the ends are known: writers put it in the first two places, or in the last two.
fn id_at_the_edge(edges: &Edges) -> Option<u64> {
    let (head, tail) = (compact(&edges.head), compact(&edges.tail));
    let head = head.strip_prefix('{')?;
    let leading = head.strip_prefix("\"jsonrpc\":\"2.0\",").unwrap_or(head).strip_prefix("\"id\":");
    let digits = if let Some(leading) = leading {
        let (digits, rest) = leading.split_once(',')?;
        let rest = rest.strip_prefix("\"jsonrpc\":\"2.0\",").unwrap_or(rest);
        (rest.starts_with("\"result\":") || rest.starts_with("\"error\":")).then_some(digits)?
    } else {
        let tail = tail.strip_suffix('}')?;
        let tail = tail.strip_suffix(",\"jsonrpc\":\"2.0\"").unwrap_or(tail);
        tail.rsplit_once(",\"id\":")?.1
    };
    digits.parse().ok()
}

fn compact(edge: &[u8]) -> String {
    String::from_utf8_lossy(edge).chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
