//! Tells what became of every call, to its last byte.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument;

use super::guard::Guard;
use crate::{Cx, End, Kind, Observation, Pace, Query, Reply, Result, Source, Upstream, chat::Usage};

/// The layer: a span and an observation for each call; and as the outermost one it ends a reply that outlives the
/// caller's deadline.
pub struct Observe<U> {
    inner: U,
    guard: Arc<Guard>,
}

impl<U> Observe<U> {
    pub(super) fn new(inner: U, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Observe<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let operation = query.operation();
        let span = tracing::debug_span!("call", upstream = %self.guard.name(), operation);
        let mut call = Call::new(&self.guard, operation);
        match self.inner.call(cx, query).instrument(span).await {
            Ok(reply) => {
                call.answered(reply.provenance().source);
                let reply = reply.paced(Pace { idle: None, end: Some((cx.deadline(), Kind::Deadline)) });
                Ok(reply.watch(Box::new(move |end| call.ended(&end))))
            }
            Err(error) => {
                call.observation.failure = Some(error.kind());
                Err(error)
            }
        }
    }
}

/// A call that is told when it is dropped: given up, unless it learnt better.
struct Call {
    guard: Arc<Guard>,
    started: Instant,
    observation: Observation,
}

impl Call {
    fn new(guard: &Arc<Guard>, operation: &'static str) -> Self {
        let observation = Observation {
            operation,
            failure: Some(Kind::Cancelled),
            duration: std::time::Duration::ZERO,
            first_content: None,
            source: Source::Live,
            usage: Usage::default(),
        };
        Self { guard: Arc::clone(guard), started: Instant::now(), observation }
    }

    fn answered(&mut self, source: Source) {
        self.observation.source = source;
        let first_content = self.started.elapsed();
        self.guard.answered_in(first_content);
        if source == Source::Live {
            self.guard.answered_itself();
        }
        self.observation.first_content = Some(first_content);
    }

    fn ended(mut self, end: &End) {
        match end {
            End::Complete(usage) => (self.observation.failure, self.observation.usage) = (None, *usage),
            End::Broken(kind, usage) => (self.observation.failure, self.observation.usage) = (Some(*kind), *usage),
            End::Dropped(usage) => self.observation.usage = *usage,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.observation.duration = self.started.elapsed();
        self.guard.meter().observe(self.guard.name(), self.observation.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, stream};
    use tokio::time::sleep;

    use super::*;
    use crate::{
        Error,
        chat::{ChatReply, Event, Shape},
        layer::testing::{Ask, Said, answering, cx, guard},
    };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    async fn after(time: u64, answer: Result<ChatReply>) -> Result<ChatReply> {
        sleep(seconds(time)).await;
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn tells_how_each_call_ended_and_when() {
        let usage = Usage { input: 3, output: 5, ..Usage::default() };
        let counted = move || ChatReply::events(Shape::Stream, stream::iter([Ok(Event::Usage(usage))]));
        let whole = answering(move |_, _| after(2, Ok(counted())));
        let stream = answering(|_, _| after(2, Ok(Said::frames(&[0, 1, 1]))));
        let cut = answering(|_, _| after(2, Ok(Said::broken(Kind::Protocol))));
        let refused = answering(|_, _| after(2, Err(Error::new(Kind::Refused, "no"))));
        let endless = answering(|_, _| after(2, Ok(Said::endless())));
        let expected = |failure, duration, first_content: Option<u64>, usage| Observation {
            operation: "ask",
            failure,
            duration: seconds(duration),
            first_content: first_content.map(seconds),
            source: Source::Live,
            usage,
        };
        let none = Usage::default();
        let cases = [
            (whole.boxed(), expected(None, 2, Some(2), usage)),
            (stream.boxed(), expected(None, 4, Some(2), none)),
            (cut.boxed(), expected(Some(Kind::Protocol), 2, Some(2), none)),
            (refused.boxed(), expected(Some(Kind::Refused), 2, None, none)),
            (endless.boxed(), expected(Some(Kind::Deadline), 30, Some(2), none)),
        ];
        for (upstream, expected) in cases {
            let (guard, counts) = guard();
            if let Ok(reply) = Observe::new(upstream, guard).call(&cx(30), Ask::default()).await {
                let _ = Said::read(reply).await;
            }
            assert_eq!(counts.observations(), [expected]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_is_told_too() {
        let (guard, counts) = guard();
        let layer = Observe::new(answering(|_, _| after(2, Ok(Said::endless()))), guard);
        assert!(layer.call(&cx(30), Ask::default()).now_or_never().is_none(), "given up before its first content");
        drop(layer.call(&cx(30), Ask::default()).await.unwrap());
        let told = counts.observations().into_iter().map(|told| (told.failure, told.first_content));
        let cancelled = Some(Kind::Cancelled);
        assert_eq!(told.collect::<Vec<_>>(), [(cancelled, None), (cancelled, Some(seconds(2)))]);
    }
}
