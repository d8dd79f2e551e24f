//! What an HTTP answer consists of: one message, or a stream of events that ends with it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, future::BoxFuture, stream};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

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

    fn stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(events)))
    }

    /// The notes about a request as they come, and at last its answer.
    pub(super) fn of_request(
        work: BoxFuture<'static, Bytes>,
        notes: mpsc::Receiver<Bytes>,
        first: Option<Bytes>,
    ) -> Self {
        let state = Request { work: Some(work), notes, first };
        Self::stream(stream::unfold(state, |mut state| async { Some((state.next().await?, state)) }))
    }

    /// Changes, until somebody ends it.
    pub(super) fn of_listener(listener: Listener) -> Self {
        Self::stream(stream::unfold(listener, |mut listener| async {
            let event = match timeout(KEEP_ALIVE, listener.next()).await {
                Ok(message) => event(&message?),
                Err(_) => ALIVE,
            };
            Some((event, listener))
        }))
    }
}

/// A comment, which readers skip.
const ALIVE: Bytes = Bytes::from_static(b":\n\n");

fn event(message: &Bytes) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 32);
    push_event(&mut event, message);
    event.freeze()
}

fn push_event(events: &mut BytesMut, message: &Bytes) {
    events.extend_from_slice(b"event: message\ndata: ");
    events.extend_from_slice(&rpc::one_line(Bytes::clone(message)));
    events.extend_from_slice(b"\n\n");
}

/// A request whose answer has not come yet.
struct Request {
    work: Option<BoxFuture<'static, Bytes>>,
    notes: mpsc::Receiver<Bytes>,
    first: Option<Bytes>,
}

enum Next {
    Note(Bytes),
    Answer(Bytes),
    Silence,
}

impl Request {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(event(&first));
        }
        let next = tokio::select! {
            biased;
            Some(note) = self.notes.recv() => Next::Note(note),
            answer = self.work.as_mut()? => Next::Answer(answer),
            () = sleep(KEEP_ALIVE) => Next::Silence,
        };
        match next {
            Next::Note(note) => Some(event(&note)),
            Next::Silence => Some(ALIVE),
            Next::Answer(answer) => Some(self.finish(&answer)),
        }
    }

    /// What was said before the answer goes before it.
    fn finish(&mut self, answer: &Bytes) -> Bytes {
        self.work = None;
        let mut events = BytesMut::new();
        while let Ok(note) = self.notes.try_recv() {
            push_event(&mut events, &note);
        }
        push_event(&mut events, answer);
        events.freeze()
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
