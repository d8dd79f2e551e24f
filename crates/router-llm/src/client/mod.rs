//! The way out: one pooled HTTP client for every provider.
//!
//! It follows no redirect and retries nothing that was sent: both are decided by layers that know what is asked.
//! Dropping a response, or the future of one, closes its request: on HTTP/1 the connection, on HTTP/2 the stream.

mod dial;
mod line;
mod pieces;
mod pool;

use std::{sync::Arc, time::Duration};

use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use parking_lot::Mutex;
use router_core::{Error, Kind, Outcome, Result};

use dial::{BoxError, Dial};
pub use line::Answer;
pub use pieces::Pieces;
use pool::{Pool, Way};

/// The client; cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    dial: Dial,
    pools: Arc<Mutex<Pools>>,
}

/// The connections to each address: mostly there is one, the provider's.
type Pools = Vec<(Place, Arc<Pool>)>;

type Place = (Option<Scheme>, Option<Authority>);

impl HttpClient {
    /// A client that gives a connection `connect` to come about. Costs nothing yet: the trusted certificates are read
    /// when the first `https` address is asked.
    pub fn new(connect: Duration) -> Self {
        Self { dial: Dial::new(connect), pools: Arc::default() }
    }

    /// Sends a request and waits for the head of its response. The deadline is the caller's to keep.
    pub async fn send(&self, mut request: Request<Pieces>) -> Result<Response<Answer>> {
        let uri = request.uri().clone();
        let pool = self.pool(&uri);
        while let Some(way) = pool.take() {
            match way.ask(request, &uri, &pool).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    // It was closed meanwhile, before anything was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(failure(error.into_error(), &uri)),
                },
            }
        }
        let stream = self.dial.open(uri.clone()).await.map_err(|error| unreachable(error, &uri))?;
        // Boxed: it is large, and rare.
        let way = Box::pin(Way::over(stream, &pool)).await.map_err(|error| failure(error, &uri))?;
        way.ask(request, &uri, &pool).await.map_err(|error| failure(error.into_error(), &uri))
    }

    fn pool(&self, uri: &Uri) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        let leads_there = |((scheme, authority), _): &&(Place, Arc<Pool>)| {
            scheme.as_ref() == uri.scheme() && authority.as_ref() == uri.authority()
        };
        if let Some((_, pool)) = pools.iter().find(leads_there) {
            return Arc::clone(pool);
        }
        let pool = Arc::<Pool>::default();
        pools.push(((uri.scheme().cloned(), uri.authority().cloned()), Arc::clone(&pool)));
        pool
    }
}

/// No connection came about: nothing was sent.
fn unreachable(error: BoxError, uri: &Uri) -> Error {
    let causes = || std::iter::successors(Some(&*error as &dyn std::error::Error), |cause| cause.source());
    let message = if causes().any(|cause| cause.to_string() == "dns error") {
        format!("the name {} cannot be resolved", uri.host().unwrap_or_default())
    } else {
        let last = causes().last().map(ToString::to_string);
        format!("no connection to {}: {}", address(uri), last.unwrap_or_default())
    };
    Error::new(Kind::Unavailable, message).outcome_is(Outcome::NotSent).because(Unreachable(error))
}

/// The cause of a connection that did not come about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreachable(#[source] BoxError);

/// What a failed exchange means: nobody knows what became of the request.
fn failure(error: hyper::Error, uri: &Uri) -> Error {
    let (kind, message) = if error.is_parse_too_large() {
        (Kind::Protocol, "answered with a head that is too large")
    } else if error.is_parse() {
        (Kind::Protocol, "answered something that is not HTTP")
    } else {
        (Kind::Unavailable, "closed the connection before it answered")
    };
    Error::new(kind, format!("{} {message}", address(uri))).because(error)
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
