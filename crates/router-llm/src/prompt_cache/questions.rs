//! The questions whose answers are kept, by what they mean: a matrix for each partition, and one bound over all of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use router_core::layer::answers::Key;

use super::matrix::{Direction, Matrix};

/// So many of those that are near enough are looked at, the nearest first.
const CANDIDATES: usize = 32;

/// When there is no room, a share of the questions goes at once, so that not every new one has to look for the oldest.
const SPARE_SHARE: usize = 64;

/// A question whose answer is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// Where its answer is kept.
    pub(super) key: Key,
    /// What it asks.
    pub(super) text: Arc<str>,
    /// When its answer is gone, in seconds of Unix time.
    pub(super) until: i64,
    /// What it means.
    pub(super) meaning: Direction,
}

/// See the module. Only questions of one partition can answer one another.
pub(super) struct Questions {
    most: usize,
    uses: AtomicU64,
    partitions: RwLock<HashMap<Key, Partition>>,
}

#[derive(Default)]
struct Partition {
    matrix: Matrix,
    rows: Vec<Row>,
    places: HashMap<Key, usize>,
    /// When the shared store was last asked for what it knows, in seconds of Unix time.
    loaded: Option<i64>,
}

struct Row {
    key: Key,
    text: Arc<str>,
    until: i64,
    used: AtomicU64,
}

impl Questions {
    /// Room for `most` questions. When it is full, those go that were not used for the longest time.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), uses: AtomicU64::new(0), partitions: RwLock::default() }
    }

    /// Whether it is `seconds` since anybody asked this for this partition; from now on somebody has.
    pub(super) fn is_due(&self, partition: Key, now: i64, seconds: i64) -> bool {
        let mut partitions = self.partitions.write();
        if partitions.len() >= self.most && !partitions.contains_key(&partition) {
            partitions.retain(|_, partition| !partition.rows.is_empty());
        }
        let loaded = &mut partitions.entry(partition).or_default().loaded;
        let is_due = loaded.is_none_or(|at| now.saturating_sub(at) >= seconds);
        if is_due {
            *loaded = Some(now);
        }
        is_due
    }

    /// The questions of a partition whose meaning is near, the nearest first.
    pub(super) fn near(&self, partition: Key, meaning: &Direction, threshold: f64, now: i64) -> Vec<(Key, Arc<str>)> {
        let partitions = self.partitions.read();
        let Some(Partition { matrix, rows, .. }) = partitions.get(&partition) else { return Vec::new() };
        let found = matrix.near(meaning, threshold).into_iter();
        let mut found: Vec<_> = found
            .filter_map(|(row, cosine)| Some((rows.get(row)?, cosine)))
            .filter(|(row, _)| row.until > now)
            .collect();
        let nearest_first = |one: &(&Row, f64), other: &(&Row, f64)| other.1.total_cmp(&one.1);
        if found.len() > CANDIDATES {
            found.select_nth_unstable_by(CANDIDATES, nearest_first);
            found.truncate(CANDIDATES);
        }
        found.sort_by(nearest_first);
        found.into_iter().map(|(row, _)| (row.key, Arc::clone(&row.text))).collect()
    }

    /// The question under `key` has just been of use.
    pub(super) fn used(&self, partition: Key, key: Key) {
        let partitions = self.partitions.read();
        if let Some(row) = partitions.get(&partition).and_then(|partition| partition.row(key)) {
            row.used.store(self.tick(), Ordering::Relaxed);
        }
    }

    /// Adds questions, each in place of the one under its key, unless that is known for as long.
    pub(super) fn add(&self, partition: Key, all: impl IntoIterator<Item = Known>) {
        let mut partitions = self.partitions.write();
        let known = partitions.entry(partition).or_default();
        all.into_iter().for_each(|one| known.add(one, self.tick()));
        let count: usize = partitions.values().map(|partition| partition.rows.len()).sum();
        if count > self.most {
            let excess = count - self.most;
            make_room(&mut partitions, excess + self.most / SPARE_SHARE);
        }
    }

    fn tick(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }
}

impl Partition {
    fn row(&self, key: Key) -> Option<&Row> {
        self.places.get(&key).and_then(|at| self.rows.get(*at))
    }

    fn add(&mut self, Known { key, text, until, meaning }: Known, used: u64) {
        if self.row(key).is_some_and(|row| row.until >= until) {
            return;
        }
        if let Some(at) = self.places.get(&key) {
            self.remove(*at);
        }
        if self.matrix.push(&meaning) {
            self.places.insert(key, self.rows.len());
            self.rows.push(Row { key, text, until, used: AtomicU64::new(used) });
        }
    }

    /// The last row moves to its place.
    fn remove(&mut self, at: usize) {
        self.matrix.swap_remove(at);
        self.places.remove(&self.rows.swap_remove(at).key);
        if let Some(moved) = self.rows.get(at) {
            self.places.insert(moved.key, at);
        }
    }

    /// Forgets what was last used before `moment`.
    fn forget(&mut self, moment: u64) {
        for at in (0..self.rows.len()).rev() {
            if self.rows.get_mut(at).is_some_and(|row| *row.used.get_mut() < moment) {
                self.remove(at);
            }
        }
    }
}

/// Forgets the `count` questions that were not used for the longest time, and the partitions that this leaves empty.
fn make_room(partitions: &mut HashMap<Key, Partition>, count: usize) {
    let rows = partitions.values().flat_map(|partition| &partition.rows);
    let mut uses: Vec<u64> = rows.map(|row| row.used.load(Ordering::Relaxed)).collect();
    uses.sort_unstable();
    let Some(moment) = uses.get(count).or(uses.last()) else { return };
    for partition in partitions.values_mut() {
        partition.forget(*moment);
    }
    partitions.retain(|_, partition| !partition.rows.is_empty());
}

#[cfg(test)]
mod tests {
    use router_core::{Fingerprint, Scope};

    use super::*;

    fn key(number: u8) -> Key {
        Key::new(&Scope::Shared, Fingerprint([number; 32]))
    }

    fn known(number: u8, vector: [f32; 2], until: i64) -> Known {
        let meaning = Direction::of(&vector).unwrap();
        Known { key: key(number), text: number.to_string().into(), until, meaning }
    }

    fn near(questions: &Questions, partition: u8, vector: [f32; 2], now: i64) -> String {
        let found = questions.near(key(partition), &Direction::of(&vector).unwrap(), 0.7, now);
        found.iter().map(|(_, text)| &**text).collect::<Vec<_>>().join(" ")
    }

    const EAST: [f32; 2] = [1.0, 0.0];
    const NORTH: [f32; 2] = [0.0, 1.0];

    #[test]
    fn finds_what_is_near_the_nearest_first_in_its_own_partition_while_it_is_kept() {
        let questions = Questions::new(9);
        for (partition, number, vector, until) in
            [(1, 1, [3.0, 2.0], 9), (1, 2, EAST, 9), (1, 3, NORTH, 9), (1, 4, [5.0, 1.0], 4), (2, 5, EAST, 9)]
        {
            questions.add(key(partition), [known(number, vector, until)]);
        }
        let table =
            [(1, EAST, 3, "2 4 1"), (1, EAST, 4, "2 1"), (1, NORTH, 4, "3"), (2, EAST, 4, "5"), (3, EAST, 4, "")];
        for (partition, vector, now, expected) in table {
            assert_eq!(near(&questions, partition, vector, now), expected, "{partition} {vector:?} {now}");
        }
        questions.add(key(1), [known(2, NORTH, 9)]);
        assert_eq!(near(&questions, 1, EAST, 4), "2 1", "it is known for as long already");
        questions.add(key(1), [known(2, NORTH, 10)]);
        assert_eq!(near(&questions, 1, EAST, 4), "1", "the same question is there once");
        questions.used(key(1), key(4));
        questions.add(key(1), [known(3, EAST, 10), known(4, EAST, 10)]);
        assert_eq!(near(&questions, 1, NORTH, 4), "2", "each was found in its place");
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() {
        let questions = Questions::new(3);
        for number in 1..=3 {
            questions.add(key(number), [known(number, EAST, 9)]);
        }
        questions.used(key(1), key(1));
        questions.add(key(4), [known(4, EAST, 9)]);
        let left = [1, 2, 3, 4].map(|partition| near(&questions, partition, EAST, 0));
        assert_eq!(left, ["1", "", "3", "4"]);
        assert_eq!(questions.partitions.read().len(), 3, "an empty partition goes, too");
    }

    #[test]
    fn of_many_that_are_near_the_nearest_are_looked_at() {
        let questions = Questions::new(200);
        questions.add(key(0), (0..100).map(|number| known(number, [1.0, f32::from(number) / 200.0], 9)));
        let found = near(&questions, 0, EAST, 0);
        assert_eq!((found.split(' ').count(), found.split(' ').next()), (CANDIDATES, Some("0")));
    }

    #[test]
    fn a_partition_is_due_at_its_first_use_and_after_a_while() {
        let questions = Questions::new(2);
        let asked = [(1, 0), (1, 9), (2, 9), (1, 10), (3, 10), (1, 11)];
        let due = asked.map(|(partition, now)| questions.is_due(key(partition), now, 10));
        assert_eq!(due, [true, false, true, true, true, true], "the third made room for itself");
    }
}
