//! One request to addresses that were checked, and its answer.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::{Bytes, BytesMut};
use http::{Request, uri::Scheme};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use router_core::{Error, Kind, Outcome, Result};
use rustls::ClientConfig;
use tower_service::Service;

use super::Told;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes: documents and tokens are small.
const BODY: usize = 256 * 1024;

/// What TLS needs: the system's certificates, read when they are first needed.
#[derive(Default)]
pub(super) struct Tls(OnceLock<Result<Arc<ClientConfig>>>);

impl Tls {
    fn config(&self) -> Result<Arc<ClientConfig>> {
        let unreadable = |error: &dyn std::error::Error| {
            Error::new(Kind::Unavailable, format!("the system's certificates cannot be read: {error}"))
        };
        self.0
            .get_or_init(|| {
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
                let builder = builder.map_err(|error| unreadable(&error))?;
                let config = builder.with_native_roots().map_err(|error| unreadable(&error))?;
                Ok(Arc::new(config.with_no_client_auth()))
            })
            .clone()
    }
}

/// Knows nothing but what was found and checked before.
#[derive(Clone)]
struct Pinned(Vec<SocketAddr>);

impl Service<Name> for Pinned {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

/// Sends `request` to `addresses`. The connection is for this one request.
pub(super) async fn exchange(request: Request<Full<Bytes>>, addresses: Vec<SocketAddr>, tls: &Tls) -> Result<Told> {
    let mut tcp = HttpConnector::new_with_resolver(Pinned(addresses));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let place =
        format!("{}://{}", request.uri().scheme_str().unwrap_or_default(), request.uri().host().unwrap_or_default());
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(0);
    let response = if request.uri().scheme() == Some(&Scheme::HTTPS) {
        builder.build(HttpsConnector::from((tcp, tls.config()?))).request(request).await
    } else {
        builder.build(tcp).request(request).await
    };
    let response = response.map_err(|error| {
        let outcome = if error.is_connect() { Outcome::NotSent } else { Outcome::Unknown };
        Error::new(Kind::Unavailable, format!("no answer from {place}")).outcome_is(outcome).because(error)
    })?;
    let (parts, body) = response.into_parts();
    Ok(Told { status: parts.status, headers: parts.headers, body: collect(body, &place).await? })
}

async fn collect(mut body: Incoming, place: &str) -> Result<Bytes> {
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broke = |error| Error::new(Kind::Protocol, format!("the answer of {place} broke off")).because(error);
        let frame = frame.map_err(broke)?;
        let Ok(piece) = frame.into_data() else { continue };
        if pieces.len() + piece.len() > BODY {
            return Err(Error::new(Kind::Protocol, format!("the answer of {place} is above {BODY} bytes")));
        }
        pieces.extend_from_slice(&piece);
    }
    Ok(pieces.freeze())
}
