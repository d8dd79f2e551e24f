//! How what is kept of MCP servers' answers is forgotten: here, and in every replica.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use router_core::{
    Name,
    layer::{guard::Guard, invalidate::Forget, second::SecondLevel, sweep::Sweep},
    tool::ToolCall,
};
use tokio::time::sleep;

use crate::{
    clock,
    config::{Config, ServerSettings},
    schedule::Schedule,
    shutdown::Shutdown,
    store::{RedisStore, SharedAnswers, SharedSweeps},
};

/// How often it is looked what other replicas had forgotten.
const LOOK: Duration = Duration::from_millis(500);

/// Has answers forgotten: when it is told to, as scheduled, and as other replicas do.
pub struct Sweeper {
    guards: BTreeMap<Name, Arc<Guard>>,
    shared: Option<Arc<SharedSweeps>>,
}

impl Sweeper {
    /// Forgets what `sweep` covers, of one server or of all; whether other replicas know.
    pub async fn forget(&self, server: Option<&str>, sweep: &Sweep) -> bool {
        let mut told = true;
        for (_, guard) in self.guards.iter().filter(|(name, _)| server.is_none_or(|server| server == &***name)) {
            told &= forget(self.shared.as_deref(), guard, sweep).await;
        }
        told
    }

    /// Keeps at it until the shutdown.
    fn watch(self: &Arc<Self>, schedules: Vec<(Name, Schedule)>, shutdown: &Shutdown) {
        if self.shared.is_some() && !self.guards.is_empty() {
            let (sweeper, finish) = (Arc::clone(self), shutdown.finish.clone());
            shutdown.tasks.spawn(async move {
                while finish.run_until_cancelled(sleep(LOOK)).await.is_some() {
                    sweeper.follow().await;
                }
            });
        }
        if !schedules.is_empty() {
            let (sweeper, finish) = (Arc::clone(self), shutdown.finish.clone());
            shutdown.tasks.spawn(async move {
                while finish.run_until_cancelled(sleep(clock::until_next_minute())).await.is_some() {
                    sweeper.keep_to(&schedules).await;
                }
            });
        }
    }

    /// Forgets what other replicas had forgotten.
    async fn follow(&self) {
        let Some(shared) = &self.shared else { return };
        let servers: Vec<Name> = self.guards.keys().cloned().collect();
        for (server, sweep) in shared.news(&servers).await.unwrap_or_default() {
            if let Some(guard) = self.guards.get(&server) {
                guard.purge(&sweep);
            }
        }
    }

    /// Forgets what is to be forgotten in this minute.
    async fn keep_to(&self, schedules: &[(Name, Schedule)]) {
        let now = clock::minute();
        for (server, _) in schedules.iter().filter(|(_, schedule)| schedule.covers(now)) {
            tracing::info!(%server, "its answers are forgotten, as scheduled");
            self.forget(Some(server), &Sweep::default()).await;
        }
    }
}

/// Forgets what `sweep` covers of one server; whether other replicas know. First the others: what they have must not come
/// back here.
async fn forget(shared: Option<&SharedSweeps>, guard: &Guard, sweep: &Sweep) -> bool {
    let told = match shared {
        Some(shared) => shared.tell(guard.name(), sweep).await,
        None => Ok(()),
    };
    if let Err(error) = &told {
        tracing::debug!(server = %guard.name(), %error, "other replicas do not know what is to be forgotten");
    }
    guard.purge(sweep);
    told.is_ok()
}

/// What the caches of servers are made with.
pub struct Beginning {
    redis: Option<Arc<RedisStore>>,
    shared: Option<Arc<SharedSweeps>>,
    guards: BTreeMap<Name, Arc<Guard>>,
    shutdown: Shutdown,
}

impl Beginning {
    /// With the Redis of the configuration, where it has one.
    pub fn new(config: &Config, shutdown: &Shutdown) -> Result<Self> {
        const CONTEXT: &str = "mcp-router 2026-11 answers of servers";
        let redis = config.redis.as_ref().map(|url| {
            let secret = config.state_key.as_ref().unwrap_or(url);
            RedisStore::new(url, blake3::derive_key(CONTEXT, secret.expose().as_bytes())).map(Arc::new)
        });
        let redis = redis.transpose().context("redis")?;
        let shared = redis.clone().map(|redis| Arc::new(SharedSweeps::new(redis)));
        Ok(Self { redis, shared, guards: BTreeMap::new(), shutdown: shutdown.clone() })
    }

    /// Where the answers of a server are kept beside the memory of this process.
    pub fn second(&self, settings: &ServerSettings) -> Option<Arc<dyn SecondLevel<ToolCall>>> {
        let (redis, policy) = (self.redis.as_ref()?, settings.cache.as_ref()?.policy);
        let keep = policy.second.saturating_add(policy.stale);
        let (server, tasks) = (Arc::clone(&settings.name), &self.shutdown.tasks);
        Some(Arc::new(SharedAnswers::new(Arc::clone(redis), server, keep, tasks)))
    }

    /// How a server's answers are forgotten after a call that made them untrue.
    pub fn forget(&self, guard: &Arc<Guard>) -> Forget {
        let (guard, shared) = (Arc::clone(guard), self.shared.clone());
        Arc::new(move |sweep| {
            let (guard, shared) = (Arc::clone(&guard), shared.clone());
            Box::pin(async move {
                forget(shared.as_deref(), &guard, &sweep).await;
            })
        })
    }

    /// A server with a guard, which leads to its caches.
    pub fn add(&mut self, settings: &ServerSettings, guard: &Arc<Guard>) {
        if settings.cache.is_some() {
            self.guards.insert(Arc::clone(&settings.name), Arc::clone(guard));
        }
    }

    /// All of them, looked after.
    pub fn done(self, config: &Config) -> Arc<Sweeper> {
        let schedule =
            |settings: &ServerSettings| Some((Arc::clone(&settings.name), settings.cache.as_ref()?.purge.clone()?));
        let schedules = config.servers.iter().filter_map(schedule).collect();
        let sweeper = Arc::new(Sweeper { guards: self.guards, shared: self.shared });
        sweeper.watch(schedules, &self.shutdown);
        sweeper
    }
}
