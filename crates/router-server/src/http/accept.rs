//! Our own accept loop: connections are counted, headers and idleness are bounded, and shutdown is waited for.

use std::{future::Future, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::connection::{self, ConnectionLimits};
use crate::shutdown::Shutdown;

/// How long in-flight requests have to end once shutdown has begun.
const DRAIN: Duration = Duration::from_secs(30);

/// Accepts until `stop`, then lets what is in flight finish.
pub async fn accept<S, F>(listener: TcpListener, limits: ConnectionLimits, shutdown: &Shutdown, serve: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let stop = &shutdown.begin;
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let Some(place) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { break };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        let Some(stream) = ready(accepted).await else { continue };
        let (serve, finish) = (serve.clone(), shutdown.finish.clone());
        let (stop, end) = (stop.clone(), graceful.watcher());
        shutdown.tasks.spawn(async move {
            tokio::select! {
                () = connection::serve(stream, limits, (stop, end), serve) => {}
                () = finish.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = shutdown.finish.run_until_cancelled(timeout(DRAIN, graceful.shutdown())).await;
    if !matches!(drained, Some(Ok(()))) {
        tracing::warn!("some requests were cut off by the shutdown");
    }
    shutdown.finish.cancel();
}

/// A connection that can be used, or a pause when the process has run out of file descriptors.
async fn ready(accepted: std::io::Result<(TcpStream, std::net::SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            stream.set_nodelay(true).ok()?;
            Some(stream)
        }
        Err(error) => {
            tracing::error!(%error, "a connection could not be accepted");
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is answered to `sent`, whatever else is not answered.
    async fn answered(address: std::net::SocketAddr, sent: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(sent).await.expect("it is sent");
        let mut answer = vec![0; 1 << 10];
        let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.expect("an answer in time");
        String::from_utf8_lossy(&answer[..read.expect("an answer")]).into_owned()
    }

    #[tokio::test]
    async fn answers_at_once_whatever_follows() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let shutdown = Shutdown::default();
        let limits = ConnectionLimits { header_bytes: 8 << 10, ..ConnectionLimits::default() };
        let client = async {
            let long = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "a".repeat(10 << 10));
            let table = [
                ("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi\r\n", "HTTP/1.1 200"),
                ("GET / HTTP/1.1\r\nhost: h\r\n\r\nGET / HT", "HTTP/1.1 200"),
                ("GARBAGE\r\n\r\n", "HTTP/1.1 400"),
                (&long, "HTTP/1.1 431"),
            ];
            for (sent, expected) in table {
                let answer = answered(address, sent.as_bytes()).await;
                assert!(answer.starts_with(expected), "{sent:.20}: {answer}");
            }
            shutdown.begin.cancel();
        };
        let serve = |_| std::future::ready(Response::new(Body::from("here")));
        tokio::join!(accept(listener, limits, &shutdown, serve), client);
    }
}
