//! A server that writes down what it hears, byte for byte, and answers from a table.

use std::sync::Arc;

use parking_lot::Mutex;
use router_mcp::client::{Endpoint, Program, Reach, Transport};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::client::Era;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Http,
    Pipe,
}

/// The program that stands for a server behind a pipe.
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");

pub(crate) const LEGACY_HELLO: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"logging":{}},"serverInfo":{"name":"odd","version":"1"}}"#;
pub(crate) const MODERN_HELLO: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"logging":{}},"ttlMs":0,"cacheScope":"private"}"#;
/// What it says of its progress and what it logs before it answers a call.
const PROGRESS: &str = r#"{"progress":1.0,"progressToken":TOKEN,"total":1E2,"x":[ ]}"#;
const LOG: &str = r#"{"data":{"z":1.0,"a":12345678901234567890123},"level":"error","x":"\/"}"#;

/// A method, parameters that tell two cases of it apart, and what is answered.
type Answers = Vec<(&'static str, &'static str, String)>;

pub(crate) struct Server {
    way: Way,
    address: String,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub(crate) async fn start(era: Era, way: Way, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let desk = Arc::new(Desk { era, answers, heard: Arc::clone(&heard) });
        #[expect(clippy::disallowed_methods, reason = "the server belongs to the test, not to the router")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    match way {
                        Way::Http => desk.serve_http(stream).await,
                        Way::Pipe => desk.serve_lines(stream).await,
                    }
                });
            }
        });
        Self { way, address, heard }
    }

    /// How the router reaches it.
    pub(crate) fn url(&self) -> Reach {
        match self.way {
            Way::Http => {
                let url = format!("http://{}/mcp", self.address).parse().unwrap();
                Reach::Http(Endpoint { url, headers: Vec::new(), keyring: None, transport: Transport::Auto })
            }
            Way::Pipe => {
                let args = vec!["wire".to_owned(), self.address.clone()];
                Reach::Program(Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None })
            }
        }
    }

    /// The last message of a method that it heard, with our own numbers taken out of it.
    pub(crate) fn last(&self, method: &str) -> String {
        let heard = self.heard.lock();
        let (_, message) = heard.iter().rfind(|(heard, _)| heard == method).expect("the server heard it");
        let parsed: Value = serde_json::from_str(message).unwrap();
        let ours = format!(r#""id":{}"#, parsed["id"]);
        let token = format!(r#""progressToken":{}"#, parsed["id"]);
        message.replacen(&ours, r#""id":OURS"#, 1).replacen(&token, r#""progressToken":OURS"#, 1)
    }
}

struct Desk {
    era: Era,
    answers: Answers,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Desk {
    /// What is said to a message, in order; nothing to a notification.
    fn hear(&self, message: &str) -> Vec<String> {
        let parsed: Value = serde_json::from_str(message).unwrap();
        let method = parsed["method"].as_str().unwrap_or_default();
        self.heard.lock().push((method.to_owned(), message.to_owned()));
        let id = &parsed["id"];
        if id.is_null() {
            return Vec::new();
        }
        let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        match (method, self.era) {
            ("server/discover", Era::Modern) => return vec![result(MODERN_HELLO)],
            ("initialize", Era::Legacy) => return vec![result(LEGACY_HELLO)],
            _ => {}
        }
        let params = &parsed["params"];
        let fits = |wanted: &str| !wanted.contains("fail") || params["name"] == "fail";
        let answer = self.answers.iter().rev().find(|(asked, wanted, _)| *asked == method && fits(wanted));
        let Some((_, _, answer)) = answer else {
            return vec![format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no"}}}}"#)];
        };
        if let Some(error) = answer.strip_prefix("error ") {
            return vec![format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)];
        }
        let mut said = Vec::new();
        if let Some(token) = params.pointer("/_meta/progressToken") {
            let progress = PROGRESS.replace("TOKEN", &token.to_string());
            said.push(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{progress}}}"#));
            said.push(format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{LOG}}}"#));
        }
        said.push(result(answer));
        said
    }

    async fn serve_lines(&self, stream: TcpStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            for said in self.hear(&line) {
                write.write_all(format!("{said}\n").as_bytes()).await.unwrap();
            }
        }
    }

    async fn serve_http(&self, mut stream: TcpStream) {
        let mut read = Vec::new();
        while let Some((head, body)) = request(&mut stream, &mut read).await {
            let said = if head.starts_with("POST") { self.hear(&body) } else { Vec::new() };
            let (status, kind, body) = match &said[..] {
                [] if head.starts_with("GET") => ("405 Method Not Allowed", "text/plain", String::new()),
                [] => ("202 Accepted", "text/plain", String::new()),
                [only] => ("200 OK", "application/json", only.clone()),
                several => {
                    let events = format!("data: {}\n\n", several.join("\n\ndata: "));
                    ("200 OK", "text/event-stream", events)
                }
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The head and the body of the next request.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if let Some(body) = body.get(..length) {
                read.drain(..head.len() + 4 + length);
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}
