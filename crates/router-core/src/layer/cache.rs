//! Keeps answers: fresh ones to save a call, stale ones for bad days; one call for many who ask the same.

use std::time::Duration;

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CachePolicy {
    /// How long an answer is as good as new.
    pub fresh: Duration,
    /// How long it may stand in when the upstream fails.
    pub stale: Duration,
    /// Entries at the most.
    pub max_entries: u64,
    /// Bytes at the most, over all entries.
    pub max_bytes: u64,
    /// Bytes of one entry; a longer answer passes, but is not kept.
    pub max_entry_bytes: usize,
    /// Whether one tenant may be answered with what another asked.
    pub shared: bool,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(300),
            stale: Duration::from_secs(24 * 300),
            max_entries: 100,
            max_bytes: 16 << 20,
            max_entry_bytes: 1 << 20,
            shared: false,
        }
    }
}
