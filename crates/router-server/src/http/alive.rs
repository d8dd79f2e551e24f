//! Keeps a silent stream alive: a ping between two events when nothing else was said for a while.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

pin_project! {
    /// A stream that is never silent for longer than `silence`. A frame costs one reading of the clock: the timer is
    /// only moved when it fires.
    pub struct Alive<S> {
        #[pin]
        inner: S,
        #[pin]
        timer: Sleep,
        silence: Duration,
        spoke: Instant,
        ping: Bytes,
    }
}

/// Wraps a stream of whole events.
pub fn alive<S: Stream<Item = Bytes>>(inner: S, silence: Duration, ping: Bytes) -> Alive<S> {
    Alive { inner, timer: sleep(silence), silence, spoke: Instant::now(), ping }
}

impl<S: Stream<Item = Bytes>> Stream for Alive<S> {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut this = self.project();
        if let Poll::Ready(next) = this.inner.poll_next(cx) {
            *this.spoke = Instant::now();
            return Poll::Ready(next);
        }
        while this.timer.as_mut().poll(cx).is_ready() {
            let due = *this.spoke + *this.silence;
            let now = Instant::now();
            if now >= due {
                *this.spoke = now;
                this.timer.as_mut().reset(now + *this.silence);
                return Poll::Ready(Some(this.ping.clone()));
            }
            this.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};

    #[tokio::test(start_paused = true)]
    async fn pings_only_when_silent() {
        let waits = [3, 25, 1];
        let frames = stream::iter(waits).then(|seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            Bytes::from_static(b"event")
        });
        let out: Vec<_> = alive(frames, Duration::from_secs(10), Bytes::from_static(b"ping")).collect().await;
        assert_eq!(out, ["event", "ping", "ping", "event", "event"]);
    }
}
