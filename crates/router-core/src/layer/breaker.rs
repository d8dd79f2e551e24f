//! Opens in front of an upstream that fails, and lets one probe find out when it is well again.

use std::time::Duration;

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
            recovery: Duration::from_secs(60),
            max_recovery: Duration::from_secs(600),
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
