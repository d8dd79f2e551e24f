//! The chain of degraded mode: when an upstream cannot answer, the next source in the config's own order does.

use std::{sync::Arc, time::Duration};

use super::{cache::Keeps, guard::Guard};
use crate::{BoxUpstream, Cx, Error, Kind, Outcome, Query, Repeat, Reply, Result, Source, Strategy, Upstream};

/// A source that can stand in.
pub enum Standby<Q: Query> {
    /// The copies of the cache layer below, as far as they are no older than this.
    Stale(Duration),
    /// What the operator keeps for bad days.
    Backup(BoxUpstream<Q>),
    /// Another upstream.
    Upstream(BoxUpstream<Q>),
    /// A fixed text.
    Default(String),
    /// The word that it is away: whoever asked goes on without it.
    Skip,
}

/// Who stands in, in the config's own order.
pub struct Sources<Q: Query> {
    /// For an upstream that failed.
    pub on_error: Vec<Standby<Q>>,
    /// For one that was too slow, where that is another matter.
    pub on_timeout: Option<Vec<Standby<Q>>>,
}

impl<Q: Query> Sources<Q> {
    /// Nobody.
    pub const fn none() -> Self {
        Self { on_error: Vec::new(), on_timeout: None }
    }

    fn are_none(&self) -> bool {
        self.on_error.is_empty() && self.on_timeout.as_ref().is_none_or(Vec::is_empty)
    }

    /// Those for this failure.
    fn after(&self, error: &Error) -> &[Standby<Q>] {
        match &self.on_timeout {
            Some(on_timeout) if error.kind() == Kind::Timeout => on_timeout,
            _ => &self.on_error,
        }
    }
}

impl<Q: Query> Standby<Q> {
    fn strategy(&self) -> Strategy {
        match self {
            Self::Stale(_) => Strategy::Stale,
            Self::Backup(_) => Strategy::Backup,
            Self::Upstream(_) => Strategy::Upstream,
            Self::Default(_) => Strategy::Default,
            Self::Skip => Strategy::Skip,
        }
    }

    /// Whether it may stand in for an upstream that failed with `error`. What the caller did wrong stays wrong, another
    /// upstream has another credential, and no act is done twice.
    fn may_follow(&self, error: &Error, query: &Q) -> bool {
        match self {
            Self::Stale(_) | Self::Backup(_) | Self::Default(_) | Self::Skip => error.is_transient(),
            Self::Upstream(_) => {
                let elsewhere = error.is_transient() || error.kind() == Kind::Credential;
                elsewhere && (query.repeat() == Repeat::Safe || error.outcome() == Outcome::NotSent)
            }
        }
    }
}

/// The layer: the sources in their order. When all fail, the first error is handed over, which says most.
pub struct Fallback<Q: Query, U> {
    inner: U,
    sources: Sources<Q>,
    guard: Arc<Guard>,
}

impl<Q: Query, U: Upstream<Q> + Keeps<Q>> Fallback<Q, U> {
    pub(super) fn new(inner: U, sources: Sources<Q>, guard: Arc<Guard>) -> Self {
        Self { inner, sources, guard }
    }

    async fn ask(&self, source: &Standby<Q>, cx: &Cx, query: &Q) -> Option<Q::Reply> {
        match source {
            Standby::Stale(oldest) => self
                .inner
                .stale(cx, query)
                .await
                .filter(|reply| reply.provenance().age.is_none_or(|age| age <= *oldest)),
            Standby::Upstream(upstream) => {
                told(upstream.call(&cx.aside(), query.clone()).await).map(|reply| from(Source::Backup, reply))
            }
            Standby::Backup(backup) => {
                told(backup.call(cx, query.clone()).await).map(|reply| from(Source::Backup, reply))
            }
            Standby::Default(text) => query.say(text).map(|reply| from(Source::Default, reply)),
            Standby::Skip => {
                let says = format!("{} is away at the moment, and was left out: go on without it.", self.guard.name());
                query.say(&says).map(|reply| from(Source::Default, reply))
            }
        }
    }
}

impl<Q: Query, U: Upstream<Q> + Keeps<Q>> Upstream<Q> for Fallback<Q, U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        if self.sources.are_none() {
            return self.inner.call(cx, query).await;
        }
        let error = match self.inner.call(cx, query.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        for source in self.sources.after(&error).iter().filter(|source| source.may_follow(&error, &query)) {
            if let Some(reply) = self.ask(source, cx, &query).await {
                self.guard.fell_back(source.strategy());
                tracing::debug!(upstream = %self.guard.name(), %error, strategy = source.strategy().as_str(), "fell back");
                return Ok(reply);
            }
        }
        Err(error)
    }
}

fn told<R>(answer: Result<R>) -> Option<R> {
    answer.inspect_err(|error| tracing::debug!(%error, "a standby failed, too")).ok()
}

fn from<R: Reply>(source: Source, mut reply: R) -> R {
    reply.provenance_mut().source = source;
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CacheUse, Provenance,
        chat::ChatReply,
        layer::testing::{Ask, Said, answering, cx, failing, guard},
    };

    /// An upstream that always fails, over a cache that may have a stale copy.
    struct Down {
        error: Error,
        stale: bool,
    }

    impl Upstream<Ask> for Down {
        async fn call(&self, _: &Cx, _: Ask) -> Result<ChatReply> {
            Err(self.error.clone())
        }
    }

    impl Keeps<Ask> for Down {
        async fn stale(&self, _: &Cx, _: &Ask) -> Option<ChatReply> {
            self.stale.then(|| {
                let mut reply = Said::text("stale");
                (reply.provenance_mut().source, reply.provenance_mut().cache) = (Source::Cache, CacheUse::Stale);
                reply.provenance_mut().age = Some(Duration::from_mins(1));
                reply
            })
        }
    }

    fn saying(text: &'static str) -> BoxUpstream<Ask> {
        answering(move |_, _| async move { Ok(Said::text(text)) }).boxed()
    }

    fn broken() -> BoxUpstream<Ask> {
        failing(Error::new(Kind::Unavailable, "the standby is down"), usize::MAX).0.boxed()
    }

    fn default() -> Standby<Ask> {
        Standby::Default("default".into())
    }

    /// What is said, from where, and which strategy that was; or the kind of the error.
    type Expected = std::result::Result<(&'static str, Source, Strategy), Kind>;

    struct Case {
        what: &'static str,
        error: Error,
        /// Whether the cache below has a stale copy.
        stale: bool,
        sources: Vec<Standby<Ask>>,
        on_timeout: Option<Vec<Standby<Ask>>>,
        repeat: Repeat,
        expected: Expected,
    }

    impl Case {
        fn new(what: &'static str, kind: Kind, sources: Vec<Standby<Ask>>, expected: Expected) -> Self {
            let error = Error::new(kind, "the first");
            Self { what, error, stale: false, sources, on_timeout: None, repeat: Repeat::Safe, expected }
        }

        fn on_timeout(self, sources: Vec<Standby<Ask>>) -> Self {
            Self { on_timeout: Some(sources), ..self }
        }

        fn with_stale(self) -> Self {
            Self { stale: true, ..self }
        }

        fn acting(self) -> Self {
            Self { repeat: Repeat::Unsafe, ..self }
        }

        async fn check(self) {
            let Self { what, error, stale, sources, on_timeout, repeat, expected } = self;
            let (guard, counts) = guard();
            let layer = Fallback::new(Down { error, stale }, Sources { on_error: sources, on_timeout }, guard);
            match (layer.call(&cx(60), Ask { repeat, ..Ask::default() }).await, expected) {
                (Ok(reply), Ok((text, source, strategy))) => {
                    assert_eq!(reply.provenance().source, source, "{what}");
                    assert_eq!(Said::hear(reply).await.unwrap(), text, "{what}");
                    assert_eq!(counts.facts(), [crate::Fact::FellBack(strategy)], "{what}");
                }
                (Err(handed), Err(kind)) => {
                    assert_eq!((handed.kind(), handed.message()), (kind, "the first"), "{what}");
                    assert_eq!(counts.facts(), [], "{what}");
                }
                (answer, expected) => panic!("{what}: {answer:?}, not {expected:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_source_that_has_an_answer_gives_it() {
        use Standby::{Backup, Skip, Upstream};
        let (stale, backup) = (("stale", Source::Cache, Strategy::Stale), ("b", Source::Backup, Strategy::Backup));
        let (other, text) =
            (("o", Source::Backup, Strategy::Upstream), ("default", Source::Default, Strategy::Default));
        let left_out =
            ("u is away at the moment, and was left out: go on without it.", Source::Default, Strategy::Skip);
        let o = || Upstream(saying("o"));
        let stale_for = |seconds| Standby::Stale(Duration::from_secs(seconds));
        let cases = [
            Case::new("in order", Kind::Open, vec![stale_for(60), default()], Ok(stale)).with_stale(),
            Case::new("its own order", Kind::Open, vec![Backup(saying("b")), stale_for(60)], Ok(backup)).with_stale(),
            Case::new("nothing stale", Kind::Open, vec![stale_for(60), o()], Ok(other)),
            Case::new("past a broken one", Kind::Open, vec![Upstream(broken()), default()], Ok(text)),
            Case::new("all fail", Kind::Open, vec![Upstream(broken()), stale_for(60)], Err(Kind::Open)),
            Case::new("no sources", Kind::Open, vec![], Err(Kind::Open)).with_stale(),
            Case::new("another credential", Kind::Credential, vec![stale_for(60), o()], Ok(other)).with_stale(),
            Case::new("only another", Kind::Credential, vec![stale_for(60), default()], Err(Kind::Credential))
                .with_stale(),
            Case::new("no act twice", Kind::Timeout, vec![o(), default()], Ok(text)).acting(),
            Case::new("not sent, so not twice", Kind::Open, vec![o()], Ok(other)).acting(),
            Case::new("too old", Kind::Open, vec![stale_for(59), default()], Ok(text)).with_stale(),
            Case::new("left out", Kind::Open, vec![stale_for(60), Skip], Ok(left_out)),
            Case::new("too slow", Kind::Timeout, vec![default()], Ok(stale))
                .on_timeout(vec![stale_for(60)])
                .with_stale(),
            Case::new("not too slow", Kind::Open, vec![default()], Ok(text))
                .on_timeout(vec![stale_for(60)])
                .with_stale(),
            Case::new("nobody when slow", Kind::Timeout, vec![default()], Err(Kind::Timeout)).on_timeout(vec![]),
        ];
        for case in cases {
            case.check().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_caller_did_wrong_stays_wrong() {
        for kind in [Kind::Invalid, Kind::Refused, Kind::NotFound, Kind::Deadline, Kind::Cancelled, Kind::TooLong] {
            let sources = vec![Standby::Stale(Duration::MAX), Standby::Upstream(saying("o")), default()];
            Case::new("not for this", kind, sources, Err(kind)).with_stale().check().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_answer_is_left_alone() {
        struct Up;
        impl Upstream<Ask> for Up {
            async fn call(&self, _: &Cx, _: Ask) -> Result<ChatReply> {
                Ok(Said::text("a"))
            }
        }
        impl Keeps<Ask> for Up {
            async fn stale(&self, _: &Cx, _: &Ask) -> Option<ChatReply> {
                panic!("not asked")
            }
        }
        let (guard, counts) = guard();
        let reply =
            Fallback::new(Up, Sources { on_error: vec![Standby::Stale(Duration::MAX)], on_timeout: None }, guard)
                .call(&cx(60), Ask::default())
                .await
                .unwrap();
        assert_eq!((reply.provenance(), counts.facts()), (&Provenance::default(), vec![]));
    }
}
