//! A Redis or Valkey as a [`Store`]. It is there or it is not: nobody waits long for it, and no call fails by it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use router_core::{Error, Kind, Result, Secret, Store, StoreKey};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

/// How long one command is waited for, its connection among it.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long it is left alone after so many failures in a row.
const REST: Duration = Duration::from_secs(5);
const FAILURES: u32 = 3;

/// What a value begins with: who wrote it, and in which form.
const MAGIC: [u8; 4] = *b"mcr1";

/// The length of the proof that a value is ours, and stands under the key it was put under.
const MAC_BYTES: usize = 32;

/// A Redis, asked over one connection.
pub struct RedisStore {
    client: Client,
    key: [u8; 32],
    connection: Mutex<Arc<OnceCell<MultiplexedConnection>>>,
    health: Mutex<Health>,
}

/// Its own small breaker.
#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl RedisStore {
    /// The Redis at `url`, whose values are proved with `key`. Asks nobody yet.
    pub fn new(url: &Secret<String>, key: [u8; 32]) -> Result<Self> {
        let client = Client::open(url.expose().as_str())
            .map_err(|error| Error::new(Kind::Invalid, "this is not the address of a Redis").because(error))?;
        Ok(Self { client, key, connection: Mutex::default(), health: Mutex::default() })
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        self.with(async |connection| command.query_async(connection).await).await
    }

    /// Asks several things at once; what each answers.
    pub(super) async fn ask_all<T: redis::FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T> {
        self.with(async |connection| pipeline.query_async(connection).await).await
    }

    async fn with<T>(&self, work: impl AsyncFnOnce(&mut MultiplexedConnection) -> redis::RedisResult<T>) -> Result<T> {
        if self.health.lock().rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(Error::new(Kind::Open, "the Redis is left alone for a while"));
        }
        let cell = Arc::clone(&self.connection.lock());
        let asked = timeout(PATIENCE, async {
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
            let connect = || self.client.get_multiplexed_async_connection_with_config(&config);
            let mut connection = cell.get_or_try_init(connect).await?.clone();
            work(&mut connection).await
        });
        let error = match asked.await {
            Ok(Ok(value)) => {
                *self.health.lock() = Health::default();
                return Ok(value);
            }
            Ok(Err(error)) => Error::new(Kind::Unavailable, "the Redis failed").because(error),
            Err(_) => Error::new(Kind::Timeout, "the Redis did not answer in time"),
        };
        self.failed(&cell, &error);
        Err(error)
    }

    /// The next command makes its own connection; after some failures there is no next one for a while.
    fn failed(&self, cell: &Arc<OnceCell<MultiplexedConnection>>, error: &Error) {
        let mut connection = self.connection.lock();
        if Arc::ptr_eq(&connection, cell) {
            *connection = Arc::default();
        }
        drop(connection);
        let mut health = self.health.lock();
        health.failures += 1;
        if health.failures >= FAILURES {
            health.rests_until = Some(Instant::now() + REST);
            if health.failures == FAILURES {
                tracing::warn!(%error, "the shared Redis is away; this process goes on alone");
            }
        }
    }

    fn mac(&self, key: &StoreKey, value: &[u8]) -> blake3::Hash {
        let name = key.as_str();
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(value);
        hasher.finalize()
    }

    /// A value with what proves it: the magic, its length, the proof, itself.
    pub(super) fn framed(&self, key: &StoreKey, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u64).to_le_bytes();
        [&MAGIC[..], &length, self.mac(key, value).as_bytes(), value].concat()
    }

    /// The value in a frame; `None` when it is not whole, or not ours.
    pub(super) fn unframed(&self, key: &StoreKey, frame: &Bytes) -> Option<Bytes> {
        let (length, rest) = frame.strip_prefix(&MAGIC)?.split_first_chunk::<8>()?;
        let (mac, value) = rest.split_first_chunk::<MAC_BYTES>()?;
        let whole = u64::try_from(value.len()).ok()? == u64::from_le_bytes(*length);
        let ours = self.mac(key, value) == blake3::Hash::from_bytes(*mac);
        (whole && ours).then(|| frame.slice(frame.len() - value.len()..))
    }
}

impl Store for RedisStore {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let frame: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(key.as_str())).await?;
        Ok(frame.and_then(|frame| self.unframed(key, &frame.into())))
    }

    async fn put(&self, key: StoreKey, value: Bytes, keep: Duration) -> Result<()> {
        let milliseconds = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1);
        let frame = self.framed(&key, &value);
        self.ask(redis::cmd("SET").arg(key.as_str()).arg(frame).arg("PX").arg(milliseconds)).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<()> {
        self.ask(redis::cmd("DEL").arg(key.as_str())).await
    }
}

#[cfg(test)]
mod tests {
    use router_core::Scope;

    use super::*;

    fn store(key: u8) -> RedisStore {
        // Nobody listens on the discard port.
        RedisStore::new(&Secret::new("redis://127.0.0.1:9".to_owned()), [key; 32]).unwrap()
    }

    fn key(name: &str) -> StoreKey {
        StoreKey::new(&Scope::Shared, "test", name)
    }

    #[test]
    fn only_what_we_put_there_under_that_key_is_a_value() {
        let frame = Bytes::from(store(1).framed(&key("a"), b"value"));
        assert_eq!(store(1).unframed(&key("a"), &frame).as_deref(), Some(&b"value"[..]));
        assert_eq!(store(1).unframed(&key("b"), &frame), None, "another key");
        assert_eq!(store(2).unframed(&key("a"), &frame), None, "another router's");
        for at in 0..frame.len() {
            let mut torn = frame.to_vec();
            torn[at] ^= 1;
            assert_eq!(store(1).unframed(&key("a"), &torn.into()), None, "byte {at} is another one");
            assert_eq!(store(1).unframed(&key("a"), &frame.slice(..at)), None, "cut at {at}");
        }
    }

    #[tokio::test]
    async fn one_that_is_away_is_soon_left_alone() {
        let store = store(1);
        let mut kinds = Vec::new();
        for _ in 0..4 {
            kinds.push(store.get(&key("a")).await.unwrap_err().kind());
        }
        assert!(!kinds[..3].contains(&Kind::Open), "{kinds:?}");
        assert_eq!(kinds[3], Kind::Open);
    }
}
