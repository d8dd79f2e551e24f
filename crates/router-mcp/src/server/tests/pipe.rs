//! Over a pipe.

use std::sync::atomic::{AtomicUsize, Ordering};

use router_core::tool::Answer;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, split},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;

/// A client at the other end of a pipe.
pub(super) struct Client {
    pub(super) bench: Bench,
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Client {
    pub(super) fn new() -> Self {
        let bench = Bench::new();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (read, write) = split(theirs);
        let served = bench.front.0.setup.tasks.spawn(serve_stdio(bench.front.clone(), || cx("anonymous"), read, write));
        let (read, input) = split(ours);
        Self { bench, input, output: BufReader::new(read).lines(), served }
    }

    pub(super) async fn write(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(super) async fn read(&mut self) -> String {
        timeout(Duration::from_secs(5), self.output.next_line()).await.unwrap().unwrap().unwrap()
    }

    pub(super) async fn ask(&mut self, line: &str) -> String {
        self.write(line).await;
        self.read().await
    }

    async fn greet(&mut self, version: &str) {
        let params = format!(r#""protocolVersion":"{version}","capabilities":{{"elicitation":{{}}}}"#);
        let hello = self.ask(&legacy_body(0, "initialize", &params)).await;
        assert!(hello.contains(&format!(r#""protocolVersion":"{version}""#)), "{hello}");
    }
}

#[tokio::test]
async fn both_eras_share_one_pipe() {
    let mut client = Client::new();
    let discovered = client.ask(&modern_body(1, "server/discover", "")).await;
    assert!(discovered.contains("supportedVersions") && discovered.contains(r#""resultType":"complete""#));
    client.greet("2025-11-25").await;
    let legacy = client.ask(&legacy_body(2, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(legacy, r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#);
    let modern = client.ask(&modern_body(2, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(
        modern,
        format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":[],"resultType":"complete",{INFO}}}}}"#)
    );
    for (line, code) in [
        ("garbage".to_owned(), -32700),
        ("5".to_owned(), -32600),
        ("[]".to_owned(), -32600),
        (legacy_body(3, "nonsense", ""), -32601),
        (modern_body(3, "ping", ""), -32601),
        (legacy_body(3, "server/discover", ""), -32602),
        (modern_body(3, "tools/list", "").replace("clientCapabilities", "x"), -32602),
        (modern_body(3, "tools/list", "").replace("2026-07-28", "2099-01-01"), -32022),
    ] {
        client.write("").await;
        let answer = client.ask(&line).await;
        assert!(answer.contains(&format!(r#""code":{code}"#)), "{line} {answer}");
    }
    assert_eq!(client.ask(&legacy_body(4, "ping", "")).await, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#);
}

#[tokio::test]
async fn requests_run_beside_one_another_and_are_cancelled_without_an_answer() {
    let mut client = Client::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    client.bench.fake.on_call(move |cx, _| {
        let count = Arc::clone(&count);
        async move {
            cx.cancel().cancelled().await;
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    });
    let call = r#""name":"s__echo""#;
    client.write(&legacy_body(1, "tools/call", call)).await;
    client.write(&modern_body(2, "tools/call", call)).await;
    assert_eq!(client.ask(&legacy_body(3, "ping", "")).await, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    for id in [1, 2, 99] {
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":ID}}"#;
        client.write(&cancel.replace("ID", &id.to_string())).await;
    }
    assert_eq!(client.ask(&legacy_body(4, "ping", "")).await, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#);
    assert!(timeout(Duration::from_millis(50), client.output.next_line()).await.is_err(), "no answer");
}

#[tokio::test]
async fn a_server_asks_through_the_pipe() {
    let mut client = Client::new();
    client
        .bench
        .fake
        .on_call(|cx, _| async move { cx.peer().ask("elicitation/create", raw("{}")).await.map(Answer::new) });
    client.greet("2025-06-18").await;
    let question = client.ask(&legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(question, r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#);
    client.write(r#"{"jsonrpc":"2.0","id":77,"result":{"action":"nobody asked"}}"#).await;
    let answer = client.ask(r#"{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}"#);
    client.write(&legacy_body(2, "tools/call", r#""name":"s__echo""#)).await;
    client.read().await;
    let refused = client.ask(r#"{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}"#).await;
    assert_eq!(refused, r#"{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}"#);
}

#[tokio::test]
async fn changes_are_told_to_who_is_ready_or_listens() {
    let mut client = Client::new();
    client.greet("2025-11-25").await;
    for _ in 0..2 {
        client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    }
    client.ask(&legacy_body(1, "ping", "")).await;
    client.bench.fake.change(|revision| revision.tools += 1);
    assert_eq!(client.read().await, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let listen = modern_body(5, "subscriptions/listen", r#""notifications":{"promptsListChanged":true}"#);
    let acknowledged = client.ask(&listen).await;
    assert!(acknowledged.contains(r#""notifications":{"promptsListChanged":true}"#), "{acknowledged}");
    client.bench.fake.change(|revision| revision.prompts += 1);
    let mut told = [client.read().await, client.read().await];
    told.sort();
    assert_eq!(
        told[0],
        r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#
            .replace("\"}", r#"","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":5}}}"#)
    );
    client.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#).await;
    client.ask(&legacy_body(1, "ping", "")).await;
    client.bench.fake.change(|revision| revision.prompts += 1);
    client.read().await;
    assert!(timeout(Duration::from_millis(50), client.output.next_line()).await.is_err(), "it was cancelled");
}

#[tokio::test]
async fn batches_are_answered_where_they_exist() {
    let mut client = Client::new();
    let batch = format!("[{}]", legacy_body(1, "ping", ""));
    client.greet("2025-03-26").await;
    assert_eq!(client.ask(&batch).await, r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#);
    client.greet("2025-06-18").await;
    assert!(client.ask(&batch).await.contains("-32600"));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_the_input_ends_is_still_answered_for_a_while() {
    for (seconds, answered) in [(2, true), (20, false)] {
        let mut client = Client::new();
        client.bench.fake.on_call(move |_, _| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(Answer::new(raw("{}")))
        });
        client.greet("2025-11-25").await;
        client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        client.write(&legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
        client.input.shutdown().await.unwrap();
        let line = client.output.next_line().await.unwrap();
        assert_eq!(line.is_some(), answered, "{line:?}");
        client.served.await.unwrap().unwrap();
        client.bench.front.0.setup.tasks.close();
        client.bench.front.0.setup.tasks.wait().await;
    }
}

#[tokio::test]
async fn what_a_server_says_beside_all_requests_is_heard_by_those_who_want_it() {
    let mut client = Client::new();
    client.greet("2025-11-25").await;
    client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    client.ask(&legacy_body(1, "logging/setLevel", r#""level":"warning""#)).await;
    assert_eq!(*client.bench.fake.levels.lock(), ["warning"]);
    client.bench.fake.on_call(|cx, _| async move {
        cx.peer().ask("elicitation/create", raw(r#"{"elicitationId":"mine"}"#)).await.map(Answer::new)
    });
    client.ask(&legacy_body(2, "tools/call", r#""name":"s__echo""#)).await;
    client.ask(r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#).await;
    let (log, done) = ("notifications/message", "notifications/elicitation/complete");
    for (method, params) in [
        (log, r#"{"level":"info","data":1}"#),
        (log, r#"{"level":"error","data":2}"#),
        (done, r#"{"elicitationId":"another"}"#),
        (done, r#"{"elicitationId":"mine"}"#),
    ] {
        let note = router_core::Note { method: method.into(), params: raw(params) };
        client.bench.fake.remarks.send(crate::view::Remark::to_all(note)).unwrap();
    }
    let heard = [client.read().await, client.read().await];
    assert_eq!(
        heard,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":2}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"mine"}}"#,
        ]
    );
}
