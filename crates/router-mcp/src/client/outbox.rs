//! What goes into a server's input: written by the caller himself when the pipe is free, queued and batched when not.

use std::{collections::VecDeque, io, io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use router_core::{Error, Kind, Outcome, Result};
use tokio::{net::unix::pipe::Sender, sync::Notify};
use tokio_util::sync::CancellationToken;

/// How much may wait for a server that does not read.
const QUEUE_MAX_BYTES: usize = 32 * 1024 * 1024;
/// How many frames leave in one write.
const BATCH: usize = 64;

/// The writing end of a server's input.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    work: Notify,
    over: CancellationToken,
}

struct Queue {
    /// Gone when the input is closed.
    pipe: Option<Arc<Sender>>,
    frames: VecDeque<Frame>,
    bytes: usize,
}

struct Frame {
    /// Whose request it is, where somebody may still take it back.
    id: Option<u64>,
    bytes: Bytes,
    begun: bool,
}

impl Outbox {
    /// An outbox over a pipe; its owner runs [`Outbox::drain`].
    pub(super) fn new(pipe: Sender) -> Self {
        let queue = Queue { pipe: Some(Arc::new(pipe)), frames: VecDeque::new(), bytes: 0 };
        Self { queue: Mutex::new(queue), work: Notify::new(), over: CancellationToken::new() }
    }

    /// Sends one message, which ends with its line feed.
    pub(super) fn send(&self, id: Option<u64>, mut bytes: Bytes) -> Result<()> {
        let mut queue = self.queue.lock();
        let Some(pipe) = queue.pipe.as_ref() else { return Err(closed()) };
        let mut begun = false;
        if queue.frames.is_empty() {
            match pipe.try_write(&bytes) {
                Ok(written) => {
                    bytes.advance(written);
                    begun = written > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(closed().because(error)),
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if queue.bytes + bytes.len() > QUEUE_MAX_BYTES && !begun {
            let message = format!("{} bytes already wait for the server to read them", queue.bytes);
            return Err(Error::new(Kind::Shed, message));
        }
        queue.bytes += bytes.len();
        queue.frames.push_back(Frame { id, bytes, begun });
        drop(queue);
        self.work.notify_one();
        Ok(())
    }

    /// Takes a request back. False when it is too late: it has been sent, at least in part.
    pub(super) fn retract(&self, id: u64) -> bool {
        let mut queue = self.queue.lock();
        let Some(place) = queue.frames.iter().position(|frame| frame.id == Some(id) && !frame.begun) else {
            return false;
        };
        if let Some(frame) = queue.frames.remove(place) {
            queue.bytes -= frame.bytes.len();
        }
        true
    }

    /// Closes the input; what has not been written is dropped.
    pub(super) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.pipe = None;
        queue.frames.clear();
        queue.bytes = 0;
        self.over.cancel();
    }

    /// Writes what had to wait, for as long as the input is open.
    pub(super) async fn drain(&self) {
        while let Some(pipe) = self.pending().await {
            let writable = tokio::select! {
                writable = pipe.writable() => writable,
                () = self.over.cancelled() => return,
            };
            if writable.and_then(|()| self.flush(&pipe)).is_err() {
                return self.close();
            }
        }
    }

    /// Waits until there is something to write.
    async fn pending(&self) -> Option<Arc<Sender>> {
        loop {
            {
                let queue = self.queue.lock();
                let pipe = queue.pipe.as_ref()?;
                if !queue.frames.is_empty() {
                    return Some(Arc::clone(pipe));
                }
            }
            tokio::select! {
                () = self.work.notified() => {}
                () = self.over.cancelled() => return None,
            }
        }
    }

    fn flush(&self, pipe: &Sender) -> io::Result<()> {
        let mut queue = self.queue.lock();
        let slices: Vec<_> = queue.frames.iter().take(BATCH).map(|frame| IoSlice::new(&frame.bytes)).collect();
        match pipe.try_write_vectored(&slices) {
            Ok(written) => queue.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Queue {
    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(frame) = self.frames.front_mut() {
            if frame.bytes.len() > written {
                frame.bytes.advance(written);
                frame.begun |= written > 0;
                return;
            }
            written -= frame.bytes.len();
            self.frames.pop_front();
        }
    }
}

fn closed() -> Error {
    Error::new(Kind::Unavailable, "the server's input is closed").outcome_is(Outcome::NotSent)
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::unix::pipe};

    use super::*;

    const BIG: usize = 1024 * 1024;

    #[tokio::test]
    async fn keeps_the_order_and_every_byte_when_the_pipe_is_full() {
        let (sender, mut receiver) = pipe::pipe().unwrap();
        let outbox = Arc::new(Outbox::new(sender));
        let mut expected = Vec::new();
        for (id, size) in [(1, 10), (2, BIG), (3, 10), (4, 70_000), (5, 1)] {
            let frame = vec![b'0' + u8::try_from(id).unwrap(); size];
            expected.extend_from_slice(&frame);
            outbox.send(Some(id), frame.into()).unwrap();
        }
        let drain = async {
            let mut read = vec![0; expected.len()];
            receiver.read_exact(&mut read).await.unwrap();
            outbox.close();
            read
        };
        let ((), read) = tokio::join!(outbox.drain(), drain);
        assert!(read == expected);
        assert_eq!(receiver.read(&mut [0]).await.unwrap(), 0, "closing closes");
    }

    #[tokio::test]
    async fn takes_back_what_has_not_begun_and_bounds_what_waits() {
        let (sender, _receiver) = pipe::pipe().unwrap();
        sender.writable().await.unwrap();
        let outbox = Outbox::new(sender);
        outbox.send(Some(1), vec![0; BIG].into()).unwrap();
        outbox.send(Some(2), vec![0; BIG].into()).unwrap();
        assert!(!outbox.retract(1), "begun");
        assert!(outbox.retract(2));
        assert!(!outbox.retract(2));
        assert!(outbox.queue.lock().bytes < BIG);
        let refused = (3..).find_map(|id| outbox.send(Some(id), vec![0; BIG].into()).err()).unwrap();
        assert_eq!((refused.kind(), refused.outcome()), (Kind::Shed, Outcome::NotSent));
        assert!(outbox.queue.lock().bytes <= QUEUE_MAX_BYTES);
        outbox.close();
        assert_eq!(outbox.send(None, Bytes::from_static(b"x")).unwrap_err().kind(), Kind::Unavailable);
    }
}
