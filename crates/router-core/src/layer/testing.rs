//! What the tests of the layers share: a question, answers with known faults, and a meter that remembers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::guard::{Guard, GuardPolicy};
use crate::{
    Caller, Cx, Error, Fact, Fingerprint, Kind, Meter, Name, Observation, Query, Repeat, Result, Scope, Upstream,
    chat::{ChatReply, Event, Frame, Shape},
    upstream::Answering,
};

/// A question whose answer streams.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) words: &'static str,
    pub(crate) repeat: Repeat,
    pub(crate) keep: bool,
    pub(crate) whole: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self { words: "?", repeat: Repeat::Safe, keep: true, whole: false }
    }
}

impl Ask {
    pub(crate) fn words(words: &'static str) -> Self {
        Self { words, ..Self::default() }
    }

    pub(crate) fn whole(self) -> Self {
        Self { whole: true, ..self }
    }
}

impl Query for Ask {
    type Reply = ChatReply;

    fn operation(&self) -> &'static str {
        "ask"
    }

    fn subject(&self) -> &str {
        self.words
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn answered_whole(&self) -> bool {
        self.whole
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.keep.then(|| Fingerprint::of([self.words.as_bytes()]))
    }

    fn say(&self, text: &str) -> Option<ChatReply> {
        Some(ChatReply::say(text))
    }

    fn words(&self) -> String {
        self.words.to_owned()
    }
}

/// Answers, and how to read them.
pub(crate) struct Said;

impl Said {
    pub(crate) fn text(text: &str) -> ChatReply {
        ChatReply::say(text)
    }

    /// One frame after each of the gaps, in seconds.
    pub(crate) fn frames(gaps: &'static [u64]) -> ChatReply {
        let frames = stream::iter(gaps).then(|gap| async move {
            sleep(Duration::from_secs(*gap)).await;
            Ok(Event::Text("x".into()))
        });
        ChatReply::events(Shape::Stream, frames)
    }

    /// One frame, then an error.
    pub(crate) fn broken(kind: Kind) -> ChatReply {
        let frames = [Ok(Event::Text("x".into())), Err(Error::new(kind, "broken off"))];
        ChatReply::events(Shape::Stream, stream::iter(frames))
    }

    /// One frame, then nothing, ever.
    pub(crate) fn endless() -> ChatReply {
        ChatReply::events(Shape::Stream, stream::iter([Ok(Event::Text("x".into()))]).chain(stream::pending()))
    }

    /// How many frames there are, or the error that ended them.
    pub(crate) async fn read(reply: ChatReply) -> Result<usize> {
        let frames: Vec<_> = reply.collect().await;
        frames.into_iter().collect::<Result<Vec<_>>>().map(|frames| frames.len())
    }

    /// The text of an answer.
    pub(crate) async fn hear(reply: ChatReply) -> Result<String> {
        let frames = reply.collect::<Vec<_>>().await.into_iter().collect::<Result<Vec<_>>>()?;
        let text = |frame: Frame| match frame {
            Frame::Events(events) => {
                events.into_iter().filter_map(|event| if let Event::Text(text) = event { Some(text) } else { None })
            }
            Frame::Wire { .. } => unreachable!("tests speak in events"),
        };
        Ok(frames.into_iter().flat_map(text).collect())
    }
}

/// An upstream that is a closure.
pub(crate) fn answering<F, A>(answer: F) -> Answering<F>
where
    F: Fn(Cx, Ask) -> A + Send + Sync + 'static,
    A: Future<Output = Result<ChatReply>> + Send,
{
    Answering(answer)
}

/// An upstream that fails so many times before it answers "a"; and how often it was asked.
pub(crate) fn failing(error: Error, times: usize) -> (impl Upstream<Ask>, impl Fn() -> u32) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = answering(move |_, _| {
        let fails = asked.fetch_add(1, Ordering::Relaxed) < times;
        let answer = if fails { Err(error.clone()) } else { Ok(Said::text("a")) };
        async { answer }
    });
    (upstream, move || u32::try_from(count.load(Ordering::Relaxed)).unwrap())
}

/// A meter that remembers.
#[derive(Default)]
pub(crate) struct Counts {
    facts: Mutex<Vec<Fact>>,
    observations: Mutex<Vec<Observation>>,
}

impl Counts {
    pub(crate) fn of(&self, fact: Fact) -> u32 {
        u32::try_from(self.facts.lock().iter().filter(|&&other| other == fact).count()).unwrap()
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        std::mem::take(&mut *self.facts.lock())
    }

    pub(crate) fn observations(&self) -> Vec<Observation> {
        std::mem::take(&mut *self.observations.lock())
    }
}

impl Meter for Counts {
    fn fact(&self, _: &Name, fact: Fact) {
        self.facts.lock().push(fact);
    }

    fn observe(&self, _: &Name, observation: Observation) {
        self.observations.lock().push(observation);
    }
}

pub(crate) fn guard() -> (Arc<Guard>, Arc<Counts>) {
    guard_with(GuardPolicy::default())
}

pub(crate) fn guard_with(policy: GuardPolicy) -> (Arc<Guard>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Guard::new("u".into(), policy, Arc::clone(&counts) as Arc<dyn Meter>), counts)
}

/// A call with so many seconds left.
pub(crate) fn cx(seconds: u64) -> Cx {
    Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(seconds))
}

/// A call of another tenant.
pub(crate) fn cx_of(tenant: &str) -> Cx {
    let caller = Caller { tenant: Scope::Tenant(tenant.into()), ..Caller::anonymous("r") };
    Cx::new(Arc::new(caller), Duration::from_mins(1))
}
