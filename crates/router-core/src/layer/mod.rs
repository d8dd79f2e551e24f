//! The layers: each an upstream around an upstream, each in its own file, each with its policy.
//!
//! They are put around an upstream in one order, from the inside out, and a stack reads as a list of what is done for a
//! call:
//!
//! ```ignore
//! let guard = Guard::new(name, policies, meter);
//! stack::<Chat>(&guard, provider)
//!     .chaos(drill)           // drills; off by default
//!     .timeout(timeouts)      // each attempt: first content, idle, total
//!     .limit()                // bulkhead and rate
//!     .breaker()              // counts attempts
//!     .retry()                // only what is safe to repeat, within the deadline and the budget
//!     .invalidate(rules, ..)  // what a write makes untrue is forgotten
//!     .cache(policy, ..)      // fresh, single flight; has stale copies for the fallback
//!     .fallback(sources)      // the config's own order of sources
//!     .observe()              // span and observation, to the last byte
//!     .boxed()
//! ```

pub mod answers;
pub mod breaker;
pub mod cache;
pub mod chaos;
mod circuit;
pub mod fallback;
pub mod fence;
pub mod guard;
pub mod invalidate;
pub mod keyed;
pub mod limit;
pub mod observe;
pub mod retry;
pub mod second;
pub mod sweep;
mod tempo;
#[cfg(test)]
pub(crate) mod testing;
pub mod throttle;
pub mod timeout;
mod window;

use std::{marker::PhantomData, sync::Arc};

use tokio_util::task::TaskTracker;

use crate::{BoxUpstream, Query, Upstream};
use breaker::Breaker;
use cache::{Cache, CachePolicy, Keeps};
use chaos::{Chaos, ChaosPolicy};
use fallback::{Fallback, Sources};
use guard::Guard;
use invalidate::{Forget, Invalidate, Rule};
use limit::Limit;
use observe::Observe;
use retry::Retry;
use second::SecondLevel;
use timeout::{Timeout, TimeoutPolicy};

/// Begins a stack: `upstream`, whose state is `guard`.
pub fn stack<Q: Query>(guard: &Arc<Guard>, upstream: impl Upstream<Q>) -> Stack<Q, impl Upstream<Q>> {
    Stack { guard: Arc::clone(guard), upstream, query: PhantomData }
}

/// A stack being built. Its layers know one another's types, so that a call goes through them without a pointer; only
/// [`Stack::boxed`] forgets them.
pub struct Stack<Q: Query, U> {
    guard: Arc<Guard>,
    upstream: U,
    query: PhantomData<fn(Q)>,
}

impl<Q: Query, U: Upstream<Q>> Stack<Q, U> {
    fn around<L>(self, layer: impl FnOnce(U, Arc<Guard>) -> L) -> Stack<Q, L> {
        let upstream = layer(self.upstream, Arc::clone(&self.guard));
        Stack { guard: self.guard, upstream, query: PhantomData }
    }

    /// Drills.
    pub fn chaos(self, policy: Option<ChaosPolicy>) -> Stack<Q, Chaos<U>> {
        self.around(|inner, _| Chaos::new(inner, policy))
    }

    /// Bounds each attempt.
    pub fn timeout(self, policy: TimeoutPolicy) -> Stack<Q, Timeout<U>> {
        self.around(|inner, guard| Timeout::new(inner, policy, guard))
    }

    /// Keeps to the guard's limits.
    pub fn limit(self) -> Stack<Q, Limit<U>> {
        self.around(Limit::new)
    }

    /// Asks only while the guard's breaker lets it, and tells it how that went.
    pub fn breaker(self) -> Stack<Q, Breaker<U>> {
        self.around(Breaker::new)
    }

    /// Repeats what may be repeated, within the guard's budget.
    pub fn retry(self) -> Stack<Q, Retry<U>> {
        self.around(Retry::new)
    }

    /// Keeps answers, in memory and in a second level where there is one; `tasks` runs what records a stream.
    pub fn cache(
        self,
        policy: Option<CachePolicy>,
        second: Option<Arc<dyn SecondLevel<Q>>>,
        tasks: &TaskTracker,
    ) -> Stack<Q, Cache<Q, U>> {
        self.around(|inner, guard| Cache::new(inner, (policy, second), tasks, guard))
    }

    /// Lets other sources answer when the upstream cannot.
    pub fn fallback(self, sources: Sources<Q>) -> Stack<Q, Fallback<Q, U>>
    where
        U: Keeps<Q>,
    {
        self.around(|inner, guard| Fallback::new(inner, sources, guard))
    }

    /// Has forgotten what calls make untrue.
    pub fn invalidate(self, rules: Vec<Rule>, forget: Forget, tasks: &TaskTracker) -> Stack<Q, Invalidate<U>> {
        self.around(|inner, _| Invalidate::new(inner, rules, forget, tasks))
    }

    /// Tells what became of each call.
    pub fn observe(self) -> Stack<Q, Observe<U>> {
        self.around(Observe::new)
    }

    /// The stack, done.
    pub fn boxed(self) -> BoxUpstream<Q> {
        self.upstream.boxed()
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
