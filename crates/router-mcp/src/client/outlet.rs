//! Where what we say in a conversation goes: into a pipe, or out in requests of HTTP.

use std::sync::Arc;

use bytes::Bytes;
use router_core::{Error, Kind, Outcome, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::outbox::Outbox;

/// How much may wait for a server that does not take it, in [`UNIT`]s.
const ROOM: usize = 32 * 1024;
/// What a message counts at the least, in bytes.
const UNIT: usize = 1024;

/// The outlet of a conversation.
pub(super) enum Outlet {
    Pipe(Arc<Outbox>),
    Posts(Posts),
}

impl Outlet {
    /// Sends one message; `id` is its request's.
    pub(super) fn send(&self, id: Option<u64>, message: Bytes) -> Result<()> {
        match self {
            Self::Pipe(outbox) => outbox.send(id, message),
            Self::Posts(posts) => posts.send(id, message),
        }
    }

    /// Takes a request back. False when it is too late.
    pub(super) fn retract(&self, id: u64) -> bool {
        match self {
            Self::Pipe(outbox) => outbox.retract(id),
            Self::Posts(_) => false,
        }
    }

    /// Nothing more is sent.
    pub(super) fn close(&self) {
        match self {
            Self::Pipe(outbox) => outbox.close(),
            Self::Posts(posts) => posts.over.cancel(),
        }
    }
}

/// Messages that are to be posted.
pub(super) struct Posts {
    queue: mpsc::UnboundedSender<Posting>,
    /// Bounds the queue.
    room: Arc<Semaphore>,
    over: CancellationToken,
}

/// One of them.
pub(super) struct Posting {
    /// Whose request it is, where it is one.
    pub(super) id: Option<u64>,
    pub(super) body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Posts {
    /// The outlet, the messages as they come out of it, and what tells that there will be no more.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Posting>, CancellationToken) {
        let ((queue, messages), over) = (mpsc::unbounded_channel(), CancellationToken::new());
        (Self { queue, room: Arc::new(Semaphore::new(ROOM)), over: over.clone() }, messages, over)
    }

    fn send(&self, id: Option<u64>, body: Bytes) -> Result<()> {
        let units = u32::try_from(body.len() / UNIT + 1).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(units) else {
            return Err(Error::new(Kind::Shed, "too much already waits for the server to take it"));
        };
        let closed =
            |_| Error::new(Kind::Unavailable, "the stream of the server is closed").outcome_is(Outcome::NotSent);
        self.queue.send(Posting { id, body, _room: room }).map_err(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_to_be_posted_is_bounded() {
        let (posts, mut messages, _) = Posts::new();
        let big = || Bytes::from(vec![0; ROOM * UNIT / 2]);
        posts.send(Some(1), big()).unwrap();
        assert_eq!(posts.send(Some(2), big()).unwrap_err().kind(), Kind::Shed);
        assert_eq!(messages.try_recv().unwrap().id, Some(1));
        posts.send(Some(3), big()).unwrap();
        drop(messages);
        assert_eq!(posts.send(None, Bytes::new()).unwrap_err().outcome(), Outcome::NotSent);
    }
}
