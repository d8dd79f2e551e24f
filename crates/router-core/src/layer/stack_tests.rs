//! Whole stacks: what the layers do together.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, future::join_all};
use tokio::time::{Instant, advance};

use super::{
    breaker::{BreakerPolicy, State},
    chaos::ChaosKind,
    fallback::Standby,
    guard::GuardPolicy,
    limit::LimitPolicy,
    retry::RetryPolicy,
    testing::{Ask, Counts, Said, answering, cx, failing, guard_with},
    throttle::Throttle,
    *,
};
use crate::{CacheUse, Error, Fact, Kind, NoMeter, Outcome, Reply, Source, Strategy, chat::ChatReply};

const ONCE: RetryPolicy = RetryPolicy {
    retries: 0,
    base: Duration::ZERO,
    cap: Duration::ZERO,
    budget: 0.0,
    floor: 0.0,
    patience: Duration::ZERO,
};

const TIMES: TimeoutPolicy = TimeoutPolicy {
    first_content: Some(Duration::from_secs(5)),
    idle: Some(Duration::from_secs(5)),
    whole: None,
    total: Some(Duration::from_mins(1)),
    adaptive: false,
};

/// Every layer, in the order of the product.
fn whole(guard: &Arc<Guard>, upstream: impl Upstream<Ask>, drill: Option<ChaosPolicy>) -> BoxUpstream<Ask> {
    stack::<Ask>(guard, upstream)
        .chaos(drill)
        .timeout(TIMES)
        .limit()
        .breaker()
        .retry()
        .cache(Some(CachePolicy::default()), None, &TaskTracker::new())
        .fallback(Sources {
            on_error: vec![Standby::Stale(Duration::MAX), Standby::Default("sorry".into())],
            on_timeout: None,
        })
        .observe()
        .boxed()
}

/// The layers whose state is the guard's.
fn guarded(guard: &Arc<Guard>, upstream: impl Upstream<Ask>) -> BoxUpstream<Ask> {
    stack::<Ask>(guard, upstream).timeout(TIMES).limit().breaker().boxed()
}

fn unavailable() -> Error {
    Error::new(Kind::Unavailable, "down")
}

async fn kind(stack: &BoxUpstream<Ask>) -> Result<(), Kind> {
    stack.call(&cx(60), Ask::default()).await.map(drop).map_err(|error| error.kind())
}

async fn trip(stack: &BoxUpstream<Ask>) {
    for _ in 0..5 {
        assert_eq!(kind(stack).await, Err(Kind::Unavailable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_day_from_beginning_to_end() {
    let (guard, counts) = guard_with(GuardPolicy { retry: ONCE, ..GuardPolicy::default() });
    let stack = whole(&guard, failing(unavailable(), 5).0, None);
    let answer = async |words| stack.call(&cx(60), Ask::words(words)).await.unwrap().provenance().source;
    for words in ["1", "2", "3", "4", "5", "6"] {
        assert_eq!(answer(words).await, Source::Default);
    }
    assert_eq!(guard.standing().state, State::Open);
    advance(guard.standing().reopens_in.unwrap()).await;
    for words in ["7", "8"] {
        assert_eq!(answer(words).await, Source::Live);
    }
    assert_eq!(guard.standing().state, State::Closed);
    let mut facts = [Fact::CacheMiss, Fact::FellBack(Strategy::Default)].repeat(6);
    facts.insert(9, Fact::Breaker(State::Open));
    facts.extend([Fact::CacheMiss, Fact::Breaker(State::HalfOpen), Fact::CacheMiss, Fact::Breaker(State::Closed)]);
    assert_eq!(counts.facts(), facts);
    assert_eq!(counts.observations().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_says_so_at_once() {
    let (guard, _) = guard_with(GuardPolicy::default());
    let (upstream, asked) = failing(unavailable(), usize::MAX);
    let stack = guarded(&guard, upstream);
    trip(&stack).await;
    let (call, started) = (cx(60), Instant::now());
    let error = stack.call(&call, Ask::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome(), started.elapsed()), (Kind::Open, Outcome::NotSent, Duration::ZERO));
    assert_eq!((asked(), call.trail().attempts()), (5, 0));
    let wait = error.wait().unwrap();
    assert_eq!(Some(wait), guard.standing().reopens_in);
    let seconds = wait.as_secs_f64().ceil();
    let told = format!("u: the breaker is open after repeated faults; next try in {seconds} s; the last fault: down");
    assert_eq!(error.to_string(), told);
    let last = guard.standing().last_error.unwrap();
    assert_eq!((last.error.to_string().as_str(), last.age), ("u: down", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_makes_way_for_the_next() {
    let (guard, _) = guard_with(GuardPolicy::default());
    let healed = answering(|_, _| async { Ok(Said::text("a")) });
    let stuck = guarded(&guard, answering(|_, _| std::future::pending()));
    trip(&guarded(&guard, failing(unavailable(), usize::MAX).0)).await;
    guard.early_probe();
    let context = cx(60);
    let mut probe = Box::pin(stuck.call(&context, Ask::default()));
    assert!(probe.as_mut().now_or_never().is_none());
    let healed = guarded(&guard, healed);
    assert_eq!((kind(&healed).await, guard.standing().in_flight), (Err(Kind::Open), 1));
    drop(probe);
    assert_eq!((kind(&healed).await, guard.standing().state), (Ok(()), State::HalfOpen));
    assert_eq!((kind(&healed).await, guard.standing().state), (Ok(()), State::Closed));
    assert_eq!(guard.standing().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_content_settles_a_probe_and_a_later_cut_is_a_fault() {
    let (guard, _) = guard_with(GuardPolicy::default());
    trip(&guarded(&guard, failing(unavailable(), usize::MAX).0)).await;
    guard.early_probe();
    let reply = |kind| guarded(&guard, answering(move |_, _| async move { Ok(Said::broken(kind)) }));
    let probe = reply(Kind::Protocol).call(&cx(60), Ask::default()).await.unwrap();
    assert_eq!(kind(&reply(Kind::Cancelled)).await, Ok(()), "the second probe may go while the first still speaks");
    assert_eq!(guard.standing().state, State::Closed);
    drop(probe);
    let cut = async |kind| Said::read(reply(kind).call(&cx(60), Ask::default()).await.unwrap()).await;
    for (broken, expected) in [(Kind::Deadline, State::Closed), (Kind::Protocol, State::Open)] {
        for _ in 0..5 {
            assert_eq!(cut(broken).await.unwrap_err().kind(), broken);
        }
        assert_eq!(guard.standing().state, expected);
    }
    guard.early_probe();
    cut(Kind::Protocol).await.unwrap_err();
    assert_eq!(guard.standing().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn what_is_nobodys_fault_opens_nothing() {
    let neither =
        [Kind::Invalid, Kind::Refused, Kind::NotFound, Kind::Shed, Kind::Deadline, Kind::Cancelled, Kind::Credential];
    for fault in neither {
        let (guard, _) = guard_with(GuardPolicy::default());
        let stack = guarded(&guard, failing(Error::new(fault, "no"), usize::MAX).0);
        for _ in 0..30 {
            assert_eq!(kind(&stack).await, Err(fault));
        }
        assert_eq!(guard.standing().state, State::Closed, "{fault:?}");
        assert_eq!(guard.standing().last_error.is_some(), fault == Kind::Credential);
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_cools_every_guard_of_its_credential() {
    let throttle = Arc::new(Throttle::default());
    let guard =
        |name: &str| Guard::throttled(name.into(), GuardPolicy::default(), Arc::new(NoMeter), Arc::clone(&throttle));
    let (one, other) = (guard("one"), guard("other"));
    let limited = Error::new(Kind::Limited, "429").retry_after(Duration::from_secs(30));
    let (upstream, asked) = failing(limited, 1);
    let (stack, neighbour) = (guarded(&one, upstream), guarded(&other, failing(unavailable(), 0).0));
    assert_eq!(kind(&stack).await, Err(Kind::Limited));
    advance(Duration::from_secs(10)).await;
    for stack in [&stack, &neighbour] {
        let error = stack.call(&cx(60), Ask::default()).await.unwrap_err();
        let told = (error.kind(), error.outcome(), error.wait());
        assert_eq!(told, (Kind::Limited, Outcome::NotSent, Some(Duration::from_secs(20))));
    }
    assert_eq!((asked(), one.standing().state), (1, State::Closed));
    advance(Duration::from_secs(20)).await;
    assert_eq!((kind(&stack).await, kind(&neighbour).await), (Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_429_fails_a_probe() {
    let (guard, _) = guard_with(GuardPolicy::default());
    trip(&guarded(&guard, failing(unavailable(), usize::MAX).0)).await;
    guard.early_probe();
    let limited = Error::new(Kind::Limited, "429").retry_after(Duration::from_mins(5));
    assert_eq!(kind(&guarded(&guard, failing(limited, 1).0)).await, Err(Kind::Limited));
    assert_eq!((guard.standing().state, guard.standing().reopens_in), (State::Open, Some(Duration::from_mins(5))));
}

fn limited(concurrency: Option<usize>, rate: Option<f64>) -> (Arc<Guard>, Arc<Counts>) {
    let limit = LimitPolicy { concurrency, queue: 2, wait: Duration::from_millis(250), rate, burst: 3 };
    guard_with(GuardPolicy { limit, ..GuardPolicy::default() })
}

#[tokio::test(start_paused = true)]
async fn a_place_is_held_to_the_last_byte() {
    let (guard, counts) = limited(Some(1), None);
    let stack = guarded(&guard, answering(|_, _| async { Ok(Said::frames(&[0, 0])) }));
    let mut reply = stack.call(&cx(60), Ask::default()).await.unwrap();
    reply.next().await.unwrap().unwrap();
    let started = Instant::now();
    let error = stack.call(&cx(60), Ask::default()).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed()), (Kind::Shed, Duration::from_millis(250)));
    assert!(error.wait().is_some() && counts.of(Fact::Shed) == 1);
    assert_eq!(Said::read(reply).await.unwrap(), 1);
    let unread = stack.call(&cx(60), Ask::default()).await.unwrap();
    drop(unread);
    assert_eq!(kind(&stack).await, Ok(()), "dropping a reply gives its place back, too");
    assert_eq!((guard.standing().in_flight, guard.standing().state), (0, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_a_turn_in_it_can_be_dropped() {
    let (guard, _) = limited(Some(1), None);
    let stack = guarded(&guard, answering(|_, _| async { Ok(Said::endless()) }));
    let reply = stack.call(&cx(60), Ask::default()).await.unwrap();
    let context = cx(60);
    let mut queued: Vec<_> = (0..2).map(|_| Box::pin(stack.call(&context, Ask::default()))).collect();
    for call in &mut queued {
        assert!(call.as_mut().now_or_never().is_none());
    }
    let shed = stack.call(&context, Ask::default()).now_or_never().unwrap();
    assert_eq!((shed.unwrap_err().kind(), guard.standing().waiting), (Kind::Shed, 2));
    queued.pop();
    assert_eq!(guard.standing().waiting, 1);
    drop(reply);
    assert!(queued.pop().unwrap().await.is_ok());
    assert_eq!(guard.standing().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_bucket_forgives_a_burst_then_spreads_then_sheds() {
    let (guard, counts) = limited(None, Some(10.0));
    let stack = guarded(&guard, answering(|_, _| async { Ok(Said::text("a")) }));
    let (started, context) = (Instant::now(), cx(60));
    let call = || async {
        let answer = stack.call(&context, Ask::default()).await;
        (answer.map(drop).map_err(|error| error.wait().unwrap().as_millis()), started.elapsed().as_millis())
    };
    let mut answers = join_all((0..7).map(|_| call())).await;
    answers.sort();
    // Three at once, two within the 250 ms that a call may wait, and the rest is told when there is room.
    let expected = [(Ok(()), 0), (Ok(()), 0), (Ok(()), 0), (Ok(()), 100), (Ok(()), 200), (Err(300), 0), (Err(300), 0)];
    assert_eq!((answers.as_slice(), counts.of(Fact::Shed)), (&expected[..], 2));
    advance(Duration::from_millis(300)).await;
    assert_eq!(call().await, (Ok(()), 500));
}

#[tokio::test(start_paused = true)]
async fn retries_hide_a_single_fault_and_count_as_attempts() {
    let (guard, counts) = guard_with(GuardPolicy::default());
    let stack = whole(&guard, failing(unavailable(), 2).0, None);
    let context = cx(60);
    let reply = stack.call(&context, Ask::default()).await.unwrap();
    let (source, cache) = (reply.provenance().source, reply.provenance().cache);
    assert_eq!((source, cache, reply.provenance().upstream.as_deref()), (Source::Live, CacheUse::Miss, Some("u")));
    assert_eq!((context.trail().attempts(), counts.of(Fact::Retried)), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_drill_leaves_nothing_behind() {
    let kinds = vec![ChaosKind::Refuse, ChaosKind::Hang, ChaosKind::Limited, ChaosKind::Fail, ChaosKind::Cut];
    let breaker = BreakerPolicy { rate: 2.0, failures: u32::MAX, ..BreakerPolicy::default() };
    let limit = LimitPolicy { concurrency: Some(8), ..LimitPolicy::default() };
    let (guard, counts) = guard_with(GuardPolicy { breaker, limit, ..GuardPolicy::default() });
    let drill = ChaosPolicy { rate: 0.5, latency: Some(Duration::from_millis(100)), kinds, seed: 1 };
    let upstream = answering(|_, _| async { Ok::<ChatReply, _>(Said::frames(&[0, 1, 1])) });
    let stack = whole(&guard, upstream, Some(drill));
    let calls = (0..200_u64).map(|n| {
        let stack = &stack;
        async move {
            tokio::time::sleep(Duration::from_secs(n)).await;
            let ask = Ask { keep: n % 3 == 0, ..Ask::default() };
            let reply = stack.call(&cx(60), ask).await.unwrap();
            if n % 7 != 0 {
                let _ = Said::read(reply).await;
            }
        }
    });
    join_all(calls).await;
    advance(Duration::from_mins(2)).await;
    let standing = guard.standing();
    assert_eq!((standing.in_flight, standing.waiting), (0, 0));
    assert_eq!(counts.observations().len(), 200);
}
