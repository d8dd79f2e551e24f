//! Opens connections: plain or, once the trusted certificates have been read, TLS.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
    vec,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

/// How long TLS may take once TCP stands.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// TCP asks after a silent peer, so that a vanished one is noticed after half a minute: first after this long,
const KEEPALIVE: Duration = Duration::from_secs(15);
/// then this often,
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
/// until it has not answered so many times.
const KEEPALIVE_TIMES: u32 = 3;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens a connection within its time.
#[derive(Clone)]
pub(super) struct Dial {
    tls: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
    connect: Duration,
}

impl Dial {
    pub(super) fn new(connect: Duration) -> Self {
        Self { tls: Arc::default(), connect }
    }

    /// A connection to where the name in `uri` leads.
    pub(super) async fn open(&self, uri: &Uri) -> Result<Stream, BoxError> {
        self.within_time(self.connect(self.tcp(HttpConnector::new()), uri)).await
    }

    /// A connection to one of `addresses`, wherever the name in `uri` leads by now. The certificate has to be the name's.
    pub(super) async fn open_at(&self, uri: &Uri, addresses: Vec<SocketAddr>) -> Result<Stream, BoxError> {
        self.within_time(self.connect(self.tcp(HttpConnector::new_with_resolver(Pinned(addresses))), uri)).await
    }

    async fn within_time(&self, open: impl Future<Output = Result<Stream, BoxError>>) -> Result<Stream, BoxError> {
        let time = self.connect + HANDSHAKE;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("none within {} s", time.as_secs_f32()));
        // Boxed: it is large, and rare.
        timeout(time, Box::pin(open)).await.map_err(late)?
    }

    fn tcp<R>(&self, mut tcp: HttpConnector<R>) -> HttpConnector<R> {
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_AGAIN));
        tcp.set_keepalive_retries(Some(KEEPALIVE_TIMES));
        tcp.set_connect_timeout(Some(self.connect));
        tcp
    }

    async fn connect<C>(&self, mut tcp: C, uri: &Uri) -> Result<Stream, BoxError>
    where
        C: Service<Uri, Response = TokioIo<TcpStream>, Error: Into<BoxError>, Future: Send + 'static>,
    {
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return HttpsConnector::from((tcp, self.tls()?)).call(uri.clone()).await;
        }
        Ok(MaybeHttpsStream::Http(tcp.call(uri.clone()).await.map_err(Into::into)?))
    }

    /// What TLS needs; the first use reads the system's certificates, some milliseconds of work.
    fn tls(&self) -> Result<Arc<ClientConfig>, BoxError> {
        let ready = self.tls.get_or_init(|| {
            let unreadable = |error| format!("the system's trusted certificates cannot be read: {error}");
            trusting_the_system().map(Arc::new).map_err(unreadable)
        });
        ready.clone().map_err(BoxError::from)
    }
}

fn trusting_the_system() -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_native_roots()?.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("connect", &self.connect).finish_non_exhaustive()
    }
}

/// Knows nothing but what was found before.
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

/// Whether both ends agreed on HTTP/2 while they spoke TLS.
pub(super) fn speaks_http2(stream: &Stream) -> bool {
    stream.connected().is_negotiated_h2()
}
