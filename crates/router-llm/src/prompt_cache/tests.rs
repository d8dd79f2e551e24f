//! The layer as its callers see it: what is given again, to whom, for how long, and what never is.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use parking_lot::Mutex;
use router_core::{
    Caller, Error, Kind, MemoryStore, Observation, Scope,
    chat::{Dialect, Event, Frame, Keep, Part, Shape, StopReason, Wire, fold},
};
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    dialect::{Language, anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT},
    route::{Alias, Target},
};

/// Answers with the number of the call, in OpenAI's words, after a second; ends as the model's name says.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Upstream<Chat> for Counting {
    async fn call(&self, _: &Cx, chat: Chat) -> Result<ChatReply> {
        let call = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(Duration::from_secs(1)).await;
        let finish = match &*chat.model {
            "failing" if call > 1 => return Err(Error::new(Kind::Unavailable, "down")),
            "broken" => {
                let frames = [Ok(Event::Text("x".into())), Err(Error::new(Kind::Protocol, "cut"))];
                return Ok(ChatReply::events(Shape::Stream, stream::iter(frames)));
            }
            "truncated" => "length",
            "refused" => "content_filter",
            _ => "stop",
        };
        let body = format!(
            r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{call}"}},"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}}}"#
        );
        let usage = Some(Box::new(Usage { input: 3, output: 4, ..Usage::default() }));
        let frame = Frame::Wire { bytes: Bytes::from(body), usage };
        let meta = [("x-ratelimit-remaining-requests", "7"), ("openai-version", "1")].into_iter().collect();
        let mut reply = ChatReply::wire(&OPENAI_CHAT, Shape::Whole, meta, stream::iter([Ok(frame)]));
        (reply.provenance_mut().upstream, reply.provenance_mut().model) = (Some("openai".into()), Some("m".into()));
        Ok(reply)
    }
}

#[derive(Default)]
struct Facts(Mutex<Vec<(Name, Fact)>>);

impl Meter for Facts {
    fn fact(&self, upstream: &Name, fact: Fact) {
        self.0.lock().push((Name::clone(upstream), fact));
    }
    fn observe(&self, _: &Name, _: Observation) {}
}

const MINUTE: Duration = Duration::from_mins(1);

pub(super) struct Bench {
    cache: PromptCache<MemoryStore>,
    facts: Arc<Facts>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::sharing(None)
    }

    pub(super) fn sharing(store: Option<Arc<MemoryStore>>) -> Self {
        let facts = Arc::<Facts>::default();
        let alias =
            |name: &str| Alias { name: name.into(), targets: vec![Target::read("openai/m").unwrap()], on_loss: None };
        let aliases = ["big", "short", "off", "failing", "broken", "truncated", "refused", "like"];
        let names = Names::new(aliases.map(alias).into(), "openai".into(), ["openai".into()]).unwrap();
        let keeping = aliases.map(|name| {
            let reach = match name {
                "off" => Reach::Off,
                "like" => Reach::Semantic,
                _ => Reach::Exact,
            };
            (name.into(), Keeping { reach, ttl: (name == "short").then_some(Duration::from_secs(10)) })
        });
        let parts = PromptParts {
            policy: PromptPolicy { ttl: MINUTE, stale: MINUTE, max_bytes: 1 << 20, max_entry_bytes: 1 << 16 },
            meaning: meaning::tests::policy(),
            embeddings: meaning::tests::Understands.boxed(),
            key: [7; 32],
            names: Arc::new(names),
            keeping: keeping.into(),
            store,
            tasks: TaskTracker::new(),
            meter: Arc::clone(&facts) as Arc<dyn Meter>,
            cost: Arc::new(|_, _, usage| Some(if usage.output == 4 { 0.5 } else { 0.0 })),
            clock: || 0,
        };
        Self { cache: PromptCache::new(parts, Counting::default().boxed()), facts }
    }

    pub(super) async fn ask(&self, chat: Chat) -> Heard {
        self.ask_as("me", chat).await
    }

    pub(super) async fn ask_as(&self, tenant: &str, chat: Chat) -> Heard {
        self.ask_for(&asking(tenant), chat).await
    }

    pub(super) async fn ask_for(&self, cx: &Cx, chat: Chat) -> Heard {
        match self.cache.call(cx, chat).await {
            Ok(reply) => heard(reply).await,
            Err(error) => (error.message().to_owned(), CacheUse::None, None),
        }
    }
}

pub(super) fn asking(tenant: &str) -> Cx {
    let caller = Caller { tenant: Scope::Tenant(tenant.into()), ..Caller::anonymous("r") };
    Cx::new(Arc::new(caller), Duration::from_hours(1))
}

/// What is said, what the cache had to do with it, and how old it is in seconds.
pub(super) type Heard = (String, CacheUse, Option<u64>);

async fn heard(reply: ChatReply) -> Heard {
    let (cache, age) = (reply.provenance().cache, reply.provenance().age.map(|age| age.as_secs()));
    let events = reply.into_events().filter_map(async |event| event.ok()).collect::<Vec<_>>().await;
    let mut parts = fold(events).message.parts.into_iter();
    let said = parts.find_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
    // The task that records has to see the end before somebody else asks.
    tokio::task::yield_now().await;
    (said.unwrap_or_default(), cache, age)
}

pub(super) fn said(text: &str, cache: CacheUse, age: impl Into<Option<u64>>) -> Heard {
    (text.to_owned(), cache, age.into())
}

pub(super) fn arrived(language: &'static dyn Language, body: String) -> Chat {
    let body = Bytes::from(body);
    let head = language.head(&body).unwrap();
    Chat::arrived(
        Wire { dialect: language as &dyn Dialect, body, model: head.model_at, limit: head.limit_at, needs: head.needs },
        Meta::default(),
        head.model,
        head.shape,
    )
}

pub(super) fn chat(model: &str, text: &str) -> Chat {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    arrived(&OPENAI_CHAT, body)
}

fn with(chat: Chat, keep: Keep) -> Chat {
    let mut chat = chat;
    chat.keep = keep;
    chat
}

#[tokio::test(start_paused = true)]
async fn the_same_question_is_answered_with_the_kept_answer_until_it_is_too_old() {
    let bench = Bench::new();
    assert_eq!(bench.ask(chat("big", "a")).await, said("1", CacheUse::Miss, 0));
    advance(Duration::from_secs(59)).await;
    assert_eq!(bench.ask(chat("big", "a")).await, said("1", CacheUse::Hit, 59));
    assert_eq!(bench.ask(chat("big", "b")).await, said("2", CacheUse::Miss, 0));
    advance(Duration::from_secs(2)).await;
    assert_eq!(bench.ask(chat("big", "a")).await, said("3", CacheUse::Miss, 0));
    assert_eq!(bench.ask(chat("short", "a")).await, said("4", CacheUse::Miss, 0));
    advance(Duration::from_secs(11)).await;
    assert_eq!(bench.ask(chat("short", "a")).await, said("5", CacheUse::Miss, 0));
    let label = |fact| ("prompt_cache/big".into(), fact);
    let saved = Usage { input: 3, output: 4, ..Usage::default() };
    let facts = bench.facts.0.lock();
    assert_eq!(facts[..2], [label(Fact::CacheMiss), label(Fact::CacheHit)]);
    assert_eq!(facts[2..4], [label(Fact::SavedTokens(saved)), label(Fact::SavedCost(0.5))]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_goes_out_in_its_own_bytes_without_what_told_of_its_moment() {
    let bench = Bench::new();
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), MINUTE);
    let mut bodies = Vec::new();
    for told in [2, 1] {
        let reply = bench.cache.call(&cx, chat("big", "a")).await.unwrap();
        assert_eq!(reply.meta.iter().count(), told);
        assert_eq!((reply.dialect.unwrap().name(), reply.shape), (OPENAI_CHAT.name(), Shape::Whole));
        let frames: Vec<Bytes> = reply
            .map(|frame| if let Ok(Frame::Wire { bytes, .. }) = frame { bytes } else { Bytes::new() })
            .collect()
            .await;
        bodies.push(frames);
        tokio::task::yield_now().await;
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_that_nobody_wants_kept_or_that_came_to_a_bad_end() {
    let how = |reach| Keep { keeping: Some(Keeping { reach, ttl: None }), ..Keep::default() };
    let never = Keep { never: true, ..Keep::default() };
    let table = [
        (chat("off", "a"), CacheUse::None),
        (chat("openai/m", "a"), CacheUse::None),
        (with(chat("big", "a"), never), CacheUse::None),
        (with(chat("big", "a"), how(Reach::Off)), CacheUse::None),
        (chat("broken", "a"), CacheUse::Miss),
        (chat("truncated", "a"), CacheUse::Miss),
        (chat("refused", "a"), CacheUse::Miss),
        (with(chat("openai/m", "a"), how(Reach::Exact)), CacheUse::Hit),
        (with(chat("off", "a"), how(Reach::Exact)), CacheUse::Hit),
        (chat("big", "a"), CacheUse::Hit),
    ];
    for (chat, expected) in table {
        let bench = Bench::new();
        bench.ask(chat.clone()).await;
        let (_, second, _) = bench.ask(chat.clone()).await;
        assert_eq!(second, expected, "{chat:?} {:?}", chat.keep);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_says_how_old_an_answer_may_be() {
    let bench = Bench::new();
    bench.ask(chat("big", "a")).await;
    advance(Duration::from_secs(30)).await;
    let aged =
        |seconds| with(chat("big", "a"), Keep { max_age: Some(Duration::from_secs(seconds)), ..Keep::default() });
    assert_eq!(bench.ask(aged(31)).await, said("1", CacheUse::Hit, 30));
    assert_eq!(bench.ask(aged(29)).await, said("2", CacheUse::Miss, 0), "and it is kept anew");
    assert_eq!(bench.ask(aged(0)).await, said("3", CacheUse::Miss, 0));
    assert_eq!(bench.ask(chat("big", "a")).await, said("3", CacheUse::Hit, 0));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_stands_in_when_nobody_else_answers() {
    let bench = Bench::new();
    bench.ask(chat("failing", "a")).await;
    advance(Duration::from_secs(70)).await;
    assert_eq!(bench.ask(chat("failing", "a")).await, said("1", CacheUse::Stale, 71));
    let fresh = with(chat("failing", "a"), Keep { max_age: Some(Duration::ZERO), ..Keep::default() });
    assert_eq!(bench.ask(fresh).await, said("down", CacheUse::None, None));
    advance(MINUTE).await;
    assert_eq!(bench.ask(chat("failing", "a")).await, said("down", CacheUse::None, None));
}

#[tokio::test(start_paused = true)]
async fn tenants_do_not_read_one_anothers_answers() {
    let bench = Bench::new();
    assert_eq!(bench.ask_as("a", chat("big", "x")).await, said("1", CacheUse::Miss, 0));
    assert_eq!(bench.ask_as("b", chat("big", "x")).await, said("2", CacheUse::Miss, 0));
    assert_eq!(bench.ask_as("a", chat("big", "x")).await, said("1", CacheUse::Hit, 1));
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_the_same_are_one_question() {
    let bench = Bench::new();
    let answers = join_all((0..20).map(|_| bench.ask(chat("big", "a")))).await;
    assert!(answers.iter().all(|(text, ..)| text == "1"), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, found, _)| *found == CacheUse::Hit).count(), 19);
}

#[tokio::test(start_paused = true)]
async fn replicas_share_a_store() {
    let store = Arc::new(MemoryStore::new(8));
    let one = Bench::sharing(Some(Arc::clone(&store)));
    let other = Bench::sharing(Some(store));
    assert_eq!(one.ask(chat("big", "a")).await, said("1", CacheUse::Miss, 0));
    tokio::task::yield_now().await;
    assert_eq!(other.ask(chat("big", "a")).await, said("1", CacheUse::Hit, 0));
    assert_eq!(other.ask(chat("big", "a")).await, said("1", CacheUse::Hit, 0), "from its own memory now");
    assert_eq!(other.ask_as("b", chat("big", "a")).await, said("1", CacheUse::Miss, 0), "its own first call");
}

#[test]
fn a_question_is_known_by_all_that_can_change_its_answer() {
    let key = [7; 32];
    let books = |suffix: &str, text: &str| {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,"system":[{{"type":"text","text":"x-anthropic-billing-header: cc_version={suffix};"}},{{"type":"text","text":"Be kind."}}],"messages":[{{"role":"user","content":"{text}"}}]}}"#
        );
        arrived(&ANTHROPIC, body)
    };
    let print = |chat: &Chat| question::hash(&key, chat).unwrap();
    assert_eq!(print(&books("1", "a")), print(&books("2", "a")));
    let mut changed = [books("1", "a"), books("2", "a")];
    for chat in &mut changed {
        chat.change(|_| ()).unwrap();
    }
    assert_eq!(print(&changed[0]), print(&changed[1]));

    let mut beta = books("1", "a");
    beta.meta = [("anthropic-beta", "x")].into_iter().collect();
    let mut streamed = chat("m", "a");
    streamed.shape = Shape::Stream;
    let distinct =
        [books("1", "a"), books("1", "b"), changed[0].clone(), beta, chat("m", "a"), chat("n", "a"), streamed];
    let prints: std::collections::HashSet<_> = distinct.iter().map(print).collect();
    assert_eq!(prints.len(), distinct.len());
    assert_ne!(question::hash(&[8; 32], &chat("m", "a")).unwrap(), print(&chat("m", "a")));
}

#[test]
fn only_a_good_end_is_worth_keeping() {
    use StopReason::{ContextWindow, EndTurn, MaxTokens, Pause, Refusal, StopSequence, ToolUse};
    for (reason, good) in [
        (EndTurn, true),
        (StopSequence, true),
        (ToolUse, true),
        (MaxTokens, false),
        (Refusal, false),
        (ContextWindow, false),
        (Pause, false),
    ] {
        assert_eq!(worth::is_good(reason), good, "{reason:?}");
    }
}
