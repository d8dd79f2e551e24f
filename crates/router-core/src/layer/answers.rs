//! What a cache holds: the answers it keeps, and those that are still being given, for others who ask the same.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use moka::policy::EvictionPolicy;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use super::{
    cache::CachePolicy,
    guard::Purge,
    sweep::{About, Sweep},
};
use crate::{Cx, Error, Fingerprint, Kind, Query, Reply, Result, Scope, Source};

/// Longer than any cache lives, and within what moka accepts.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// A copy of an answer to `Q`.
pub type Copied<Q> = <<Q as Query>::Reply as Reply>::Recording;

/// What an answer is found by. There is no way to make one without saying whose answers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a question that is asked for `scope`.
    pub fn new(scope: &Scope, Fingerprint(question): Fingerprint) -> Self {
        let (whose, name) = match scope {
            Scope::Shared => (&b"shared"[..], &b""[..]),
            Scope::Tenant(tenant) => (&b"tenant"[..], tenant.as_bytes()),
        };
        let Fingerprint(key) = Fingerprint::of([whose, name, &question]);
        Self(key)
    }

    /// A key that was made before, as another store gives it back.
    pub const fn kept(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key as bytes, under which another store may hold the same answer.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A kept answer.
pub struct Kept<Q: Query> {
    /// The copy.
    pub copy: Copied<Q>,
    since: Instant,
    weight: u32,
    about: Option<About>,
}

impl<Q: Query> Kept<Q> {
    /// How long ago its upstream gave it.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// See the module.
pub struct Answers<Q: Query> {
    policy: CachePolicy,
    kept: moka::sync::Cache<Key, Arc<Kept<Q>>>,
    flights: Mutex<HashMap<Key, Arc<Flight<Q>>>>,
    /// What upstreams refused for good, where that is kept, too.
    refused: Option<moka::sync::Cache<Key, Error>>,
}

/// Whether a copy that is whole is worth keeping.
pub type Judge<Q> = Box<dyn FnOnce(&Copied<Q>) -> bool + Send>;

/// A call that others wait for.
pub struct Flight<Q: Query> {
    landing: watch::Sender<Landing<Q>>,
    /// Known at the end: whether the answer may be kept.
    keep: OnceLock<bool>,
    /// Asked at the end, once.
    judge: Mutex<Option<Judge<Q>>>,
    /// How old its answer was already, where another store had it.
    age: OnceLock<Duration>,
    about: OnceLock<About>,
}

impl<Q: Query> Flight<Q> {
    fn begin() -> Arc<Self> {
        let landing = watch::Sender::new(Landing::Flying);
        Arc::new(Self {
            landing,
            keep: OnceLock::new(),
            judge: Mutex::default(),
            age: OnceLock::new(),
            about: OnceLock::new(),
        })
    }

    fn since(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.age.get().copied().unwrap_or_default()).unwrap_or(now)
    }
}

/// What became of it.
pub enum Landing<Q: Query> {
    /// Nothing yet.
    Flying,
    /// It answers; the copy may still grow.
    Answered(Copied<Q>),
    /// It failed.
    Failed(Error),
    /// Whoever asked went away, or had no more time: somebody else has to ask.
    Abandoned,
}

/// What one who asks has to do.
pub enum Turn<Q: Query> {
    /// Take this.
    Take(Arc<Kept<Q>>),
    /// Ask, for all.
    Lead(Lead<Q>),
    /// Wait for whoever asks.
    Follow(Arc<Flight<Q>>),
}

impl<Q: Query> Answers<Q> {
    /// Room for answers; `policy.fresh` is the longest that one of them is fresh.
    pub fn new(policy: CachePolicy) -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(policy.max_bytes)
            .weigher(|_, kept: &Arc<Kept<Q>>| kept.weight)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(policy.fresh.saturating_add(policy.stale).min(FOREVER))
            .support_invalidation_closures()
            .build();
        let short =
            || moka::sync::Cache::builder().max_capacity(policy.max_entries).time_to_live(policy.negative).build();
        let refused = (!policy.negative.is_zero()).then(short);
        Self { policy, kept, flights: Mutex::default(), refused }
    }

    /// What is kept, and for how long.
    pub const fn policy(&self) -> &CachePolicy {
        &self.policy
    }

    /// Where the answer to `query` is found; `None` when it must not be kept.
    pub fn key(&self, cx: &Cx, query: &Q) -> Option<Key> {
        let fingerprint = query.fingerprint()?;
        Some(Key::new(self.scope(cx), fingerprint))
    }

    /// Whose answers these are.
    pub fn scope<'a>(&self, cx: &'a Cx) -> &'a Scope {
        if self.policy.shared { &Scope::Shared } else { &cx.caller().tenant }
    }

    /// A copy that is younger than `age`.
    pub fn younger(&self, key: Key, age: Duration) -> Option<Arc<Kept<Q>>> {
        self.kept.get(&key).filter(|kept| kept.age() < age)
    }

    /// What the upstream refused for good a moment ago.
    pub fn refusal(&self, key: Key) -> Option<Error> {
        self.refused.as_ref()?.get(&key)
    }

    /// Keeps for a moment that the upstream knows no answer, and will not know one when it is asked again.
    pub fn refuse(&self, key: Key, error: &Error) {
        if let Some(refused) = self.refused.as_ref().filter(|_| matches!(error.kind(), Kind::Invalid | Kind::NotFound))
        {
            refused.insert(key, error.clone());
        }
    }

    /// A copy that will do when there is nothing better.
    pub fn stale(&self, key: Key) -> Option<Arc<Kept<Q>>> {
        self.younger(key, self.policy.fresh.saturating_add(self.policy.stale))
    }

    /// Joins those who ask the same, as the one who asks or as one who waits for him, unless there is a copy younger than
    /// `fresh`.
    pub fn join(self: &Arc<Self>, key: Key, fresh: Duration) -> Turn<Q> {
        if let Some(kept) = self.younger(key, fresh) {
            return Turn::Take(kept);
        }
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(&key) {
            return Turn::Follow(Arc::clone(flight));
        }
        // A flight is kept before it is forgotten, so one that has just ended is found here.
        if let Some(kept) = self.younger(key, fresh) {
            return Turn::Take(kept);
        }
        let flight = Flight::begin();
        flights.insert(key, Arc::clone(&flight));
        Turn::Lead(Lead { answers: Arc::clone(self), key, flight })
    }

    /// Asks anew, whatever there is; whoever comes from now on joins this one.
    pub fn renew(self: &Arc<Self>, key: Key) -> Lead<Q> {
        let flight = Flight::begin();
        self.flights.lock().insert(key, Arc::clone(&flight));
        Lead { answers: Arc::clone(self), key, flight }
    }

    /// Ends a flight whose copy is written: keeps it if it may, and forgets the flight.
    fn settle(&self, key: Key, flight: &Arc<Flight<Q>>) {
        let Some(keep) = flight.keep.get() else { return };
        let copy = match &*flight.landing.borrow() {
            Landing::Answered(copy) => copy.clone(),
            Landing::Flying | Landing::Failed(_) | Landing::Abandoned => return,
        };
        // Whoever comes last finds both the copy and the verdict, and only one can take the judge.
        let Some(judge) = flight.judge.lock().take() else { return };
        let worth_it = *keep && judge(&copy);
        let mut flights = self.flights.lock();
        if !flights.get(&key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            return;
        }
        if worth_it {
            let weight = self.charge(&copy);
            let about = flight.about.get().cloned();
            self.kept.insert(key, Arc::new(Kept { copy, since: flight.since(), weight, about }));
        }
        flights.remove(&key);
    }

    /// An entry costs its share of the bytes at least, which bounds the entries, too.
    fn charge(&self, copy: &Copied<Q>) -> u32 {
        let share = self.policy.max_bytes / self.policy.max_entries.max(1);
        let weight = u64::try_from(Q::Reply::weight(copy)).unwrap_or(u64::MAX);
        u32::try_from(weight.max(share)).unwrap_or(u32::MAX)
    }

    fn forget(&self, key: Key, flight: &Arc<Flight<Q>>) {
        let mut flights = self.flights.lock();
        if flights.get(&key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            flights.remove(&key);
        }
    }
}

impl<Q: Query> Purge for Answers<Q> {
    /// What is being written now will not be kept either: it was asked before.
    fn purge(&self, sweep: &Sweep) {
        let mut flights = self.flights.lock();
        flights.retain(|_, flight| !sweep.covers(flight.about.get()));
        if let Some(refused) = &self.refused {
            refused.invalidate_all();
        }
        if *sweep == Sweep::default() {
            return self.kept.invalidate_all();
        }
        let sweep = sweep.clone();
        if self.kept.invalidate_entries_if(move |_, kept| sweep.covers(kept.about.as_ref())).is_err() {
            self.kept.invalidate_all();
        }
    }
}

impl<Q: Query> Flight<Q> {
    /// Waits for the one who asks. `None`: ask yourself.
    pub async fn landed(&self, cx: &Cx) -> Result<Landing<Q>> {
        let mut landing = self.landing.subscribe();
        let landed = cx.wait(landing.wait_for(|landing| !matches!(landing, Landing::Flying))).await?;
        Ok(match landed.as_deref() {
            Ok(Landing::Answered(copy)) => Landing::Answered(copy.clone()),
            Ok(Landing::Failed(error)) => Landing::Failed(error.clone()),
            Ok(Landing::Abandoned | Landing::Flying) | Err(_) => Landing::Abandoned,
        })
    }
}

/// The one who asks for all. Dropped before there is an answer, he leaves it to the next.
pub struct Lead<Q: Query> {
    answers: Arc<Answers<Q>>,
    key: Key,
    flight: Arc<Flight<Q>>,
}

impl<Q: Query> Lead<Q> {
    /// Says what is being asked about, by which the answer can be forgotten.
    pub fn is_about(&self, about: About) {
        self.flight.about.get_or_init(|| about);
    }

    /// Where the answer will be.
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Shares a reply with those who wait, and with those who come before it is over; and gives it back. It is kept when
    /// it is live, whole, within its bound, and when `judge` finds it worth that.
    pub fn answered(self, reply: Q::Reply, tasks: &TaskTracker, judge: Judge<Q>) -> Result<Q::Reply> {
        self.flight.age.get_or_init(|| reply.provenance().age.unwrap_or_default());
        *self.flight.judge.lock() = Some(judge);
        let may_keep = reply.keepable() && reply.provenance().source == Source::Live;
        let (answers, key, flight) = (Arc::clone(&self.answers), self.key, Arc::clone(&self.flight));
        let written = Box::new(move |whole| {
            flight.keep.get_or_init(|| whole && may_keep);
            answers.settle(key, &flight);
        });
        let copy = reply.record(self.answers.policy.max_entry_bytes, tasks, written);
        let reply = Q::Reply::replay(&copy);
        self.flight.landing.send_replace(Landing::Answered(copy));
        self.answers.settle(self.key, &self.flight);
        reply.ok_or_else(|| Error::new(Kind::Internal, "a recording could not be read by whoever made it"))
    }

    /// Tells those who wait, unless it is the one who asked that had no more time.
    pub fn failed(self, error: Error) -> Error {
        if !matches!(error.kind(), Kind::Deadline | Kind::Cancelled) {
            self.answers.refuse(self.key, &error);
            self.answers.forget(self.key, &self.flight);
            self.flight.landing.send_replace(Landing::Failed(error.clone()));
        }
        error
    }
}

impl<Q: Query> Drop for Lead<Q> {
    fn drop(&mut self) {
        let flying = matches!(*self.flight.landing.borrow(), Landing::Flying);
        if flying {
            self.answers.forget(self.key, &self.flight);
            self.flight.landing.send_replace(Landing::Abandoned);
        }
    }
}

#[cfg(test)]
impl<Q: Query> Answers<Q> {
    /// Whether nobody is being waited for.
    pub fn is_idle(&self) -> bool {
        self.flights.lock().is_empty()
    }

    /// Lets moka evict what it has marked.
    pub fn tidy(&self) {
        self.kept.run_pending_tasks();
    }
}
