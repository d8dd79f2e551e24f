//! What replicas tell one another of the questions that they answered: for each partition one value of the shared store.
//!
//! Two who add at the same moment may lose one of the two notes. That costs a call, later, and nothing else.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use router_core::{Scope, Store, StoreKey, layer::answers::Key};
use serde::{Deserialize, Serialize};

use super::{matrix::Direction, questions::Known};

/// Under which name they are kept there.
const NOTES: &str = "meaning";

/// The newest notes of a partition, at the most.
const MOST: usize = 256;

/// The notes of one partition, in the shared store. See the module.
pub(super) struct Notes<S> {
    store: Option<Arc<S>>,
}

impl<S> Clone for Notes<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone() }
    }
}

/// What stands before the vectors, which follow in the same order.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    notes: Vec<Note>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    key: [u8; 32],
    text: String,
    until: i64,
    scale: f32,
}

impl<S: Store> Notes<S> {
    pub(super) fn new(store: Option<Arc<S>>) -> Self {
        Self { store }
    }

    /// Whether anybody else reads them.
    pub(super) fn are_shared(&self) -> bool {
        self.store.is_some()
    }

    /// What is noted of a partition whose vectors are `width` wide.
    pub(super) async fn of(&self, partition: Key, width: usize) -> Vec<Known> {
        let Some(store) = &self.store else { return Vec::new() };
        let bytes = store.get(&name(partition)).await.ok().flatten();
        bytes.and_then(|bytes| read(&bytes, width)).unwrap_or_default()
    }

    /// Adds a note, and forgets those whose time is over.
    pub(super) async fn add(&self, partition: Key, known: Known, now: i64, keep: Duration) {
        let Some(store) = &self.store else { return };
        let mut all = self.of(partition, known.meaning.steps.len()).await;
        all.retain(|other| other.until > now && other.key != known.key);
        all.push(known);
        let newest = all.split_off(all.len().saturating_sub(MOST));
        if let Some(value) = write(&newest) {
            // Nobody waits for it, and nobody can do anything about it.
            drop(store.put(name(partition), value, keep).await);
        }
    }
}

/// The partition is of the caller's scope already.
fn name(partition: Key) -> StoreKey {
    StoreKey::new(&Scope::Shared, NOTES, &blake3::Hash::from_bytes(*partition.bytes()).to_hex())
}

/// The length of the head, the head, the vectors.
fn write(all: &[Known]) -> Option<Bytes> {
    let notes = all.iter().map(|Known { key, text, until, meaning }| Note {
        key: *key.bytes(),
        text: text.as_ref().to_owned(),
        until: *until,
        scale: meaning.scale,
    });
    let head = serde_json::to_vec(&Head { notes: notes.collect() }).ok()?;
    let steps = all.iter().flat_map(|known| &known.meaning.steps).map(|step| step.cast_unsigned());
    let length = u32::try_from(head.len()).ok()?.to_le_bytes();
    Some([&length[..], &head, &steps.collect::<Vec<_>>()].concat().into())
}

/// `None` for what nobody could have written.
fn read(bytes: &Bytes, width: usize) -> Option<Vec<Known>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (head, steps) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let Head { notes } = serde_json::from_slice(head).ok()?;
    if width == 0 || steps.len() != notes.len() * width {
        return None;
    }
    let rows = steps.chunks_exact(width).map(|row| row.iter().map(|step| step.cast_signed()).collect());
    let known = notes.into_iter().zip(rows).map(|(Note { key, text, until, scale }, steps)| Known {
        key: Key::kept(key),
        text: text.into(),
        until,
        meaning: Direction { scale, steps },
    });
    Some(known.collect())
}

#[cfg(test)]
mod tests {
    use router_core::{Fingerprint, MemoryStore};

    use super::*;

    fn key(number: u8) -> Key {
        Key::new(&Scope::Shared, Fingerprint([number; 32]))
    }

    fn known(number: u8, until: i64) -> Known {
        let meaning = Direction::of(&[f32::from(number), -1.0, 0.5]).unwrap();
        Known { key: key(number), text: format!("{number}?").into(), until, meaning }
    }

    #[tokio::test]
    async fn what_one_replica_notes_another_reads() {
        let notes = Notes::new(Some(Arc::new(MemoryStore::new(4))));
        let minute = Duration::from_mins(1);
        notes.add(key(0), known(1, 5), 0, minute).await;
        notes.add(key(0), known(2, 9), 0, minute).await;
        notes.add(key(9), known(3, 9), 0, minute).await;
        assert_eq!(notes.of(key(0), 3).await, [known(1, 5), known(2, 9)]);
        notes.add(key(0), known(2, 12), 5, minute).await;
        assert_eq!(notes.of(key(0), 3).await, [known(2, 12)], "the old one is gone, the same one is there once");
        assert_eq!(notes.of(key(0), 4).await, [], "vectors of another width");
        assert_eq!(notes.of(key(7), 3).await, []);
    }

    #[test]
    fn what_is_torn_is_nothing() {
        let whole = write(&[known(1, 5), known(2, 9)]).unwrap();
        assert_eq!(read(&whole, 3).unwrap().len(), 2);
        for at in 0..whole.len() {
            assert_eq!(read(&whole.slice(..at), 3), None, "cut at {at}");
        }
    }
}
