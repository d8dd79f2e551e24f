//! What is known of one upstream, shared by all its stacks: breaker, limits, retry budget, throttling.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    breaker::{BreakerPolicy, State},
    circuit::Circuit,
    limit::{LimitPolicy, Limits},
    retry::{Budget, RetryPolicy},
    sweep::Sweep,
    throttle::Throttle,
};
use crate::{Error, Fact, Meter, Name, Strategy};

/// The policies that the stacks of one upstream share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GuardPolicy {
    /// When to stop asking.
    pub breaker: BreakerPolicy,
    /// How much may be asked.
    pub limit: LimitPolicy,
    /// What is asked again.
    pub retry: RetryPolicy,
}

/// The state of one upstream: an MCP server, or a model of a provider.
pub struct Guard {
    name: Name,
    meter: Arc<dyn Meter>,
    throttle: Arc<Throttle>,
    pub(super) circuit: Circuit,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) in_flight: AtomicUsize,
    /// How long the last answer took to its first content, in microseconds; 0 before there was one.
    latency: AtomicU64,
    last_error: Mutex<Option<(Error, Instant)>>,
    stood_in: StoodIn,
    keepers: Mutex<Vec<Weak<dyn Purge>>>,
}

/// Who has answered for the upstream since it last did so itself.
#[derive(Default)]
struct StoodIn {
    last: Mutex<Option<(Strategy, Instant)>>,
    /// Whether there is one: what answers by itself takes no lock to see that.
    any: AtomicBool,
}

/// What can forget the answers that it keeps.
pub(super) trait Purge: Send + Sync {
    fn purge(&self, sweep: &Sweep);
}

impl Guard {
    /// The guard of the upstream `name`, alone with its credential.
    pub fn new(name: Name, policy: GuardPolicy, meter: Arc<dyn Meter>) -> Arc<Self> {
        Self::throttled(name, policy, meter, Arc::default())
    }

    /// The guard of the upstream `name`, which shares its credential, and so its throttling, with others.
    pub fn throttled(name: Name, policy: GuardPolicy, meter: Arc<dyn Meter>, throttle: Arc<Throttle>) -> Arc<Self> {
        Arc::new(Self {
            circuit: Circuit::new(Arc::clone(&name), policy.breaker, Arc::clone(&meter)),
            limits: Limits::new(policy.limit),
            budget: Budget::new(policy.retry),
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
            last_error: Mutex::default(),
            stood_in: StoodIn::default(),
            keepers: Mutex::default(),
            name,
            meter,
            throttle,
        })
    }

    /// Whose guard it is.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Who counts for it.
    pub fn meter(&self) -> &Arc<dyn Meter> {
        &self.meter
    }

    /// The throttling of its credential.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// How it stands with the upstream: for health, at the cost of a lock.
    pub fn standing(&self) -> Standing {
        let (state, since, reopens_in) = self.circuit.standing();
        let last_error = self.last_error.lock().clone();
        let latency = self.latency.load(Ordering::Relaxed);
        Standing {
            name: Arc::clone(&self.name),
            state,
            since,
            reopens_in,
            throttled_for: self.throttle.remaining(),
            last_error: last_error.map(|(error, at)| LastError { error, age: at.elapsed() }),
            stood_in: self.stood_in.last.lock().map(|(strategy, at)| (strategy, at.elapsed())),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency: (latency > 0).then(|| Duration::from_micros(latency)),
            waiting: self.limits.waiting(),
            tokens: self.limits.tokens(),
        }
    }

    /// Closes the breaker by hand.
    pub fn reset(&self) {
        self.circuit.reset();
    }

    /// Lets an open breaker try one probe at once: something (a restarted process, a ping) says that the upstream is back.
    pub fn early_probe(&self) {
        self.circuit.early_probe();
    }

    /// Forgets those of the answers that the caches of its stacks keep.
    pub fn purge(&self, sweep: &Sweep) {
        let keepers = self.keepers.lock().clone();
        keepers.iter().filter_map(Weak::upgrade).for_each(|keeper| keeper.purge(sweep));
    }

    pub(super) fn kept_by(&self, keeper: Weak<dyn Purge>) {
        let mut keepers = self.keepers.lock();
        keepers.retain(|keeper| keeper.strong_count() > 0);
        keepers.push(keeper);
    }

    /// Another source answered for the upstream.
    pub(super) fn fell_back(&self, strategy: Strategy) {
        *self.stood_in.last.lock() = Some((strategy, Instant::now()));
        self.stood_in.any.store(true, Ordering::Relaxed);
        self.report(Fact::FellBack(strategy));
    }

    /// The upstream has answered itself.
    pub(super) fn answered_itself(&self) {
        if self.stood_in.any.load(Ordering::Relaxed) && self.stood_in.any.swap(false, Ordering::Relaxed) {
            *self.stood_in.last.lock() = None;
        }
    }

    pub(super) fn answered_in(&self, time: Duration) {
        self.latency.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    pub(super) fn last_fault(&self) -> Option<Error> {
        self.last_error.lock().as_ref().map(|(error, _)| error.clone())
    }

    pub(super) fn remember(&self, error: &Error) {
        *self.last_error.lock() = Some((error.clone(), Instant::now()));
    }

    pub(super) fn report(&self, fact: Fact) {
        self.meter.fact(&self.name, fact);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.standing().fmt(f)
    }
}

/// How it stands with an upstream.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Which one.
    pub name: Name,
    /// The breaker's state.
    pub state: State,
    /// For how long it has been so.
    pub since: Duration,
    /// When an open breaker lets a probe through.
    pub reopens_in: Option<Duration>,
    /// How much longer the upstream wants to be left alone.
    pub throttled_for: Option<Duration>,
    /// What last went wrong, by its fault or with our credential.
    pub last_error: Option<LastError>,
    /// How long the last answer took to its first content.
    pub latency: Option<Duration>,
    /// Who has answered for it since it last did so itself, and how long ago that was.
    pub stood_in: Option<(Strategy, Duration)>,
    /// Calls that were asked and are not over, to the last byte.
    pub in_flight: usize,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// Calls that its rate would let through at once, where it has one.
    pub tokens: Option<u64>,
}

/// What went wrong, and how long ago.
#[derive(Clone, Debug)]
pub struct LastError {
    /// What.
    pub error: Error,
    /// How long ago.
    pub age: Duration,
}
