//! Drills: makes an upstream fail on purpose, so that one can see what the other layers do about it.

use std::time::Duration;

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct ChaosPolicy {
    /// The share of calls that fail, 0 to 1.
    pub rate: f64,
    /// Added before a call that does not fail.
    pub latency: Option<Duration>,
    /// The ways to fail, chosen evenly.
    pub kinds: Vec<ChaosKind>,
    /// For a drill that can be repeated.
    pub seed: u64,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChaosKind {
    /// No connection.
    Refuse,
    /// No answer, ever.
    Hang,
    /// 429.
    Limited,
    /// 5xx.
    Fail,
    /// The answer is cut after its first content.
    Cut,
}
