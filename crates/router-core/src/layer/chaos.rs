//! Drills: makes an upstream fail on purpose, so that one can see what the other layers do about it.

use std::{convert::Infallible, future::pending, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{Cx, Error, Kind, Outcome, Pace, Query, Reply, Result, Upstream};

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct ChaosPolicy {
    /// The share of calls that fail, 0 to 1.
    pub rate: f64,
    /// Added before a call that does not fail.
    pub latency: Option<Duration>,
    /// The ways to fail, chosen evenly.
    pub kinds: Vec<ChaosKind>,
    /// For a drill that can be repeated.
    pub seed: u64,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChaosKind {
    /// No connection.
    Refuse,
    /// No answer, ever.
    Hang,
    /// 429.
    Limited,
    /// 5xx.
    Fail,
    /// The answer is cut after its first content.
    Cut,
}

/// The layer. It stands where the upstream would, so that all the others are drilled.
pub struct Chaos<U> {
    inner: U,
    drill: Option<Drill>,
}

struct Drill {
    policy: ChaosPolicy,
    dice: Mutex<fastrand::Rng>,
}

impl<U> Chaos<U> {
    pub(super) fn new(inner: U, policy: Option<ChaosPolicy>) -> Self {
        let drill = policy.map(|policy| Drill { dice: Mutex::new(fastrand::Rng::with_seed(policy.seed)), policy });
        Self { inner, drill }
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Chaos<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let Some(drill) = &self.drill else { return self.inner.call(cx, query).await };
        match drill.throw() {
            None => {
                if let Some(latency) = drill.policy.latency {
                    cx.wait(sleep(latency)).await?;
                }
                self.inner.call(cx, query).await
            }
            Some(ChaosKind::Refuse) => Err(failed(Kind::Unavailable, "no connection").outcome_is(Outcome::NotSent)),
            Some(ChaosKind::Limited) => Err(failed(Kind::Limited, "429").retry_after(Duration::from_secs(1))),
            Some(ChaosKind::Fail) => Err(failed(Kind::Unavailable, "503").outcome_is(Outcome::Failed)),
            Some(ChaosKind::Hang) => match cx.wait(pending::<Infallible>()).await? {},
            Some(ChaosKind::Cut) => Ok(cut(self.inner.call(cx, query).await?)),
        }
    }
}

impl Drill {
    /// How this call fails. The n-th call of a drill with the same seed always fares the same.
    fn throw(&self) -> Option<ChaosKind> {
        let mut dice = self.dice.lock();
        let (fails, which) = (dice.f64() < self.policy.rate, dice.usize(..self.policy.kinds.len().max(1)));
        self.policy.kinds.get(which).copied().filter(|_| fails)
    }
}

fn failed(kind: Kind, how: &str) -> Error {
    Error::new(kind, format!("a drill: {how}"))
}

/// Only a stream can be cut: its time is over after the frame that it begins with.
fn cut<R: Reply>(reply: R) -> R {
    reply.paced(Pace { idle: None, end: Some((Instant::now(), Kind::Protocol)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::{Ask, Said, answering, cx};

    fn policy(rate: f64, kinds: &[ChaosKind]) -> ChaosPolicy {
        ChaosPolicy { rate, latency: None, kinds: kinds.to_vec(), seed: 7 }
    }

    fn drilled(policy: ChaosPolicy) -> Chaos<impl Upstream<Ask>> {
        Chaos::new(answering(|_, _| async { Ok(Said::frames(&[0, 0, 0])) }), Some(policy))
    }

    #[tokio::test(start_paused = true)]
    async fn fails_in_every_way() {
        let cases = [
            (ChaosKind::Refuse, Kind::Unavailable, Outcome::NotSent),
            (ChaosKind::Hang, Kind::Deadline, Outcome::Unknown),
            (ChaosKind::Limited, Kind::Limited, Outcome::Failed),
            (ChaosKind::Fail, Kind::Unavailable, Outcome::Failed),
        ];
        for (way, kind, outcome) in cases {
            let error = drilled(policy(1.0, &[way])).call(&cx(60), Ask::default()).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{way:?}");
        }
        let reply = drilled(policy(1.0, &[ChaosKind::Cut])).call(&cx(60), Ask::default()).await.unwrap();
        assert_eq!(Said::read(reply).await.unwrap_err().kind(), Kind::Protocol);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drill_can_be_repeated() {
        let policy = policy(0.3, &[ChaosKind::Fail, ChaosKind::Refuse, ChaosKind::Limited]);
        let throws = |seed| {
            let drill = Chaos::new((), Some(ChaosPolicy { seed, ..policy.clone() })).drill.unwrap();
            (0..1000).map(|_| drill.throw()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        let failed = throws(1).iter().flatten().count();
        assert!((250..350).contains(&failed), "{failed} of 1000 at 0.3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_fail_is_late() {
        let latency = Some(Duration::from_secs(3));
        let layer = drilled(ChaosPolicy { latency, ..policy(0.0, &[ChaosKind::Fail]) });
        let started = Instant::now();
        assert_eq!(Said::read(layer.call(&cx(60), Ask::default()).await.unwrap()).await.unwrap(), 3);
        assert_eq!(started.elapsed(), Duration::from_secs(3));
    }
}
