//! Keeps answers: fresh ones to save a call, stale ones for bad days; one call for many who ask the same.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_util::task::TaskTracker;

use super::{
    answers::{Answers, Key, Landing, Lead, Turn},
    guard::{Guard, Purge},
};
use crate::{CacheUse, Cx, Fact, Query, Reply, Result, Source, Upstream};

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
            fresh: Duration::from_mins(5),
            stale: Duration::from_hours(2),
            max_entries: 100,
            max_bytes: 16 << 20,
            max_entry_bytes: 1 << 20,
            shared: false,
        }
    }
}

/// Something below a fallback that may have an old answer.
pub trait Keeps<Q: Query> {
    /// An old answer to `query`, which says that it is one.
    fn stale(&self, cx: &Cx, query: &Q) -> Option<Q::Reply>;
}

/// The layer.
pub struct Cache<Q: Query, U> {
    inner: U,
    answers: Option<Arc<Answers<Q>>>,
    tasks: TaskTracker,
    guard: Arc<Guard>,
}

impl<Q: Query, U: Upstream<Q>> Cache<Q, U> {
    pub(super) fn new(inner: U, policy: Option<CachePolicy>, tasks: &TaskTracker, guard: Arc<Guard>) -> Self {
        let answers = policy.map(|policy| Arc::new(Answers::new(policy)));
        if let Some(answers) = &answers {
            let keeper: Weak<Answers<Q>> = Arc::downgrade(answers);
            guard.kept_by(keeper as Weak<dyn Purge>);
        }
        Self { inner, answers, tasks: tasks.clone(), guard }
    }

    async fn find(&self, answers: &Arc<Answers<Q>>, key: Key, cx: &Cx, query: Q) -> Result<Q::Reply> {
        loop {
            let (copy, age) = match answers.join(key, answers.policy().fresh) {
                Turn::Take(kept) => (kept.copy.clone(), kept.age()),
                Turn::Lead(lead) => return self.lead(lead, cx, query).await,
                Turn::Follow(flight) => match flight.landed(cx).await? {
                    Landing::Answered(copy) => (copy, Duration::ZERO),
                    Landing::Failed(error) => return Err(error),
                    Landing::Flying | Landing::Abandoned => continue,
                },
            };
            let Some(reply) = Q::Reply::replay(&copy) else { return self.pass(cx, query).await };
            self.guard.report(Fact::CacheHit);
            return Ok(marked(reply, CacheUse::Hit, age));
        }
    }

    async fn lead(&self, lead: Lead<Q>, cx: &Cx, query: Q) -> Result<Q::Reply> {
        match self.pass(cx, query).await {
            Ok(reply) => {
                let mut reply = lead.answered(reply, &self.tasks, Box::new(|_| true))?;
                reply.provenance_mut().cache = CacheUse::Miss;
                Ok(reply)
            }
            Err(error) => Err(lead.failed(error)),
        }
    }

    async fn pass(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        self.guard.report(Fact::CacheMiss);
        self.inner.call(cx, query).await
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Cache<Q, U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let Some(answers) = &self.answers else { return self.inner.call(cx, query).await };
        match answers.key(cx, &query) {
            Some(key) => self.find(answers, key, cx, query).await,
            None => self.inner.call(cx, query).await,
        }
    }
}

impl<Q: Query, U: Upstream<Q>> Keeps<Q> for Cache<Q, U> {
    fn stale(&self, cx: &Cx, query: &Q) -> Option<Q::Reply> {
        let answers = self.answers.as_ref()?;
        let kept = answers.stale(answers.key(cx, query)?)?;
        let reply = Q::Reply::replay(&kept.copy)?;
        self.guard.report(Fact::CacheStale);
        Some(marked(reply, CacheUse::Stale, kept.age()))
    }
}

fn marked<R: Reply>(mut reply: R, cache: CacheUse, age: Duration) -> R {
    let provenance = reply.provenance_mut();
    (provenance.source, provenance.cache, provenance.age) = (Source::Cache, cache, Some(age));
    reply
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
