//! Many clients that all number their requests alike, over few connections to servers: each hears his own answer.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod between;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use router_core::{Caller, Cx};
use router_mcp::{
    client::{Launch, McpServer, Program, Reach, ServerSpec},
    server::{Body, Front},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");

const CLIENTS: u64 = 1_000;
/// Each a process with one connection; they answer the other way round.
const SERVERS: [(&str, &str); 3] = [("a", "legacy"), ("b", "modern"), ("c", "legacy")];

/// A front over the servers.
struct Bench {
    front: Front,
    servers: Vec<Arc<McpServer>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Bench {
    fn start() -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let launch = |(name, era): (&'static str, &str)| {
            let args = vec!["shuffle".to_owned(), era.to_owned()];
            let program = Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None };
            let spec = ServerSpec::new(name, Reach::Program(program));
            McpServer::start(spec, Launch::new(FIXTURE, []), &tasks, shutdown.clone())
        };
        let servers: Vec<_> = SERVERS.map(launch).into();
        let named: Vec<_> = SERVERS.iter().zip(&servers).map(|((name, _), server)| (*name, server)).collect();
        let front = between::front(between::catalog(&named, &tasks), &tasks, &shutdown);
        Self { front, servers, tasks, shutdown }
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

/// A client of either era, who knows no other numbers than all the others.
struct Client {
    front: Front,
    number: u64,
    session: Option<String>,
}

impl Client {
    async fn new(front: Front, number: u64) -> Self {
        let mut client = Self { front, number, session: None };
        if number.is_multiple_of(2) {
            let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t" } });
            let answer = client.post(&[], 0, "initialize", hello).await;
            client.session = Some(answer.headers()["mcp-session-id"].to_str().unwrap().to_owned());
        }
        client
    }

    async fn post(&self, headers: &[(&str, &str)], id: u64, method: &str, params: Value) -> Response<Body> {
        let both = "application/json, text/event-stream";
        let mut request = Request::builder().method(Method::POST).header("accept", both);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let caller = Caller { name: format!("client-{}", self.number).into(), ..Caller::anonymous("r") };
        self.front.handle(Cx::new(Arc::new(caller), Duration::from_hours(1)), &parts, Bytes::from(body)).await
    }

    /// Everything that comes back for one call, the answer last.
    async fn call(&self, id: u64, nonce: &str) -> Vec<Value> {
        let (server, _) = SERVERS[usize::try_from(self.number + id).unwrap() % SERVERS.len()];
        let tool = format!("{server}__echo");
        let mut params = json!({ "name": tool, "arguments": { "nonce": nonce }, "_meta": { "progressToken": 1 } });
        let response = if let Some(session) = &self.session {
            self.post(&[("mcp-session-id", session)], id, "tools/call", params).await
        } else {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            let named = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", &tool)];
            self.post(&named, id, "tools/call", params).await
        };
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        if text.starts_with('{') {
            return vec![serde_json::from_str(text).unwrap()];
        }
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
    }

    /// Two calls at a time under the numbers 0 and 1; how many answers were his own, and how many notes.
    async fn visit(self, rounds: u64) -> BTreeMap<&'static str, u64> {
        let mut heard = BTreeMap::new();
        for round in 0..rounds {
            let nonces = [0, 1].map(|id| format!("{}-{round}-{id}", self.number));
            let both = [0, 1].map(|id| self.call(id, &nonces[usize::try_from(id).unwrap()]));
            for (id, (nonce, messages)) in nonces.iter().zip(join_all(both).await).enumerate() {
                for message in messages {
                    *heard.entry(whose(&message, id, nonce)).or_default() += 1;
                }
            }
        }
        heard
    }
}

fn whose(message: &Value, id: usize, nonce: &str) -> &'static str {
    let (note, answer) = (message.pointer("/params/message"), message.pointer("/result/nonce"));
    match (note, answer) {
        (Some(found), None) if found == nonce && message["params"]["progressToken"] == 1 => "own note",
        (None, Some(found)) if found == nonce && message["id"] == id => "own answer",
        (Some(_), None) => "another's note",
        (None, Some(_)) => "another's answer",
        (_, _) => "no answer",
    }
}

async fn every_call_hears_its_own(rounds: u64) {
    let bench = Bench::start();
    let clients = join_all((0..CLIENTS).map(|number| Client::new(bench.front.clone(), number))).await;
    // The calls of a client run beside those of the others, on other threads.
    let visits = clients.into_iter().map(|client| bench.tasks.spawn(client.visit(rounds)));
    let mut heard = BTreeMap::new();
    for visit in join_all(visits).await {
        for (what, count) in visit.expect("a client") {
            *heard.entry(what).or_default() += count;
        }
    }
    let notes = heard.remove("own note").unwrap_or_default();
    let calls = CLIENTS * rounds * 2;
    assert_eq!(heard, BTreeMap::from([("own answer", calls)]));
    // A note may be lost where nobody reads; it is never told twice.
    assert!(notes <= calls && notes > calls / 2, "{notes} notes of {calls} calls");
    for server in &bench.servers {
        let status = server.status();
        assert_eq!((status.restarts, status.strays, status.garbage), (0, 0, 0));
    }
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_18_clients_with_the_same_ids_over_few_connections_are_never_swapped() {
    every_call_hears_its_own(10).await;
}

/// `cargo nextest run -p router-mcp --run-ignored only million`: minutes; what came of it is in `tests/soak/RESULTS.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn t_18_a_million_calls_of_a_thousand_clients_are_never_swapped() {
    every_call_hears_its_own(500).await;
}
