//! The connections to one address: idle ones of HTTP/1, and one of HTTP/2 that many questions share.

use std::{
    sync::{Arc, Weak},
    task::{Context, Waker},
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::{
    client::conn::{TrySendError, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{
    Pieces,
    dial::{Stream, speaks_http2},
    line::{Answer, Line, MAX_HEAD_BYTES},
};

/// An idle connection is closed by us before most servers close it themselves: a question never races with that.
const IDLE: Duration = Duration::from_secs(55);

/// How often those are looked for that have been idle too long, or were closed at the other end.
const SWEEP: Duration = Duration::from_secs(5);

/// Idle connections kept.
const MOST_IDLE: usize = 64;

/// How long an HTTP/2 connection with open streams may stay without a sign of life.
const ALIVE: Duration = Duration::from_secs(20);

/// A connection to put a question on.
pub(super) enum Way {
    /// One question at a time (HTTP/1).
    Alone(Box<Line>),
    /// Many at once (HTTP/2).
    Shared(http2::SendRequest<Pieces>),
}

impl Way {
    /// A way over a connection that stands.
    pub(super) async fn over(stream: Stream, pool: &Pool) -> hyper::Result<Self> {
        if !speaks_http2(&stream) {
            return Ok(Self::Alone(Box::new(Line::new(stream).await?)));
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .handshake(stream)
            .await?;
        // Why it ends is told to whoever asks on it.
        TokioExecutor::new().execute(async move { drop(connection.await) });
        pool.lines.lock().shared = Some(sender.clone());
        Ok(Self::Shared(sender))
    }

    /// Asks. When nothing was sent, the request comes back in the error.
    pub(super) async fn ask(
        self,
        mut request: Request<Pieces>,
        uri: &Uri,
        pool: &Arc<Pool>,
    ) -> Result<Response<Answer>, TrySendError<Request<Pieces>>> {
        match self {
            Self::Alone(mut line) => {
                pool.in_origin_form(&mut request, uri);
                let response = line.ask(request).await?;
                Ok(response.map(|body| Answer::on(line, Arc::clone(pool), body)))
            }
            Self::Shared(mut sender) => {
                request.uri_mut().clone_from(uri);
                request.headers_mut().remove(header::HOST);
                Ok(sender.try_send_request(request).await?.map(Answer::shared))
            }
        }
    }
}

/// The connections to one address.
pub(super) struct Pool {
    lines: Mutex<Lines>,
    /// What HTTP/1 calls the address.
    host: Option<HeaderValue>,
    /// Idle connections kept.
    most_idle: usize,
}

#[derive(Default)]
struct Lines {
    /// The one that was used last is at the end, and is used next.
    idle: Vec<(Instant, Box<Line>)>,
    shared: Option<http2::SendRequest<Pieces>>,
    swept: bool,
}

impl Pool {
    /// No connections yet, to the address of `uri`.
    pub(super) fn to(uri: &Uri) -> Self {
        let host = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        Self { lines: Mutex::default(), host, most_idle: MOST_IDLE }
    }

    /// The same, where no connection is used twice.
    pub(super) fn without_idle(self) -> Self {
        Self { most_idle: 0, ..self }
    }

    /// HTTP/1 names the host in a header, and only the path in its first line (RFC 9112, 3.2.1).
    fn in_origin_form(&self, request: &mut Request<Pieces>, uri: &Uri) {
        if let Some(host) = &self.host {
            request.headers_mut().entry(header::HOST).or_insert_with(|| host.clone());
        }
        *request.uri_mut() = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    }

    /// A way that the other end has not closed.
    pub(super) fn take(&self) -> Option<Way> {
        let mut lines = self.lines.lock();
        drop(lines.shared.take_if(|sender| sender.is_closed()));
        if let Some(sender) = &lines.shared {
            return Some(Way::Shared(sender.clone()));
        }
        while let Some((since, mut line)) = lines.idle.pop() {
            if since.elapsed() < IDLE && line.is_free(&mut Context::from_waker(Waker::noop())) {
                return Some(Way::Alone(line));
            }
        }
        None
    }

    /// Keeps a connection for the next question.
    pub(super) fn keep(self: &Arc<Self>, line: Box<Line>) {
        let mut lines = self.lines.lock();
        if lines.idle.len() >= self.most_idle {
            return;
        }
        lines.idle.push((Instant::now(), line));
        if !std::mem::replace(&mut lines.swept, true) {
            TokioExecutor::new().execute(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what is idle too long or closed at the other end; tells whether anything is left.
    pub(super) fn sweep(&self) -> bool {
        let mut lines = self.lines.lock();
        let cx = &mut Context::from_waker(Waker::noop());
        lines.idle.retain_mut(|(since, line)| since.elapsed() < IDLE && line.is_free(cx));
        lines.swept = !lines.idle.is_empty();
        lines.swept
    }
}

/// Runs while there are idle connections, like the connections of HTTP/2 outside of what shutdown waits for.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("idle", &self.lines.lock().idle.len()).finish_non_exhaustive()
    }
}
