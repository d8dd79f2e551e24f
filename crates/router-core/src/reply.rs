//! What every reply can do, whether it is one value or a stream: be watched, be kept, be paced, say where it is from.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{
    Kind, Name,
    chat::{Losses, Usage},
};

/// An answer to a query. No layer knows whether it streams.
pub trait Reply: Sized + Send + 'static {
    /// A copy that can be kept, even while it is still being written, and given again.
    type Recording: Clone + Send + Sync + 'static;

    /// Calls `done` once: when the last byte has gone, when the reply broke, or when it was dropped before its end.
    #[must_use]
    fn watch(self, done: Done) -> Self;

    /// Holds the rest of the reply to its pace; a breach ends it with an error. The frame that the call waited for is
    /// never too late.
    #[must_use]
    fn paced(self, pace: Pace) -> Self;

    /// Records the reply while it runs. `tasks` pulls it along; when every reader has gone, it is cancelled. `kept` is
    /// told at the end whether the recording is whole and within `bound` bytes.
    fn record(self, bound: usize, tasks: &TaskTracker, kept: Box<dyn FnOnce(bool) + Send>) -> Self::Recording;

    /// One more reader of a recording; `None` when it can no longer be read from its beginning.
    fn replay(recording: &Self::Recording) -> Option<Self>;

    /// What a recording weighs in bytes.
    fn weight(recording: &Self::Recording) -> usize;

    /// Whether this answer may be kept at all (an error told as a result, for one, may not).
    fn keepable(&self) -> bool;

    /// Where it is from.
    fn provenance(&self) -> &Provenance;

    /// Where it is from, to be corrected by the layer that knows better.
    fn provenance_mut(&mut self) -> &mut Provenance;
}

/// Told once how a reply ended.
pub type Done = Box<dyn FnOnce(End) + Send>;

/// How a reply ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The last byte went out.
    Complete(Usage),
    /// It broke after its first content, when so much of its usage was known.
    Broken(Kind, Usage),
    /// Whoever asked went away, when so much of its usage was known: nobody's fault.
    Dropped(Usage),
}

/// How long the rest of a reply may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two frames.
    pub idle: Option<Duration>,
    /// When all of it must be over, and what it is when it is not.
    pub end: Option<(tokio::time::Instant, Kind)>,
}

/// Where an answer is from. A reply that is not live always says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Live, or which of the answers of degraded mode.
    pub source: Source,
    /// What the cache did.
    pub cache: CacheUse,
    /// Who answered.
    pub upstream: Option<Name>,
    /// The model that answered, by the name its provider has for it.
    pub model: Option<Arc<str>>,
    /// How old a kept answer is.
    pub age: Option<Duration>,
    /// What of the question could not be put to whoever answered.
    pub dropped: Losses,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            source: Source::Live,
            cache: CacheUse::None,
            upstream: None,
            model: None,
            age: None,
            dropped: Losses::default(),
        }
    }
}

/// The chain of degraded mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The upstream said it just now.
    Live,
    /// It was kept.
    Cache,
    /// A file or folder that the operator keeps for bad days.
    Backup,
    /// A fixed text.
    Default,
}

impl Source {
    /// The word in `x-mcp-router-source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Cache => "cache",
            Self::Backup => "backup",
            Self::Default => "default",
        }
    }
}

/// What the cache had to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheUse {
    /// A fresh copy.
    Hit,
    /// A copy of the answer to a question that means the same.
    Semantic,
    /// An old copy, because nothing better was to be had.
    Stale,
    /// Looked for, not found; the answer was kept.
    Miss,
    /// No cache stood in the way.
    None,
}

impl CacheUse {
    /// The word in `x-mcp-router-cache`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::None => "none",
        }
    }
}
