//! Over HTTP+SSE.

use router_core::tool::Answer;

use super::*;

/// A client of 2024-11-05: what it hears, and where it posts to.
struct Client<'a> {
    bench: &'a Bench,
    stream: Body,
    address: String,
}

impl<'a> Client<'a> {
    async fn connect(bench: &'a Bench, path: &str) -> Self {
        let mut stream = ask(bench, "alice", Method::GET, ("/sse", path), "").await.into_body();
        let event = next_event(&mut stream).await.unwrap();
        let address = event.strip_prefix("event: endpoint\ndata: ").unwrap().trim_end().to_owned();
        Self { bench, stream, address }
    }

    async fn post(&self, body: &str) -> u16 {
        ask(self.bench, "alice", Method::POST, (&self.address, ""), body).await.status().as_u16()
    }

    async fn asks(&mut self, body: &str) -> String {
        assert_eq!(self.post(body).await, 202);
        next(&mut self.stream).await.unwrap()
    }

    async fn greet(&mut self) {
        let params = r#""protocolVersion":"2024-11-05","capabilities":{"elicitation":{}}"#;
        let hello = self.asks(&legacy_body(0, "initialize", params)).await;
        assert!(hello.contains(r#""protocolVersion":"2024-11-05""#), "{hello}");
    }
}

async fn ask(bench: &Bench, caller: &str, method: Method, (uri, path): (&str, &str), body: &str) -> Response<Body> {
    let (parts, ()) = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
    bench.front.handle_sse(cx(caller), (&parts, path), Bytes::copy_from_slice(body.as_bytes())).await
}

#[tokio::test]
async fn what_is_posted_is_answered_on_the_stream() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench, "/sse").await;
    assert!(client.address.starts_with("/sse?sessionId="));
    client.greet().await;
    assert_eq!(client.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await, 202);
    let told = client.asks(&legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(told, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
    bench.fake.change(|revision| revision.prompts += 1);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#;
    assert_eq!(next(&mut client.stream).await.unwrap(), changed);

    bench.fake.on_call(|cx, _| async move {
        Ok(Answer::new(cx.peer().ask("elicitation/create", raw(r#"{"message":"Sure?"}"#)).await?))
    });
    let asked = client.asks(&legacy_body(2, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(asked, r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Sure?"}}"#);
    let told = client.asks(r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#).await;
    assert_eq!(told, r#"{"jsonrpc":"2.0","id":2,"result":{"action":"accept"}}"#);
}

#[tokio::test]
async fn an_address_is_its_own_clients_for_as_long_as_the_stream_lasts() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench, "").await;
    assert!(client.address.starts_with("?sessionId="), "below `/c/` the path is left to the client");
    client.address = format!("/sse{}", client.address);
    client.greet().await;
    let ping = legacy_body(1, "ping", "");
    let (address, unknown) = (client.address.clone(), "/sse?sessionId=0".to_owned());
    for (caller, method, address, body, status) in [
        ("alice", Method::POST, &address, "{", 400),
        ("alice", Method::POST, &address, r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, 400),
        ("bob", Method::POST, &address, &*ping, 404),
        ("alice", Method::POST, &unknown, &*ping, 404),
        ("alice", Method::POST, &"/sse".to_owned(), &*ping, 404),
        ("alice", Method::DELETE, &address, "", 405),
    ] {
        let answer = ask(&bench, caller, method, (address, ""), body).await;
        assert_eq!(answer.status(), status, "{caller} {address} {body}");
    }
    bench.fake.on_call(|_, _| std::future::pending());
    assert_eq!(client.post(&legacy_body(2, "tools/call", r#""name":"s__echo""#)).await, 202);
    let session = bench.front.0.sessions.find(address.split('=').nth(1).unwrap(), "alice").unwrap();
    drop(client);
    assert!(session.over.is_cancelled() && bench.front.0.pipes.lock().is_empty());
    assert_eq!(ask(&bench, "alice", Method::POST, (&address, ""), &ping).await.status(), 404);
    bench.front.0.setup.tasks.close();
    tokio::time::timeout(Duration::from_secs(5), bench.front.0.setup.tasks.wait()).await.expect("the call has ended");
}

#[tokio::test]
async fn a_client_that_does_not_read_may_say_nothing_more() {
    let bench = Bench::new();
    let client = Client::connect(&bench, "/sse").await;
    let mut answers = Vec::new();
    while answers.last() != Some(&503) {
        assert!(answers.len() < 1_000, "nothing is refused");
        answers.push(client.post(&legacy_body(1, "ping", "")).await);
        tokio::task::yield_now().await;
    }
    assert!(answers.len() > 60 && answers[..answers.len() - 1].iter().all(|status| *status == 202));
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_we_close() {
    let bench = Bench::new();
    let mut client = Client::connect(&bench, "/sse").await;
    client.greet().await;
    let go = Arc::new(tokio::sync::Notify::new());
    let gone = Arc::clone(&go);
    bench.fake.on_call(move |_, _| {
        let gone = Arc::clone(&gone);
        async move {
            gone.notified().await;
            Ok(Answer::new(raw("{}")))
        }
    });
    assert_eq!(client.post(&legacy_body(1, "tools/call", r#""name":"s__echo""#)).await, 202);
    bench.closing.cancel();
    let early = tokio::time::timeout(Duration::from_millis(50), next(&mut client.stream)).await;
    assert!(early.is_err(), "{early:?}");
    go.notify_one();
    assert_eq!(next(&mut client.stream).await.unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(next(&mut client.stream).await, None);
}
