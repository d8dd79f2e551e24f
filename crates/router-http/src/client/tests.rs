//! What a client does with servers that do what they should not.

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

mod lines;

fn get(uri: &str) -> Request<Pieces> {
    Request::get(uri).body(Pieces::from(Bytes::new())).unwrap()
}

async fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(answer).await;
    };
    tokio_util::task::TaskTracker::new().spawn(serve);
    format!("http://{address}/")
}

#[tokio::test]
async fn says_why_nothing_was_sent() {
    let client = HttpClient::new(Duration::from_secs(3));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = client.send(get(&format!("http://{closed}/"))).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("no connection to {closed}: Connection refused (os error 111)"));
    let nameless = client.send(get("http://no-such-name.invalid/")).await.unwrap_err();
    assert_eq!(nameless.to_string(), "the name no-such-name.invalid cannot be resolved");
    for error in [refused, nameless] {
        assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent));
    }
}

#[tokio::test]
async fn does_not_know_what_became_of_what_was_sent() {
    let client = HttpClient::new(Duration::from_secs(3));
    let huge: &[u8] = Box::leak(format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(400 << 10)).into_bytes().into());
    let table: [(&'static [u8], Kind, &str); 3] = [
        (b"", Kind::Unavailable, "closed the connection before it answered"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Kind::Protocol, "answered something that is not HTTP"),
        (huge, Kind::Protocol, "answered with a head that is too large"),
    ];
    for (answer, kind, message) in table {
        let uri = answering(answer).await;
        let error = client.send(get(&uri)).await.err().unwrap();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::Unknown), "{error:?}");
        assert!(error.message().ends_with(message), "{error:?}");
    }
}

#[tokio::test]
async fn speaks_no_tls_to_a_server_that_speaks_none() {
    let uri = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.replace("http:", "https:");
    let error = HttpClient::new(Duration::from_secs(3)).send(get(&uri)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent), "{error:?}");
}

#[test]
fn an_address_has_its_port() {
    for (uri, expect) in [("https://a.b/c", "a.b:443"), ("http://a", "a:80"), ("http://[::1]:9/", "[::1]:9")] {
        assert_eq!(address(&Uri::from_static(uri)), expect);
    }
}
