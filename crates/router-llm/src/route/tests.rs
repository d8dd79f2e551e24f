//! Who is asked, in which order, and what is told when nobody answers.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use router_core::{
    Caller, Charge, Excess, Observation,
    chat::{Event, Image, Message, Needs, OnLoss, Part, Prompt, Role, Shape, Usage},
};

use super::*;
use crate::models::{Abilities, Price};

/// A provider that answers each model as its name says, and notes who was asked for what.
struct Scripted {
    name: &'static str,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream<Chat> for Scripted {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let cap = chat.cap.map(|cap| format!(" cap {cap}")).unwrap_or_default();
        let insists = if cx.insists() { " insisting" } else { "" };
        self.asked.lock().push(format!("{}/{}{cap}{insists}", self.name, chat.model));
        if chat.model.ends_with("mute") && chat.on_loss == Some(OnLoss::Reject) {
            return Err(Error::new(Kind::Refused, "no words for top_k").outcome_is(Outcome::NotSent));
        }
        let kind = Kind::ALL.into_iter().find(|kind| chat.model.ends_with(kind.as_str()));
        match kind {
            Some(Kind::Open) if cx.insists() => Ok(ChatReply::say(self.name)),
            Some(kind) => Err(Error::new(kind, format!("{} says {}", self.name, kind.as_str()))),
            None => {
                let usage = Event::Usage(Usage { input: 1_000_000, output: 500_000, ..Usage::default() });
                Ok(ChatReply::events(Shape::Whole, stream::iter([Ok(usage)])))
            }
        }
    }
}

#[derive(Default)]
struct Facts {
    facts: Mutex<Vec<(Name, Fact)>>,
    charges: Mutex<Vec<String>>,
}

impl Meter for Facts {
    fn fact(&self, upstream: &Name, fact: Fact) {
        self.facts.lock().push((Arc::clone(upstream), fact));
    }

    fn observe(&self, _: &Name, _: Observation) {}

    fn charge(&self, charge: &Charge<'_>) {
        let Charge { upstream, alias, caller, usage, dollars, dropped } = charge;
        let alias = alias.map_or("-", |alias| &**alias);
        let told = format!("{upstream} {alias} {caller} {} {dollars:?} {dropped}", usage.output);
        self.charges.lock().push(told);
    }
}

/// What is known of a model, by what its name begins with.
fn known(target: &Target) -> Known {
    let able = Abilities { images: Some(true), tools: Some(true), ..Abilities::default() };
    let blind = Abilities { images: Some(false), ..able };
    let sized = |window| Known { window: Some(window), max_output: Some(8_000), ..Known::default() };
    let price = Price { input: 2.0, output: 4.0, cache_read: 0.0, cache_write: 0.0, long: None };
    match target.model.split('-').next() {
        Some("blind") => Known { abilities: blind, ..Known::default() },
        Some("dull") => Known { abilities: Abilities { thinking: Some(false), ..able }, ..Known::default() },
        Some("small") => sized(10_000),
        Some("large") => sized(100_000),
        Some("dear") => Known { price: Some(price), ..Known::default() },
        _ => Known::default(),
    }
}

struct Bench {
    route: Route,
    asked: Arc<Mutex<Vec<String>>>,
    facts: Arc<Facts>,
}

impl Bench {
    fn with(aliases: &[(&str, &[&str])]) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let scripted = |name| (Name::from(name), Scripted { name, asked: Arc::clone(&asked) }.boxed());
        let targets = |names: &[&str]| names.iter().map(|name| Target::read(name).unwrap()).collect();
        let aliases = aliases.iter().map(|(name, list)| Alias {
            name: (*name).into(),
            targets: targets(list),
            on_loss: name.starts_with("strict").then_some(OnLoss::Reject),
        });
        let providers = ["one", "two", "three"];
        let facts = Arc::<Facts>::default();
        let spec = RouteSpec {
            names: Arc::new(Names::new(aliases.collect(), "one".into(), providers.map(Name::from)).unwrap()),
            providers: providers.map(scripted).into(),
            known: Box::new(|target| known(target).into()),
            stays: Box::new(|target| &*target.provider == "three"),
            label: Box::new(|target| target.to_string().into()),
            counter: Arc::default(),
            meter: Arc::<Facts>::clone(&facts),
        };
        Self { route: Route::new(spec), asked, facts }
    }

    async fn put(&self, chat: Chat) -> (Result<ChatReply>, Vec<String>) {
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let outcome = self.route.call(&cx, chat).await;
        (outcome, std::mem::take(&mut *self.asked.lock()))
    }

    async fn ask(&self, model: &str) -> (Result<ChatReply>, Vec<String>) {
        self.put(Chat::of(Prompt::ask("hi"), model, Shape::Whole)).await
    }
}

#[tokio::test]
async fn a_name_leads_to_its_provider_by_the_providers_own_name() {
    let bench = Bench::with(&[("big", &["two/large"]), ("odd/name", &["three/m"]), ("c-*", &["three/*"])]);
    let table = [
        ("two/m", "two/m"),
        ("two/org/m:free", "two/org/m:free"),
        ("big", "two/large"),
        ("odd/name", "three/m"),
        ("c-x", "three/c-x"),
        ("gpt-4o", "one/gpt-4o"),
    ];
    for (model, expect) in table {
        let (outcome, asked) = bench.ask(model).await;
        assert!(outcome.is_ok(), "{model}");
        assert_eq!(asked, [expect], "{model}");
    }
    assert_eq!(bench.ask("nobody/m").await.0.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_next_candidate_answers_where_it_may_fare_better() {
    for kind in Kind::ALL {
        let first = format!("one/{}", kind.as_str());
        let bench = Bench::with(&[("big", &[&first, "two/m"])]);
        let (outcome, asked) = bench.ask("big").await;
        let goes_on = kind.is_transient() || matches!(kind, Kind::Credential | Kind::NotFound | Kind::TooLong);
        assert_eq!((outcome.is_ok(), asked.len()), (goes_on, 1 + usize::from(goes_on)), "{kind:?}");
        let facts = std::mem::take(&mut *bench.facts.facts.lock());
        let expect = goes_on.then(|| ("one".into(), Fact::FellBack(Strategy::Upstream)));
        assert_eq!(facts, Vec::from_iter(expect), "{kind:?}");
    }
}

#[tokio::test]
async fn the_caller_reads_the_failure_that_helps() {
    let table: [(&[&str], &str); 5] = [
        (&["one/timeout", "two/unavailable"], "one says timeout"),
        (&["one/unavailable", "two/too_long", "three/timeout"], "two says too_long"),
        (&["one/too_long", "two/refused", "three/m"], "one says too_long"),
        (&["one/unavailable", "two/refused", "three/m"], "two says refused"),
        (&["one/cancelled", "two/m"], "one says cancelled"),
    ];
    for (candidates, expect) in table {
        let (outcome, _) = Bench::with(&[("big", candidates)]).ask("big").await;
        assert_eq!(outcome.unwrap_err().message(), expect);
    }
}

#[tokio::test]
async fn only_those_are_asked_whose_abilities_cover_the_question() {
    let picture = Part::Image(Image::Url("https://example.com/a.png".into()));
    let seeing = Prompt { messages: vec![Message { role: Role::User, parts: vec![picture] }], ..Prompt::default() };
    let needs = |needs: Needs| {
        let mut chat = Chat::of(Prompt::ask("hi"), "big", Shape::Whole);
        chat.needs = needs;
        chat
    };
    let thinking = || needs(Needs { thinking: true, ..Needs::default() });
    let pictured = || Chat::of(seeing.clone(), "big", Shape::Whole);
    let table: [(&[&str], Chat, &[&str]); 6] = [
        (&["one/blind", "two/m"], pictured(), &["two/m"]),
        (&["one/unavailable", "two/blind", "three/m"], pictured(), &["one/unavailable", "three/m"]),
        (&["one/blind", "two/m"], needs(Needs::default()), &["one/blind"]),
        (&["one/dull", "two/m"], thinking(), &["two/m"]),
        (&["one/blind"], pictured(), &["one/blind"]),
        (&["one/blind", "two/dull"], needs(Needs { images: true, thinking: true, ..Needs::default() }), &["two/dull"]),
    ];
    for (candidates, chat, expect) in table {
        let (outcome, asked) = Bench::with(&[("big", candidates)]).put(chat).await;
        assert!(outcome.is_ok(), "{candidates:?}");
        assert_eq!(asked, expect, "{candidates:?}");
    }
}

#[tokio::test]
async fn who_would_let_a_private_question_out_is_no_candidate() {
    let table: [(&[&str], &[&str]); 3] = [
        (&["one/m", "three/m"], &["three/m"]),
        (&["one/m", "three/dull"], &["three/dull"]),
        // The fence around it refuses.
        (&["one/m", "two/m"], &["one/m"]),
    ];
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1)).kept_local();
    for (candidates, expect) in table {
        let bench = Bench::with(&[("big", candidates)]);
        let mut chat = Chat::of(Prompt::ask("hi"), "big", Shape::Whole);
        chat.needs.thinking = true;
        assert!(bench.route.call(&cx, chat).await.is_ok());
        assert_eq!(*bench.asked.lock(), expect, "{candidates:?}");
        assert_eq!(*bench.facts.facts.lock(), [], "nobody was fallen back from");
    }
}

/// A question of about so many tokens, whose answer may have `max_tokens`.
fn long(tokens: usize, max_tokens: Option<u64>) -> Chat {
    let prompt = Prompt { max_tokens, ..Prompt::ask("one ".repeat(tokens)) };
    Chat::of(prompt, "big", Shape::Whole)
}

#[tokio::test]
async fn a_question_goes_to_whoever_has_room_for_it() {
    let both: &[&str] = &["one/small", "two/large"];
    let table: [(&[&str], Chat, &[&str]); 7] = [
        (both, long(1_000, None), &["one/small"]),
        (both, long(1_000, Some(32_000)), &["one/small cap 8000"]),
        (both, long(20_000, None), &["two/large"]),
        (both, long(20_000, Some(32_000)), &["two/large cap 8000"]),
        (
            &["one/small-too_long", "two/small", "three/large"],
            long(1_000, None),
            &["one/small-too_long", "three/large"],
        ),
        (&["one/large-too_long", "two/m"], long(1_000, None), &["one/large-too_long", "two/m"]),
        (&["one/small-unavailable", "two/small"], long(1_000, None), &["one/small-unavailable", "two/small"]),
    ];
    for (candidates, chat, expect) in table {
        let (outcome, asked) = Bench::with(&[("big", candidates)]).put(chat).await;
        assert!(outcome.is_ok(), "{candidates:?}");
        assert_eq!(asked, expect, "{candidates:?}");
    }
}

#[tokio::test]
async fn what_fits_nobody_is_refused_with_the_numbers_of_the_roomiest() {
    let (outcome, asked) = Bench::with(&[("big", &["two/large", "one/small"])]).put(long(200_000, None)).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.upstream().map(|name| &**name), asked.len()), (Kind::TooLong, Some("two"), 0));
    let Excess { question, answer, window } = error.excess().unwrap();
    assert!(question > 190_000 && answer.is_none() && window == 100_000, "{error}");
}

#[tokio::test]
async fn where_all_breakers_are_open_the_soonest_is_tried() {
    let (outcome, asked) = Bench::with(&[("big", &["one/open", "two/open"])]).ask("big").await;
    assert!(outcome.is_ok());
    assert_eq!(asked, ["one/open", "two/open", "one/open insisting"]);
    let (outcome, asked) = Bench::with(&[("big", &["one/open"])]).ask("big").await;
    assert_eq!((outcome.unwrap_err().kind(), asked.len()), (Kind::Open, 1), "a breaker alone keeps its word");
}

#[tokio::test]
async fn a_loss_is_taken_or_not_as_the_alias_or_the_question_says() {
    let candidates: &[&str] = &["one/mute", "two/m"];
    let bench = Bench::with(&[("big", candidates), ("strict", candidates), ("strict-alone", &["one/mute"])]);
    let table = [
        ("big", None, "one/mute"),
        ("strict", None, "one/mute, two/m"),
        ("strict", Some(OnLoss::Degrade), "one/mute"),
        ("big", Some(OnLoss::Reject), "one/mute, two/m"),
    ];
    for (model, on_loss, expect) in table {
        let mut chat = Chat::of(Prompt::ask("hi"), model, Shape::Whole);
        chat.on_loss = on_loss;
        let (outcome, asked) = bench.put(chat).await;
        assert!(outcome.is_ok());
        assert_eq!(asked.join(", "), expect, "{model} {on_loss:?}");
    }
    assert_eq!(bench.ask("strict-alone").await.0.unwrap_err().message(), "no words for top_k");
}

#[tokio::test]
async fn an_answer_is_billed_when_its_last_byte_has_gone() {
    let bench = Bench::with(&[("big", &["one/dear"]), ("cheap", &["two/m"])]);
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
    for (model, expect, cost) in [
        ("big", "one/dear big anonymous 500000 Some(4.0) 0", Some(4.0)),
        ("one/dear", "one/dear - anonymous 500000 Some(4.0) 0", Some(8.0)),
        ("cheap", "two/m cheap anonymous 500000 None 0", None),
    ] {
        let reply = bench.route.call(&cx, Chat::of(Prompt::ask("hi"), model, Shape::Whole)).await.unwrap();
        assert_eq!(bench.facts.charges.lock().len(), 0, "not before its end");
        reply.collect::<Vec<_>>().await;
        assert_eq!(std::mem::take(&mut *bench.facts.charges.lock()), [expect]);
        assert_eq!(cx.trail().cost(), cost, "all that this call asked for together");
    }
}
