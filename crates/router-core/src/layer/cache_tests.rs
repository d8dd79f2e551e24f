//! The cache: whose answers, how fresh, and one call for many.

use futures_util::{FutureExt, StreamExt, future::join_all};
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    Error, Kind, Provenance,
    chat::ChatReply,
    layer::{
        sweep::Sweep,
        testing::{Ask, Counts, Said, answering, cx, cx_of, failing, guard},
    },
};

const MINUTE: Duration = Duration::from_mins(1);

fn policy() -> CachePolicy {
    CachePolicy { fresh: MINUTE, stale: MINUTE, ..CachePolicy::default() }
}

fn cached<U: Upstream<Ask>>(inner: U, policy: CachePolicy) -> (Cache<Ask, U>, Arc<Guard>, Arc<Counts>) {
    let (guard, counts) = guard();
    (Cache::new(inner, (Some(policy), None), &TaskTracker::new(), Arc::clone(&guard)), guard, counts)
}

/// An upstream that says how many calls there were so far.
fn counting() -> impl Upstream<Ask> {
    let calls = std::sync::atomic::AtomicUsize::new(1);
    answering(move |_, _| {
        let reply = Said::text(&calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        async { Ok(reply) }
    })
}

/// What is said, what the cache had to do with it, and how old it is in seconds.
type Heard = (String, CacheUse, Option<u64>);

async fn heard(reply: ChatReply) -> Heard {
    let Provenance { cache, age, .. } = *reply.provenance();
    (Said::hear(reply).await.unwrap(), cache, age.map(|age| age.as_secs()))
}

async fn ask(cache: &Cache<Ask, impl Upstream<Ask>>, cx: &Cx, query: Ask) -> Heard {
    heard(cache.call(cx, query).await.unwrap()).await
}

fn said(text: &str, cache: CacheUse, age: impl Into<Option<u64>>) -> Heard {
    (text.to_owned(), cache, age.into())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_then_stale_then_gone() {
    let (cache, _, counts) = cached(counting(), policy());
    let cx = cx(6000);
    assert_eq!(ask(&cache, &cx, Ask::default()).await, said("1", CacheUse::Miss, None));
    advance(Duration::from_secs(59)).await;
    assert_eq!(ask(&cache, &cx, Ask::default()).await, said("1", CacheUse::Hit, 59));
    assert_eq!(ask(&cache, &cx, Ask::words("another")).await, said("2", CacheUse::Miss, None));
    advance(MINUTE).await;
    let stale = cache.stale(&cx, &Ask::default()).await.unwrap();
    assert_eq!(stale.provenance().source, Source::Cache);
    assert_eq!(heard(stale).await, said("1", CacheUse::Stale, 119));
    assert_eq!(ask(&cache, &cx, Ask::default()).await, said("3", CacheUse::Miss, None));
    advance(2 * MINUTE).await;
    assert!(cache.stale(&cx, &Ask::default()).await.is_none());
    assert_eq!(counts.facts(), [Fact::CacheMiss, Fact::CacheHit, Fact::CacheMiss, Fact::CacheStale, Fact::CacheMiss]);
}

#[tokio::test(start_paused = true)]
async fn no_tenant_hears_what_another_was_told() {
    let (one, other) = (cx_of("one"), cx_of("other"));
    let (cache, ..) = cached(counting(), policy());
    assert_eq!(ask(&cache, &one, Ask::default()).await.0, "1");
    assert_eq!(ask(&cache, &other, Ask::default()).await.0, "2");
    assert!(cache.stale(&cx_of("third"), &Ask::default()).await.is_none());
    let (cache, ..) = cached(counting(), CachePolicy { shared: true, ..policy() });
    assert_eq!(ask(&cache, &one, Ask::default()).await.0, "1");
    assert_eq!(ask(&cache, &other, Ask::default()).await, said("1", CacheUse::Hit, 0));
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_kept_is_not() {
    let backup = answering(|_, _| async {
        let mut reply = Said::text("b");
        reply.provenance_mut().source = Source::Backup;
        Ok(reply)
    });
    let policy = policy();
    let short = CachePolicy { max_entry_bytes: 10, ..policy };
    let unkept = || Ask { keep: false, ..Ask::default() };
    let cases = [
        ("a backup", backup.boxed(), policy, Ask::default(), CacheUse::Miss),
        (
            "a broken one",
            answering(|_, _| async { Ok(Said::broken(Kind::Protocol)) }).boxed(),
            policy,
            Ask::default(),
            CacheUse::Miss,
        ),
        ("a long one", counting().boxed(), short, Ask::default(), CacheUse::Miss),
        ("by its question", counting().boxed(), policy, unkept(), CacheUse::None),
    ];
    for (what, upstream, policy, query, expected) in cases {
        let (cache, ..) = cached(upstream, policy);
        for _ in 0..2 {
            let reply = cache.call(&cx(60), query.clone()).await.unwrap();
            assert_eq!(reply.provenance().cache, expected, "{what}");
            let _ = Said::hear(reply).await;
        }
        assert!(cache.stale(&cx(60), &query).await.is_none(), "{what}");
        assert!(cache.0.answers.as_ref().unwrap().is_idle(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_the_same_are_one_call() {
    let (slow, asked) = slow(Ok(()));
    let (cache, ..) = cached(slow, policy());
    let cx = cx(60);
    let answers = join_all((0..50).map(|_| ask(&cache, &cx, Ask::default()))).await;
    assert_eq!(asked(), 1);
    assert_eq!(answers.iter().filter(|heard| **heard == said("xx", CacheUse::Miss, None)).count(), 1);
    assert_eq!(answers.iter().filter(|heard| **heard == said("xx", CacheUse::Hit, 0)).count(), 49);
}

/// An upstream that takes two seconds to begin an answer and one to end it; and how often it was asked.
fn slow(answer: Result<(), Kind>) -> (impl Upstream<Ask>, impl Fn() -> usize) {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = answering(move |cx: Cx, _| {
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            cx.wait(sleep(Duration::from_secs(2))).await?;
            answer.map(|()| Said::frames(&[0, 1])).map_err(|kind| Error::new(kind, "no"))
        }
    });
    (upstream, move || count.load(std::sync::atomic::Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_it_is_answered_reads_along() {
    let (slow, asked) = slow(Ok(()));
    let (cache, ..) = cached(slow, policy());
    let mut first = cache.call(&cx(60), Ask::default()).await.unwrap();
    first.next().await.unwrap().unwrap();
    let second = cache.call(&cx(60), Ask::default()).await.unwrap();
    drop(first);
    assert_eq!(heard(second).await, said("xx", CacheUse::Hit, 0), "even when the one who asked has gone");
    assert_eq!(ask(&cache, &cx(60), Ask::default()).await, said("xx", CacheUse::Hit, 0));
    assert_eq!(asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_gone_cancels_the_call_and_forgets_it() {
    let (cache, ..) = cached(answering(|_, _| async { Ok(Said::endless()) }), policy());
    drop(cache.call(&cx(60), Ask::default()).await.unwrap());
    sleep(Duration::from_millis(1)).await;
    assert!(cache.0.answers.as_ref().unwrap().is_idle());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_those_who_wait_and_to_nobody_after() {
    let (slow, asked) = slow(Err(Kind::Unavailable));
    let (cache, ..) = cached(slow, policy());
    let cx = cx(60);
    let answers = join_all((0..9).map(|_| cache.call(&cx, Ask::default()))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable)));
    assert_eq!(asked(), 1);
    assert!(cache.call(&cx, Ask::default()).await.is_err());
    assert_eq!(asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_when_the_first_gives_up() {
    let gone = |cx: Cx| async move {
        sleep(Duration::from_secs(1)).await;
        cx.cancel().cancel();
    };
    let cases = [("no more time", cx(1), false), ("cancelled", cx(60), true)];
    for (what, impatient, cancel) in cases {
        let (slow, asked) = slow(Ok(()));
        let (cache, ..) = cached(slow, policy());
        let patient = cx(60);
        let (first, second, third, ()) = tokio::join!(
            cache.call(&impatient, Ask::default()),
            ask(&cache, &patient, Ask::default()),
            ask(&cache, &patient, Ask::default()),
            async {
                if cancel {
                    gone(impatient.clone()).await;
                }
            },
        );
        assert!(matches!(first.unwrap_err().kind(), Kind::Deadline | Kind::Cancelled), "{what}");
        assert_eq!((second.0.as_str(), third.0.as_str(), asked()), ("xx", "xx", 2), "{what}");
    }
    let (slow, asked) = slow(Ok(()));
    let (cache, ..) = cached(slow, policy());
    let patient = cx(60);
    let mut dropped = Box::pin(cache.call(&patient, Ask::default()));
    assert!(dropped.as_mut().now_or_never().is_none());
    let (second, ()) = tokio::join!(ask(&cache, &patient, Ask::default()), async {
        sleep(Duration::from_secs(1)).await;
        drop(dropped);
    });
    assert_eq!((second.0.as_str(), asked()), ("xx", 2), "dropped");
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_keeps_his_own_deadline() {
    let (slow, _) = slow(Ok(()));
    let (cache, ..) = cached(slow, policy());
    let (patient, impatient) = (cx(60), cx(1));
    let (first, second) = tokio::join!(cache.call(&patient, Ask::default()), cache.call(&impatient, Ask::default()));
    assert_eq!((first.is_ok(), second.unwrap_err().kind()), (true, Kind::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_purge_forgets_also_what_is_being_written() {
    let (slow, asked) = slow(Ok(()));
    let (cache, guard, _) = cached(slow, policy());
    let writing = cache.call(&cx(60), Ask::default()).await.unwrap();
    guard.purge(&Sweep::default());
    assert_eq!(heard(writing).await, said("xx", CacheUse::Miss, None));
    assert_eq!(ask(&cache, &cx(60), Ask::default()).await.1, CacheUse::Miss);
    guard.purge(&Sweep::default());
    assert_eq!(ask(&cache, &cx(60), Ask::default()).await.1, CacheUse::Miss);
    assert_eq!(asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn entries_are_bounded() {
    const WORDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (cache, ..) = cached(counting(), CachePolicy { max_entries: 3, ..policy() });
    for words in WORDS {
        ask(&cache, &cx(60), Ask::words(words)).await;
        sleep(Duration::from_millis(1)).await;
    }
    cache.0.answers.as_ref().unwrap().tidy();
    let mut kept = Vec::new();
    for words in WORDS {
        kept.extend(cache.stale(&cx(60), &Ask::words(words)).await.map(|_| words));
    }
    assert_eq!(kept, ["f", "g", "h"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_it_is_not_there() {
    let (guard, counts) = guard();
    let (upstream, asked) = failing(Error::new(Kind::Unavailable, "no"), 0);
    let cache = Cache::new(upstream, (None, None), &TaskTracker::new(), guard);
    for _ in 0..2 {
        assert_eq!(ask(&cache, &cx(60), Ask::default()).await, said("a", CacheUse::None, None));
    }
    assert_eq!((asked(), counts.facts()), (2, vec![]));
}
