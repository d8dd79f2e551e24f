//! Questions that mean the same: their vectors are near one another, and the gate finds nothing to tell them apart by.
//!
//! Whatever goes wrong here (nobody gives vectors, or not in time; the store is away) makes no answer late or wrong: the
//! question is asked as if it were the first of its kind.

use std::{sync::Arc, time::Duration};

use router_core::{
    BoxUpstream, Cx, Kind, Name, Reply, Store, Upstream,
    chat::Chat,
    embed::{Embed, Vectors},
    layer::answers::Key,
};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{
    PromptParts, gate,
    matrix::Direction,
    notes::Notes,
    question,
    questions::{Known, Questions},
};

/// So many kept answers are looked for; each may be in the shared store, which takes its time.
const TRIES: usize = 3;

/// After so many seconds it is looked up what other replicas have noted since.
const REFRESH_SECONDS: i64 = 30;

/// Which questions are compared by their meaning, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct MeaningPolicy {
    /// Questions that are remembered, at the most.
    pub max_questions: usize,
    /// How near the meanings of two have to be (cosine).
    pub threshold: f64,
    /// Questions with a higher temperature are not compared.
    pub max_temperature: f64,
    /// Who tells meanings: a model, or an alias.
    pub embed: Name,
    /// How long he is waited for.
    pub embed_timeout: Duration,
}

/// Which questions were answered, by what they mean.
pub(super) struct Meanings<S> {
    policy: MeaningPolicy,
    embeddings: BoxUpstream<Embed>,
    questions: Arc<Questions>,
    notes: Notes<S>,
    tasks: TaskTracker,
    clock: fn() -> i64,
}

/// A question that may be answered with the answer to another.
#[derive(Clone)]
pub(super) struct Meant {
    /// Only questions of the same partition answer one another: all but the last words is the same, and who asks.
    partition: Key,
    text: Arc<str>,
    direction: Direction,
    /// Whether it may be told to the shared store.
    is_shared: bool,
}

impl<S: Store> Meanings<S> {
    pub(super) fn new(parts: &PromptParts<S>) -> Self {
        Self {
            policy: parts.meaning.clone(),
            embeddings: parts.embeddings.clone(),
            questions: Arc::new(Questions::new(parts.meaning.max_questions)),
            notes: Notes::new(parts.store.clone()),
            tasks: parts.tasks.clone(),
            clock: parts.clock,
        }
    }

    /// What `chat` means; `None` where it must not be compared with others, or where nobody tells in time.
    pub(super) async fn of(&self, cx: &Cx, key: &[u8; 32], chat: &Chat) -> Option<Meant> {
        let (rest, text) = question::halves(key, chat, self.policy.max_temperature)?;
        if !gate::is_comparable(&text) {
            return None;
        }
        let (aside, _) = cx.aside().within(Some(self.policy.embed_timeout), Kind::Timeout);
        let query = Embed::of([text.clone()], Arc::clone(&self.policy.embed));
        let asked = timeout(self.policy.embed_timeout, cx.wait(self.embeddings.call(&aside, query)));
        let vectors = asked.await.ok()?.ok()?.ok()?;
        let direction = vectors.matrix().ok()?.rows().next().and_then(Direction::of)?;
        let partition = Key::new(&cx.caller().tenant, question::told_by(&rest, &teller(&vectors)));
        Some(Meant { partition, text: text.into(), direction, is_shared: !cx.is_local() })
    }

    /// The keys of answers to questions that mean the same, the nearest first.
    pub(super) async fn same(&self, meant: &Meant) -> Vec<Key> {
        let now = (self.clock)();
        if meant.is_shared && self.notes.are_shared() && self.questions.is_due(meant.partition, now, REFRESH_SECONDS) {
            self.questions.add(meant.partition, self.notes.of(meant.partition, meant.direction.steps.len()).await);
        }
        let (questions, meant, threshold) = (Arc::clone(&self.questions), meant.clone(), self.policy.threshold);
        // Milliseconds where very many are known: not on a thread that serves others meanwhile.
        let search = self.tasks.spawn_blocking(move || {
            let near = questions.near(meant.partition, &meant.direction, threshold, now);
            let same = near.into_iter().filter(|(_, text)| gate::same(text, &meant.text)).map(|(key, _)| key);
            same.take(TRIES).collect()
        });
        search.await.unwrap_or_default()
    }

    /// The answer under `key` was given to `meant`.
    pub(super) fn used(&self, meant: &Meant, key: Key) {
        self.questions.used(meant.partition, key);
    }

    /// Remembers that the answer to `meant` is under `key`, for the time `keep`; and gives back what is left to do for
    /// other replicas.
    pub(super) fn note(
        &self,
        meant: Meant,
        key: Key,
        keep: Duration,
    ) -> Option<impl Future<Output = ()> + Send + use<S>> {
        let now = (self.clock)();
        let until = now.saturating_add(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
        let known = Known { key, text: meant.text, until, meaning: meant.direction };
        self.questions.add(meant.partition, [known.clone()]);
        let notes = self.notes.clone();
        let is_told = meant.is_shared && notes.are_shared();
        is_told.then_some(async move { notes.add(meant.partition, known, now, keep).await })
    }
}

/// Vectors of two models mean nothing to one another.
fn teller(vectors: &Vectors) -> String {
    let told = vectors.provenance();
    let width = vectors.matrix().map_or(0, |matrix| matrix.width());
    format!("{:?}", (told.upstream.as_deref(), told.model.as_deref(), width))
}

#[cfg(test)]
pub(super) mod tests {
    use router_core::{CacheUse, Error, MemoryStore, Result, chat::Usage, embed::Matrix};
    use tokio::time::sleep;

    use super::*;
    use crate::prompt_cache::tests::{Bench, arrived, asking, chat, said};

    pub(in super::super) fn policy() -> MeaningPolicy {
        MeaningPolicy {
            max_questions: 9,
            threshold: 0.85,
            max_temperature: 0.3,
            embed: "embed".into(),
            embed_timeout: Duration::from_millis(500),
        }
    }

    /// All that is said points one way, so that only the gate can tell it apart; but nobody understands "down", and "slow"
    /// is understood too late.
    pub(in super::super) struct Understands;

    impl Upstream<Embed> for Understands {
        async fn call(&self, _: &Cx, query: Embed) -> Result<Vectors> {
            let words = query.texts()?.inputs.join(" ");
            if words.contains("down") {
                return Err(Error::new(Kind::Unavailable, "nobody is there"));
            }
            if words.contains("slow") {
                sleep(Duration::from_secs(5)).await;
            }
            let way = if words.contains("other way") { [0.0, 1.0] } else { [1.0, 0.1] };
            Ok(Vectors::of(Matrix::of([way])?, Usage::default()))
        }
    }

    const PARAPHRASES: [&str; 2] = ["What is the capital of France?", "Tell me France's capital."];

    fn body(rest: &str, text: &str) -> Chat {
        arrived(
            &crate::dialect::openai_chat::OPENAI_CHAT,
            format!(r#"{{"model":"like",{rest}"messages":[{{"role":"user","content":"{text}"}}]}}"#),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_means_the_same_is_answered_with_the_same() {
        let bench = Bench::new();
        let [one, other] = PARAPHRASES;
        assert_eq!(bench.ask(chat("like", one)).await, said("1", CacheUse::Miss, 0));
        assert_eq!(bench.ask(chat("like", other)).await, said("1", CacheUse::Semantic, 0));
        assert_eq!(bench.ask(chat("like", one)).await, said("1", CacheUse::Hit, 0));
        assert_eq!(bench.ask_as("another", chat("like", other)).await, said("2", CacheUse::Miss, 0));
        assert_eq!(
            bench.ask(chat("big", other)).await,
            said("3", CacheUse::Miss, 0),
            "where only the same is the same"
        );
        tokio::time::advance(Duration::from_mins(2)).await;
        assert_eq!(bench.ask(chat("like", other)).await, said("4", CacheUse::Miss, 0), "it is too old");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_not_the_same_is_asked() {
        let [one, other] = PARAPHRASES;
        let picture = r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y.png"}}]},{"role":"user","content":"QUESTION"}]"#;
        let pictured = |text: &str| {
            let body = format!(r#"{{"model":"like",{}}}"#, picture.replace("QUESTION", text));
            arrived(&crate::dialect::openai_chat::OPENAI_CHAT, body)
        };
        let tool = r#""tools":[{"type":"function","function":{"name":"now","parameters":{"type":"object"}}}],"#;
        let system = r#""temperature":0.1,"#;
        let table = [
            (body("", one), body("", other), CacheUse::Semantic),
            (body(system, one), body(system, other), CacheUse::Semantic),
            (body("", one), body("", "What is the capital of Germany?"), CacheUse::Miss),
            (body("", "how to enable dark mode"), body("", "how to disable dark mode"), CacheUse::Miss),
            (body("", "what is 15 percent of 80"), body("", "what is 15 percent of 90"), CacheUse::Miss),
            (body(system, one), body("", other), CacheUse::Miss),
            (body(r#""temperature":0.9,"#, one), body(r#""temperature":0.9,"#, other), CacheUse::Miss),
            (body(tool, one), body(tool, other), CacheUse::Miss),
            (body(r#""web_search_options":{},"#, one), body(r#""web_search_options":{},"#, other), CacheUse::Miss),
            (pictured(one), pictured(other), CacheUse::Miss),
            (body("", "What is up there?"), body("", "What's up there?"), CacheUse::Semantic),
            (body("", "What is down there?"), body("", "What's down there?"), CacheUse::Miss),
            (body("", "What is slow there?"), body("", "What's slow there?"), CacheUse::Miss),
            (body("", "Which is the other way there?"), body("", "Which is the way there?"), CacheUse::Miss),
        ];
        for (first, second, expected) in table {
            let bench = Bench::new();
            bench.ask(first.clone()).await;
            let (_, found, _) = bench.ask(second.clone()).await;
            assert_eq!(found, expected, "{:?} / {:?}", first.prompt(), second.prompt());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_tell_one_another_what_they_were_asked() {
        let store = Arc::new(MemoryStore::new(8));
        let (one, other) = (Bench::sharing(Some(Arc::clone(&store))), Bench::sharing(Some(store)));
        assert_eq!(one.ask(chat("like", PARAPHRASES[0])).await, said("1", CacheUse::Miss, 0));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(other.ask(chat("like", PARAPHRASES[1])).await, said("1", CacheUse::Semantic, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_leave_this_machine_is_told_to_nobody() {
        let store = Arc::new(MemoryStore::new(8));
        let bench = Bench::sharing(Some(Arc::clone(&store)));
        let told = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            format!("{store:?}").contains("France")
        };
        let local = asking("me").kept_local();
        assert_eq!(bench.ask_for(&local, chat("like", PARAPHRASES[0])).await, said("1", CacheUse::Miss, 0));
        assert_eq!(bench.ask_for(&local, chat("like", PARAPHRASES[1])).await, said("1", CacheUse::Semantic, 0));
        assert!(!told().await);
        assert_eq!(bench.ask_as("another", chat("like", PARAPHRASES[0])).await, said("2", CacheUse::Miss, 0));
        assert!(told().await);
    }
}
