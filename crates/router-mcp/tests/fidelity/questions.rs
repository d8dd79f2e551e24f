//! Questions back: a server that asks during a call in the way of its era, and a client that answers in the way of his,
//! both by hand and over pipes.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines, duplex, split},
    net::TcpListener,
    time::{Duration, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::{Era, cx, front},
    server::{FIXTURE, LEGACY_HELLO, MODERN_HELLO},
};
use router_mcp::{
    client::{Program, Reach},
    server::serve_stdio,
};

const TOOLS: &str = r#"{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}"#;
const CAPABILITIES: &str = r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{}}"#;
const STATE: &str = r#""st\u0061te""#;

/// One end of a conversation in lines.
struct Talk {
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
}

impl Talk {
    fn new(output: impl AsyncRead + Send + Unpin + 'static, input: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        let output: Box<dyn AsyncRead + Send + Unpin> = Box::new(output);
        Self { input: Box::new(input), output: BufReader::new(output).lines() }
    }

    async fn say(&mut self, message: &str) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// The next message, as it was written and as it is meant.
    async fn hear(&mut self) -> (String, Value) {
        let line = timeout(Duration::from_secs(20), self.output.next_line()).await;
        let line = line.expect("a message").unwrap().expect("a line");
        let meant = serde_json::from_str(&line).unwrap();
        (line, meant)
    }
}

/// The server's end.
struct Server {
    era: Era,
    talk: Talk,
}

impl Server {
    /// The next message that is not about what it is and has.
    async fn hear(&mut self) -> (String, Value) {
        loop {
            let (line, message) = self.talk.hear().await;
            let id = &message["id"];
            let answer = match (message["method"].as_str(), self.era) {
                (Some("initialize"), Era::Legacy) => LEGACY_HELLO,
                (Some("server/discover"), Era::Modern) => MODERN_HELLO,
                (Some("tools/list"), _) => TOOLS,
                (Some("tools/call") | None, _) => return (line, message),
                (Some(_), _) => {
                    if !id.is_null() {
                        let error = r#"{"code":-32601,"message":"no"}"#;
                        self.talk.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)).await;
                    }
                    continue;
                }
            };
            self.result(id, answer).await;
        }
    }

    async fn result(&mut self, id: &Value, result: &str) {
        self.talk.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)).await;
    }

    /// Asks while the call `id` is under way.
    async fn ask(&mut self, id: &Value, method: &str, params: &str) -> String {
        let question = format!(r#""method":"{method}","params":{params}"#);
        let said = match self.era {
            Era::Legacy => format!(r#"{{"id":"q\u0031","jsonrpc":"2.0",{question}}}"#),
            Era::Modern => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"requestState":{STATE},"inputRequests":{{"k\u0065y":{{{question}}}}},"resultType":"input_required"}}}}"#
            ),
        };
        self.talk.say(&said).await;
        said
    }
}

/// The client's end.
struct Client {
    era: Era,
    talk: Talk,
}

impl Client {
    async fn call(&mut self, more: &str) -> String {
        let meta = match self.era {
            Era::Legacy => String::new(),
            Era::Modern => format!(
                r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{CAPABILITIES},"io.modelcontextprotocol/clientInfo":{{"name":"odd","version":"1"}}}}"#
            ),
        };
        let params = format!(r#"{{"name":"echo","arguments":{{}}{more}{meta}}}"#);
        let said = format!(r#"{{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{params}}}"#);
        self.talk.say(&said).await;
        said
    }

    /// Answers the question that it has just heard.
    async fn answer(&mut self, question: &Value, answer: &str) -> String {
        if self.era == Era::Modern {
            let asked = question["result"]["inputRequests"].as_object().expect("a question");
            let (key, state) = (asked.keys().next().unwrap(), &question["result"]["requestState"]);
            return self.call(&format!(r#","requestState":{state},"inputResponses":{{"{key}":{answer}}}"#)).await;
        }
        let said = format!(r#"{{"result":{answer},"jsonrpc":"2.0","id":{}}}"#, question["id"]);
        self.talk.say(&said).await;
        said
    }
}

/// The message with what is ours and never the same taken out of it.
fn masked(line: &str, message: &Value) -> String {
    let state = message.pointer("/result/requestState").or(message.pointer("/params/requestState"));
    let state = state.filter(|state| *state != "state").map(Value::to_string).unwrap_or_default();
    let line = if state.is_empty() { line.to_owned() } else { line.replacen(&state, "SEALED", 1) };
    match message["id"].as_number() {
        Some(id) => line.replacen(&format!(r#""id":{id}"#), r#""id":OURS"#, 1),
        None => line,
    }
}

/// Has every question asked, and writes down who said and heard what.
pub(crate) async fn corpus(client_era: Era, server_era: Era, questions: &[(&str, String, String)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = vec!["wire".to_owned(), listener.local_addr().unwrap().to_string()];
    let reach = Reach::Program(Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None });
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let (ours, theirs) = duplex(256 * 1024);
    let (read, write) = split(theirs);
    tasks.spawn(serve_stdio(front(reach, &tasks, &shutdown), cx, read, write));
    let (read, write) = split(ours);
    let mut client = Client { era: client_era, talk: Talk::new(read, write) };
    let (read, write) = listener.accept().await.unwrap().0.into_split();
    let mut server = Server { era: server_era, talk: Talk::new(read, write) };
    if client_era == Era::Legacy {
        let params = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"clientInfo":{{"name":"odd","version":"1"}}}}"#
        );
        client.talk.say(&format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#)).await;
        client.talk.hear().await;
    }
    let mut told = Vec::new();
    for (method, params, answer) in questions {
        client.call("").await;
        let (_, call) = server.hear().await;
        let said = server.ask(&call["id"], method, params).await;
        let mut lines = vec![("server", masked(&said, &serde_json::from_str(&said).unwrap()))];
        let (line, question) = client.talk.hear().await;
        lines.push(("client hears", masked(&line, &question)));
        let said = client.answer(&question, answer).await;
        lines.push(("client", masked(&said, &serde_json::from_str(&said).unwrap())));
        let (line, answered) = server.hear().await;
        lines.push(("server hears", masked(&line, &answered)));
        assert!(line.contains(answer.as_str()), "{method} {client_era:?} {server_era:?}: the server heard {line}");
        let call = if server_era == Era::Modern { &answered["id"] } else { &call["id"] };
        server.result(call, r#"{"content":[],"resultType":"complete"}"#).await;
        let (_, end) = client.talk.hear().await;
        assert!(end["result"]["content"].is_array(), "{end}");
        told.push((*method).to_owned());
        told.extend(lines.into_iter().map(|(who, what)| format!("  {who:>12} {what}")));
    }
    drop((client, server));
    shutdown.cancel();
    tasks.close();
    timeout(Duration::from_secs(8), tasks.wait()).await.expect("every task ends");
    told.join("\n").replace(env!("CARGO_PKG_VERSION"), "[version]")
}
