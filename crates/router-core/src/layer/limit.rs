//! Keeps an upstream from being asked too much: a bulkhead with a bounded queue, and a token bucket.

use std::time::Duration;

/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitPolicy {
    /// Calls at once; `None` is no bound.
    pub concurrency: Option<usize>,
    /// Calls that may wait for their turn.
    pub queue: usize,
    /// How long one waits at the most.
    pub wait: Duration,
    /// Calls per second over time; `None` is no bound.
    pub rate: Option<f64>,
    /// Calls at once that the rate forgives.
    pub burst: u32,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self { concurrency: None, queue: 128, wait: Duration::from_millis(250), rate: None, burst: 10 }
    }
}
