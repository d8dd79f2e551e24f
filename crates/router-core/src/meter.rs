//! What layers report: facts, to whoever counts them. The vocabulary knows no metrics library.

use std::time::Duration;

use crate::{Kind, Name, Source, chat::Usage, layer::breaker};

/// Counts what layers report. Called on the request path: it must not block and should not allocate.
pub trait Meter: Send + Sync + 'static {
    /// Something happened at `upstream`.
    fn fact(&self, upstream: &Name, fact: Fact);

    /// A call of `upstream` is over, to its last byte.
    fn observe(&self, upstream: &Name, observation: Observation);

    /// A model answered, and somebody pays for it.
    fn charge(&self, _: &Charge<'_>) {}
}

/// One thing that a layer did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// The breaker changed its state.
    Breaker(breaker::State),
    /// A fresh copy answered.
    CacheHit,
    /// A fresh copy that all replicas share answered.
    CacheShared,
    /// No copy was there.
    CacheMiss,
    /// An old copy answered.
    CacheStale,
    /// A copy of the answer to a question that means the same answered.
    CacheSemantic,
    /// So many tokens were not used, because a copy answered.
    SavedTokens(Usage),
    /// So much was not spent, in US dollars.
    SavedCost(f64),
    /// An attempt was too slow.
    TimedOut,
    /// Another source answered for the upstream.
    FellBack(Strategy),
    /// We refused a call: the bulkhead or the bucket was full.
    Shed,
    /// A failed call was put again.
    Retried,
    /// A question was cut to the context window of its model.
    Truncated,
}

/// Which source of the fallback answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// An old copy.
    Stale,
    /// A file or folder.
    Backup,
    /// Another upstream.
    Upstream,
    /// A fixed text.
    Default,
    /// The word that nobody answers.
    Skip,
}

impl Strategy {
    /// The strategy as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Backup => "backup",
            Self::Upstream => "upstream",
            Self::Default => "default",
            Self::Skip => "skip",
        }
    }
}

/// A call, when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was asked, from a closed set.
    pub operation: &'static str,
    /// How it ended: `None` is well.
    pub failure: Option<Kind>,
    /// From the question to the last byte.
    pub duration: Duration,
    /// From the question to the first content.
    pub first_content: Option<Duration>,
    /// Which of the answers of the chain it was.
    pub source: Source,
    /// Tokens, where they are known.
    pub usage: Usage,
}

/// What an answer of a model took and cost, and whose it was. Every name in it is one of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge<'a> {
    /// Who answered.
    pub upstream: &'a Name,
    /// The alias that was asked for, where one was.
    pub alias: Option<&'a Name>,
    /// Who asked.
    pub caller: &'a Name,
    /// The tokens that it told.
    pub usage: Usage,
    /// What they cost in US dollars, where that is known.
    pub dollars: Option<f64>,
    /// How many parts of the question had to be left out for it.
    pub dropped: usize,
}

/// Counts nothing.
#[derive(Debug)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn fact(&self, _: &Name, _: Fact) {}
    fn observe(&self, _: &Name, _: Observation) {}
}
