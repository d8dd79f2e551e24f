//! Who is told when a resource changes.

use router_core::Note;

use super::*;
use crate::view::Remark;

fn updated(bench: &Bench, uri: &str) {
    let note = Note { method: "notifications/resources/updated".into(), params: raw(&format!(r#"{{"uri":"{uri}"}}"#)) };
    bench.fake.remarks.send(Remark::to_all(note)).unwrap();
}

fn told(uri: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#)
}

fn capable(bench: &Bench) {
    *bench.fake.capabilities.lock() = Some(raw(r#"{"resources":{"subscribe":true}}"#));
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_is_told_and_nobody_else() {
    let bench = Bench::new();
    capable(&bench);
    let (one, two) = (bench.session("2025-11-25").await, bench.session("2025-06-18").await);
    let headers = |session| [("accept", BOTH), ("mcp-session-id", session)];
    let mut streams = Vec::new();
    for session in [&one, &two] {
        streams.push(bench.send(Method::GET, &headers(session), "").await.into_body());
    }
    for (session, method, uri, expected) in [
        (&one, "resources/subscribe", "x:1", Ok("{}")),
        (&one, "resources/subscribe", "x:1", Ok("{}")),
        (&two, "resources/subscribe", "x:2", Ok("{}")),
        (&two, "resources/subscribe", "no:1", Err(-32602)),
        (&two, "resources/unsubscribe", "x:never", Ok("{}")),
    ] {
        let heard = bench.post(&headers(session), &legacy_body(1, method, &format!(r#""uri":"{uri}""#))).await;
        match expected {
            Ok(result) => assert_eq!(heard.result(), result, "{method} {uri}"),
            Err(code) => assert_eq!(heard.code(), Some(code), "{method} {uri}"),
        }
    }
    assert_eq!(*bench.fake.asked.lock(), ["watch x:1", "watch x:2", "watch no:1"]);
    for uri in ["x:1", "x:2", "x:1/part", "x:12"] {
        updated(&bench, uri);
    }
    let [first, second] = &mut streams[..] else { unreachable!() };
    assert_eq!(next(first).await.unwrap(), told("x:1"));
    assert_eq!(next(first).await.unwrap(), told("x:1/part"));
    assert_eq!(next(second).await.unwrap(), told("x:2"));
    let quiet = bench.post(&headers(&one), &legacy_body(1, "resources/unsubscribe", r#""uri":"x:1""#)).await;
    assert_eq!(quiet.result(), "{}");
    updated(&bench, "x:1");
    assert_eq!(next(first).await.unwrap(), ":", "it only says that it lives");
    assert_eq!(next(second).await.unwrap(), ":");
}

#[tokio::test]
async fn a_listener_is_told_what_it_asked_for_as_far_as_there_is_such_a_thing() {
    let bench = Bench::new();
    capable(&bench);
    let params = r#""notifications":{"resourceSubscriptions":["x:1","no:1"],"toolsListChanged":true}"#;
    let (method, mark) = ("subscriptions/listen", r#""_meta":{"io.modelcontextprotocol/subscriptionId":5}"#);
    let body = modern_body(5, method, params);
    let mut stream = bench.send(Method::POST, &modern_headers(method, params), &body).await.into_body();
    assert_eq!(
        next(&mut stream).await.unwrap(),
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{{mark},"notifications":{{"resourceSubscriptions":["x:1"]}}}}}}"#
        )
    );
    updated(&bench, "x:2");
    updated(&bench, "x:1");
    assert_eq!(
        next(&mut stream).await.unwrap(),
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"x:1",{mark}}}}}"#)
    );
}

#[tokio::test]
async fn a_server_that_does_not_tell_is_not_asked() {
    let bench = Bench::new();
    *bench.fake.capabilities.lock() = Some(raw(r#"{"resources":{}}"#));
    let session = bench.session("2025-11-25").await;
    let headers = [("accept", BOTH), ("mcp-session-id", &*session)];
    let heard = bench.post(&headers, &legacy_body(1, "resources/subscribe", r#""uri":"x:1""#)).await;
    assert!(heard.code().is_some(), "{heard:?}");
    assert!(bench.fake.asked.lock().is_empty());
}
