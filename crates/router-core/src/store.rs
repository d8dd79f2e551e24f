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
        Self(format!("mcp-router:{whose}:{}:{collection}:{name}", collection.len()))
    }

    /// The key of an answer that the server `server` gave about `subject`, or of `what` else stands beside it.
    pub fn answer(what: &str, scope: &Scope, [server, subject, hash]: [&str; 3]) -> Self {
        let (whose, name) = match scope {
            Scope::Shared => ("shared", ""),
            Scope::Tenant(tenant) => ("tenant.", &**tenant),
        };
        Self(format!("{what}:{whose}{}:{}:{}:{hash}", plain(name), plain(server), plain(subject)))
    }

    /// The key as one text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a key, in which nothing can be taken for the end of it.
fn plain(part: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    part.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A store in the memory of this process, bounded in the number of its values and in what they weigh.
#[derive(Debug)]
pub struct MemoryStore {
    values: Mutex<Values>,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Values {
    kept: BTreeMap<StoreKey, Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    value: Bytes,
    until: Instant,
}

impl MemoryStore {
    /// A store for `most` values. When it is full, the one whose time is nearest goes first.
    pub fn new(most: usize) -> Self {
        Self { values: Mutex::default(), most, most_bytes: usize::MAX }
    }

    /// The same store, for `most_bytes` in all its values together. A value that is larger than that is not kept.
    #[must_use]
    pub fn within(mut self, most_bytes: usize) -> Self {
        self.most_bytes = most_bytes;
        self
    }
}

impl Values {
    fn remove(&mut self, key: &StoreKey) {
        self.bytes -= self.kept.remove(key).map_or(0, |kept| kept.value.len());
    }

    /// Takes away what is over, and then what will be over first, until fewer than `most` are left, of `most_bytes` at the most.
    fn make_room(&mut self, now: Instant, most: usize, most_bytes: usize) {
        if self.kept.len() < most && self.bytes <= most_bytes {
            return;
        }
        self.kept.retain(|_, kept| kept.until > now);
        self.bytes = self.kept.values().map(|kept| kept.value.len()).sum();
        while self.kept.len() >= most || self.bytes > most_bytes {
            let nearest = self.kept.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            let Some(key) = nearest else { return };
            self.remove(&key);
        }
    }
}

impl Store for MemoryStore {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let now = Instant::now();
        Ok(self.values.lock().kept.get(key).filter(|kept| kept.until > now).map(|kept| kept.value.clone()))
    }

    async fn put(&self, key: StoreKey, value: Bytes, keep: Duration) -> Result<()> {
        let now = Instant::now();
        let mut values = self.values.lock();
        values.remove(&key);
        let Some(room) = self.most_bytes.checked_sub(value.len()) else { return Ok(()) };
        values.make_room(now, self.most, room);
        values.bytes += value.len();
        values.kept.insert(key, Kept { value, until: now + keep });
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

    #[tokio::test(start_paused = true)]
    async fn what_they_weigh_is_bounded_too() {
        let store = MemoryStore::new(8).within(10);
        for (name, bytes, minutes) in [("a", 4, 1), ("b", 4, 2), ("b", 5, 3), ("c", 5, 4), ("huge", 11, 5)] {
            store.put(key(name), vec![0; bytes].into(), MINUTE * minutes).await.expect("put");
        }
        let mut kept = Vec::new();
        for name in ["a", "b", "c", "huge"] {
            kept.push(store.get(&key(name)).await.expect("get").map(|value| value.len()));
        }
        assert_eq!(kept, [None, Some(5), Some(5), None]);
        store.remove(&key("b")).await.expect("remove");
        store.put(key("d"), vec![0; 5].into(), MINUTE).await.expect("put");
        assert!(store.get(&key("c")).await.expect("get").is_some(), "there was room");
    }

    #[test]
    fn an_answer_is_found_by_whose_it_is_and_what_it_is_about() {
        let tenant = Scope::Tenant("a:b".into());
        let key = |scope: &Scope| StoreKey::answer("mcp", scope, ["git hub", "list_*", "ff"]);
        assert_eq!(key(&tenant).as_str(), "mcp:tenant.a%3Ab:git%20hub:list_%2A:ff");
        assert_eq!(key(&Scope::Shared).as_str(), "mcp:shared:git%20hub:list_%2A:ff");
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
