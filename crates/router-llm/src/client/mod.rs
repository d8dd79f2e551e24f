//! The way out: one pooled HTTP client for every provider.
//!
//! It follows no redirect and retries nothing that was sent: both are decided by layers that know what is asked.
//! Dropping a response, or the future of one, closes its request: on HTTP/1 the connection, on HTTP/2 the stream.

mod dial;
mod pieces;

use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};
use router_core::{Error, Kind, Outcome, Result};

use dial::Dial;
pub use pieces::Pieces;

/// What the head of a response may weigh; more than any provider sends, less than would hurt.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Header lines of a response at the most.
const MAX_HEADERS: usize = 128;

/// An idle connection is closed by us before most servers close it themselves: a question never races with that.
const IDLE_CONNECTION: Duration = Duration::from_secs(55);

/// Idle connections kept per address.
const MAX_IDLE_CONNECTIONS: usize = 64;

/// How long an HTTP/2 connection with open streams may stay without a sign of life.
const ALIVE: Duration = Duration::from_secs(20);

/// The client; cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<Dial, Pieces>);

impl HttpClient {
    /// A client that gives a connection `connect` to come about. Costs nothing yet: the trusted certificates are read
    /// when the first `https` address is asked.
    pub fn new(connect: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_headers(MAX_HEADERS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http2_max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(ALIVE)
            .http2_keep_alive_timeout(ALIVE)
            .build(Dial::new(connect));
        Self(client)
    }

    /// Sends a request and waits for the head of its response. The deadline is the caller's to keep.
    pub async fn send(&self, request: Request<Pieces>) -> Result<Response<Incoming>> {
        let uri = request.uri().clone();
        self.0.request(request).await.map_err(|error| failure(error, &uri))
    }
}

/// What a failed exchange means: until a connection stood nothing was sent, afterwards nobody knows.
fn failure(error: legacy::Error, uri: &Uri) -> Error {
    let address = address(uri);
    if error.is_connect() {
        let message = if causes(&error).any(|cause| cause == "dns error") {
            format!("the name {} cannot be resolved", uri.host().unwrap_or_default())
        } else {
            format!("no connection to {address}: {}", causes(&error).last().unwrap_or_default())
        };
        return Error::new(Kind::Unavailable, message).outcome_is(Outcome::NotSent).because(error);
    }
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<hyper::Error>());
    let (kind, message) = match cause {
        Some(cause) if cause.is_parse_too_large() => (Kind::Protocol, "answered with a head that is too large"),
        Some(cause) if cause.is_parse() => (Kind::Protocol, "answered something that is not HTTP"),
        _ => (Kind::Unavailable, "closed the connection before it answered"),
    };
    Error::new(kind, format!("{address} {message}")).because(error)
}

/// The texts of an error's causes, from the outermost one inwards.
fn causes(error: &legacy::Error) -> impl Iterator<Item = String> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source()).map(ToString::to_string)
}

/// `host:port`, with the port that the scheme implies.
pub(crate) fn address(uri: &Uri) -> String {
    let implied = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { 443 } else { 80 };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(implied))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

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
        let huge: &[u8] =
            Box::leak(format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(400 << 10)).into_bytes().into());
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
}
