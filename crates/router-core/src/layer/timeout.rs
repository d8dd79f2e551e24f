//! Bounds an attempt: to its first content, between frames, and over all.

use std::time::Duration;

/// How long an attempt may take; `None` is no bound but the caller's deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeoutPolicy {
    /// Until the first content of a stream, or since the last sign of life of a call that has not answered.
    pub first_content: Option<Duration>,
    /// Between two frames.
    pub idle: Option<Duration>,
    /// Over all, signs of life or not. Bounds the reply that comes whole, too.
    pub total: Option<Duration>,
}
