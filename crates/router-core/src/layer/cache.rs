//! Keeps answers: fresh ones to save a call, stale ones for bad days; one call for many who ask the same.
//!
//! The memory of this process is the first level; a second one, where there is one, is shared with other replicas.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::{
    answers::{Answers, Key, Landing, Lead, Turn},
    guard::{Guard, Purge},
    second::{Claim, Found, Place, SecondLevel, Ticket},
    sweep::About,
};
use crate::{CacheUse, Cx, Fact, Query, Reply, Result, Source, Upstream};

/// How long another replica is waited for that asks the same, and for how long one may ask for all.
const OTHERS: Duration = Duration::from_secs(10);
/// How often it is looked whether it has an answer.
const GLANCE: Duration = Duration::from_millis(25);

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CachePolicy {
    /// How long an answer is as good as new.
    pub fresh: Duration,
    /// How long one of the second level is.
    pub second: Duration,
    /// For how long after that an old answer is given at once while a new one is fetched behind it.
    pub revalidate: Duration,
    /// How long it may stand in when the upstream fails.
    pub stale: Duration,
    /// How long it is known that there is no answer.
    pub negative: Duration,
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
            second: Duration::from_hours(1),
            revalidate: Duration::ZERO,
            stale: Duration::from_hours(2),
            negative: Duration::ZERO,
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
    fn stale(&self, cx: &Cx, query: &Q) -> impl Future<Output = Option<Q::Reply>> + Send;
}

/// The layer.
pub struct Cache<Q: Query, U>(Arc<Shared<Q, U>>);

/// What answers whoever asks, and fetches anew behind his back.
struct Shared<Q: Query, U> {
    inner: U,
    answers: Option<Arc<Answers<Q>>>,
    second: Option<Arc<dyn SecondLevel<Q>>>,
    tasks: TaskTracker,
    guard: Arc<Guard>,
}

/// What other replicas know.
enum Elsewhere<Q: Query> {
    Known(Q::Reply),
    /// Nobody knows: this one asks, for all.
    Unknown(Ticket, Claim),
}

impl<Q: Query, U: Upstream<Q>> Cache<Q, U> {
    pub(super) fn new(
        inner: U,
        (policy, second): (Option<CachePolicy>, Option<Arc<dyn SecondLevel<Q>>>),
        tasks: &TaskTracker,
        guard: Arc<Guard>,
    ) -> Self {
        let answers = policy.map(|policy| Arc::new(Answers::new(policy)));
        if let Some(answers) = &answers {
            let keeper: Weak<Answers<Q>> = Arc::downgrade(answers);
            guard.kept_by(keeper as Weak<dyn Purge>);
        }
        Self(Arc::new(Shared { inner, answers, second, tasks: tasks.clone(), guard }))
    }
}

impl<Q: Query, U: Upstream<Q>> Shared<Q, U> {
    async fn find(self: &Arc<Self>, answers: &Arc<Answers<Q>>, key: Key, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let policy = answers.policy();
        loop {
            let old = || answers.younger(key, policy.fresh.saturating_add(policy.revalidate));
            let turn = answers.join(key, policy.fresh);
            if matches!(turn, Turn::Lead(_))
                && let Some(error) = answers.refusal(key)
            {
                self.guard.report(Fact::CacheHit);
                return Err(error);
            }
            let (copy, age, cache) = match turn {
                Turn::Take(kept) => (kept.copy.clone(), kept.age(), CacheUse::Hit),
                Turn::Lead(lead) => match old() {
                    Some(old) => {
                        self.renew(lead, cx, query.clone());
                        (old.copy.clone(), old.age(), CacheUse::Stale)
                    }
                    None => return self.lead(lead, cx, query).await,
                },
                Turn::Follow(flight) => match old() {
                    Some(old) => (old.copy.clone(), old.age(), CacheUse::Stale),
                    None => match flight.landed(cx).await? {
                        Landing::Answered(copy) => (copy, Duration::ZERO, CacheUse::Hit),
                        Landing::Failed(error) => return Err(error),
                        Landing::Flying | Landing::Abandoned => continue,
                    },
                },
            };
            let Some(reply) = Q::Reply::replay(&copy) else { return self.pass(cx, query).await };
            self.guard.report(if cache == CacheUse::Stale { Fact::CacheStale } else { Fact::CacheHit });
            return Ok(marked(reply, cache, age));
        }
    }

    /// Fetches an answer anew while its caller has gone on with the old one.
    fn renew(self: &Arc<Self>, lead: Lead<Q>, cx: &Cx, query: Q) {
        let cx = Cx::new(Arc::new(cx.caller().clone()), cx.remaining());
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = shared.lead(lead, &cx, query).await {
                tracing::debug!(upstream = %shared.guard.name(), %error, "an old answer could not be renewed");
            }
        });
    }

    async fn lead(&self, lead: Lead<Q>, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let about = self.about(cx, &query);
        lead.is_about(about.clone());
        let Some(second) = self.second(cx) else { return self.ask(lead, cx, query, |_| true).await };
        let place = Place { key: lead.key(), about };
        match self.elsewhere(&**second, &place, cx).await {
            Err(error) => Err(lead.failed(error)),
            Ok(Elsewhere::Known(reply)) => {
                self.guard.report(Fact::CacheShared);
                let age = reply.provenance().age.unwrap_or_default();
                let reply = lead.answered(reply, &self.tasks, Box::new(|_| true))?;
                Ok(marked(reply, CacheUse::Hit, age))
            }
            Ok(Elsewhere::Unknown(ticket, claim)) => {
                let second = Arc::clone(second);
                self.ask(lead, cx, query, move |copy| {
                    second.put(&place, copy, ticket, claim);
                    true
                })
                .await
            }
        }
    }

    async fn ask(
        &self,
        lead: Lead<Q>,
        cx: &Cx,
        query: Q,
        kept: impl FnOnce(&super::answers::Copied<Q>) -> bool + Send + 'static,
    ) -> Result<Q::Reply> {
        match self.pass(cx, query).await {
            Ok(reply) => {
                let mut reply = lead.answered(reply, &self.tasks, Box::new(kept))?;
                reply.provenance_mut().cache = CacheUse::Miss;
                Ok(reply)
            }
            Err(error) => Err(lead.failed(error)),
        }
    }

    /// What other replicas know: an answer, or that one of them is about to have it.
    async fn elsewhere(&self, second: &dyn SecondLevel<Q>, place: &Place, cx: &Cx) -> Result<Elsewhere<Q>> {
        let fresh = self.answers.as_ref().map_or(Duration::ZERO, |answers| answers.policy().second);
        let known = |reply: &Q::Reply| reply.provenance().age.is_some_and(|age| age < fresh);
        let until = Instant::now() + OTHERS;
        let mut claim = None;
        loop {
            let Found { reply, ticket } = second.take(place).await;
            if let Some(reply) = reply.filter(known) {
                return Ok(Elsewhere::Known(reply));
            }
            // Whoever has the claim looks once more: another one may have been done just before.
            if claim.is_some() || ticket.is_none() || Instant::now() >= until {
                return Ok(Elsewhere::Unknown(ticket, claim.unwrap_or_default()));
            }
            claim = second.claim(place, OTHERS).await;
            if claim.is_none() {
                cx.wait(sleep(GLANCE)).await?;
            }
        }
    }

    async fn pass(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        self.guard.report(Fact::CacheMiss);
        self.inner.call(cx, query).await
    }

    /// The second level, for what may leave this machine.
    fn second(&self, cx: &Cx) -> Option<&Arc<dyn SecondLevel<Q>>> {
        self.second.as_ref().filter(|_| !cx.is_local())
    }

    fn about(&self, cx: &Cx, query: &Q) -> About {
        let scope = self.answers.as_ref().map_or(&cx.caller().tenant, |answers| answers.scope(cx));
        About { scope: scope.clone(), subject: query.subject().into() }
    }

    async fn stale(&self, cx: &Cx, query: &Q) -> Option<Q::Reply> {
        let answers = self.answers.as_ref()?;
        let key = answers.key(cx, query)?;
        if let Some(kept) = answers.stale(key) {
            return Some(marked(Q::Reply::replay(&kept.copy)?, CacheUse::Stale, kept.age()));
        }
        let place = Place { key, about: self.about(cx, query) };
        let reply = self.second(cx)?.take(&place).await.reply?;
        let age = reply.provenance().age?;
        let longest = answers.policy().second.saturating_add(answers.policy().stale);
        (age < longest).then(|| marked(reply, CacheUse::Stale, age))
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Cache<Q, U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let shared = &self.0;
        let Some(answers) = &shared.answers else { return shared.inner.call(cx, query).await };
        match answers.key(cx, &query) {
            Some(key) => shared.find(answers, key, cx, query).await,
            None => shared.inner.call(cx, query).await,
        }
    }
}

impl<Q: Query, U: Upstream<Q>> Keeps<Q> for Cache<Q, U> {
    async fn stale(&self, cx: &Cx, query: &Q) -> Option<Q::Reply> {
        let reply = self.0.stale(cx, query).await?;
        self.0.guard.report(Fact::CacheStale);
        Some(reply)
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

#[cfg(test)]
#[path = "cache_levels_tests.rs"]
mod levels_tests;
