//! How long a client may take to ask. hyper knows one time for it, which begins when it waits for a request: clients that keep
//! a connection need it long, and whoever sends a byte now and then must not have it. So it gets the long one, and with
//! the first byte of a request the short one begins.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::time;

/// The clock of one connection, and what it is told of its client. Clones are the same one.
#[derive(Clone)]
pub(super) struct Patience {
    /// Something came since the wait began.
    has_begun: Arc<AtomicBool>,
    /// How long the rest may take then.
    rest: Duration,
}

impl Patience {
    pub(super) fn new(rest: Duration) -> Self {
        Self { has_begun: Arc::default(), rest }
    }

    /// Bytes came.
    pub(super) fn note(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.has_begun.store(false, Ordering::Relaxed);
        Box::pin(Wait { patience: self.clone(), is_short: false, sleep: time::sleep_until(deadline.into()) })
    }

    fn now(&self) -> std::time::Instant {
        time::Instant::now().into()
    }
}

pin_project! {
    /// The wait for the headers of one request. It is polled after each read.
    struct Wait {
        patience: Patience,
        is_short: bool,
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !*this.is_short && this.patience.has_begun.load(Ordering::Relaxed) {
            *this.is_short = true;
            let end = this.sleep.deadline().min(time::Instant::now() + this.patience.rest);
            this.sleep.as_mut().reset(end);
        }
        this.sleep.poll(cx)
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds a wait of 75 s ends in which something came at these times.
    async fn ends_after(times: &[u64]) -> u64 {
        let patience = Patience::new(Duration::from_secs(10));
        let start = time::Instant::now();
        let mut wait = patience.sleep_until((start + Duration::from_secs(75)).into());
        for at in times {
            let at = start + Duration::from_secs(*at);
            if time::timeout_at(at, wait.as_mut()).await.is_ok() {
                break;
            }
            patience.note();
        }
        wait.await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_has_begun_has_less_time() {
        for (times, expect) in [(&[][..], 75), (&[0], 10), (&[3, 5, 12], 13), (&[60], 70), (&[70], 75)] {
            assert_eq!(ends_after(times).await, expect, "{times:?}");
        }
    }
}
