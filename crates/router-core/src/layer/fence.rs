//! What may not leave this machine is not put to anybody elsewhere.

use crate::{BoxUpstream, Cx, Error, Kind, Name, Query, Result, Upstream};

/// Stands around an upstream, outside of everything else, and refuses the calls that have to stay on this machine where
/// `stays` does not say that they would. Whoever chose this upstream, and why, makes no difference: nothing is dialled.
pub struct Fence<Q: Query> {
    inner: BoxUpstream<Q>,
    name: Name,
    stays: Box<dyn Fn(&Q) -> bool + Send + Sync>,
}

impl<Q: Query> Fence<Q> {
    /// A fence around the upstream `name`.
    pub fn new(inner: BoxUpstream<Q>, name: Name, stays: impl Fn(&Q) -> bool + Send + Sync + 'static) -> Self {
        Self { inner, name, stays: Box::new(stays) }
    }
}

impl<Q: Query> Upstream<Q> for Fence<Q> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        if cx.is_local() && !(self.stays)(&query) {
            return Err(Error::new(Kind::Forbidden, "this client's questions may not leave this machine")
                .at(&self.name)
                .hint("use a model of a provider on loopback, or set `privacy: any` in the client's rule"));
        }
        self.inner.call(cx, query).await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;
    use crate::{
        Caller,
        chat::{Chat, ChatReply, Prompt, Shape},
        upstream::Answering,
    };

    #[tokio::test]
    async fn only_what_stays_passes_for_those_who_must_stay() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let upstream = Answering(move |_: Cx, _: Chat| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(ChatReply::say("hi")) }
        });
        let fence = Fence::new(upstream.boxed(), "there".into(), |chat: &Chat| &*chat.model == "here");
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let table = [(false, "here", true), (false, "away", true), (true, "here", true), (true, "away", false)];
        for (local, model, passes) in table {
            let cx = if local { cx.kept_local() } else { cx.clone() };
            let before = calls.load(Ordering::Relaxed);
            let outcome = fence.call(&cx, Chat::of(Prompt::ask("hi"), model, Shape::Whole)).await;
            let told = outcome.map(drop).map_err(|error| (error.kind(), error.upstream().cloned()));
            let expected = if passes { Ok(()) } else { Err((Kind::Forbidden, Some("there".into()))) };
            assert_eq!(told, expected, "{local} {model}");
            assert_eq!(calls.load(Ordering::Relaxed) - before, usize::from(passes));
        }
    }
}
