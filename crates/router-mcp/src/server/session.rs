//! What lasts between two messages of a client of the legacy era: who he is, what he can do, and what is under way.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use router_core::{Error, Kind, Raw, Result};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{kept::Streams, meta::Level, version::Version, watches::Watches};
use crate::{
    client::TASK,
    fields,
    rpc::{self, Id, RpcError},
    view::Remark,
};

/// How long a session is kept that nobody uses: over a night, since many clients do not greet twice.
const IDLE: Duration = Duration::from_hours(24);
/// What names an address that a client was asked to visit.
const VISIT: &str = "elicitationId";

/// How many sessions are kept.
const MAX_SESSIONS: usize = 10_000;
/// How many one caller may have; beyond it the one that was idle longest goes.
const MAX_OF_CALLER: usize = 1_000;
/// How long a client may take to answer a server's question: a person may have to.
const ASK_TIME: Duration = Duration::from_mins(10);

/// In the place of a level: the client has asked for none.
const UNSAID: u8 = u8::MAX;

/// How many visits of a session are remembered.
const VISITS: usize = 32;

/// One client's session, or one pipe.
pub(super) struct Session {
    /// Empty on a pipe.
    pub(super) id: Box<str>,
    owner: Arc<str>,
    hello: Mutex<Hello>,
    level: AtomicU8,
    used: Mutex<Instant>,
    calls: Mutex<HashMap<Id, CancellationToken>>,
    asks: Mutex<HashMap<u64, oneshot::Sender<Result<Raw, RpcError>>>>,
    next_ask: AtomicU64,
    /// The visits that the client was asked for, the newest last: it is told when they are over.
    visits: Mutex<VecDeque<String>>,
    /// The resources that the client watches.
    pub(super) watches: Watches,
    /// What was said of late, for when connections break.
    pub(super) streams: Streams,
    /// Cancelled when the session is over.
    pub(super) over: CancellationToken,
}

/// What the client said in `initialize`.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) version: Version,
    pub(super) capabilities: Raw,
}

impl Hello {
    /// What a client is taken to have said that said nothing.
    pub(super) fn silent() -> Self {
        Self { version: Version::Batching, capabilities: fields::empty() }
    }
}

impl Session {
    pub(super) fn new(id: impl Into<Box<str>>, owner: impl Into<Arc<str>>, hello: Hello) -> Self {
        Self {
            id: id.into(),
            owner: owner.into(),
            hello: Mutex::new(hello),
            level: AtomicU8::new(UNSAID),
            used: Mutex::new(Instant::now()),
            calls: Mutex::default(),
            asks: Mutex::default(),
            next_ask: AtomicU64::new(1),
            visits: Mutex::default(),
            watches: Watches::default(),
            streams: Streams::default(),
            over: CancellationToken::new(),
        }
    }

    pub(super) fn hello(&self) -> Hello {
        self.hello.lock().clone()
    }

    /// A pipe can be greeted more than once.
    pub(super) fn greet(&self, hello: Hello) {
        *self.hello.lock() = hello;
    }

    /// From which level on log lines are told: all, until the client says otherwise.
    pub(super) fn level(&self) -> Level {
        self.wanted_level().unwrap_or(Level::ALL)
    }

    /// The level that the client asked for, if it did.
    pub(super) fn wanted_level(&self) -> Option<Level> {
        let number = self.level.load(Ordering::Relaxed);
        (number != UNSAID).then(|| Level::from_number(number))
    }

    pub(super) fn set_level(&self, level: Level) {
        self.level.store(level.number(), Ordering::Relaxed);
    }

    /// The session is used although nothing is asked in it.
    pub(super) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    /// Makes a request known, so that its client can cancel it, for as long as the guard lives.
    pub(super) fn begin(self: &Arc<Self>, id: &Id, cancel: CancellationToken) -> Underway {
        self.calls.lock().insert(id.clone(), cancel);
        Underway { session: Arc::clone(self), id: id.clone() }
    }

    /// The client does not want an answer any more.
    pub(super) fn cancel(&self, params: Option<&Raw>) {
        let id = params.and_then(|params| fields::get(params, "requestId")).and_then(Id::from_raw);
        if let Some(cancel) = id.and_then(|id| self.calls.lock().remove(&id)) {
            cancel.cancel();
        }
    }

    /// Puts a question to the client through `out`, and waits for what he says.
    pub(super) async fn ask(&self, out: &mpsc::Sender<Bytes>, method: &str, params: &Raw) -> Result<Raw> {
        let number = self.next_ask.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.asks.lock().insert(number, answered);
        let _asked = Asked { session: self, number };
        if let Some(visit) = fields::text(params, VISIT) {
            self.expect(visit);
        }
        let gone = || Error::new(Kind::Cancelled, format!("the client left before it answered {method}"));
        let question = rpc::request(number, method, Some(params));
        let deaf =
            |_| Error::new(Kind::Refused, format!("the client does not listen and cannot be asked for {method}"));
        match timeout(ASK_TIME, out.send(question)).await {
            Ok(sent) => sent.map_err(deaf)?,
            Err(_) => return Err(Error::new(Kind::Timeout, "the client does not read its stream")),
        }
        let answered = async {
            tokio::select! {
                biased;
                answer = answer => answer.ok(),
                () = out.closed() => None,
            }
        };
        match timeout(ASK_TIME, answered).await {
            Ok(Some(Ok(result))) => Ok(result),
            Ok(Some(Err(error))) => Err(super::failure::of_client(method, &error)),
            Ok(None) => Err(gone()),
            Err(_) => Err(Error::new(Kind::Timeout, format!("no answer of the client to {method} within 10 min"))),
        }
    }

    /// The client is told by an error that there are visits to make.
    pub(super) fn expect_visits(&self, data: Option<&Raw>) {
        let visits = data.and_then(|data| fields::get(data, "elicitations")).map(|list| fields::elements(&list));
        visits.iter().flatten().filter_map(|visit| fields::text(visit, VISIT)).for_each(|visit| self.expect(visit));
    }

    fn expect(&self, visit: String) {
        let mut visits = self.visits.lock();
        if visits.len() == VISITS {
            visits.pop_front();
        }
        visits.push_back(visit);
    }

    /// Whether something that a server says beside all requests is for this client.
    pub(super) fn wants(&self, Remark { note, to, session }: &Remark) -> bool {
        // Whoever sits at the other end of a pipe is all callers there are.
        if to.as_ref().is_some_and(|caller| !self.owner.is_empty() && *caller != self.owner) {
            return false;
        }
        if session.as_ref().is_some_and(|id| **id != *self.id) {
            return false;
        }
        match &*note.method {
            "notifications/message" => {
                let level = fields::text(&note.params, "level").and_then(|level| Level::parse(&level));
                level.unwrap_or(Level::ALL) >= self.level()
            }
            "notifications/elicitation/complete" => {
                let visit = fields::text(&note.params, VISIT);
                visit.is_some_and(|visit| self.visits.lock().contains(&visit))
            }
            "notifications/resources/updated" => self.watches.cover(&note.params),
            TASK => self.hello.lock().version == Version::LastLegacy,
            _ => false,
        }
    }

    /// Hands on what the client says to a question; an answer to none is dropped.
    pub(super) fn answered(&self, id: Option<&Id>, outcome: Result<Raw, RpcError>) {
        let asked = id.and_then(Id::as_u64).and_then(|number| self.asks.lock().remove(&number));
        let Some(asked) = asked else { return tracing::debug!(?id, "an answer that nobody waits for") };
        drop(asked.send(outcome));
    }
}

/// A request that can be cancelled.
pub(super) struct Underway {
    session: Arc<Session>,
    id: Id,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.session.calls.lock().remove(&self.id);
    }
}

/// A question that waits for its answer.
struct Asked<'a> {
    session: &'a Session,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.session.asks.lock().remove(&self.number);
    }
}

/// The sessions of one endpoint.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Open>);

/// Open sessions, by who opened them and their ids.
#[derive(Default)]
struct Open {
    callers: HashMap<Arc<str>, HashMap<Box<str>, Arc<Session>>>,
    count: usize,
}

impl Sessions {
    /// Opens a session that only its owner can use, under an id that nobody can guess.
    pub(super) fn open(&self, owner: &str, hello: Hello) -> Result<Arc<Session>> {
        let session = Arc::new(Session::new(unguessable()?, owner, hello));
        let mut open = self.0.lock();
        open.make_room(owner);
        open.insert(&session);
        Ok(session)
    }

    /// The session of that id, when it is this caller's. Somebody else's looks as if it were not there.
    pub(super) fn find(&self, id: &str, caller: &str) -> Option<Arc<Session>> {
        let mut open = self.0.lock();
        let session = Arc::clone(open.callers.get(caller)?.get(id)?);
        let now = Instant::now();
        let last = std::mem::replace(&mut *session.used.lock(), now);
        if now - last > IDLE {
            open.remove(&session);
            return None;
        }
        Some(session)
    }

    /// Ends a session and what is under way in it.
    pub(super) fn close(&self, session: &Session) {
        self.0.lock().remove(session);
    }
}

impl Open {
    fn insert(&mut self, session: &Arc<Session>) {
        self.callers.entry(Arc::clone(&session.owner)).or_default().insert(session.id.clone(), Arc::clone(session));
        self.count += 1;
    }

    fn remove(&mut self, session: &Session) {
        session.over.cancel();
        session.watches.clear();
        let Some(own) = self.callers.get_mut(&session.owner) else { return };
        if own.remove(&session.id).is_some() {
            self.count -= 1;
        }
        if own.is_empty() {
            self.callers.remove(&session.owner);
        }
    }

    /// Whoever has his share gives up one of his own; when there are too many in all, whoever has most does, so that
    /// nobody can push out the others.
    fn make_room(&mut self, owner: &str) {
        if self.callers.get(owner).is_some_and(|own| own.len() >= MAX_OF_CALLER) {
            self.evict(owner);
        } else if self.count >= MAX_SESSIONS {
            self.expire();
            let most = self.callers.iter().max_by_key(|(_, own)| own.len()).map(|(owner, _)| Arc::clone(owner));
            if let Some(most) = most.filter(|_| self.count >= MAX_SESSIONS) {
                self.evict(&most);
            }
        }
    }

    /// Ends the session of a caller that was idle longest.
    fn evict(&mut self, owner: &str) {
        let own = self.callers.get(owner).into_iter().flat_map(HashMap::values);
        if let Some(oldest) = own.min_by_key(|session| *session.used.lock()).map(Arc::clone) {
            self.remove(&oldest);
        }
    }

    fn expire(&mut self) {
        let all = self.callers.values().flat_map(HashMap::values);
        let expired: Vec<_> = all.filter(|session| session.used.lock().elapsed() > IDLE).map(Arc::clone).collect();
        for session in expired {
            self.remove(&session);
        }
    }
}

/// 128 bits in hexadecimal digits.
pub(super) fn unguessable() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Kind::Internal, "no randomness").because(error.to_string()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_its_owners_for_a_day_after_its_last_use() {
        let sessions = Sessions::default();
        let session = sessions.open("alice", Hello::silent()).unwrap();
        assert_eq!(session.id.len(), 32);
        assert!(sessions.find(&session.id, "bob").is_none());
        for _ in 0..3 {
            tokio::time::advance(IDLE).await;
            assert!(sessions.find(&session.id, "alice").is_some());
        }
        tokio::time::advance(IDLE + Duration::from_secs(1)).await;
        assert!(sessions.find(&session.id, "alice").is_none());
        assert!(session.over.is_cancelled());
        assert!(sessions.0.lock().callers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_pushes_out_nobody_but_himself() {
        let sessions = Sessions::default();
        let bystander = sessions.open("bob", Hello::silent()).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = sessions.open("alice", Hello::silent()).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = sessions.open("alice", Hello::silent()).unwrap();
        for _ in 2..=MAX_OF_CALLER {
            sessions.open("alice", Hello::silent()).unwrap();
        }
        assert_eq!(sessions.0.lock().count, MAX_OF_CALLER + 1);
        assert!(sessions.find(&first.id, "alice").is_none() && first.over.is_cancelled());
        assert!(sessions.find(&second.id, "alice").is_some());
        assert!(sessions.find(&bystander.id, "bob").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_most_makes_room_when_all_is_taken() {
        let sessions = Sessions::default();
        let small = sessions.open("small", Hello::silent()).unwrap();
        for caller in 0..MAX_SESSIONS / MAX_OF_CALLER {
            let own = if caller == 0 { MAX_OF_CALLER } else { MAX_OF_CALLER - 1 };
            for _ in 0..own {
                sessions.open(&format!("caller {caller}"), Hello::silent()).unwrap();
            }
        }
        // Eight find a place; of the eleven others the first takes one of caller 0, and then all ten have to give one.
        let late: Vec<_> =
            (0..19).map(|late| sessions.open(&format!("late {late}"), Hello::silent()).unwrap()).collect();
        assert_eq!(sessions.0.lock().count, MAX_SESSIONS);
        assert_eq!(sessions.0.lock().callers["caller 0"].len(), MAX_OF_CALLER - 2);
        for (index, session) in late.iter().enumerate() {
            assert!(sessions.find(&session.id, &format!("late {index}")).is_some());
        }
        assert!(sessions.find(&small.id, "small").is_some(), "although it was idle longest");

        tokio::time::advance(IDLE + Duration::from_secs(1)).await;
        sessions.open("new", Hello::silent()).unwrap();
        assert_eq!(sessions.0.lock().count, 1, "what has expired goes first");
    }
}
