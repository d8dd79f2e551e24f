//! A client that sends what it is told, byte for byte, and hands on what it hears, through the whole of the front.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use router_core::{Caller, Cx};
use router_mcp::{
    client::{Launch, McpServer, Reach, ServerSpec},
    server::{Front, serve_stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::server::{FIXTURE, Way};
use crate::between;

/// Which era a side speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

const LEGACY_META: &str = r#""_meta":{"vendor":{"z":1.0, "a":"\/"},"progressToken":"m\u0069ne"}"#;
const MODERN_META: &str = r#""_meta":{"vendor":{"z":1.0, "a":"\/"},"progressToken":"m\u0069ne","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"x":1.0},"io.modelcontextprotocol/clientInfo":{"version":"1","name":"odd"},"io.modelcontextprotocol/logLevel":"debug"}"#;

pub(crate) struct Client {
    era: Era,
    end: End,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Where it is connected.
enum End {
    Http { front: Front, session: Option<String> },
    Pipe { input: WriteHalf<DuplexStream>, output: Lines<BufReader<ReadHalf<DuplexStream>>> },
}

impl Client {
    /// A router before that server, and a client before the router that has greeted it where its era does.
    pub(crate) async fn connect(era: Era, way: Way, reach: Reach) -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let front = front(reach, &tasks, &shutdown);
        let end = match way {
            Way::Http => End::Http { front, session: None },
            Way::Pipe => {
                let (ours, theirs) = duplex(256 * 1024);
                let (read, write) = split(theirs);
                tasks.spawn(serve_stdio(front, cx, read, write));
                let (read, input) = split(ours);
                End::Pipe { input, output: BufReader::new(read).lines() }
            }
        };
        let mut client = Self { era, end, tasks, shutdown };
        if era == Era::Legacy {
            let params =
                r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"odd","version":"1"}}"#;
            client.send(&format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#), &[]).await;
        }
        client
    }

    /// What it sent, and all that it heard for it.
    pub(crate) async fn ask(&mut self, method: &str, params: &str) -> (String, Vec<String>) {
        let meta = if self.era == Era::Modern { MODERN_META } else { LEGACY_META };
        let comma = if params.is_empty() { "" } else { "," };
        let sent =
            format!(r#"{{"jsonrpc":"2.0","id":"\u0069d","method":"{method}","params":{{{params}{comma}{meta}}}}}"#);
        let named = serde_json::from_str::<serde_json::Value>(&format!("{{{params}}}")).unwrap();
        let name = named.get("name").or(named.get("uri")).and_then(|name| name.as_str());
        let mut headers = Vec::new();
        if self.era == Era::Modern {
            headers.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)]);
            headers.extend(name.map(|name| ("mcp-name", name)));
        }
        let heard = self.send(&sent, &headers).await;
        (sent, heard)
    }

    /// Sends one request, and hears until it is answered.
    async fn send(&mut self, message: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let heard = match &mut self.end {
            End::Pipe { input, output } => {
                input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
                let mut heard: Vec<String> = Vec::new();
                while heard.last().is_none_or(|message| !message.contains(r#""id":"#)) {
                    let line = timeout(Duration::from_secs(20), output.next_line()).await;
                    heard.push(line.expect("an answer").unwrap().expect("a line"));
                }
                return heard;
            }
            End::Http { front, session } => {
                let mut request = Request::builder().method(Method::POST);
                request = request.header("accept", "application/json, text/event-stream");
                request = session.iter().fold(request, |request, id| request.header("mcp-session-id", id));
                request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
                let (parts, ()) = request.body(()).unwrap().into_parts();
                let response = front.handle(cx(), &parts, Bytes::from(message.to_owned())).await;
                if let Some(id) = response.headers().get("mcp-session-id") {
                    *session = Some(id.to_str().unwrap().to_owned());
                }
                response.into_body().collect().await.unwrap().to_bytes()
            }
        };
        let heard = std::str::from_utf8(&heard).unwrap();
        if heard.starts_with('{') {
            return vec![heard.to_owned()];
        }
        heard
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| !data.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub(crate) async fn end(self) {
        drop(self.end);
        self.shutdown.cancel();
        self.tasks.close();
        timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

pub(crate) fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(20))
}

/// The one server under its own names.
pub(crate) fn front(reach: Reach, tasks: &TaskTracker, shutdown: &CancellationToken) -> Front {
    let spec = ServerSpec::new("odd", reach);
    let server = McpServer::start(spec, Launch::new(FIXTURE, []), tasks, shutdown.clone());
    let catalog = between::catalog(&[("odd", &server)], tasks).single("odd").expect("the one server");
    between::front(catalog, tasks, shutdown)
}
