//! One connection: which HTTP it speaks, how much it may hold, and how long its client may take.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::body::Body;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::Watcher,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{patience::Patience, sips::Sips};

/// What one connection may cost.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// To say nothing: before the first request, and between two.
    pub idle: Duration,
    /// To send the headers of a request, from their first byte on.
    pub headers: Duration,
    /// Bytes that the headers of a request may have.
    pub header_bytes: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        let (idle, headers) = (Duration::from_secs(75), Duration::from_secs(10));
        Self { connections: 4096, idle, headers, header_bytes: 64 << 10 }
    }
}

/// How many requests one HTTP/2 connection may have under way, and how many it may take back before they were looked at.
const STREAMS: u32 = 100;
const TAKEN_BACK: usize = 20;
/// How many bytes the headers of one HTTP/2 request may have, unpacked.
const HEADER_LIST_BYTES: u32 = 32 << 10;
/// How often an HTTP/2 client is asked whether it is there.
const PING: Duration = Duration::from_secs(30);

/// What the preface of HTTP/2 begins with, and no request of HTTP/1 does.
const HTTP_2: &[u8; 3] = b"PRI";
/// How soon a connection is looked at again that began with less than that.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Serves a connection until its client leaves, or until `stop` and what was in flight: `end` waits for that.
pub async fn serve<S, F>(
    stream: TcpStream,
    limits: ConnectionLimits,
    (stop, end): (CancellationToken, Watcher),
    serve: S,
) where
    S: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Some(Some(is_http_2)) = stop.run_until_cancelled_owned(is_http_2(&stream, limits)).await else { return };
    // A connection keeps room for its service's future, also while it waits or sends a stream: what a request needs is
    // put elsewhere, and is gone with the request.
    let service = service_fn(move |request| {
        let answer = Box::pin(serve(request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A connection that breaks is the client's business; what it was waiting for is cancelled by the drop.
    if is_http_2 {
        let connection = http_2().serve_connection(TokioIo::new(Sips::of(stream)), service);
        // It is large, and rare.
        drop(Box::pin(end.watch(connection)).await);
    } else {
        let patience = Patience::new(limits.headers);
        let sips = Sips::of(stream).noted_by(patience.clone());
        drop(end.watch(http_1(limits, patience).serve_connection(TokioIo::new(sips), service)).await);
    }
}

/// Whether a client speaks HTTP/2; `None` when it says nothing for too long, or leaves.
async fn is_http_2(stream: &TcpStream, limits: ConnectionLimits) -> Option<bool> {
    let mut begin = [0; HTTP_2.len()];
    let mut until = Instant::now() + limits.idle;
    loop {
        let count = timeout_at(until, stream.peek(&mut begin)).await.ok()?.ok()?;
        let seen = begin.get(..count)?;
        if count == 0 {
            return None;
        }
        if seen.len() == HTTP_2.len() || !HTTP_2.starts_with(seen) {
            return Some(seen == HTTP_2);
        }
        until = until.min(Instant::now() + limits.headers);
        sleep(LOOK_AGAIN).await;
    }
}

fn http_1(limits: ConnectionLimits, patience: Patience) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(patience)
        .header_read_timeout(limits.idle)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(8 << 10));
    server
}

fn http_2() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_header_list_size(HEADER_LIST_BYTES)
        .keep_alive_interval(PING);
    server
}
