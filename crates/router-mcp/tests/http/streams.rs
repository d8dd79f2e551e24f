//! What lasts longer than a request: streams that are gone on with, and resources that are watched.

use super::*;

fn events(headers: &str, body: &str) -> String {
    http("200 OK", &format!("content-type: text/event-stream\r\n{headers}"), body)
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_gone_on_with_where_the_server_allows_it() {
    let (gets, asked) = (AtomicU32::new(0), Mutex::new(json!(null)));
    let script = move |seen: &Seen| match seen.method() {
        "tools/call" if seen.body["params"]["name"] == "lost" => events("", "data:\n\n"),
        "tools/call" => {
            *asked.lock() = seen.body["id"].clone();
            events("", "id: a1\nretry: 50\ndata:\n\nid: half\ndata: {")
        }
        _ if seen.header("last-event-id").is_some() => match gets.fetch_add(1, Ordering::Relaxed) {
            0 => events("", "id: a2\ndata:\n\n"),
            1 => http("503 Service Unavailable", "", ""),
            _ => {
                let answer = json!({ "jsonrpc": "2.0", "id": *asked.lock(), "result": { "is": "whole" } });
                events("", &format!("id: a3\ndata: {answer}\n\n"))
            }
        },
        _ => legacy(seen, "s1"),
    };
    let bench = Bench::start(Protocol::Legacy, script).await;
    let begun = Instant::now();
    assert_eq!(bench.call("t").await.unwrap().result.as_str(), r#"{"is":"whole"}"#);
    assert!(begun.elapsed() >= Duration::from_millis(150), "the server wants us to stay away for 50 ms each time");
    assert_eq!(bench.call("lost").await.unwrap_err().kind(), Kind::Protocol, "there is no place to go on from");
    bench.end().await;
    let seen = bench.seen.lock();
    let gets = seen.iter().filter(|seen| seen.header("last-event-id").is_some());
    let places: Vec<_> = gets.map(|seen| (seen.header("last-event-id"), seen.header("mcp-session-id"))).collect();
    assert_eq!(places, [(Some("a1"), Some("s1")), (Some("a2"), Some("s1")), (Some("a2"), Some("s1"))]);
}

#[tokio::test]
async fn a_resource_is_subscribed_once_and_again_in_each_new_session() {
    let sessions = AtomicU32::new(0);
    let script = move |seen: &Seen| match seen.method() {
        "initialize" => {
            let session = sessions.fetch_add(1, Ordering::Relaxed);
            let capable = json!({ "resources": { "subscribe": true } });
            let greeting = json!({ "protocolVersion": "2025-06-18", "capabilities": capable });
            result(seen, &greeting).replacen("\r\n", &format!("\r\nmcp-session-id: s{session}\r\n"), 1)
        }
        "resources/subscribe" if seen.body["params"]["uri"] == "x:none" => error("200 OK", seen, -32602),
        "tools/call" if seen.header("mcp-session-id") == Some("s0") => http("404 Not Found", "", ""),
        _ if seen.head.starts_with("GET") => http("405 Method Not Allowed", "", ""),
        _ => legacy(seen, "s"),
    };
    let bench = Bench::start(Protocol::Legacy, script).await;
    bench.state(ServerState::Ready).await;
    let server = Arc::clone(&bench.server);
    let (first, second) = (server.watch(&cx(), "x:1").await.unwrap(), server.watch(&cx(), "x:1").await.unwrap());
    assert_eq!(server.watch(&cx(), "x:none").await.err().map(|error| error.kind()), Some(Kind::Invalid));
    let other = server.watch(&cx(), "x:2").await.unwrap();
    drop((first, other));
    bench.until_asked("resources/unsubscribe").await;
    bench.call("t").await.unwrap();
    let third = server.watch(&cx(), "x:3").await.unwrap();
    drop((second, third));
    let begun = Instant::now();
    while bench.asked().iter().filter(|method| method.starts_with("resources/")).count() < 8 {
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", bench.asked());
        sleep(Duration::from_millis(5)).await;
    }
    bench.end().await;
    let seen = bench.seen.lock();
    let about: Vec<_> = seen
        .iter()
        .filter_map(|seen| {
            let what = seen.method().strip_prefix("resources/")?;
            Some(format!("{} {what} {}", seen.header("mcp-session-id")?, seen.body["params"]["uri"].as_str()?))
        })
        .collect();
    let mut again = about[4..].to_vec();
    again.sort_unstable();
    assert_eq!(about[..4], ["s0 subscribe x:1", "s0 subscribe x:none", "s0 subscribe x:2", "s0 unsubscribe x:2"]);
    assert_eq!(again, ["s1 subscribe x:1", "s1 subscribe x:3", "s1 unsubscribe x:1", "s1 unsubscribe x:3"]);
}
