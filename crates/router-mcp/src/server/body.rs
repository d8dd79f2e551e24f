//! What an HTTP answer consists of: one message, or a stream of events that ends with it.

use std::{
    convert::Infallible,
    fmt::{self, Write},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, future::BoxFuture, stream};
use http_body::{Frame, SizeHint};
use tokio::{sync::mpsc, time::timeout};

use super::{listen::Listener, pieces::Pieces};
use crate::rpc;

/// How often a silent stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    /// One message, as far as it has not been taken.
    Whole(Pieces),
    /// Events.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Whole(Pieces::default()))
    }

    /// One message.
    pub(super) fn whole(message: Pieces) -> Self {
        Self(Kind::Whole(message))
    }

    /// Events as they come, and a comment now and then while none does.
    pub(super) fn of(events: impl Events + 'static) -> Self {
        Self(Kind::Stream(Box::pin(stream::unfold(events, |mut events| async {
            let event = match timeout(KEEP_ALIVE, events.next()).await {
                Ok(event) => event?,
                Err(_) => ALIVE,
            };
            Some((event, events))
        }))))
    }
}

/// What comes as a stream of events.
pub(super) trait Events: Send {
    /// The next one, as it is written; `None` when it is over. Giving up the wait loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// A comment, which readers skip.
const ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// One message as an event.
pub(super) fn event(message: Bytes) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 32);
    push_message(&mut event, message);
    event.freeze()
}

/// The same with an id, by which the stream can be gone on with behind it.
pub(super) fn event_with(id: fmt::Arguments<'_>, message: Bytes) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 64);
    // Writing to memory does not fail.
    let _ = writeln!(event, "id: {id}");
    push_message(&mut event, message);
    event.freeze()
}

fn push_message(event: &mut BytesMut, message: Bytes) {
    event.extend_from_slice(b"event: message\ndata: ");
    event.extend_from_slice(&rpc::one_line(message));
    event.extend_from_slice(b"\n\n");
}

/// The messages of a stream.
pub(super) enum Source {
    /// What is said about a request, and at last its answer.
    Request(Request),
    /// What changes, until somebody ends it.
    Listener(Box<Listener>),
}

impl Source {
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Request(request) => request.next().await,
            Self::Listener(listener) => listener.next().await,
        }
    }
}

impl Events for Source {
    async fn next(&mut self) -> Option<Bytes> {
        Self::next(self).await.map(event)
    }
}

/// A request whose answer has not gone yet.
pub(super) struct Request {
    work: Option<BoxFuture<'static, Bytes>>,
    notes: mpsc::Receiver<Bytes>,
    first: Option<Bytes>,
    answer: Option<Bytes>,
}

impl Request {
    /// `first` came out of `notes` already.
    pub(super) fn new(work: BoxFuture<'static, Bytes>, notes: mpsc::Receiver<Bytes>, first: Option<Bytes>) -> Self {
        Self { work: Some(work), notes, first, answer: None }
    }

    /// What was said before the answer goes before it.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if let Some(work) = &mut self.work {
            tokio::select! {
                biased;
                Some(note) = self.notes.recv() => return Some(note),
                answer = work => self.answer = Some(answer),
            }
            self.work = None;
        }
        self.notes.try_recv().ok().or_else(|| self.answer.take())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Whole(message) => Poll::Ready(message.take().map(|piece| Ok(Frame::data(piece)))),
            Kind::Stream(events) => {
                events.as_mut().poll_next(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(message) if message.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(message) => SizeHint::with_exact(message.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}
