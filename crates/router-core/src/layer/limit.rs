//! Keeps an upstream from being asked too much: a bulkhead with a bounded queue, and a token bucket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::guard::Guard;
use crate::{Cx, Error, Fact, Kind, Query, Reply, Result, Upstream};

/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitPolicy {
    /// Calls at once; `None` is no bound.
    pub concurrency: Option<usize>,
    /// Calls that may wait for their turn.
    pub queue: usize,
    /// How long one waits at the most.
    pub wait: Duration,
    /// Calls per second over time; `None` is no bound.
    pub rate: Option<f64>,
    /// Calls at once that the rate forgives.
    pub burst: u32,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self { concurrency: None, queue: 128, wait: Duration::from_millis(250), rate: None, burst: 10 }
    }
}

/// The layer: a call holds its place in the bulkhead until its reply is over.
pub struct Limit<U> {
    inner: U,
    guard: Arc<Guard>,
}

impl<U> Limit<U> {
    pub(super) fn new(inner: U, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }

    async fn admit(&self, cx: &Cx) -> Result<Option<OwnedSemaphorePermit>> {
        let admitted = self.guard.limits.admit(cx).await;
        if admitted.as_ref().is_err_and(|error| error.kind() == Kind::Shed) {
            self.guard.report(Fact::Shed);
        }
        admitted
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Limit<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        if self.guard.limits.are_off() {
            return self.inner.call(cx, query).await;
        }
        let place = self.admit(cx).await?;
        let reply = self.inner.call(cx, query).await?;
        Ok(match place {
            Some(place) => reply.watch(Box::new(move |_| drop(place))),
            None => reply,
        })
    }
}

/// The state of the limits of one upstream.
pub(super) struct Limits {
    policy: LimitPolicy,
    places: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
    bucket: Option<Bucket>,
}

impl Limits {
    pub(super) fn new(policy: LimitPolicy) -> Self {
        let places = policy.concurrency.map(|places| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))));
        let bucket = policy.rate.map(|rate| Bucket::new(rate, policy.burst));
        Self { policy, places, waiting: AtomicUsize::new(0), bucket }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many calls the rate would let through at once; `None` where there is no rate.
    pub(super) fn tokens(&self) -> Option<u64> {
        self.bucket.as_ref().map(Bucket::tokens)
    }

    fn are_off(&self) -> bool {
        self.places.is_none() && self.bucket.is_none()
    }

    async fn admit(&self, cx: &Cx) -> Result<Option<OwnedSemaphorePermit>> {
        let place = match &self.places {
            Some(places) => Some(self.place(cx, places).await?),
            None => None,
        };
        if let Some(bucket) = &self.bucket {
            let pause = bucket.take(self.policy.wait).map_err(|wait| shed("its rate is used up", wait))?;
            if !pause.is_zero() {
                cx.wait(sleep(pause)).await?;
            }
        }
        Ok(place)
    }

    async fn place(&self, cx: &Cx, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(place);
        }
        let _turn = Turn::new(&self.waiting, self.policy.queue)
            .ok_or_else(|| shed("all its places and its queue are full", self.policy.wait))?;
        match cx.wait(timeout(self.policy.wait, Arc::clone(places).acquire_owned())).await? {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(shed("none of its places became free in time", self.policy.wait)),
        }
    }
}

fn shed(why: &str, wait: Duration) -> Error {
    Error::new(Kind::Shed, format!("not asked: {why}")).retry_after(wait)
}

/// A turn in the queue, given up by dropping it.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn new(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        let turn = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < bound).then_some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A token bucket in one word: the moment at which it will be full again (the generic cell rate algorithm).
struct Bucket {
    born: Instant,
    full_at: AtomicU64,
    token_nanos: u64,
    burst_nanos: u64,
}

impl Bucket {
    fn new(rate: f64, burst: u32) -> Self {
        let token = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
        let token_nanos = nanos(token).max(1);
        let burst_nanos = token_nanos.saturating_mul(u64::from(burst.saturating_sub(1)));
        Self { born: Instant::now(), full_at: AtomicU64::new(0), token_nanos, burst_nanos }
    }

    fn tokens(&self) -> u64 {
        let now = nanos(self.born.elapsed());
        let missing = self.full_at.load(Ordering::Relaxed).saturating_sub(now);
        self.burst_nanos.saturating_add(self.token_nanos).saturating_sub(missing) / self.token_nanos
    }

    /// Takes a token, and tells how long to wait before using it; or how long to wait before asking again, where that is
    /// longer than `patience`.
    fn take(&self, patience: Duration) -> Result<Duration, Duration> {
        let now = nanos(self.born.elapsed());
        let wait = |full_at: u64| full_at.saturating_sub(now).saturating_sub(self.burst_nanos);
        let take = |full_at: u64| {
            (wait(full_at) <= nanos(patience)).then(|| full_at.max(now).saturating_add(self.token_nanos))
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(|full_at| Duration::from_nanos(wait(full_at)))
            .map_err(|full_at| Duration::from_nanos(wait(full_at)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
