//! Answers of MCP servers in a Redis, for all replicas that share it.
//!
//! A purge deletes nothing. Each server has a hash of marks: one for all its answers, one for each tool and each tenant
//! of whose answers some were to be forgotten. An answer bears the marks that were there when it was asked for, and is
//! one only while they are the same; so one that was on its way during a purge is not kept either. Replicas look at the
//! marks now and then, and forget what they keep in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use router_core::{
    Name, Raw, Reply, Result, Scope, StoreKey,
    layer::{
        second::{Claim, Found, Later, Place, SecondLevel, Ticket},
        sweep::{About, Sweep},
    },
    matches_glob,
    tool::{Answer, ToolCall},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::RedisStore;
use crate::clock;

/// Answers on their way there; what comes on top is not kept, so that a slow Redis does not fill the memory.
const ON_THEIR_WAY: usize = 256;

/// Gives a right back, if it is still ours.
const GIVE_BACK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// When an answer was given, in milliseconds of Unix time, and its marks.
const HEAD_BYTES: usize = 8 + 3 * 8;

/// The answers of one server.
pub struct SharedAnswers {
    redis: Arc<RedisStore>,
    server: Name,
    /// How long an answer is kept there.
    keep: Duration,
    tasks: TaskTracker,
    on_their_way: Arc<Semaphore>,
}

impl SharedAnswers {
    /// The answers of `server`, each of which is of use for the time `keep`.
    pub fn new(redis: Arc<RedisStore>, server: Name, keep: Duration, tasks: &TaskTracker) -> Self {
        Self { redis, server, keep, tasks: tasks.clone(), on_their_way: Arc::new(Semaphore::new(ON_THEIR_WAY)) }
    }

    fn key(&self, what: &str, Place { key, about }: &Place) -> StoreKey {
        let hash = blake3::Hash::from_bytes(*key.bytes()).to_hex();
        StoreKey::answer(what, &about.scope, [&self.server, &about.subject, &hash])
    }

    async fn look(&self, place: &Place) -> Result<Found<ToolCall>> {
        let key = self.key("mcp", place);
        let mut pipeline = redis::pipe();
        pipeline.cmd("HMGET").arg(marks(&self.server)).arg(&fields(&place.about));
        pipeline.cmd("GET").arg(key.as_str());
        let (marks, frame): ([Option<u64>; 3], Option<Vec<u8>>) = self.redis.ask_all(&pipeline).await?;
        let marks = marks.map(Option::unwrap_or_default);
        let value = frame.and_then(|frame| self.redis.unframed(&key, &frame.into()));
        Ok(Found { reply: value.and_then(|value| read(&value, marks)), ticket: Some(marks) })
    }
}

impl SecondLevel<ToolCall> for SharedAnswers {
    fn take<'a>(&'a self, place: &'a Place) -> Later<'a, Found<ToolCall>> {
        async move { self.look(place).await.unwrap_or(Found { reply: None, ticket: None }) }.boxed()
    }

    fn put(&self, place: &Place, copy: &Answer, ticket: Ticket, claim: Claim) {
        let (Some(marks), Ok(room)) = (ticket, Arc::clone(&self.on_their_way).try_acquire_owned()) else { return };
        let key = self.key("mcp", place);
        let frame = self.redis.framed(&key, &write(copy, marks));
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(key.as_str()).arg(frame).arg("PX").arg(millis(self.keep));
        pipeline.cmd("SADD").arg(subjects(&self.server)).arg(&*place.about.subject);
        let redis = Arc::clone(&self.redis);
        self.tasks.spawn(async move {
            // Nobody waits for it, and nobody can do anything about it.
            drop(redis.ask_all::<()>(&pipeline).await);
            drop((claim, room));
        });
    }

    fn claim<'a>(&'a self, place: &'a Place, time: Duration) -> Later<'a, Option<Claim>> {
        let (key, ours) = (self.key("mcp-asks", place), fastrand::u64(..));
        async move {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SET").arg(key.as_str()).arg(ours).arg("NX").arg("PX").arg(millis(time));
            match self.redis.ask_all::<(Option<String>,)>(&pipeline).await {
                Ok((Some(_),)) => {}
                Ok((None,)) => return None,
                Err(_) => return Some(Claim::default()),
            }
            let (redis, tasks) = (Arc::clone(&self.redis), self.tasks.clone());
            Some(Claim::new(move || {
                tasks.spawn(async move {
                    let mut pipeline = redis::pipe();
                    pipeline.cmd("EVAL").arg(GIVE_BACK).arg(1).arg(key.as_str()).arg(ours);
                    // Otherwise it ends with its time.
                    drop(redis.ask_all::<()>(&pipeline).await);
                });
            }))
        }
        .boxed()
    }
}

/// What is to be forgotten by all replicas.
pub struct SharedSweeps {
    redis: Arc<RedisStore>,
    /// The marks of each server as they were seen last.
    seen: Mutex<BTreeMap<Name, BTreeMap<String, u64>>>,
}

impl SharedSweeps {
    /// The sweeps that go by way of this Redis.
    pub fn new(redis: Arc<RedisStore>) -> Self {
        Self { redis, seen: Mutex::default() }
    }

    /// Has all replicas forget what of a server's answers `sweep` covers.
    pub async fn tell(&self, server: &Name, sweep: &Sweep) -> Result<()> {
        let fields = match sweep {
            Sweep { subject: Some(pattern), .. } if pattern.contains('*') => self.known(server, pattern).await?,
            Sweep { subject: Some(subject), .. } => vec![of_subject(subject)],
            Sweep { tenant: Some(tenant), .. } => vec![of_tenant(&Scope::Tenant(tenant.as_str().into()))],
            Sweep { subject: None, tenant: None } => vec![EVERYTHING.to_owned()],
        };
        let mut pipeline = redis::pipe();
        for field in fields {
            // Never one that was there before, even if all of them were lost meanwhile.
            pipeline.cmd("HSET").arg(marks(server)).arg(field).arg(fastrand::u64(1..)).ignore();
        }
        if pipeline.is_empty() { Ok(()) } else { self.redis.ask_all(&pipeline).await }
    }

    async fn known(&self, server: &Name, pattern: &str) -> Result<Vec<String>> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SMEMBERS").arg(subjects(server));
        let (known,): (BTreeSet<String>,) = self.redis.ask_all(&pipeline).await?;
        Ok(known.iter().filter(|subject| matches_glob(pattern, subject)).map(|subject| of_subject(subject)).collect())
    }

    /// What was to be forgotten of these servers' answers since this was asked last.
    pub async fn news(&self, servers: &[Name]) -> Result<Vec<(Name, Sweep)>> {
        let mut pipeline = redis::pipe();
        for server in servers {
            pipeline.cmd("HGETALL").arg(marks(server));
        }
        let found: Vec<BTreeMap<String, u64>> = self.redis.ask_all(&pipeline).await?;
        let mut seen = self.seen.lock();
        let mut news = Vec::new();
        for (server, now) in servers.iter().zip(found) {
            if let Some(before) = seen.get(server) {
                let changed = now.iter().filter(|(field, mark)| before.get(*field) != Some(mark));
                news.extend(changed.map(|(field, _)| (Arc::clone(server), swept(field))));
            }
            seen.insert(Arc::clone(server), now);
        }
        Ok(news)
    }
}

fn marks(server: &Name) -> String {
    format!("mcp-forgotten:{server}")
}

fn subjects(server: &Name) -> String {
    format!("mcp-subjects:{server}")
}

const EVERYTHING: &str = "*";

fn of_subject(subject: &str) -> String {
    format!("about:{subject}")
}

fn of_tenant(scope: &Scope) -> String {
    match scope {
        Scope::Shared => "shared".to_owned(),
        Scope::Tenant(tenant) => format!("of:{tenant}"),
    }
}

/// The marks that an answer bears.
fn fields(About { scope, subject }: &About) -> [String; 3] {
    [EVERYTHING.to_owned(), of_subject(subject), of_tenant(scope)]
}

/// What a changed mark means.
fn swept(field: &str) -> Sweep {
    match (field.strip_prefix("about:"), field.strip_prefix("of:")) {
        (Some(subject), _) => Sweep { subject: Some(subject.to_owned()), tenant: None },
        (None, Some(tenant)) => Sweep { subject: None, tenant: Some(tenant.to_owned()) },
        (None, None) => Sweep::default(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn write(copy: &Answer, marks: [u64; 3]) -> Vec<u8> {
    let age = copy.provenance().age.unwrap_or_default();
    let at = clock::unix_millis() - i64::try_from(age.as_millis()).unwrap_or_default();
    let marks = marks.map(u64::to_le_bytes).concat();
    [&at.to_le_bytes()[..], &marks, copy.bytes()].concat()
}

fn read(value: &Bytes, marks: [u64; 3]) -> Option<Answer> {
    let (at, rest) = value.split_first_chunk::<8>()?;
    rest.starts_with(&marks.map(u64::to_le_bytes).concat()).then_some(())?;
    let mut answer = Answer::new(Raw::trusted(value.slice(HEAD_BYTES..)));
    let age = clock::unix_millis().saturating_sub(i64::from_le_bytes(*at));
    answer.provenance_mut().age = Some(Duration::from_millis(u64::try_from(age).unwrap_or_default()));
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_while_its_marks_are_the_same() {
        let answer = Answer::new(Raw::trusted(r#"{"content":[]}"#));
        let value = Bytes::from(write(&answer, [1, 2, 3]));
        let told = |marks| read(&value, marks).map(|answer| answer.result.as_str().to_owned());
        assert_eq!(told([1, 2, 3]).as_deref(), Some(r#"{"content":[]}"#));
        for marks in [[0, 2, 3], [1, 0, 3], [1, 2, 0], [0; 3]] {
            assert_eq!(told(marks), None, "{marks:?}");
        }
        assert!((0..HEAD_BYTES).all(|end| read(&value.slice(..end), [1, 2, 3]).is_none()));
    }

    #[test]
    fn a_mark_tells_what_was_to_be_forgotten() {
        let about = |scope| About { scope, subject: "get".into() };
        let sweeps = fields(&about(Scope::Tenant("ann".into()))).map(|field| swept(&field));
        let expected = [
            Sweep::default(),
            Sweep { subject: Some("get".to_owned()), tenant: None },
            Sweep { subject: None, tenant: Some("ann".to_owned()) },
        ];
        assert_eq!(sweeps, expected);
    }
}
