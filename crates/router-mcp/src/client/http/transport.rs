//! One request and its response, over TCP or TLS.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, uri::Scheme};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use router_core::{Error, Kind, Outcome, Result};

const CONNECT_MAX: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(15);
/// A peer that is gone without a word is noticed after this long.
const SILENT_MAX: Duration = Duration::from_secs(30);
const IDLE_MAX: Duration = Duration::from_mins(1);
const IDLE_CONNECTIONS: usize = 32;

/// Connections to one server. Redirects are not followed: they would carry our credentials elsewhere.
#[derive(Clone)]
pub(super) enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Transport {
    pub(super) fn to(url: &Uri) -> Result<Self> {
        let tcp = tcp();
        match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Ok(Self::Plain(builder().build(tcp))),
            Some(scheme) if *scheme == Scheme::HTTPS => {
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider).map_err(|error| {
                    Error::new(Kind::Unavailable, "the system's certificates cannot be read").because(error)
                })?;
                let connector = tls.https_only().enable_all_versions().wrap_connector(tcp);
                Ok(Self::Tls(builder().build(connector)))
            }
            _ => Err(Error::new(Kind::Invalid, format!("{url} is neither http nor https"))),
        }
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let sent = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        sent.map_err(|error| {
            let outcome = if error.is_connect() { Outcome::NotSent } else { Outcome::Unknown };
            let what = if error.is_connect() { "no connection" } else { "the connection broke" };
            let mut cause = error.source();
            while let Some(next) = cause.and_then(|cause| cause.source()) {
                cause = Some(next);
            }
            let why = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            Error::new(Kind::Unavailable, format!("{what}{why}")).outcome_is(outcome).because(error)
        })
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_MAX));
    tcp.set_keepalive(Some(KEEPALIVE));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(SILENT_MAX));
    tcp
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
    builder.pool_idle_timeout(IDLE_MAX).pool_max_idle_per_host(IDLE_CONNECTIONS);
    builder
}
