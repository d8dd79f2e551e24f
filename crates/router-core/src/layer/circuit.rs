//! The state of a breaker: closed, open, half-open. It knows calls only as tickets and verdicts.
//!
//! Closed, a call costs one atomic load to admit and a few to settle. Everything else goes through one short lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    breaker::{BreakerPolicy, State},
    window::{Tally, Window},
};
use crate::{Fact, Meter, Name};

/// The longest that an upstream's Retry-After keeps a breaker open.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(15);

/// What a call is admitted with, and judged by. It belongs to one generation: every change of state begins the next, and
/// what is learnt from an older one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    generation: u64,
    /// Whether this call is the one that finds out whether the upstream is well again.
    pub(super) probe: bool,
}

/// What a call told about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered.
    Success,
    /// It failed; it may have said when to come back.
    Fault(Option<Duration>),
    /// It broke its answer off after the first content.
    Cut,
    /// It said that we ask too much (429): no fault, but no sign of health either.
    Throttled(Option<Duration>),
    /// Nothing: the question was wrong, we refused it ourselves, or whoever asked went away.
    Neither,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) state: State,
    /// When the next probe may be let through.
    pub(super) reopens_in: Duration,
}

/// See the module.
pub(super) struct Circuit {
    name: Name,
    policy: BreakerPolicy,
    meter: Arc<dyn Meter>,
    /// The generation, doubled; odd unless closed. All that the fast path reads.
    stamp: AtomicU64,
    /// Faults in a row before the first content. Cuts have a row of their own, because each comes after a success.
    faults: AtomicU32,
    cuts: AtomicU32,
    window: Window,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    since: Instant,
    /// How often it opened since it was last closed: each one doubles the time until the next probe.
    trips: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { successes: u32, probing: bool },
}

impl Circuit {
    pub(super) fn new(name: Name, policy: BreakerPolicy, meter: Arc<dyn Meter>) -> Self {
        Self {
            name,
            policy,
            meter,
            stamp: AtomicU64::new(0),
            faults: AtomicU32::new(0),
            cuts: AtomicU32::new(0),
            window: Window::new(policy.window),
            inner: Mutex::new(Inner { phase: Phase::Closed, since: Instant::now(), trips: 0 }),
        }
    }

    /// Lets a call pass, or tells why not.
    pub(super) fn admit(&self) -> Result<Ticket, Rejection> {
        let stamp = self.stamp.load(Ordering::Acquire);
        if stamp & 1 == 0 {
            return Ok(Ticket { generation: stamp >> 1, probe: false });
        }
        let mut inner = self.inner.lock();
        match inner.phase {
            Phase::Closed => return Ok(self.ticket(false)),
            Phase::Open { until } => {
                let reopens_in = until.saturating_duration_since(Instant::now());
                if !reopens_in.is_zero() {
                    return Err(Rejection { state: State::Open, reopens_in });
                }
                self.half_open(&mut inner);
            }
            Phase::HalfOpen { .. } => {}
        }
        match &mut inner.phase {
            Phase::HalfOpen { probing, .. } if !*probing => {
                *probing = true;
                Ok(self.ticket(true))
            }
            Phase::Closed | Phase::Open { .. } | Phase::HalfOpen { .. } => {
                Err(Rejection { state: State::HalfOpen, reopens_in: Duration::from_secs(1) })
            }
        }
    }

    /// Judges a call, and gives the ticket by which its later end is judged.
    pub(super) fn settle(&self, ticket: Ticket, verdict: Verdict) -> Ticket {
        let after = Ticket { probe: false, ..ticket };
        match verdict {
            Verdict::Success if !ticket.probe => {
                if self.generation() == ticket.generation {
                    self.window.count(Instant::now(), false);
                    forget(&self.faults);
                }
                after
            }
            Verdict::Neither | Verdict::Throttled(_) if !ticket.probe => after,
            Verdict::Success | Verdict::Fault(_) | Verdict::Cut | Verdict::Throttled(_) | Verdict::Neither => {
                let mut inner = self.inner.lock();
                if self.generation() != ticket.generation {
                    return after;
                }
                self.judge(&mut inner, verdict);
                self.ticket(false)
            }
        }
    }

    /// An answer went through to its last byte.
    pub(super) fn complete(&self, ticket: Ticket) {
        if self.generation() == ticket.generation {
            forget(&self.cuts);
        }
    }

    /// Closes it, whatever it knew.
    pub(super) fn reset(&self) {
        self.close(&mut self.inner.lock(), "reset by hand");
    }

    /// Lets a probe through before its time: there is reason to believe that the upstream is back.
    pub(super) fn early_probe(&self) {
        let mut inner = self.inner.lock();
        if let Phase::Open { .. } = inner.phase {
            self.half_open(&mut inner);
        }
    }

    /// Lets a probe through before its time, because nobody else is left to be asked. It says nothing about how long the
    /// upstream needs: when it fails, the breaker is open for no longer than it was.
    pub(super) fn insist(&self) {
        let mut inner = self.inner.lock();
        if let Phase::Open { .. } = inner.phase {
            inner.trips = inner.trips.saturating_sub(1);
            self.half_open(&mut inner);
        }
    }

    /// The state, since when, and for how much longer no probe is let through.
    pub(super) fn standing(&self) -> (State, Duration, Option<Duration>) {
        let inner = self.inner.lock();
        let (state, reopens_in) = match inner.phase {
            Phase::Closed => (State::Closed, None),
            Phase::Open { until } => (State::Open, Some(until.saturating_duration_since(Instant::now()))),
            Phase::HalfOpen { .. } => (State::HalfOpen, None),
        };
        (state, inner.since.elapsed(), reopens_in)
    }

    fn judge(&self, inner: &mut Inner, verdict: Verdict) {
        match (&mut inner.phase, verdict) {
            (Phase::Closed, Verdict::Fault(wait)) => self.count_fault(inner, &self.faults, wait),
            (Phase::Closed, Verdict::Cut) => self.count_fault(inner, &self.cuts, None),
            (Phase::HalfOpen { successes, probing }, Verdict::Success) => {
                *probing = false;
                *successes += 1;
                if *successes >= self.policy.successes {
                    self.close(inner, "it answers again");
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Fault(wait) | Verdict::Throttled(wait)) => {
                self.open(inner, wait, "the probe failed");
            }
            (Phase::HalfOpen { .. }, Verdict::Cut) => self.open(inner, None, "the answer to the probe broke off"),
            (Phase::HalfOpen { probing, .. }, Verdict::Neither) => *probing = false,
            (Phase::Closed, Verdict::Success | Verdict::Throttled(_) | Verdict::Neither) | (Phase::Open { .. }, _) => {}
        }
    }

    fn count_fault(&self, inner: &mut Inner, row: &AtomicU32, wait: Option<Duration>) {
        let now = Instant::now();
        self.window.count(now, true);
        let in_a_row = row.fetch_add(1, Ordering::Relaxed) + 1;
        let Tally { all, marked } = self.window.tally(now);
        if all < u64::from(self.policy.samples) {
            if in_a_row >= self.policy.failures {
                self.open(inner, wait, &format!("{in_a_row} faults in a row"));
            }
        } else if share(marked, all) >= self.policy.rate {
            let seconds = self.policy.window.as_secs();
            self.open(inner, wait, &format!("{marked} faults in {all} calls of the last {seconds} s"));
        }
    }

    fn open(&self, inner: &mut Inner, wait: Option<Duration>, reason: &str) {
        let doubled = self.policy.recovery.saturating_mul(1 << inner.trips.min(30));
        let jittered = doubled.min(self.policy.max_recovery).mul_f64(0.8 + 0.4 * fastrand::f64());
        let pause = jittered.max(wait.unwrap_or_default().min(MAX_RETRY_AFTER));
        inner.trips += 1;
        tracing::warn!(upstream = %self.name, reason, seconds = pause.as_secs(), "breaker open");
        self.enter(inner, Phase::Open { until: Instant::now() + pause });
    }

    fn half_open(&self, inner: &mut Inner) {
        self.enter(inner, Phase::HalfOpen { successes: 0, probing: false });
    }

    fn close(&self, inner: &mut Inner, reason: &str) {
        if !matches!(inner.phase, Phase::Closed) {
            tracing::info!(upstream = %self.name, reason, "breaker closed");
        }
        inner.trips = 0;
        self.enter(inner, Phase::Closed);
    }

    /// Begins a generation. Whoever counts is told under the lock, so that he hears of changes in their order.
    fn enter(&self, inner: &mut Inner, phase: Phase) {
        (inner.phase, inner.since) = (phase, Instant::now());
        self.window.clear();
        self.faults.store(0, Ordering::Relaxed);
        self.cuts.store(0, Ordering::Relaxed);
        let (state, odd) = match phase {
            Phase::Closed => (State::Closed, 0),
            Phase::Open { .. } => (State::Open, 1),
            Phase::HalfOpen { .. } => (State::HalfOpen, 1),
        };
        self.stamp.store((self.generation() + 1) << 1 | odd, Ordering::Release);
        self.meter.fact(&self.name, Fact::Breaker(state));
    }

    fn generation(&self) -> u64 {
        self.stamp.load(Ordering::Acquire) >> 1
    }

    fn ticket(&self, probe: bool) -> Ticket {
        Ticket { generation: self.generation(), probe }
    }
}

/// Ends a row. It is nearly always empty, and reading it is cheaper than writing what others read.
fn forget(row: &AtomicU32) {
    if row.load(Ordering::Relaxed) != 0 {
        row.store(0, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stop at a million")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
