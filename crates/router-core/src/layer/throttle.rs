//! The cool-down of one credential: an upstream that says "too much" (429) is left alone until it wants to be asked.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// When the upstream does not say how long.
const DEFAULT: Duration = Duration::from_secs(1);
/// However long it says.
const MAX: Duration = Duration::from_mins(15);

/// The throttling of one credential, shared by the guards of everything that is asked with it.
#[derive(Debug)]
pub struct Throttle {
    born: Instant,
    /// Nanoseconds after `born`; 0 is never, and costs no reading of the clock.
    until: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { born: Instant::now(), until: AtomicU64::new(0) }
    }
}

impl Throttle {
    /// The upstream said that it is asked too much; `wait` is its Retry-After.
    pub fn cool(&self, wait: Option<Duration>) {
        let until = self.born.elapsed() + wait.unwrap_or(DEFAULT).min(MAX);
        self.until.fetch_max(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How much longer it must not be asked.
    pub fn remaining(&self) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let left = Duration::from_nanos(until).saturating_sub(self.born.elapsed());
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_as_long_as_the_longest_wait() {
        let throttle = Throttle::default();
        assert_eq!(throttle.remaining(), None);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (said, left) in [(None, 1), (seconds(30), 30), (seconds(5), 30), (seconds(100_000), 900)] {
            throttle.cool(said);
            assert_eq!(throttle.remaining(), seconds(left), "{said:?}");
        }
        tokio::time::advance(MAX).await;
        assert_eq!(throttle.remaining(), None);
    }
}
