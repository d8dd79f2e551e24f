//! The chain of degraded mode: when an upstream cannot answer, the next source in the config's own order does.

use crate::{BoxUpstream, Query};

/// A source that can stand in.
pub enum Standby<Q: Query> {
    /// The stale copies of the cache layer below.
    Stale,
    /// What the operator keeps for bad days.
    Backup(BoxUpstream<Q>),
    /// Another upstream.
    Upstream(BoxUpstream<Q>),
    /// A fixed text.
    Default(String),
}
