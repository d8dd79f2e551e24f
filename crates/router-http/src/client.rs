//! A client with the connections that it has, and what it says when there is no response.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use parking_lot::Mutex;
use router_core::{Error, Kind, Outcome, Result};

use crate::{
    Answer, Pieces,
    dial::{BoxError, Dial, Stream},
    pool::{Pool, Way},
};

/// The client; cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    dial: Dial,
    pools: Arc<Mutex<Pools>>,
}

/// The connections to each address: mostly there is one, the upstream's.
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
        let stream = self.dial.open(&uri).await.map_err(|error| unreachable(error, &uri))?;
        first(stream, request, &uri, &pool).await
    }

    /// Sends a request to one of `addresses`, wherever the name in its address leads by now, over a connection that is for
    /// this one request.
    pub async fn send_to(&self, request: Request<Pieces>, addresses: Vec<SocketAddr>) -> Result<Response<Answer>> {
        let uri = request.uri().clone();
        let stream = self.dial.open_at(&uri, addresses).await.map_err(|error| unreachable(error, &uri))?;
        first(stream, request, &uri, &Arc::new(Pool::to(&uri).without_idle())).await
    }

    fn pool(&self, uri: &Uri) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        let leads_there = |((scheme, authority), _): &&(Place, Arc<Pool>)| {
            scheme.as_ref() == uri.scheme() && authority.as_ref() == uri.authority()
        };
        if let Some((_, pool)) = pools.iter().find(leads_there) {
            return Arc::clone(pool);
        }
        let pool = Arc::new(Pool::to(uri));
        pools.push(((uri.scheme().cloned(), uri.authority().cloned()), Arc::clone(&pool)));
        pool
    }
}

/// The first request on a connection.
async fn first(stream: Stream, request: Request<Pieces>, uri: &Uri, pool: &Arc<Pool>) -> Result<Response<Answer>> {
    // Boxed: it is large, and rare.
    let way = Box::pin(Way::over(stream, pool)).await.map_err(|error| failure(error, uri))?;
    way.ask(request, uri, pool).await.map_err(|error| failure(error.into_error(), uri))
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
fn address(uri: &Uri) -> String {
    let implied = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(implied))
}

#[cfg(test)]
mod tests;
