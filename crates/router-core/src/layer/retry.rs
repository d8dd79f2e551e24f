//! Puts a failed call again: only what is safe to repeat, within the deadline and the budget.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    guard::Guard,
    window::{Tally, Window},
};
use crate::{Cx, Error, Fact, Kind, Outcome, Query, Repeat, Result, Upstream};

/// How far back the budget looks.
const SPAN: Duration = Duration::from_secs(10);

/// How often, and how soon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries of one call at the most.
    pub retries: u32,
    /// The first backoff; doubles, with full jitter.
    pub base: Duration,
    /// The most a backoff grows to.
    pub cap: Duration,
    /// The share of calls that may be retried.
    pub budget: f64,
    /// Retries per second that are always allowed.
    pub floor: f64,
    /// The longest Retry-After that is waited for; a longer one is handed to the caller.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 2,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            budget: 0.2,
            floor: 3.0,
            patience: Duration::from_secs(30),
        }
    }
}

/// The layer. What it hands over is the last error that the upstream itself had a part in.
pub struct Retry<U> {
    inner: U,
    guard: Arc<Guard>,
}

impl<U> Retry<U> {
    pub(super) fn new(inner: U, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Retry<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let budget = &self.guard.budget;
        budget.call();
        let mut before = None;
        for failed in 0..budget.policy.retries {
            let error = match self.inner.call(cx, query.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if !may_repeat(&query, &error) {
                return Err(told(before, error));
            }
            let Some(pause) = budget.pause(cx, &error, failed) else { return Err(error) };
            cx.wait(sleep(pause)).await?;
            self.guard.report(Fact::Retried);
            before = Some(error);
        }
        self.inner.call(cx, query).await.map_err(|error| told(before, error))
    }
}

/// A breaker that opened between two attempts knows when to come back, but what went wrong the attempt before it knows.
fn told(before: Option<Error>, error: Error) -> Error {
    match (before, error.wait()) {
        (Some(before), Some(wait)) if error.kind() == Kind::Open => before.retry_after(wait),
        _ => error,
    }
}

/// Whether asking again can help, and can do no harm. An open breaker is a decision not to ask.
fn may_repeat(query: &impl Query, error: &Error) -> bool {
    let harmless = query.repeat() == Repeat::Safe || error.outcome() == Outcome::NotSent;
    harmless && error.is_transient() && error.kind() != Kind::Open
}

/// What bounds the retries of one upstream, all calls together: a share of the calls of the last ten seconds, and a floor
/// that lets the few calls of a quiet hour be retried.
pub(super) struct Budget {
    policy: RetryPolicy,
    /// Calls, and marked among them retries.
    window: Window,
}

impl Budget {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, window: Window::new(SPAN) }
    }

    fn call(&self) {
        if self.policy.retries > 0 {
            self.window.count(Instant::now(), false);
        }
    }

    /// How long to wait before the next attempt; `None` when there must be none.
    fn pause(&self, cx: &Cx, error: &Error, failed: u32) -> Option<Duration> {
        let asked = error.wait().unwrap_or_default();
        let pause = asked + self.backoff(failed);
        (asked <= self.policy.patience && pause < cx.remaining() && self.withdraw()).then_some(pause)
    }

    /// Full jitter: anything up to a bound that doubles.
    fn backoff(&self, failed: u32) -> Duration {
        let bound = self.policy.base.saturating_mul(1 << failed.min(20)).min(self.policy.cap);
        bound.mul_f64(fastrand::f64())
    }

    fn withdraw(&self) -> bool {
        let now = Instant::now();
        let Tally { all, marked } = self.window.tally(now);
        let allowed = share(all - marked, self.policy.budget) + self.policy.floor * SPAN.as_secs_f64();
        let granted = share(marked + 1, 1.0) <= allowed;
        if granted {
            self.window.count(now, true);
        }
        granted
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stop at a million")]
fn share(count: u64, share: f64) -> f64 {
    count as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        guard::GuardPolicy,
        testing::{Ask, Said, answering, cx, failing, guard_with},
    };

    fn guard(change: impl FnOnce(&mut RetryPolicy)) -> (Arc<Guard>, Arc<crate::layer::testing::Counts>) {
        let mut policy = GuardPolicy::default();
        change(&mut policy.retry);
        guard_with(policy)
    }

    fn error(kind: Kind) -> Error {
        Error::new(kind, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_only_what_can_help_and_cannot_harm() {
        let seconds = Duration::from_secs;
        let cases = [
            ("a fault", Repeat::Safe, error(Kind::Unavailable), 3),
            ("a fault of a call that acts", Repeat::Unsafe, error(Kind::Timeout), 1),
            ("its own refusal", Repeat::Unsafe, error(Kind::Unavailable).outcome_is(Outcome::Failed), 1),
            ("never sent", Repeat::Unsafe, error(Kind::Unavailable).outcome_is(Outcome::NotSent), 3),
            ("a wrong question", Repeat::Safe, error(Kind::Refused), 1),
            ("the caller's deadline", Repeat::Safe, error(Kind::Deadline), 1),
            ("an open breaker", Repeat::Safe, error(Kind::Open), 1),
            ("our own refusal", Repeat::Unsafe, error(Kind::Shed), 3),
            ("come back soon", Repeat::Safe, error(Kind::Limited).retry_after(seconds(20)), 3),
            ("come back late", Repeat::Safe, error(Kind::Limited).retry_after(seconds(31)), 1),
            ("once before the deadline", Repeat::Safe, error(Kind::Limited).retry_after(seconds(29)), 2),
        ];
        for (what, repeat, error, attempts) in cases {
            let (guard, counts) = guard(|_| {});
            let (cx, query) = (cx(50), Ask { repeat, ..Ask::default() });
            let (layer, asked) = failing(error.clone(), usize::MAX);
            let answer = Retry::new(layer, guard).call(&cx, query).await;
            assert_eq!(answer.unwrap_err().kind(), error.kind(), "{what}");
            assert_eq!((asked(), counts.of(Fact::Retried)), (attempts, attempts - 1), "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_that_opens_in_between_does_not_hide_what_went_wrong() {
        let (guard, _) = guard(|_| {});
        let wait = Duration::from_mins(1);
        let (layer, asked) = failing(error(Kind::Unavailable), 1);
        let opened = answering(move |cx, query| {
            let (first, answer) = (asked() == 0, layer.call(&cx, query));
            let open = error(Kind::Open).outcome_is(Outcome::NotSent).retry_after(wait);
            let answer = if first { futures_util::FutureExt::now_or_never(answer) } else { None };
            async move { answer.unwrap_or(Err(open)) }
        });
        let told = Retry::new(opened, guard).call(&cx(600), Ask::default()).await.unwrap_err();
        assert_eq!((told.kind(), told.outcome(), told.wait()), (Kind::Unavailable, Outcome::Unknown, Some(wait)));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_at_least_as_long_as_it_was_asked_to() {
        let (guard, _) = guard(|_| {});
        let (layer, _) = failing(error(Kind::Limited).retry_after(Duration::from_secs(7)), 1);
        let started = Instant::now();
        assert!(Retry::new(layer, guard).call(&cx(60), Ask::default()).await.is_ok());
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(7) && waited <= Duration::from_millis(7101), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn never_after_an_answer_has_begun() {
        let (guard, counts) = guard(|_| {});
        let layer = Retry::new(answering(|_, _| async { Ok(Said::broken(Kind::Protocol)) }), guard);
        let reply = layer.call(&cx(60), Ask::default()).await.unwrap();
        assert_eq!(Said::read(reply).await.unwrap_err().kind(), Kind::Protocol);
        assert_eq!(counts.of(Fact::Retried), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_a_share_of_the_calls_and_a_floor() {
        let (guard, counts) = guard(|policy| policy.retries = 1);
        let (layer, _) = failing(error(Kind::Unavailable), usize::MAX);
        let layer = Retry::new(layer, guard);
        let storm =
            || futures_util::future::join_all((0..100).map(|_| async { layer.call(&cx(60), Ask::default()).await }));
        storm().await;
        assert_eq!(counts.of(Fact::Retried), 50, "20 % of 100, and 3/s for 10 s");
        tokio::time::advance(SPAN * 2).await;
        storm().await;
        assert_eq!(counts.of(Fact::Retried), 100, "and again when that is past");
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_ends_the_wait() {
        let (guard, _) = guard(|_| {});
        let (layer, asked) = failing(error(Kind::Limited).retry_after(Duration::from_secs(20)), usize::MAX);
        let (layer, cx, started) = (Retry::new(layer, guard), cx(60), Instant::now());
        let (answer, ()) = tokio::join!(layer.call(&cx, Ask::default()), async {
            sleep(Duration::from_secs(1)).await;
            cx.cancel().cancel();
        });
        assert_eq!((answer.unwrap_err().kind(), asked()), (Kind::Cancelled, 1));
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }
}
