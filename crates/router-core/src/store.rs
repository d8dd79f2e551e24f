//! State that outlives a call: small values under a key, each for its own time.

use std::{collections::BTreeMap, future::Future, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{Result, Scope};

/// Keeps values. What may be lost lives in memory; what may not, behind the same words in a database.
pub trait Store: Send + Sync + 'static {
    /// The value under `key`, unless its time has passed.
    fn get(&self, key: &StoreKey) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// Puts a value under `key`, in place of what is there.
    fn put(&self, key: StoreKey, value: Bytes, keep: Duration) -> impl Future<Output = Result<()>> + Send;

    /// Takes the value under `key` away.
    fn remove(&self, key: &StoreKey) -> impl Future<Output = Result<()>> + Send;
}

/// Where a value is kept. It cannot be built without saying whose the value is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(String);

impl StoreKey {
    /// The key of `name` in `collection` for `scope`.
    pub fn new(scope: &Scope, collection: &str, name: &str) -> Self {
        let whose = match scope {
            Scope::Shared => "shared".to_owned(),
            Scope::Tenant(tenant) => format!("tenant:{}:{tenant}", tenant.len()),
        };
        Self(format!("{whose}:{}:{collection}:{name}", collection.len()))
    }
}

/// A store in the memory of this process, bounded in its number of values.
#[derive(Debug)]
pub struct MemoryStore {
    values: Mutex<BTreeMap<StoreKey, Kept>>,
    most: usize,
}

#[derive(Debug)]
struct Kept {
    value: Bytes,
    until: Instant,
}

impl MemoryStore {
    /// A store for `most` values. When it is full, the one whose time is nearest goes first.
    pub fn new(most: usize) -> Self {
        Self { values: Mutex::default(), most }
    }
}

impl Store for MemoryStore {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let now = Instant::now();
        Ok(self.values.lock().get(key).filter(|kept| kept.until > now).map(|kept| kept.value.clone()))
    }

    async fn put(&self, key: StoreKey, value: Bytes, keep: Duration) -> Result<()> {
        let now = Instant::now();
        let mut values = self.values.lock();
        if values.len() >= self.most && !values.contains_key(&key) {
            values.retain(|_, kept| kept.until > now);
        }
        if values.len() >= self.most && !values.contains_key(&key) {
            let nearest = values.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            nearest.map(|key| values.remove(&key));
        }
        values.insert(key, Kept { value, until: now + keep });
        Ok(())
    }

    async fn remove(&self, key: &StoreKey) -> Result<()> {
        self.values.lock().remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn key(name: &str) -> StoreKey {
        StoreKey::new(&Scope::Shared, "test", name)
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_value_for_its_time() {
        let store = MemoryStore::new(8);
        store.put(key("a"), Bytes::from_static(b"1"), MINUTE).await.expect("put");
        assert_eq!(store.get(&key("a")).await.expect("get").as_deref(), Some(&b"1"[..]));
        tokio::time::advance(MINUTE).await;
        assert_eq!(store.get(&key("a")).await.expect("get"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_to_its_end_makes_room() {
        let store = MemoryStore::new(2);
        for (name, minutes) in [("short", 1), ("long", 9), ("new", 5)] {
            store.put(key(name), Bytes::new(), MINUTE * minutes).await.expect("put");
        }
        assert_eq!(store.get(&key("short")).await.expect("get"), None);
        assert!(store.get(&key("long")).await.expect("get").is_some());
    }

    #[test]
    fn no_two_owners_share_a_key() {
        let tenant = |name: &str| Scope::Tenant(name.into());
        let keys = [
            StoreKey::new(&Scope::Shared, "c", "n"),
            StoreKey::new(&tenant("c"), "c", "n"),
            StoreKey::new(&tenant("a:1:c"), "c", "n"),
            StoreKey::new(&tenant("a"), "1:c", "c:n"),
            StoreKey::new(&tenant("a"), "1:c:c", "n"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?}");
        }
    }
}
