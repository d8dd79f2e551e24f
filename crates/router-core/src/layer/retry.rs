//! Puts a failed call again: only what is safe to repeat, within the deadline and the budget.

use std::time::Duration;

/// How often, and how soon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries of one call at the most.
    pub retries: u32,
    /// The first backoff; doubles, with full jitter.
    pub base: Duration,
    /// The most a backoff grows to.
    pub cap: Duration,
    /// The share of calls that may be retried.
    pub budget: f64,
    /// Retries per second that are always allowed.
    pub floor: f64,
    /// The longest Retry-After that is waited for; a longer one is handed to the caller.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 2,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            budget: 0.2,
            floor: 3.0,
            patience: Duration::from_secs(30),
        }
    }
}
