//! The one shape behind us: something that answers a query.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{Cx, Query, Result};

/// The name of an upstream in errors, logs, metrics and headers, as the configuration spells it.
pub type Name = Arc<str>;

/// Anything that can answer a `Q`: a provider, an MCP server, a tool, an agent, or a layer around another upstream.
///
/// A call returns `Ok` at the first frame with content. Until then it may be retried or answered by somebody else;
/// after that, never. Dropping the future, or the reply, releases whatever the call held.
pub trait Upstream<Q: Query>: Send + Sync + 'static {
    /// Asks; an implementor writes a plain `async fn call`.
    fn call(&self, cx: &Cx, query: Q) -> impl Future<Output = Result<Q::Reply>> + Send;

    /// The same upstream behind one pointer, for the joints where stacks of different types meet.
    fn boxed(self) -> BoxUpstream<Q>
    where
        Self: Sized,
    {
        BoxUpstream(Arc::new(self))
    }
}

/// An upstream whose type has been forgotten; cloning it shares it.
pub struct BoxUpstream<Q: Query>(Arc<dyn Dynamic<Q>>);

impl<Q: Query> Upstream<Q> for BoxUpstream<Q> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        self.0.call_boxed(cx, query).await
    }

    fn boxed(self) -> Self {
        self
    }
}

impl<Q: Query> Clone for BoxUpstream<Q> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Query> std::fmt::Debug for BoxUpstream<Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxUpstream")
    }
}

/// What is shared is asked like what is owned: by the same future, with none around it.
impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Arc<U> {
    fn call(&self, cx: &Cx, query: Q) -> impl Future<Output = Result<Q::Reply>> + Send {
        U::call(self, cx, query)
    }
}

type Answer<'a, Q> = Pin<Box<dyn Future<Output = Result<<Q as Query>::Reply>> + Send + 'a>>;

/// [`Upstream`] in the form that a trait object can have.
trait Dynamic<Q: Query>: Send + Sync {
    fn call_boxed<'a>(&'a self, cx: &'a Cx, query: Q) -> Answer<'a, Q>;
}

impl<Q: Query, U: Upstream<Q>> Dynamic<Q> for U {
    fn call_boxed<'a>(&'a self, cx: &'a Cx, query: Q) -> Answer<'a, Q> {
        Box::pin(self.call(cx, query))
    }
}

/// A closure is an upstream: how tests and small sources are written.
#[cfg(test)]
pub(crate) struct Answering<F>(pub(crate) F);

#[cfg(test)]
impl<Q, F, A> Upstream<Q> for Answering<F>
where
    Q: Query,
    F: Fn(Cx, Q) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Q::Reply>> + Send,
{
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        (self.0)(cx.clone(), query).await
    }
}
