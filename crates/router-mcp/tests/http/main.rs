//! A server over HTTP, as a test scripts it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use router_core::{
    Caller, Cx, Kind, Note, Outcome, Peer, Raw, Repeat, Result, Secret, Upstream,
    tool::{Answer, ToolCall},
};
use router_mcp::{
    client::{Endpoint, Era, Launch, McpServer, Protocol, Reach, ServerSpec, ServerState, Transport},
    view::ServerView,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod streams;

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    head: String,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

type Script = dyn Fn(&Seen) -> String + Send + Sync;

/// A scripted server, and the router's end of it.
struct Bench {
    server: Arc<McpServer>,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<AtomicU32>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Bench {
    async fn start(protocol: Protocol, script: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
        let (seen, closed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let script: Arc<Script> = Arc::new(script);
        let world = TaskTracker::new();
        let (all, ended, connections) = (Arc::clone(&seen), Arc::clone(&closed), world.clone());
        world.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all, ended) = (Arc::clone(&script), Arc::clone(&all), Arc::clone(&ended));
                connections.spawn(async move {
                    talk(stream, &*script, &all).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        let headers = vec![("authorization".parse().unwrap(), Secret::new("Bearer canary".to_owned()))];
        let spec = ServerSpec {
            protocol,
            ..ServerSpec::new("far", Reach::Http(Endpoint { url, headers, keyring: None, transport: Transport::Auto }))
        };
        let server = McpServer::start(spec, Launch::new("/none", []), &tasks, shutdown.clone());
        Self { server, seen, closed, tasks, shutdown }
    }

    async fn call(&self, tool: &str) -> Result<Answer> {
        self.server.call(&cx(), ToolCall::new(tool, None)).await
    }

    async fn state(&self, wanted: ServerState) {
        let start = Instant::now();
        while self.server.status().state != wanted {
            assert!(start.elapsed() < Duration::from_secs(5), "never {wanted:?}: {:?}", self.server.status());
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn asked(&self) -> Vec<String> {
        let name = |seen: &Seen| match seen.method() {
            "" => seen.head.split(' ').next().unwrap_or_default().to_owned(),
            method => method.to_owned(),
        };
        self.seen.lock().iter().map(name).collect()
    }

    async fn until_asked(&self, method: &str) -> Seen {
        let start = Instant::now();
        loop {
            if let Some(seen) = self.seen.lock().iter().find(|seen| seen.method() == method) {
                return seen.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(3), "never asked {method}: {:?}", self.asked());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        timeout(Duration::from_secs(5), self.tasks.wait()).await.expect("every task ends");
    }
}

/// Serves one connection; an empty answer of the script leaves the request without one.
async fn talk(mut stream: TcpStream, script: &Script, all: &Mutex<Vec<Seen>>) {
    let mut read = Vec::new();
    loop {
        let Some(seen) = request(&mut stream, &mut read).await else { return };
        all.lock().push(seen.clone());
        let answer = script(&seen);
        if !answer.is_empty() && stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Seen> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                read.drain(..head.len() + 4 + length);
                return Some(Seen { head, body: serde_json::from_str(&body[..length]).unwrap_or_default() });
            }
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(5))
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn result(seen: &Seen, result: &Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": seen.body["id"], "result": result }).to_string();
    http("200 OK", "content-type: application/json\r\n", &body)
}

fn error(status: &str, seen: &Seen, code: i64) -> String {
    let body =
        json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": { "code": code, "message": "no" } }).to_string();
    http(status, "content-type: application/json\r\n", &body)
}

fn greeting() -> Value {
    json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": { "name": "far" } })
}

fn discovery() -> Value {
    json!({ "supportedVersions": ["2025-11-25", "2026-07-28"], "capabilities": {} })
}

/// A legacy server with the session `id`.
fn legacy(seen: &Seen, id: &str) -> String {
    match seen.method() {
        "server/discover" => error("400 Bad Request", seen, -32000),
        "initialize" => result(seen, &greeting()).replacen("\r\n", &format!("\r\nmcp-session-id: {id}\r\n"), 1),
        "notifications/initialized" | "notifications/cancelled" => http("202 Accepted", "", ""),
        _ if seen.head.starts_with("DELETE") => http("200 OK", "", ""),
        _ if seen.head.starts_with("GET") => http("405 Method Not Allowed", "", ""),
        _ => result(seen, &json!({ "by": seen.header("mcp-session-id") })),
    }
}

#[tokio::test]
async fn a_legacy_session_is_opened_kept_and_closed() {
    let bench = Bench::start(Protocol::Auto, |seen| legacy(seen, "s1")).await;
    let answer = bench.call("t").await.unwrap();
    assert_eq!(answer.result.as_str(), r#"{"by":"s1"}"#);
    assert_eq!(bench.server.status().era, Some(Era::Legacy));
    bench.end().await;
    let asked = ["server/discover", "initialize", "notifications/initialized", "GET", "tools/call", "DELETE"];
    assert_eq!(bench.asked(), asked);
    let seen = bench.seen.lock();
    let call = &seen[4];
    assert_eq!(call.body["params"], json!({ "name": "t", "arguments": {} }));
    assert_eq!(
        (call.header("mcp-protocol-version"), call.header("accept"), call.header("authorization")),
        (Some("2025-06-18"), Some("application/json, text/event-stream"), Some("Bearer canary"))
    );
    assert_eq!(call.header("mcp-method"), None);
    assert_eq!(seen[5].header("mcp-session-id"), Some("s1"));
}

#[tokio::test]
async fn a_modern_server_is_told_everything_each_time() {
    let script = |seen: &Seen| match seen.method() {
        "server/discover" => result(seen, &discovery()),
        _ => result(seen, &json!({ "resultType": "complete" })),
    };
    let bench = Bench::start(Protocol::Auto, script).await;
    bench.call("wetter für morgen").await.unwrap();
    assert_eq!(bench.server.status().era, Some(Era::Modern));
    bench.end().await;
    assert_eq!(bench.asked(), ["server/discover", "tools/list", "tools/call"]);
    let seen = bench.seen.lock();
    let headers = ["mcp-protocol-version", "mcp-method", "mcp-name"].map(|name| seen[2].header(name));
    let name = "=?base64?d2V0dGVyIGbDvHIgbW9yZ2Vu?=";
    assert_eq!(headers, [Some("2026-07-28"), Some("tools/call"), Some(name)]);
    let meta = &seen[2].body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));
}

#[tokio::test]
async fn arguments_are_repeated_in_headers_and_learnt_anew_when_the_server_misses_one() {
    let lists = AtomicU32::new(0);
    let script = move |seen: &Seen| match seen.method() {
        "server/discover" => result(seen, &discovery()),
        "tools/list" => {
            let header = if lists.fetch_add(1, Ordering::Relaxed) == 0 { "Old" } else { "New" };
            let property = json!({ "type": "string", "x-mcp-header": header });
            result(seen, &json!({ "tools": [{ "name": "t", "inputSchema": { "properties": { "a": property } } }] }))
        }
        _ if seen.header("mcp-param-new").is_none() => error("400 Bad Request", seen, -32020),
        _ => result(seen, &json!({ "old": seen.header("mcp-param-old"), "new": seen.header("mcp-param-new") })),
    };
    let bench = Bench::start(Protocol::Auto, script).await;
    let call = ToolCall::new("t", Some(Raw::trusted(r#"{"a":"x"}"#)));
    for _ in 0..2 {
        let answer = bench.server.call(&cx(), call.clone()).await.unwrap();
        assert_eq!(answer.result.as_str(), r#"{"old":null,"new":"x"}"#);
    }
    bench.end().await;
    let expected = ["server/discover", "tools/list", "tools/call", "tools/list", "tools/call", "tools/call"];
    assert_eq!(bench.asked(), expected);
}

#[tokio::test]
async fn a_server_that_names_our_version_in_its_refusal_is_asked_again() {
    let asked = AtomicU32::new(0);
    let script = move |seen: &Seen| match seen.method() {
        "server/discover" if asked.fetch_add(1, Ordering::Relaxed) == 0 => {
            let error = json!({ "code": -32022, "message": "no", "data": { "supported": ["2026-07-28"] } });
            let body = json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": error }).to_string();
            http("400 Bad Request", "content-type: application/json\r\n", &body)
        }
        "server/discover" => result(seen, &discovery()),
        _ => error("404 Not Found", seen, -32601),
    };
    let bench = Bench::start(Protocol::Auto, script).await;
    bench.state(ServerState::Ready).await;
    assert_eq!(bench.server.status().era, Some(Era::Modern));
    assert_eq!(bench.asked(), ["server/discover", "server/discover"]);
    bench.end().await;
}

#[tokio::test]
async fn a_server_that_answers_anything_at_all_is_greeted() {
    for discovered in [json!({}), json!({ "supportedVersions": ["2027-01-01"] }), json!([])] {
        let script = move |seen: &Seen| match seen.method() {
            "server/discover" => result(seen, &discovered),
            _ => legacy(seen, "s"),
        };
        let bench = Bench::start(Protocol::Auto, script).await;
        bench.state(ServerState::Ready).await;
        assert_eq!(bench.server.status().era, Some(Era::Legacy));
        bench.end().await;
    }
}

#[tokio::test]
async fn the_era_is_told_from_many_refusals() {
    for (status, code, opens, era) in [
        ("200 OK", -32601, true, Era::Legacy),
        ("400 Bad Request", -32602, true, Era::Legacy),
        ("404 Not Found", -32601, true, Era::Legacy),
        ("405 Method Not Allowed", 0, true, Era::Legacy),
        ("400 Bad Request", -32021, false, Era::Modern),
        ("404 Not Found", -32601, false, Era::Modern),
    ] {
        let script = move |seen: &Seen| match seen.method() {
            "server/discover" => error(status, seen, code),
            "initialize" if !opens => error("400 Bad Request", seen, -32601),
            _ => legacy(seen, "s"),
        };
        let bench = Bench::start(Protocol::Auto, script).await;
        bench.state(ServerState::Ready).await;
        assert_eq!(bench.server.status().era, Some(era), "{status} {code}");
        bench.end().await;
    }
}

#[tokio::test]
async fn a_refused_credential_or_a_broken_server_tell_no_era() {
    for (status, kind) in
        [("401 Unauthorized", Kind::Credential), ("500 Oops", Kind::Unavailable), ("429 Slow", Kind::Limited)]
    {
        let bench = Bench::start(Protocol::Auto, move |_| http(status, "", "Bearer canary is wrong")).await;
        bench.state(ServerState::BackingOff).await;
        let error = bench.call("t").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::NotSent), "{status}");
        assert!(kind != Kind::Credential || !error.to_string().contains("canary"), "{error}");
        assert_eq!(bench.asked(), ["server/discover"]);
        bench.end().await;
    }
}

#[tokio::test]
async fn a_lost_session_is_replaced_once_for_everybody() {
    let sessions = Arc::new(AtomicU32::new(0));
    let opened = Arc::clone(&sessions);
    let bench = Bench::start(Protocol::Auto, move |seen| {
        let current = opened.load(Ordering::Relaxed);
        match seen.method() {
            "initialize" => legacy(seen, &(opened.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            "tools/call" if current == 1 || seen.header("mcp-session-id") != Some("2") => http("404 Not Found", "", ""),
            _ => legacy(seen, ""),
        }
    })
    .await;
    let (a, b, c) = tokio::join!(bench.call("a"), bench.call("b"), bench.call("c"));
    for answer in [a, b, c] {
        assert_eq!(answer.unwrap().result.as_str(), r#"{"by":"2"}"#);
    }
    assert_eq!(sessions.load(Ordering::Relaxed), 2);
    bench.end().await;
}

/// A 404 says that nothing was begun. A 400 about sessions may be the tool's own, so that what acts is not put again.
#[tokio::test]
async fn only_what_may_be_put_twice_is_put_again_on_a_hint() {
    for (status, repeat, calls) in [
        ("404 Not Found", Repeat::Unsafe, 2),
        ("400 Bad Request", Repeat::Unsafe, 1),
        ("400 Bad Request", Repeat::Safe, 2),
    ] {
        let greeted = AtomicU32::new(0);
        let bench = Bench::start(Protocol::Legacy, move |seen| match seen.method() {
            "initialize" => legacy(seen, &(greeted.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            "tools/call" if seen.header("mcp-session-id") == Some("1") => http(status, "", "no valid session"),
            _ => legacy(seen, "s"),
        })
        .await;
        let answer = bench.server.call(&cx(), ToolCall { repeat, ..ToolCall::new("pay", None) }).await;
        assert_eq!(bench.asked().iter().filter(|method| *method == "tools/call").count(), calls, "{status} {repeat:?}");
        match answer {
            Ok(answer) => assert_eq!((calls, answer.result.as_str()), (2, r#"{"by":"2"}"#)),
            Err(error) => {
                assert_eq!((calls, error.kind(), error.outcome()), (1, Kind::Refused, Outcome::Failed), "{error}");
                assert_eq!(bench.call("pay").await.unwrap().result.as_str(), r#"{"by":"2"}"#, "the next is well");
            }
        }
        bench.end().await;
    }
}

/// The beginning of a stream of events, which then stays open.
fn stream(events: &[Value]) -> String {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned();
    events.fold(head, |stream, event| stream + &event)
}

#[tokio::test]
async fn news_is_listened_to_in_the_manner_of_the_era() {
    for era in [Era::Legacy, Era::Modern] {
        let tells = json!({ "prompts": { "listChanged": true } });
        let bench = Bench::start(Protocol::Auto, move |seen| {
            let changed = json!({ "jsonrpc": "2.0", "method": "notifications/prompts/list_changed" });
            let ping = json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" });
            match (seen.method(), era) {
                ("server/discover", Era::Modern) => {
                    result(seen, &json!({ "supportedVersions": ["2026-07-28"], "capabilities": tells }))
                }
                ("initialize", _) => {
                    let greeting = json!({ "protocolVersion": "2025-06-18", "capabilities": tells });
                    result(seen, &greeting).replacen("\r\n", "\r\nmcp-session-id: s\r\n", 1)
                }
                ("subscriptions/listen", _) => stream(&[changed]),
                ("", _) if seen.head.starts_with("GET") => stream(&[ping, changed]),
                ("", _) => http("202 Accepted", "", ""),
                _ => legacy(seen, "s"),
            }
        })
        .await;
        let mut changed = bench.server.changed();
        let told = timeout(Duration::from_secs(3), changed.wait_for(|revision| revision.prompts == 2)).await;
        let told = *told.expect("it is heard").unwrap();
        assert_eq!((told.tools, told.resources), (1, 1), "{era:?}");
        if era == Era::Modern {
            let listen = bench.until_asked("subscriptions/listen").await;
            assert_eq!(listen.body["params"]["notifications"], json!({ "promptsListChanged": true }));
            assert_eq!(listen.header("mcp-method"), Some("subscriptions/listen"));
        } else {
            let start = Instant::now();
            let pong = json!({ "jsonrpc": "2.0", "id": "p", "result": {} });
            while !bench.seen.lock().iter().any(|seen| seen.body == pong) {
                assert!(start.elapsed() < Duration::from_secs(2), "the server's ping was never answered");
                sleep(Duration::from_millis(5)).await;
            }
            let seen = bench.seen.lock();
            let get = seen.iter().find(|seen| seen.head.starts_with("GET")).unwrap();
            assert_eq!(get.header("mcp-session-id"), Some("s"));
        }
        bench.end().await;
    }
}

/// A server may have no such stream, or end it: neither does harm.
#[tokio::test]
async fn news_that_is_refused_is_not_asked_for_again() {
    for (answer, asked) in [
        (http("405 Method Not Allowed", "", ""), 1..2),
        (http("400 Bad Request", "", ""), 1..2),
        (http("503 Busy", "", ""), 2..4),
        (http("200 OK", "content-type: text/event-stream\r\n", ": over\n\n"), 2..4),
    ] {
        let bench = Bench::start(Protocol::Legacy, move |seen| match seen.method() {
            "initialize" => {
                let tells = json!({ "tools": { "listChanged": true } });
                result(seen, &json!({ "protocolVersion": "2025-06-18", "capabilities": tells }))
            }
            "" if seen.head.starts_with("GET") => answer.clone(),
            _ => legacy(seen, "s"),
        })
        .await;
        bench.state(ServerState::Ready).await;
        sleep(Duration::from_millis(1200)).await;
        assert_eq!(bench.call("t").await.unwrap().result.as_str(), r#"{"by":null}"#);
        let times = bench.asked().iter().filter(|method| *method == "GET").count();
        assert!(asked.contains(&times), "{times}");
        bench.end().await;
    }
}

#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Peer for Ears {
    fn notify(&self, note: Note) {
        self.0.lock().push(note.params.as_str().to_owned());
    }

    fn ask<'a>(&'a self, method: &'a str, _: Raw) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(async move { Ok(Raw::trusted(format!(r#"{{"asked":"{method}"}}"#))) })
    }

    fn capabilities(&self) -> Raw {
        Raw::trusted("{}")
    }
}

#[tokio::test]
async fn a_stream_carries_progress_questions_and_the_answer() {
    let script = |seen: &Seen| {
        if seen.method() != "tools/call" {
            return if seen.method().is_empty() { http("202 Accepted", "", "") } else { legacy(seen, "s") };
        }
        let (id, token) = (&seen.body["id"], &seen.body["params"]["_meta"]["progressToken"]);
        let events = format!(
            ": hello\n\nid: 1\ndata:\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\"progress\":1.50}}}}\n\n\
             data: {{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"elicitation/create\",\"params\":{{}}}}\r\n\r\n\
             event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\ndata: \"result\":{{\"ok\":1.0}}}}\n\n"
        );
        http("200 OK", "content-type: text/event-stream\r\n", &events)
    };
    let bench = Bench::start(Protocol::Legacy, script).await;
    let ears = Arc::new(Ears::default());
    let mut call = ToolCall::new("t", None);
    call.extra = Some(Raw::trusted(r#"{"_meta":{"progressToken":"mine"}}"#));
    let cx = cx().with_peer(Arc::clone(&ears) as Arc<dyn Peer>);
    let answer = bench.server.call(&cx, call).await.unwrap();
    assert_eq!(answer.result.as_str(), r#"{"ok":1.0}"#);
    assert_eq!(*ears.0.lock(), [r#"{"progressToken":"mine","progress":1.50}"#]);
    let start = Instant::now();
    while !bench.seen.lock().iter().any(|seen| seen.body["result"]["asked"] == "elicitation/create") {
        assert!(start.elapsed() < Duration::from_secs(2), "the server's question was never answered");
        sleep(Duration::from_millis(5)).await;
    }
    bench.end().await;
}

#[tokio::test]
async fn broken_answers_are_errors_and_never_ends() {
    for (answer, kind, part) in [
        (http("200 OK", "content-type: text/event-stream\r\n", ": nothing\n\n"), Kind::Protocol, "ended before"),
        (http("200 OK", "content-type: application/json\r\n", "{\"jsonrpc\""), Kind::Protocol, "no answer"),
        (http("200 OK", "content-type: text/html\r\n", "<html>"), Kind::Protocol, "text/html"),
        (http("302 Found", "location: http://elsewhere/\r\n", ""), Kind::Refused, "302"),
        (http("503 Busy", "", "later"), Kind::Unavailable, "later"),
        (http("403 Forbidden", "", ""), Kind::Credential, "credential"),
        ("garbage\r\n\r\n".to_owned(), Kind::Unavailable, "connection broke"),
    ] {
        let script = move |seen: &Seen| if seen.method() == "tools/call" { answer.clone() } else { legacy(seen, "s") };
        let bench = Bench::start(Protocol::Legacy, script).await;
        let error = bench.call("t").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        bench.end().await;
    }
}

#[tokio::test]
async fn a_dropped_call_ends_in_the_manner_of_its_era() {
    for era in [Era::Legacy, Era::Modern] {
        let script = move |seen: &Seen| match (seen.method(), era) {
            ("tools/call", _) => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: wait\n\n".to_owned(),
            ("server/discover", Era::Modern) => result(seen, &discovery()),
            _ => legacy(seen, "s"),
        };
        let bench = Bench::start(Protocol::Auto, script).await;
        bench.state(ServerState::Ready).await;
        assert!(timeout(Duration::from_millis(200), bench.call("slow")).await.is_err());
        if era == Era::Legacy {
            let call = bench.until_asked("tools/call").await;
            let cancelled = bench.until_asked("notifications/cancelled").await;
            assert_eq!(cancelled.body["params"]["requestId"], call.body["id"]);
        } else {
            let start = Instant::now();
            while bench.closed.load(Ordering::Relaxed) == 0 {
                assert!(start.elapsed() < Duration::from_secs(1), "the stream of the call stays open");
                sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(bench.asked(), ["server/discover", "tools/list", "tools/call"]);
        }
        bench.end().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let spec = ServerSpec::new(
        "gone",
        Reach::Http(Endpoint { url, headers: Vec::new(), keyring: None, transport: Transport::Auto }),
    );
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let server = McpServer::start(spec, Launch::new("/none", []), &tasks, shutdown.clone());
    let error = server.call(&cx(), ToolCall::new("t", None)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent));
    assert!(error.message().starts_with("no connection"), "{error}");
    shutdown.cancel();
    tasks.close();
    timeout(Duration::from_secs(2), tasks.wait()).await.unwrap();
}
