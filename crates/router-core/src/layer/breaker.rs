//! Opens in front of an upstream that fails, and lets one probe find out when it is well again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    circuit::{Rejection, Ticket, Verdict},
    guard::Guard,
};
use crate::{Cx, End, Error, Kind, Outcome, Query, Reply, Result, Upstream};

/// When a breaker opens, and how it closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Consecutive faults that open it while the window holds fewer than `samples` calls.
    pub failures: u32,
    /// How long it stays open at first; doubles with every failed probe, with jitter.
    pub recovery: Duration,
    /// The most it doubles to.
    pub max_recovery: Duration,
    /// Successes in a row that close it from half-open.
    pub successes: u32,
    /// How far back the fault rate looks.
    pub window: Duration,
    /// The share of faults in the window that opens it, from `samples` calls on.
    pub rate: f64,
    /// See `rate`.
    pub samples: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            recovery: Duration::from_mins(1),
            max_recovery: Duration::from_mins(10),
            successes: 2,
            window: Duration::from_secs(30),
            rate: 0.5,
            samples: 20,
        }
    }
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass.
    Closed,
    /// One probe passes.
    HalfOpen,
    /// Nothing passes.
    Open,
}

/// The layer: counts attempts, and refuses them while the breaker is open or the credential cools down.
pub struct Breaker<U> {
    inner: U,
    guard: Arc<Guard>,
}

impl<U> Breaker<U> {
    pub(super) fn new(inner: U, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Breaker<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let admission = Admission::to(&self.guard, cx).map_err(|error| error.at(self.guard.name()))?;
        match self.inner.call(cx, query).await {
            Ok(reply) => Ok(admission.answered(reply)),
            Err(error) => Err(admission.failed(error.at(self.guard.name()))),
        }
    }
}

/// A call that was let through, until its last byte. Dropped before it is settled, it has told nothing, and the next
/// probe may go.
struct Admission {
    guard: Arc<Guard>,
    ticket: Ticket,
    settled: bool,
}

impl Admission {
    fn to(guard: &Arc<Guard>, cx: &Cx) -> Result<Self> {
        if let Some(left) = guard.throttle().remaining() {
            return Err(cooling_down(left));
        }
        if cx.insists() {
            guard.circuit.insist();
        }
        let ticket = guard.circuit.admit().map_err(|rejection| rejected(rejection, guard))?;
        guard.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Self { guard: Arc::clone(guard), ticket, settled: false })
    }

    fn settle(&mut self, verdict: Verdict) {
        self.settled = true;
        self.ticket = self.guard.circuit.settle(self.ticket, verdict);
    }

    /// The first content settles it; the rest is watched.
    fn answered<R: Reply>(mut self, mut reply: R) -> R {
        self.settle(Verdict::Success);
        reply.provenance_mut().upstream.get_or_insert_with(|| Arc::clone(self.guard.name()));
        reply.watch(Box::new(move |end| self.ended(&end)))
    }

    fn ended(mut self, end: &End) {
        match end {
            End::Complete(_) => self.guard.circuit.complete(self.ticket),
            End::Broken(kind, _) if kind.is_fault() => {
                let cut = Error::new(*kind, "the answer broke off after its first content");
                self.guard.remember(&cut.at(self.guard.name()));
                self.settle(Verdict::Cut);
            }
            End::Broken(Kind::Limited, _) => self.guard.throttle().cool(None),
            End::Broken(..) | End::Dropped(_) => {}
        }
    }

    fn failed(mut self, error: Error) -> Error {
        if error.is_fault() || matches!(error.kind(), Kind::Limited | Kind::Credential) {
            self.guard.remember(&error);
        }
        let verdict = if error.is_fault() {
            Verdict::Fault(error.wait())
        } else if error.kind() == Kind::Limited {
            self.guard.throttle().cool(error.wait());
            Verdict::Throttled(error.wait())
        } else {
            Verdict::Neither
        };
        self.settle(verdict);
        error
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Verdict::Neither);
        }
        self.guard.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cooling_down(left: Duration) -> Error {
    let message = format!("too many requests: the upstream asked to be left alone for {} s more", whole_seconds(left));
    Error::new(Kind::Limited, message).outcome_is(Outcome::NotSent).retry_after(left)
}

/// Says why, too: an open breaker must not hide what opened it.
fn rejected(rejection: Rejection, guard: &Guard) -> Error {
    let mut message = match rejection.state {
        State::Closed | State::Open => {
            format!("the breaker is open after repeated faults; next try in {} s", whole_seconds(rejection.reopens_in))
        }
        State::HalfOpen => "the breaker is half-open; a first call is finding out whether it is well again".to_owned(),
    };
    if let Some(last) = guard.last_fault() {
        message = format!("{message}; the last fault: {}", last.message());
    }
    Error::new(Kind::Open, message).retry_after(rejection.reopens_in)
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
