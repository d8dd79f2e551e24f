//! The signs of life of a call that has not answered yet, and the time in which nobody may expect any.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// The signs of life of a call (MCP progress): each one resets the idle timeout. While it is held, because somebody is
/// asked a question meanwhile, no clock of the call runs.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    born: Instant,
    count: AtomicU64,
    last_nanos: AtomicU64,
    /// Most calls never are: they must not pay for those that are.
    was_held: AtomicBool,
    pause: Mutex<Pause>,
    released: Notify,
}

/// How long a call was held, and by how many it is.
#[derive(Debug, Default)]
struct Pause {
    holders: u32,
    /// Since when, while there are holders.
    since: Option<Instant>,
    /// How long before that.
    before: Duration,
}

impl Pause {
    fn total(&self) -> Duration {
        self.before + self.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

impl Default for Beats {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            count: AtomicU64::new(0),
            last_nanos: AtomicU64::new(0),
            was_held: AtomicBool::new(false),
            pause: Mutex::default(),
            released: Notify::new(),
        }
    }
}

impl Pulse {
    /// A sign of life.
    pub fn beat(&self) {
        let nanos = u64::try_from(self.0.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.last_nanos.fetch_max(nanos, Ordering::Relaxed);
        self.0.count.fetch_add(1, Ordering::Release);
    }

    /// How many there were.
    pub fn beats(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// When the last one was.
    pub fn last_beat(&self) -> Option<Instant> {
        (self.beats() > 0).then(|| self.0.born + Duration::from_nanos(self.0.last_nanos.load(Ordering::Relaxed)))
    }

    /// Stops the clocks of the call for as long as the guard lives. Both ends of that time are signs of life.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.beat();
        let mut pause = self.0.pause.lock();
        pause.holders += 1;
        pause.since.get_or_insert_with(Instant::now);
        self.0.was_held.store(true, Ordering::Release);
        Hold(self.clone())
    }

    /// How long the call was held so far: what its deadlines move by.
    pub fn held(&self) -> Duration {
        if self.0.was_held.load(Ordering::Acquire) { self.0.pause.lock().total() } else { Duration::ZERO }
    }

    /// Whether its clocks stand still.
    pub fn is_held(&self) -> bool {
        self.0.was_held.load(Ordering::Acquire) && self.0.pause.lock().since.is_some()
    }

    /// Waits until its clocks run.
    pub async fn running(&self) {
        loop {
            let released = self.0.released.notified();
            if !self.is_held() {
                return;
            }
            released.await;
        }
    }
}

/// Holds a call while it lives.
#[derive(Debug)]
pub struct Hold(Pulse);

impl Drop for Hold {
    fn drop(&mut self) {
        let Pulse(beats) = &self.0;
        self.0.beat();
        let mut pause = beats.pause.lock();
        pause.holders -= 1;
        if pause.holders == 0 {
            pause.before = pause.total();
            pause.since = None;
            drop(pause);
            beats.released.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_pulse_remembers_its_last_beat() {
        let pulse = Pulse::default();
        assert_eq!((pulse.beats(), pulse.last_beat()), (0, None));
        pulse.beat();
        advance(5 * SECOND).await;
        pulse.clone().beat();
        advance(SECOND).await;
        assert_eq!((pulse.beats(), pulse.last_beat()), (2, Some(Instant::now() - SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pulse_is_held_until_the_last_who_holds_it_lets_go() {
        let pulse = Pulse::default();
        pulse.running().await;
        let first = pulse.hold();
        advance(SECOND).await;
        let second = pulse.hold();
        advance(SECOND).await;
        drop(first);
        assert_eq!((pulse.held(), pulse.is_held()), (2 * SECOND, true));
        let free = pulse.clone();
        let ((), ()) = tokio::join!(free.running(), async {
            advance(SECOND).await;
            drop(second);
        });
        advance(SECOND).await;
        assert_eq!((pulse.held(), pulse.is_held()), (3 * SECOND, false), "what ran does not count");
        assert_eq!(pulse.last_beat(), Some(Instant::now() - SECOND));
        let _again = pulse.hold();
        advance(SECOND).await;
        assert_eq!(pulse.held(), 4 * SECOND);
    }
}
