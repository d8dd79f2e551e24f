//! From a client's request to a real child and back: the front, the catalog, and a server behind them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod between;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use router_core::{Caller, Cx};
use router_mcp::{
    client::{Launch, McpServer, Program, Reach, ServerSpec, ServerState},
    server::Front,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");

/// A client of the whole.
struct Bench {
    front: Front,
    server: Arc<McpServer>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Bench {
    fn start(words: &[&str]) -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let args = ["server"].iter().chain(words).map(|&word| word.to_owned()).collect();
        let program = Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None };
        let spec = ServerSpec::new("fix", Reach::Program(program));
        let server = McpServer::start(spec, Launch::new(FIXTURE, []), &tasks, shutdown.clone());
        let front = between::front(between::catalog(&[("fix", &server)], &tasks), &tasks, &shutdown);
        Self { front, server, tasks, shutdown }
    }

    /// Asks as a modern client does.
    async fn ask(&self, method: &str, name: Option<&str>) -> Value {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} });
        let mut params = json!({ "_meta": meta });
        let mut request = Request::builder()
            .method(Method::POST)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if let Some(name) = name {
            params = json!({ "name": name, "arguments": {}, "_meta": meta });
            request = request.header("mcp-name", name);
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(20));
        let response = self.front.handle(cx, &parts, Bytes::from(body)).await;
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    async fn call(&self, tool: &str) -> Value {
        self.ask("tools/call", Some(tool)).await
    }

    async fn tools(&self) -> Value {
        self.ask("tools/list", None).await.pointer("/result/tools").unwrap().clone()
    }

    async fn state(&self, wanted: ServerState) {
        let start = Instant::now();
        while self.server.status().state != wanted {
            assert!(start.elapsed() < Duration::from_secs(10), "never {wanted:?}: {:?}", self.server.status());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

/// What a failed tool call says: a result of its own kind, with words for the model.
fn failure(answer: &Value) -> &str {
    assert_eq!(answer.pointer("/result/isError"), Some(&Value::Bool(true)), "{answer}");
    answer.pointer("/result/content/0/text").unwrap().as_str().unwrap()
}

#[tokio::test]
async fn a_client_and_a_child_of_either_era_understand_one_another() {
    for era in ["legacy", "modern"] {
        let bench = Bench::start(&[era]);
        assert_eq!(bench.tools().await, json!([{ "name": "fix__echo" }]), "{era}");
        let echo = bench.call("fix__echo").await;
        assert_eq!(echo.pointer("/result/echo/name"), Some(&json!("echo")), "{era}: {echo}");
        assert_eq!(echo.pointer("/result/resultType"), Some(&json!("complete")));
        let unknown = bench.call("fix__eccho").await;
        assert_eq!(unknown.pointer("/error/code"), Some(&json!(-32602)), "{unknown}");
        assert!(unknown.to_string().contains("did you mean fix__echo?"), "{unknown}");
        bench.end().await;
    }
}

#[tokio::test]
async fn a_child_that_dies_in_a_call_leaves_its_list_and_comes_back() {
    let bench = Bench::start(&["also=die"]);
    let list = bench.tools().await;
    assert_eq!(list, json!([{ "name": "fix__echo" }, { "name": "fix__die" }]));
    let killed = bench.call("fix__die").await;
    assert!(failure(&killed).contains("the server was ended by signal 9"), "{killed}");

    bench.state(ServerState::BackingOff).await;
    let start = Instant::now();
    assert_eq!(bench.tools().await, list, "kept through the outage");
    let refused = bench.call("fix__echo").await;
    assert!(failure(&refused).contains("next start in"), "{refused}");
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());

    bench.state(ServerState::Ready).await;
    assert_eq!(bench.call("fix__echo").await.pointer("/result/echo/name"), Some(&json!("echo")));
    assert_eq!((bench.tools().await, bench.server.status().restarts), (list, 1));
    bench.end().await;
}
