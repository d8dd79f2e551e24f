//! A connection that moves only when the question on it is polled: no task of its own, so that bytes from an upstream
//! wake whoever waits for them and nobody else, and all that came at once is handed on at once.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
    rt::Executor,
};
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::{Pieces, dial::Stream, pool::Pool};

/// What the head of a response may weigh; more than any upstream sends, less than would hurt.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;

/// Header lines of a response at the most.
const MAX_HEADERS: usize = 128;

/// How long an answer may take to end that is not read on, and how much may come of it. A new connection costs more.
const FAREWELL: Duration = Duration::from_millis(100);
const FAREWELL_FRAMES: usize = 16;

/// An HTTP/1 connection.
pub(super) struct Line {
    sender: SendRequest<Pieces>,
    wire: Connection<Stream, Pieces>,
    over: bool,
}

impl Line {
    /// A line over a connection that stands.
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let (sender, wire) =
            Builder::new().max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD_BYTES).handshake(stream).await?;
        Ok(Self { sender, wire, over: false })
    }

    /// Moves bytes both ways, as far as that goes now.
    fn turn(&mut self, cx: &mut Context<'_>) {
        self.over = self.over || Pin::new(&mut self.wire).poll(cx).is_ready();
    }

    /// Whether another question may be sent on it.
    pub(super) fn is_free(&mut self, cx: &mut Context<'_>) -> bool {
        self.turn(cx);
        !self.over && self.sender.is_ready()
    }

    /// Sends a question and waits for the head of its answer. When nothing of it was sent, it comes back in the error.
    pub(super) async fn ask(
        &mut self,
        request: Request<Pieces>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Pieces>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let (wire, over) = (&mut self.wire, &mut self.over);
        poll_fn(|cx| {
            *over = *over || Pin::new(&mut *wire).poll(cx).is_ready();
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// The body of an answer. Read to its end, its line is free for the next question; dropped before, the line closes.
pub struct Answer {
    body: Incoming,
    line: Option<(Box<Line>, Arc<Pool>)>,
}

impl Answer {
    /// The body of an answer on `line`, which goes home to `pool` afterwards.
    pub(super) fn on(line: Box<Line>, pool: Arc<Pool>, body: Incoming) -> Self {
        let mut answer = Self { body, line: Some((line, pool)) };
        if answer.body.is_end_stream() {
            answer.hang_up(&mut Context::from_waker(std::task::Waker::noop()));
        }
        answer
    }

    /// The body of an answer that a connection of many brings.
    pub(super) fn shared(body: Incoming) -> Self {
        Self { body, line: None }
    }

    /// Nobody reads on, although the end is near: its line is kept if that comes soon.
    pub fn leave(mut self) {
        let is_over = self.line.is_none() || pin!(self.rest()).now_or_never().is_some();
        if !is_over {
            TokioExecutor::new().execute(async move { drop(timeout(FAREWELL, self.rest()).await) });
        }
    }

    /// Reads to the end, unless that is far.
    async fn rest(&mut self) {
        for _ in 0..FAREWELL_FRAMES {
            if !matches!(self.frame().await, Some(Ok(_))) {
                return;
            }
        }
    }

    fn hang_up(&mut self, cx: &mut Context<'_>) {
        if let Some((mut line, pool)) = self.line.take()
            && line.is_free(cx)
        {
            pool.keep(line);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let mut next = Pin::new(&mut this.body).poll_frame(cx);
        if next.is_pending()
            && let Some((line, _)) = &mut this.line
        {
            line.turn(cx);
            next = Pin::new(&mut this.body).poll_frame(cx);
        }
        match &next {
            Poll::Ready(None) => this.hang_up(cx),
            Poll::Ready(Some(Err(_))) => this.line = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        // The line has to be polled once more to be free again.
        self.line.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("body", &self.body).finish_non_exhaustive()
    }
}
