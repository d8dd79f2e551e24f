//! The layers: each an upstream around an upstream, each in its own file, each with its policy.

pub mod breaker;
pub mod cache;
pub mod chaos;
pub mod fallback;
pub mod limit;
pub mod retry;
pub mod timeout;
