//! The prompt cache: what is kept of models' answers.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use router_core::{BoxUpstream, Meter, Upstream, chat::Chat, embed::Embed};
use router_llm::{
    models::KnownModels,
    prompt_cache::{MeaningPolicy, PromptCache, PromptParts, PromptPolicy},
    route::Names,
};
use tokio_util::task::TaskTracker;

use crate::{clock, config::Config, store::RedisStore, telemetry::metrics::Metrics};

/// What the cache stands around, and who helps it.
pub struct Around {
    /// Answers what is not kept.
    pub chats: BoxUpstream<Chat>,
    /// Tells what questions mean.
    pub embeddings: BoxUpstream<Embed>,
    /// Tells what answers cost.
    pub known: Arc<KnownModels>,
}

/// The cache around what answers.
pub fn cache(
    config: &Config,
    names: &Arc<Names>,
    (metrics, tasks): (&Arc<Metrics>, &TaskTracker),
    Around { chats, embeddings, known }: Around,
) -> Result<BoxUpstream<Chat>> {
    let settings = &config.prompt_cache;
    let keeping = config.models.iter().filter_map(|alias| Some((Arc::clone(&alias.name), alias.keeping?)));
    let key = key(config)?;
    let store = config.redis.as_ref().map(|url| RedisStore::new(url, key)).transpose().context("redis")?;
    let parts = PromptParts {
        policy: PromptPolicy {
            ttl: settings.ttl,
            stale: settings.stale,
            max_bytes: settings.max_bytes,
            max_entry_bytes: settings.max_entry_bytes,
        },
        meaning: MeaningPolicy {
            max_questions: settings.max_questions,
            threshold: settings.threshold,
            max_temperature: settings.max_temperature,
            embed: Arc::clone(&settings.embed),
            embed_timeout: settings.embed_timeout,
        },
        embeddings,
        key,
        names: Arc::clone(names),
        keeping: keeping.collect(),
        store: store.map(Arc::new),
        tasks: tasks.clone(),
        meter: Arc::clone(metrics) as Arc<dyn Meter>,
        cost: Arc::new(move |provider, model, usage| Some(known.of(provider, model).price?.cost(usage))),
        clock: clock::unix_seconds,
    };
    Ok(PromptCache::new(parts, chats).boxed())
}

/// What questions are told apart with: the one of the configuration, one that replicas of one Redis share without being
/// told, or one that nobody else has.
fn key(config: &Config) -> Result<[u8; 32]> {
    const CONTEXT: &str = "mcp-router 2026-11 prompt cache";
    match config.prompt_cache.key.as_ref().or(config.redis.as_ref()) {
        Some(secret) => Ok(blake3::derive_key(CONTEXT, secret.expose().as_bytes())),
        None => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| anyhow!("no key for the prompt cache: {error}"))?;
            Ok(key)
        }
    }
}
