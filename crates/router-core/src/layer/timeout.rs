//! Bounds an attempt: to its first content, between frames, and over all.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{guard::Guard, tempo::Tempo};
use crate::{Cx, End, Error, Fact, Kind, Pace, Query, Reply, Result, Upstream};

/// How long an attempt may take; `None` is no bound but the caller's deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeoutPolicy {
    /// Until the first content of a stream, or since the last sign of life of a call that has not answered.
    pub first_content: Option<Duration>,
    /// Between two frames.
    pub idle: Option<Duration>,
    /// Until a reply that comes in one piece, before which silence is normal.
    pub whole: Option<Duration>,
    /// Over all, signs of life or not.
    pub total: Option<Duration>,
    /// Whether the first content is waited for only as long as it usually takes, with some patience, where that is less.
    pub adaptive: bool,
}

/// The layer: one attempt. The caller's own deadline is not the upstream's fault.
pub struct Timeout<U> {
    inner: U,
    policy: TimeoutPolicy,
    tempo: Option<Tempo>,
    guard: Arc<Guard>,
}

impl<U> Timeout<U> {
    pub(super) fn new(inner: U, policy: TimeoutPolicy, guard: Arc<Guard>) -> Self {
        Self { inner, policy, tempo: policy.adaptive.then(Tempo::new), guard }
    }

    fn pace<R: Reply>(&self, reply: R, started: Instant) -> R {
        let TimeoutPolicy { idle, total, .. } = self.policy;
        if idle.is_none() && total.is_none() {
            return reply;
        }
        let guard = Arc::clone(&self.guard);
        let end = total.map(|total| (started + total, Kind::Timeout));
        reply.paced(Pace { idle, end }).watch(Box::new(move |end| {
            if matches!(end, End::Broken(Kind::Timeout, _)) {
                guard.report(Fact::TimedOut);
            }
        }))
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Timeout<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        cx.trail().attempt();
        let TimeoutPolicy { first_content, whole, .. } = self.policy;
        let patience = if query.answered_whole() { whole } else { first_content };
        let usual = |most| self.tempo.as_ref().map_or(most, |tempo| tempo.patience(most));
        let patience = patience.map(usual);
        let watch = Stopwatch {
            cx,
            started: Instant::now(),
            held_before: cx.pulse().held(),
            patience,
            total: self.policy.total,
        };
        let (narrowed, whose) = cx.within(self.policy.total, Kind::Timeout);
        let mut call = pin!(self.inner.call(&narrowed, query));
        let answer = tokio::select! {
            biased;
            answer = call.as_mut() => answer.map_err(|error| watch.whose(error, whose)),
            () = cx.cancel().cancelled() => Err(Error::new(Kind::Cancelled, "the caller gave up")),
            late = watch.runs_out() => Err(late),
        };
        match answer {
            Ok(reply) => {
                if let Some(tempo) = &self.tempo {
                    tempo.took(watch.started.elapsed().saturating_sub(watch.held()));
                }
                Ok(self.pace(reply, watch.started))
            }
            Err(error) => {
                if error.kind() == Kind::Timeout {
                    self.guard.report(Fact::TimedOut);
                }
                Err(error)
            }
        }
    }
}

/// What an attempt is measured by.
struct Stopwatch<'a> {
    cx: &'a Cx,
    started: Instant,
    /// How long the call had been held when the attempt began.
    held_before: Duration,
    patience: Option<Duration>,
    total: Option<Duration>,
}

impl Stopwatch<'_> {
    /// When the silence has lasted too long, unless there is another sign of life.
    fn silent_at(&self) -> Option<Instant> {
        let heard = self.cx.pulse().last_beat().unwrap_or(self.started).max(self.started);
        self.patience.map(|patience| heard + patience)
    }

    /// When the attempt has taken too long, signs of life or not.
    fn over_at(&self) -> Option<Instant> {
        self.total.map(|total| self.started + total + self.held())
    }

    /// For how long of it somebody was asked.
    fn held(&self) -> Duration {
        self.cx.pulse().held().saturating_sub(self.held_before)
    }

    /// Waits until something is late, and says what. While somebody is asked nothing is.
    async fn runs_out(&self) -> Error {
        loop {
            self.cx.pulse().running().await;
            let bounds = [self.silent_at(), self.over_at()];
            sleep_until(bounds.into_iter().flatten().fold(self.cx.deadline(), Instant::min)).await;
            if let Some(late) = self.late() {
                return late;
            }
        }
    }

    /// What is late by now, if anything is.
    fn late(&self) -> Option<Error> {
        let now = Instant::now();
        if self.cx.pulse().is_held() {
            return None;
        }
        if self.cx.deadline() <= now {
            return Some(Error::new(Kind::Deadline, "the caller's deadline passed"));
        }
        if let Some(total) = self.total.filter(|_| self.over_at().is_some_and(|over| over <= now)) {
            return Some(Error::new(Kind::Timeout, format!("not answered within {total:?}")));
        }
        let silence = self.patience.filter(|_| self.silent_at().is_some_and(|silent| silent <= now));
        silence.map(|silence| Error::new(Kind::Timeout, format!("no sign of an answer for {silence:?}")))
    }

    /// An upstream that keeps to the deadline it was given cannot know that it was ours.
    fn whose(&self, error: Error, whose: Kind) -> Error {
        match (error.kind(), whose) {
            (Kind::Deadline, Kind::Timeout) => self.late().unwrap_or(error),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::sleep;

    use super::*;
    use crate::layer::testing::{Ask, Said, answering, cx, guard};

    const POLICY: TimeoutPolicy = TimeoutPolicy {
        first_content: Some(Duration::from_secs(5)),
        idle: Some(Duration::from_secs(2)),
        whole: Some(Duration::from_secs(12)),
        total: Some(Duration::from_secs(20)),
        adaptive: false,
    };

    /// An upstream that answers after `seconds`, with a sign of life every `beat` of them.
    fn slow(seconds: u64, beat: u64) -> impl Upstream<Ask> {
        answering(move |cx: Cx, _| async move {
            for second in 1..=seconds {
                sleep(Duration::from_secs(1)).await;
                if second % beat == 0 {
                    cx.pulse().beat();
                }
            }
            Ok(Said::text("a"))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn each_bound_names_whose_fault_it_is() {
        const NEVER: u64 = u64::MAX;
        let cases = [
            ("in time", 4, NEVER, 60, Ok(()), 4),
            ("silent", 8, NEVER, 60, Err(Kind::Timeout), 5),
            ("alive", 19, 4, 60, Ok(()), 19),
            ("alive, but too long", 30, 4, 60, Err(Kind::Timeout), 20),
            ("alive, then silent", 19, 18, 60, Ok(()), 5),
            ("the caller's deadline", 8, NEVER, 3, Err(Kind::Deadline), 3),
            ("the caller's deadline, alive", 30, 1, 12, Err(Kind::Deadline), 12),
        ];
        for (what, seconds, beat, left, expected, after) in cases {
            let expected = if what == "alive, then silent" { Err(Kind::Timeout) } else { expected };
            let (guard, counts) = guard();
            let (started, cx) = (Instant::now(), cx(left));
            let answer = Timeout::new(slow(seconds, beat), POLICY, guard).call(&cx, Ask::default()).await;
            assert_eq!(answer.map(drop).map_err(|error| error.kind()), expected, "{what}");
            assert_eq!((started.elapsed(), cx.trail().attempts()), (Duration::from_secs(after), 1), "{what}");
            let timed_out = u32::from(expected == Err(Kind::Timeout));
            assert_eq!(counts.of(Fact::TimedOut), timed_out, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_has_a_time_of_its_own() {
        let (guard, _) = guard();
        for (seconds, expected) in [(11, None), (13, Some(Kind::Timeout))] {
            let layer = Timeout::new(slow(seconds, u64::MAX), POLICY, Arc::clone(&guard));
            let answer = layer.call(&cx(60), Ask::default().whole()).await;
            assert_eq!(answer.err().map(|error| error.kind()), expected, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_usually_fast_is_given_up_sooner() {
        for (adaptive, expected, after) in [(false, None, 4), (true, Some(Kind::Timeout), 1)] {
            let (guard, _) = guard();
            let calls = std::sync::atomic::AtomicUsize::new(0);
            let upstream = answering(move |_, _| {
                let slow = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 100;
                sleep(Duration::from_millis(10 + 3_990 * u64::from(slow))).map(|()| Ok(Said::text("a")))
            });
            let layer = Timeout::new(upstream, TimeoutPolicy { adaptive, ..POLICY }, guard);
            for _ in 0..100 {
                layer.call(&cx(60), Ask::default()).await.unwrap();
            }
            let started = Instant::now();
            let answer = layer.call(&cx(60), Ask::default()).await;
            assert_eq!(answer.err().map(|error| error.kind()), expected);
            assert_eq!(started.elapsed().as_secs(), after);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_clock_runs_while_somebody_is_asked() {
        let asks = |before: u64, asked: u64, after: u64| {
            answering(move |cx: Cx, _| async move {
                cx.wait(sleep(Duration::from_secs(before))).await?;
                let hold = cx.pulse().hold();
                cx.wait(sleep(Duration::from_secs(asked))).await?;
                drop(hold);
                cx.wait(sleep(Duration::from_secs(after))).await?;
                Ok(Said::text("a"))
            })
        };
        let idle = TimeoutPolicy { total: None, ..POLICY };
        let total = TimeoutPolicy { first_content: None, ..POLICY };
        for (what, policy, (before, asked, after), expected) in [
            ("idle", idle, (4, 600, 4), None),
            ("idle, silent after it", idle, (4, 600, 6), Some(Kind::Timeout)),
            ("in all", total, (10, 600, 9), None),
            ("in all, too long", total, (10, 600, 11), Some(Kind::Timeout)),
            ("the caller's", TimeoutPolicy::default(), (30, 600, 29), None),
            ("the caller's, too long", TimeoutPolicy::default(), (30, 600, 31), Some(Kind::Deadline)),
        ] {
            let (guard, _) = guard();
            let answer = Timeout::new(asks(before, asked, after), policy, guard).call(&cx(60), Ask::default()).await;
            assert_eq!(answer.err().map(|error| error.kind()), expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_kept_by_the_upstream_is_still_our_timeout() {
        let (guard, _) = guard();
        let obedient = answering(|cx: Cx, _| async move { cx.wait(std::future::pending()).await });
        let policy = TimeoutPolicy { total: Some(Duration::from_secs(3)), ..TimeoutPolicy::default() };
        let layer = Timeout::new(obedient, policy, guard);
        assert_eq!(layer.call(&cx(60), Ask::default()).await.unwrap_err().kind(), Kind::Timeout);
        assert_eq!(layer.call(&cx(2), Ask::default()).await.unwrap_err().kind(), Kind::Deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_drops_the_call() {
        let (guard, _) = guard();
        let layer = Timeout::new(slow(9, 1), POLICY, guard);
        let (cx, started) = (cx(60), Instant::now());
        let (answer, ()) = tokio::join!(layer.call(&cx, Ask::default()), async {
            sleep(Duration::from_secs(1)).await;
            cx.cancel().cancel();
        });
        assert_eq!((answer.unwrap_err().kind(), started.elapsed()), (Kind::Cancelled, Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_held_to_its_pace() {
        let cases: [(&[u64], _); 3] = [
            (&[0, 1, 1, 1], Ok(4)),
            (&[0, 1, 3], Err(Kind::Timeout)),
            (&[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], Err(Kind::Timeout)),
        ];
        for (gaps, expected) in cases {
            let (guard, counts) = guard();
            let layer = Timeout::new(answering(move |_, _| async move { Ok(Said::frames(gaps)) }), POLICY, guard);
            let read = Said::read(layer.call(&cx(60), Ask::default()).await.unwrap()).await;
            assert_eq!(read.map_err(|error| error.kind()), expected, "{gaps:?}");
            assert_eq!(counts.of(Fact::TimedOut), u32::from(expected.is_err()));
        }
    }
}
