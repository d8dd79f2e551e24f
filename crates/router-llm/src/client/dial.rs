//! Opens connections: plain or, once the trusted certificates have been read, TLS.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector},
    rt::TokioIo,
};
use rustls::crypto::aws_lc_rs;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

/// How long TLS may take once TCP stands.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// TCP asks after a silent peer this often, so that a vanished one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens a connection within its time.
#[derive(Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    tls: Arc<OnceLock<Result<HttpsConnector<HttpConnector>, String>>>,
    time: Duration,
}

impl Dial {
    pub(super) fn new(connect: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_connect_timeout(Some(connect));
        Self { tcp, tls: Arc::default(), time: connect + HANDSHAKE }
    }

    /// The connector for `https`; the first use reads the system's certificates, some milliseconds of work.
    fn tls(&self) -> Result<HttpsConnector<HttpConnector>, BoxError> {
        let ready = self.tls.get_or_init(|| {
            let provider = aws_lc_rs::default_provider();
            let builder = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(provider)
                .map_err(|error| format!("the system's trusted certificates cannot be read: {error}"))?;
            Ok(builder.https_only().enable_all_versions().wrap_connector(self.tcp.clone()))
        });
        ready.clone().map_err(BoxError::from)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("time", &self.time).finish_non_exhaustive()
    }
}

impl Dial {
    /// A connection to the address of `uri`.
    pub(super) async fn open(&self, uri: Uri) -> Result<Stream, BoxError> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("none within {} s", self.time.as_secs_f32()));
        // Boxed: it is large, and rare.
        timeout(self.time, Box::pin(self.clone().connect(uri))).await.map_err(late)?
    }

    async fn connect(mut self, uri: Uri) -> Result<Stream, BoxError> {
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return self.tls()?.call(uri).await;
        }
        Ok(MaybeHttpsStream::Http(self.tcp.call(uri).await?))
    }
}

/// Whether both ends agreed on HTTP/2 while they spoke TLS.
pub(super) fn speaks_http2(stream: &Stream) -> bool {
    stream.connected().is_negotiated_h2()
}
