//! The cache: old answers while new ones are fetched, what is forgotten by name, and the second level.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt, future::join_all};
use parking_lot::Mutex;
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    Error, Kind, Provenance, Raw,
    layer::{
        second::Later,
        sweep::Sweep,
        testing::{Ask, answering, cx, cx_of, guard},
    },
    tool::{Answer, ToolCall},
    upstream::Answering,
};

const MINUTE: Duration = Duration::from_mins(1);

fn policy() -> CachePolicy {
    CachePolicy { fresh: MINUTE, second: MINUTE, stale: MINUTE, ..CachePolicy::default() }
}

/// An upstream that takes a second to say how many calls there were so far.
fn counting() -> impl Upstream<ToolCall> {
    let calls = AtomicUsize::new(1);
    Answering(move |cx: Cx, _: ToolCall| {
        let count = calls.fetch_add(1, Ordering::Relaxed);
        async move {
            cx.wait(sleep(Duration::from_secs(1))).await?;
            Ok(Answer::new(Raw::trusted(count.to_string())))
        }
    })
}

fn read(name: &str) -> ToolCall {
    ToolCall { keep: true, ..ToolCall::new(name, None) }
}

/// What is said, what the cache had to do with it, and how old it is in seconds.
type Heard = (String, CacheUse, Option<u64>);

fn heard(answer: &Answer) -> Heard {
    let Provenance { cache, age, .. } = *answer.provenance();
    (answer.result.as_str().to_owned(), cache, age.map(|age| age.as_secs()))
}

fn said(text: &str, cache: CacheUse, age: impl Into<Option<u64>>) -> Heard {
    (text.to_owned(), cache, age.into())
}

async fn ask<U: Upstream<ToolCall>>(cache: &Cache<ToolCall, U>, cx: &Cx, query: ToolCall) -> Heard {
    heard(&cache.call(cx, query).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_given_while_a_new_one_is_fetched() {
    let (guard, counts) = guard();
    let policy = CachePolicy { revalidate: MINUTE, ..policy() };
    let cache = Cache::new(counting(), (Some(policy), None), &TaskTracker::new(), guard);
    let cx = cx(6000);
    assert_eq!(ask(&cache, &cx, read("a")).await, said("1", CacheUse::Miss, None));
    advance(MINUTE).await;
    let both = join_all((0..2).map(|_| ask(&cache, &cx, read("a")))).await;
    assert_eq!(both, [said("1", CacheUse::Stale, 60), said("1", CacheUse::Stale, 60)], "at once, and fetched once");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(ask(&cache, &cx, read("a")).await, said("2", CacheUse::Hit, 1));
    advance(3 * MINUTE).await;
    assert_eq!(ask(&cache, &cx, read("a")).await, said("3", CacheUse::Miss, None), "too old for that");
    let expected =
        [Fact::CacheMiss, Fact::CacheStale, Fact::CacheStale, Fact::CacheMiss, Fact::CacheHit, Fact::CacheMiss];
    assert_eq!(counts.facts(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_known_for_a_moment() {
    for (kind, asked_twice) in [(Kind::NotFound, false), (Kind::Invalid, false), (Kind::Unavailable, true)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let inner = answering(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Err(Error::new(kind, "no")) }
        });
        let policy = CachePolicy { negative: Duration::from_secs(5), ..policy() };
        let (guard, _) = guard();
        let cache = Cache::new(inner, (Some(policy), None), &TaskTracker::new(), Arc::clone(&guard));
        for _ in 0..2 {
            assert_eq!(cache.call(&cx(60), Ask::default()).await.unwrap_err().kind(), kind);
        }
        assert_eq!(asked.load(Ordering::Relaxed), if asked_twice { 2 } else { 1 }, "{kind:?}");
        guard.purge(&Sweep::default());
        drop(cache.call(&cx(60), Ask::default()).await);
        assert_eq!(asked.load(Ordering::Relaxed), if asked_twice { 3 } else { 2 }, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_forgets_what_it_names() {
    let (guard, _) = guard();
    let cache = Cache::new(counting(), (Some(policy()), None), &TaskTracker::new(), Arc::clone(&guard));
    let (ann, bob) = (cx_of("ann"), cx_of("bob"));
    let asked = [(&ann, "list_a"), (&ann, "get_a"), (&bob, "list_a")];
    let mut round = 0;
    let sweep = |subject: Option<&str>, tenant: Option<&str>| Sweep {
        subject: subject.map(str::to_owned),
        tenant: tenant.map(str::to_owned),
    };
    for (sweep, kept) in [
        (sweep(Some("list_*"), None), [false, true, false]),
        (sweep(None, Some("ann")), [false, false, true]),
        (sweep(Some("list_a"), Some("bob")), [true, true, false]),
        (sweep(None, None), [false; 3]),
    ] {
        for (cx, name) in asked {
            ask(&cache, cx, read(name)).await;
        }
        guard.purge(&sweep);
        let mut found = Vec::new();
        for (cx, name) in asked {
            found.push(ask(&cache, cx, read(name)).await.1 == CacheUse::Hit);
        }
        assert_eq!(found, kept, "{sweep:?}");
        round += 1;
    }
    assert_eq!(round, 4);
}

/// A second level in memory, as two replicas have it.
#[derive(Default)]
struct Both {
    kept: Arc<Mutex<HashMap<Key, (Answer, Instant)>>>,
    claims: Arc<Mutex<HashSet<Key>>>,
    is_away: bool,
}

impl SecondLevel<ToolCall> for Both {
    fn take<'a>(&'a self, place: &'a Place) -> Later<'a, Found<ToolCall>> {
        let reply = self.kept.lock().get(&place.key).map(|(answer, since)| {
            let mut answer = answer.clone();
            answer.provenance_mut().age = Some(since.elapsed());
            answer
        });
        let found = Found { reply, ticket: (!self.is_away).then_some([0; 3]) };
        async move { found }.boxed()
    }

    fn put(&self, place: &Place, copy: &Answer, ticket: Ticket, claim: Claim) {
        if ticket.is_some() {
            self.kept.lock().insert(place.key, (copy.clone(), Instant::now()));
        }
        drop(claim);
    }

    fn claim<'a>(&'a self, place: &'a Place, _: Duration) -> Later<'a, Option<Claim>> {
        let (key, claims) = (place.key, Arc::clone(&self.claims));
        let ours = claims.lock().insert(key);
        let claim = ours.then(|| {
            Claim::new(move || {
                claims.lock().remove(&key);
            })
        });
        async move { claim }.boxed()
    }
}

/// Two replicas in front of one upstream.
fn replicas(both: Both, upstream: impl Upstream<ToolCall>) -> [Cache<ToolCall, crate::BoxUpstream<ToolCall>>; 2] {
    let (both, upstream) = (Arc::new(both), upstream.boxed());
    [(), ()].map(|()| {
        let second = Arc::clone(&both) as Arc<dyn SecondLevel<ToolCall>>;
        Cache::new(upstream.clone(), (Some(policy()), Some(second)), &TaskTracker::new(), guard().0)
    })
}

#[tokio::test(start_paused = true)]
async fn replicas_ask_once_and_share_the_answer() {
    let [one, other] = replicas(Both::default(), counting());
    let cx = cx(60);
    let asked = join_all((0..100).map(|number| {
        let cache = if number % 2 == 0 { &one } else { &other };
        ask(cache, &cx, read("a"))
    }));
    let asked = asked.await;
    assert!(asked.iter().all(|(text, ..)| text == "1"), "{asked:?}");
    assert_eq!(asked.iter().filter(|(_, cache, _)| *cache == CacheUse::Miss).count(), 1);
    assert_eq!(ask(&other, &cx, read("a")).await.1, CacheUse::Hit, "from its own memory");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_replica_asks_himself_in_the_end() {
    let both = Both::default();
    let key = Key::new(&cx(60).caller().tenant, read("a").fingerprint().unwrap());
    both.claims.lock().extend([key, Key::new(&cx(60).caller().tenant, read("b").fingerprint().unwrap())]);
    let [one, _] = replicas(both, counting());
    let begun = Instant::now();
    assert_eq!(ask(&one, &cx(60), read("a")).await, said("1", CacheUse::Miss, None));
    assert!(begun.elapsed() >= OTHERS && begun.elapsed() < OTHERS + Duration::from_secs(2));
    let impatient = cx(1);
    assert_eq!(one.call(&impatient, read("b")).await.unwrap_err().kind(), Kind::Deadline);
}

#[tokio::test(start_paused = true)]
async fn a_second_level_that_is_away_is_none() {
    let [one, other] = replicas(Both { is_away: true, ..Both::default() }, counting());
    let cx = cx(60);
    assert_eq!(ask(&one, &cx, read("a")).await, said("1", CacheUse::Miss, None));
    assert_eq!(ask(&one, &cx, read("a")).await, said("1", CacheUse::Hit, 0));
    assert_eq!(ask(&other, &cx, read("a")).await, said("2", CacheUse::Miss, None));
}

#[tokio::test(start_paused = true)]
async fn what_must_stay_here_is_not_told_to_other_replicas() {
    let [one, other] = replicas(Both::default(), counting());
    let local = cx(60).kept_local();
    assert_eq!(ask(&one, &local, read("a")).await, said("1", CacheUse::Miss, None));
    assert_eq!(ask(&other, &cx(60), read("a")).await, said("2", CacheUse::Miss, None));
}

#[tokio::test(start_paused = true)]
async fn an_old_copy_of_another_replica_stands_in() {
    let [one, other] = replicas(Both::default(), counting());
    assert_eq!(ask(&one, &cx(60), read("a")).await, said("1", CacheUse::Miss, None));
    advance(Duration::from_secs(90)).await;
    let stale = other.stale(&cx(60), &read("a")).await.unwrap();
    assert_eq!(heard(&stale), said("1", CacheUse::Stale, 90));
    advance(Duration::from_secs(31)).await;
    assert!(other.stale(&cx(60), &read("a")).await.is_none(), "it is too old for that, too");
}
