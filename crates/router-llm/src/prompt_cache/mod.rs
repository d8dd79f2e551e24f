//! Answers of models, given again to the same question.
//!
//! The layer stands between the clients' rules and the route. Nothing is kept unless an alias, a client's rule or the
//! request itself wants that. What is kept is the recording of the reply, so a kept answer goes out as the first one
//! did, whole or as a stream; whoever asks the same while it is still given reads along. Where that is wanted, it also
//! answers questions that mean the same.

pub mod gate;
mod matrix;
mod meaning;
mod notes;
mod question;
mod questions;
mod shelf;
mod worth;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use router_core::{
    BoxUpstream, CacheUse, Cx, Done, End, Fact, Meter, Name, Reply, Result, Source, Store, Upstream,
    chat::{Chat, ChatRecording, ChatReply, Keeping, Meta, Reach, Usage},
    embed::Embed,
    layer::{
        answers::{Answers, Judge, Key, Landing, Lead, Turn},
        cache::CachePolicy,
    },
};
use tokio_util::task::TaskTracker;

use crate::route::Names;
pub use meaning::MeaningPolicy;
use meaning::{Meanings, Meant};
use shelf::Shelf;

/// Under which name the cache is counted for models that are no alias.
const LABEL: &str = "prompt_cache";

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PromptPolicy {
    /// How long a kept answer is as good as new, where nobody says otherwise.
    pub ttl: Duration,
    /// How long it may stand in afterwards, when nobody else answers.
    pub stale: Duration,
    /// Memory at the most, in bytes.
    pub max_bytes: u64,
    /// The longest answer that is kept, in bytes.
    pub max_entry_bytes: usize,
}

/// What a prompt cache is made of.
pub struct PromptParts<S> {
    /// What is kept, and for how long.
    pub policy: PromptPolicy,
    /// Which questions are compared by their meaning.
    pub meaning: MeaningPolicy,
    /// Tells meanings.
    pub embeddings: BoxUpstream<Embed>,
    /// What questions are told apart with.
    pub key: [u8; 32],
    /// The aliases.
    pub names: Arc<Names>,
    /// How the answers of those aliases are kept that say so.
    pub keeping: BTreeMap<Name, Keeping>,
    /// Where answers live beside the memory.
    pub store: Option<Arc<S>>,
    /// Runs what records a reply, and what is put into the store.
    pub tasks: TaskTracker,
    /// Counts hits, misses and what was saved.
    pub meter: Arc<dyn Meter>,
    /// What an answer of a provider's model costs.
    pub cost: CostOf,
    /// Seconds of Unix time.
    pub clock: fn() -> i64,
}

/// What so many tokens of a provider's model cost, in US dollars; `None` where nobody knows.
pub type CostOf = Arc<dyn Fn(&str, &str, Usage) -> Option<f64> + Send + Sync>;

/// The layer.
pub struct PromptCache<S> {
    parts: PromptParts<S>,
    answers: Arc<Answers<Chat>>,
    shelf: Shelf<S>,
    meanings: Arc<Meanings<S>>,
    inner: BoxUpstream<Chat>,
}

/// A question whose answer may be kept.
struct Asked {
    key: Key,
    /// How old a kept answer may be.
    fresh: Duration,
    /// How old one may be that stands in.
    stale: Duration,
    /// How long the answer is kept elsewhere.
    keep: Duration,
    /// Whether the answer to a question that means the same will do.
    by_meaning: bool,
    /// Whether its answer may be told to other replicas.
    is_shared: bool,
    label: Name,
}

impl<S: Store> PromptCache<S> {
    /// The layer around `inner`.
    pub fn new(parts: PromptParts<S>, inner: BoxUpstream<Chat>) -> Self {
        let PromptPolicy { ttl, stale, max_bytes, max_entry_bytes } = parts.policy;
        let longest = parts.keeping.values().filter_map(|keeping| keeping.ttl).fold(ttl, Duration::max);
        // The entries are bounded by their bytes alone.
        let max_entries = u64::MAX;
        let policy =
            CachePolicy { fresh: longest, stale, max_entries, max_bytes, max_entry_bytes, ..CachePolicy::default() };
        let shelf = Shelf::new(parts.store.clone(), parts.clock);
        let meanings = Arc::new(Meanings::new(&parts));
        Self { answers: Arc::new(Answers::new(policy)), shelf, meanings, inner, parts }
    }

    /// What is to be looked for; `None` when this question is to leave no trace.
    fn asked(&self, cx: &Cx, chat: &Chat) -> Option<Asked> {
        if chat.keep.never {
            return None;
        }
        let alias = self.alias(&chat.model);
        let keeping = chat.keep.keeping.or(alias.map(|(_, keeping)| keeping))?;
        if keeping.reach == Reach::Off {
            return None;
        }
        let whole = question::hash(&self.parts.key, chat)?;
        let usual = alias.and_then(|(_, keeping)| keeping.ttl).unwrap_or(self.parts.policy.ttl);
        let ttl = keeping.ttl.unwrap_or(usual);
        let oldest = chat.keep.max_age.unwrap_or(Duration::MAX);
        let keep = ttl.saturating_add(self.parts.policy.stale);
        let label = alias.map_or_else(|| LABEL.into(), |(name, _)| format!("{LABEL}/{name}").into());
        let key = Key::new(&cx.caller().tenant, whole);
        let (fresh, stale) = (ttl.min(oldest), keep.min(oldest));
        let by_meaning = keeping.reach == Reach::Semantic && !fresh.is_zero();
        Some(Asked { key, fresh, stale, keep, by_meaning, is_shared: !cx.is_local(), label })
    }

    fn alias(&self, model: &str) -> Option<(&Name, Keeping)> {
        if self.parts.keeping.is_empty() {
            return None;
        }
        let alias = self.parts.names.choice(model).ok()?.alias?;
        self.parts.keeping.get(&alias.name).map(|keeping| (&alias.name, *keeping))
    }

    async fn find(&self, asked: &Asked, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        loop {
            let (copy, age) = match self.turn(asked) {
                Turn::Take(kept) => (kept.copy.clone(), Some(kept.age())),
                Turn::Lead(lead) => return self.lead(lead, asked, cx, chat).await,
                Turn::Follow(flight) => match flight.landed(cx).await? {
                    Landing::Answered(copy) => (copy, None),
                    Landing::Failed(error) => return Err(error),
                    Landing::Flying | Landing::Abandoned => continue,
                },
            };
            let Some(reply) = ChatReply::replay(&copy) else { return self.pass(asked, cx, chat).await };
            // Whoever reads along is told of the copy what the one was told who found it.
            let told = reply.provenance();
            let found = if told.cache == CacheUse::None { CacheUse::Hit } else { told.cache };
            let age = age.or(told.age).unwrap_or_default();
            return Ok(self.again(reply, found, age, &asked.label));
        }
    }

    fn turn(&self, asked: &Asked) -> Turn<Chat> {
        if asked.fresh.is_zero() {
            Turn::Lead(self.answers.renew(asked.key))
        } else {
            self.answers.join(asked.key, asked.fresh)
        }
    }

    async fn lead(&self, lead: Lead<Chat>, asked: &Asked, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        if let Some((reply, age)) = self.shelved(asked.key, asked).await {
            let reply = lead.answered(reply, &self.parts.tasks, Box::new(|_| true))?;
            return Ok(self.again(reply, CacheUse::Hit, age, &asked.label));
        }
        let meant = if asked.by_meaning { self.meanings.of(cx, &self.parts.key, &chat).await } else { None };
        if let Some(meant) = &meant
            && let Some((reply, age)) = self.near(meant, asked).await
        {
            // It stays the answer to the other question, and those who read along are told so.
            let reply =
                lead.answered(marked(reply, CacheUse::Semantic, age), &self.parts.tasks, Box::new(|_| false))?;
            return Ok(self.again(reply, CacheUse::Semantic, age, &asked.label));
        }
        match self.pass(asked, cx, chat).await {
            Ok(reply) => {
                let mut reply = lead.answered(reply, &self.parts.tasks, self.judge(asked, meant))?;
                let provenance = reply.provenance_mut();
                (provenance.cache, provenance.age) = (CacheUse::Miss, Some(Duration::ZERO));
                Ok(reply)
            }
            Err(error) => Err(lead.failed(error)),
        }
    }

    /// An answer that another replica kept.
    async fn shelved(&self, key: Key, asked: &Asked) -> Option<(ChatReply, Duration)> {
        if !asked.is_shared {
            return None;
        }
        self.shelf.take(key, asked.fresh).await
    }

    /// The kept answer to a question that means the same.
    async fn near(&self, meant: &Meant, asked: &Asked) -> Option<(ChatReply, Duration)> {
        for key in self.meanings.same(meant).await {
            let here = self.answers.younger(key, asked.fresh);
            let found = match here.and_then(|kept| Some((ChatReply::replay(&kept.copy)?, kept.age()))) {
                None => self.shelved(key, asked).await,
                found => found,
            };
            if found.is_some() {
                self.meanings.used(meant, key);
                return found;
            }
        }
        None
    }

    async fn pass(&self, asked: &Asked, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        self.parts.meter.fact(&asked.label, Fact::CacheMiss);
        self.inner.call(cx, chat).await
    }

    /// Keeps a good answer here, puts it where other replicas find it, and remembers what was `meant`.
    fn judge(&self, asked: &Asked, meant: Option<Meant>) -> Judge<Chat> {
        let (elsewhere, meanings) = (self.shelf.clone(), Arc::clone(&self.meanings));
        let tasks = self.parts.tasks.clone();
        let (key, time, is_shared) = (asked.key, asked.keep, asked.is_shared);
        Box::new(move |copy: &ChatRecording| {
            let good = worth::keeping(copy);
            if good
                && is_shared
                && let Some(put) = elsewhere.put(key, copy, time)
            {
                tasks.spawn(put);
            }
            if good && let Some(noted) = meant.and_then(|meant| meanings.note(meant, key, time)) {
                tasks.spawn(noted);
            }
            good
        })
    }

    /// An old answer is better than none.
    fn stale(&self, asked: &Asked) -> Option<ChatReply> {
        let kept = self.answers.younger(asked.key, asked.stale)?;
        let reply = ChatReply::replay(&kept.copy)?;
        Some(self.again(reply, CacheUse::Stale, kept.age(), &asked.label))
    }

    /// A kept answer, which says that it is one.
    fn again(&self, reply: ChatReply, found: CacheUse, age: Duration, label: &Name) -> ChatReply {
        self.parts.meter.fact(label, fact(found));
        let mut reply = marked(reply, found, age);
        reply.meta = Meta(reply.meta.iter().filter(|(name, _)| !is_of_its_moment(name)).map(owned).collect());
        let done = self.saved(&reply, Name::clone(label));
        reply.watch(done)
    }

    /// Counts at its end what a kept answer saved.
    fn saved(&self, reply: &ChatReply, label: Name) -> Done {
        let provenance = reply.provenance();
        let whose = provenance.upstream.clone().zip(provenance.model.clone());
        let (meter, cost) = (Arc::clone(&self.parts.meter), Arc::clone(&self.parts.cost));
        Box::new(move |end| {
            // What nobody told is not made up.
            let End::Complete(usage) = end else { return };
            if !usage.is_known() {
                return;
            }
            meter.fact(&label, Fact::SavedTokens(usage));
            if let Some(cost) = whose.and_then(|(upstream, model)| cost(&upstream, &model, usage)) {
                meter.fact(&label, Fact::SavedCost(cost));
            }
        })
    }
}

impl<S: Store> Upstream<Chat> for PromptCache<S> {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let Some(asked) = self.asked(cx, &chat) else { return self.inner.call(cx, chat).await };
        match self.find(&asked, cx, chat).await {
            Err(error) if error.is_transient() => self.stale(&asked).ok_or(error),
            outcome => outcome,
        }
    }
}

fn marked(mut reply: ChatReply, found: CacheUse, age: Duration) -> ChatReply {
    let provenance = reply.provenance_mut();
    (provenance.source, provenance.cache, provenance.age) = (Source::Cache, found, Some(age));
    reply
}

const fn fact(found: CacheUse) -> Fact {
    match found {
        CacheUse::Hit => Fact::CacheHit,
        CacheUse::Semantic => Fact::CacheSemantic,
        CacheUse::Stale => Fact::CacheStale,
        CacheUse::Miss | CacheUse::None => Fact::CacheMiss,
    }
}

/// Whether a header told of the moment of the first answer: what was left of a limit, when to come again.
fn is_of_its_moment(name: &str) -> bool {
    name.contains("ratelimit") || name.starts_with("retry-after")
}

fn owned((name, value): (&str, &str)) -> (Box<str>, Box<str>) {
    (name.into(), value.into())
}

#[cfg(test)]
mod tests;
