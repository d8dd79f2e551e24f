//! Streams that are gone on with.

use std::sync::atomic::{AtomicUsize, Ordering};

use router_core::{Note, tool::Answer};
use tokio::{
    sync::Notify,
    time::{advance, sleep},
};

use super::*;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"s__echo","_meta":{"progressToken":"t"}}}"#;

/// A server that tells progress 1, and for each push progress 2, 3 and so on; the third push has it answer.
fn step_by_step(bench: &Bench) -> Arc<Notify> {
    let push = Arc::new(Notify::new());
    let pushed = Arc::clone(&push);
    bench.fake.on_call(move |cx, _| {
        let pushed = Arc::clone(&pushed);
        async move {
            for step in 1..=3 {
                let params = raw(&format!(r#"{{"progressToken":1,"progress":{step}}}"#));
                cx.peer().notify(Note { method: "notifications/progress".into(), params });
                pushed.notified().await;
            }
            Ok(Answer::new(raw(r#"{"content":[]}"#)))
        }
    });
    push
}

fn progress(step: u8) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"t","progress":{step}}}}}"#
    )
}

fn message(id: &str, message: &str) -> String {
    format!("id: {id}\nevent: message\ndata: {message}\n\n")
}

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;

#[tokio::test]
async fn a_stream_that_was_cut_is_gone_on_with() {
    for (version, primes) in [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false)] {
        let bench = Bench::new();
        let push = step_by_step(&bench);
        let session = bench.session(version).await;
        let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
        let mut body = bench.send(Method::POST, &headers, CALL).await.into_body();
        if primes {
            assert_eq!(next_event(&mut body).await.unwrap(), "id: call-1-0\nretry: 1000\ndata:\n\n");
        }
        assert_eq!(next_event(&mut body).await.unwrap(), message("call-1-1", &progress(1)));
        drop(body);
        push.notify_one();

        // What comes while nobody reads is told as well as what was told last.
        let last = |id| [headers[0], headers[1], ("last-event-id", id)];
        let mut body = bench.send(Method::GET, &last("call-1-0"), "").await.into_body();
        assert_eq!(next_event(&mut body).await.unwrap(), message("call-1-1", &progress(1)));
        assert_eq!(next_event(&mut body).await.unwrap(), message("call-1-2", &progress(2)));

        // Whoever comes back takes the stream from a connection that only seems to live.
        let mut third = bench.send(Method::GET, &last("call-1-2"), "").await.into_body();
        push.notify_one();
        assert_eq!(next_event(&mut third).await.unwrap(), message("call-1-3", &progress(3)));
        assert_eq!(next_event(&mut body).await, None);
        push.notify_one();
        assert_eq!(next_event(&mut third).await.unwrap(), message("call-1-4", ANSWER));
        assert_eq!(next_event(&mut third).await, None);
        drop(third);

        // Also when it is over, and only that stream.
        let heard = bench.send(Method::GET, &last("call-1-3"), "").await;
        assert_eq!(Heard::of(heard).await.events(), [ANSWER]);
        for lost in ["call-2-0", "call-1-x", "call-1", "", "other-1-0"] {
            assert_eq!(bench.send(Method::GET, &last(lost), "").await.status(), 400, "{lost}");
        }
        let other = bench.session(version).await;
        let headers = [("mcp-session-id", &*other), ("accept", BOTH), ("last-event-id", "call-1-0")];
        assert_eq!(bench.send(Method::GET, &headers, "").await.status(), 400, "another session's");
    }
}

#[tokio::test]
async fn a_standing_stream_is_gone_on_with_or_begun_anew() {
    let bench = Bench::new();
    let session = bench.session("2025-11-25").await;
    let headers = |last| [("mcp-session-id", &*session), ("accept", BOTH), ("last-event-id", last)];
    let mut body = bench.send(Method::GET, &headers("")[..2], "").await.into_body();
    assert_eq!(next_event(&mut body).await.unwrap(), "id: standing-1-0\nretry: 1000\ndata:\n\n");
    drop(body);
    bench.fake.change(|revision| revision.tools += 1);
    let mut body = bench.send(Method::GET, &headers("standing-1-0"), "").await.into_body();
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(
        next_event(&mut body).await.unwrap(),
        message("standing-1-1", changed),
        "what changed meanwhile is told"
    );
    let mut body = bench.send(Method::GET, &headers("standing-9-4"), "").await.into_body();
    assert_eq!(next_event(&mut body).await.unwrap(), "id: standing-2-0\nretry: 1000\ndata:\n\n");
}

/// A server that asks, and how often its call was given up.
fn asks(bench: &Bench) -> Arc<AtomicUsize> {
    let given_up = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given_up);
    bench.fake.on_call(move |cx, _| {
        let count = Arc::clone(&count);
        async move {
            match cx.peer().ask("elicitation/create", raw(r#"{"message":"Sure?"}"#)).await {
                Ok(answer) => Ok(Answer::new(answer)),
                Err(error) => {
                    count.fetch_add(1, Ordering::SeqCst);
                    Err(error)
                }
            }
        }
    });
    given_up
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_a_minute_for_a_client_that_lost_its_connection() {
    for (away, is_kept) in [(59, true), (61, false)] {
        let bench = Bench::new();
        let given_up = asks(&bench);
        let session = bench.session("2025-11-25").await;
        let headers = [("mcp-session-id", &*session), ("accept", BOTH), ("last-event-id", "call-1-0")];
        let mut body = bench.send(Method::POST, &headers[..2], CALL).await.into_body();
        next(&mut body).await.unwrap();
        drop(body);
        sleep(Duration::from_secs(away)).await;
        let rest = bench.send(Method::GET, &headers, "").await;
        assert_eq!((rest.status() == 200, given_up.load(Ordering::SeqCst)), (is_kept, usize::from(!is_kept)));
        if is_kept {
            let mut body = rest.into_body();
            assert!(next(&mut body).await.unwrap().contains("Sure?"));
            let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#;
            assert_eq!(bench.post(&headers[..2], answer).await.status, 202);
            assert_eq!(next(&mut body).await.unwrap(), r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}"#);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_and_forgotten() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        cx.peer().notify(Note { method: "notifications/message".into(), params: raw(r#"{"level":"error"}"#) });
        Ok(Answer::new(raw(&format!(r#"{{"content":"{}"}}"#, "x".repeat(100_000)))))
    });
    let session = bench.session("2025-11-25").await;
    let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
    let kept = || bench.front.0.kept.load(Ordering::Relaxed);
    for _ in 0..10 {
        let heard = bench.post(&headers, CALL).await;
        assert_eq!(heard.events().len(), 2);
    }
    assert!((200_000..300_000).contains(&kept()), "{}", kept());
    for (last, status) in [("call-8-0", 400), ("call-9-0", 200), ("call-10-0", 200)] {
        let found = bench.send(Method::GET, &[headers[0], headers[1], ("last-event-id", last)], "").await;
        assert_eq!(found.status(), status, "{last}");
    }
    advance(Duration::from_secs(61)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kept(), 0);

    // What is answered as one message is not kept at all.
    bench.post(&headers, &legacy_body(1, "ping", "")).await;
    assert_eq!(kept(), 0);
    bench.post(&headers, CALL).await;
    assert!(kept() > 0);
    assert_eq!(bench.send(Method::DELETE, &headers, "").await.status(), 204);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kept(), 0, "it goes with its session");
}
