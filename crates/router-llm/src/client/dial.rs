//! Opens connections: plain or, once the trusted certificates have been read, TLS.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::crypto::aws_lc_rs;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

/// How long TLS may take once TCP stands.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// TCP asks after a silent peer this often, so that a vanished one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

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

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (dial, time) = (self.clone(), self.time);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("none within {} s", time.as_secs_f32()));
            timeout(time, dial.open(uri)).await.map_err(late)?
        })
    }
}

impl Dial {
    async fn open(mut self, uri: Uri) -> Result<Stream, BoxError> {
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return self.tls()?.call(uri).await;
        }
        Ok(MaybeHttpsStream::Http(self.tcp.call(uri).await?))
    }
}
