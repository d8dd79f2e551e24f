//! How many there were, and how many of them were marked, in the time just past: a ring of counters without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

const BUCKETS: usize = 10;

/// Counts over the last `span`, in ten buckets.
pub(super) struct Window {
    born: Instant,
    bucket: Duration,
    buckets: [AtomicU64; BUCKETS],
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) all: u64,
    pub(super) marked: u64,
}

/// A bucket in one word, so that it is counted and begun anew in one step: which one it is, and its two counts, which
/// stop at a million. The number of the bucket comes round after a year and a half, when nobody remembers it.
#[derive(Clone, Copy)]
struct Bucket {
    number: u64,
    tally: Tally,
}

const NUMBER: u64 = (1 << 24) - 1;
const COUNT: u64 = (1 << 20) - 1;

impl Bucket {
    fn unpack(word: u64) -> Self {
        Self { number: word >> 40, tally: Tally { all: word >> 20 & COUNT, marked: word & COUNT } }
    }

    fn pack(self) -> u64 {
        self.number << 40 | self.tally.all.min(COUNT) << 20 | self.tally.marked.min(COUNT)
    }
}

impl Window {
    pub(super) fn new(span: Duration) -> Self {
        let bucket = (span / u32::try_from(BUCKETS).unwrap_or(u32::MAX)).max(Duration::from_nanos(1));
        Self { born: Instant::now(), bucket, buckets: Default::default() }
    }

    /// Counts one more.
    pub(super) fn count(&self, now: Instant, marked: bool) {
        let number = self.number(now);
        let Some(bucket) = self.buckets.get(Self::index(number)) else { return };
        let number = number & NUMBER;
        let one = Tally { all: 1, marked: u64::from(marked) };
        let add = |word| {
            let old = Bucket::unpack(word);
            let tally = if old.number == number { old.tally } else { Tally::default() };
            Some(Bucket { number, tally: Tally { all: tally.all + one.all, marked: tally.marked + one.marked } }.pack())
        };
        // The closure always has a value, so the update cannot fail.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// What the last `span` holds.
    pub(super) fn tally(&self, now: Instant) -> Tally {
        let number = self.number(now);
        let recent = |bucket: &Bucket| number.wrapping_sub(bucket.number) & NUMBER < BUCKETS as u64;
        let buckets = self.buckets.iter().map(|word| Bucket::unpack(word.load(Ordering::Relaxed)));
        buckets.filter(recent).fold(Tally::default(), |sum, Bucket { tally, .. }| Tally {
            all: sum.all + tally.all,
            marked: sum.marked + tally.marked,
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }

    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.born).as_nanos() / self.bucket.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    fn index(number: u64) -> usize {
        usize::try_from(number % BUCKETS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn forgets_what_is_past() {
        let window = Window::new(Duration::from_secs(30));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (second, marked) in [(0, true), (1, false), (10, true), (29, false)] {
            window.count(at(second), marked);
        }
        let tallies = [29, 30, 32, 40, 58, 59, 60, 3_000].map(|second| window.tally(at(second)));
        let expected = [(4, 2), (2, 1), (2, 1), (1, 0), (0, 0), (0, 0), (0, 0), (0, 0)];
        // 29 stands in the bucket of 27 to 30, which is past at 57.
        assert_eq!(tallies, expected.map(|(all, marked)| Tally { all, marked }));
        window.count(at(60), true);
        assert_eq!(window.tally(at(60)), Tally { all: 1, marked: 1 }, "a bucket is begun anew");
        window.clear();
        assert_eq!(window.tally(at(60)), Tally::default());
    }
}
