//! What is handed on as it is: a question that only its provider understands, and the answer in his bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::ready};
use http::{Method, StatusCode};
use router_core::{
    Done, Fingerprint, Name, Pace, Provenance, Query, Repeat, Reply, Result,
    chat::{ChatReply, Frame, Meta},
};
use tokio_util::task::TaskTracker;

/// A question whose bytes nobody here reads: batches, files.
#[derive(Clone, Debug)]
pub struct Relay {
    /// What is done.
    pub method: Method,
    /// To what: the path behind the version (`/messages/batches/msgbatch_1`), with any query string, as it came.
    pub path: Arc<str>,
    /// The part of the interface it belongs to, which is guarded by itself.
    pub area: Name,
    /// What came with it and is worth forwarding.
    pub meta: Meta,
    /// The body, or nothing.
    pub body: Bytes,
}

impl Query for Relay {
    type Reply = Relayed;

    fn operation(&self) -> &'static str {
        "relay"
    }

    fn repeat(&self) -> Repeat {
        if self.method == Method::GET { Repeat::Safe } else { Repeat::Unsafe }
    }

    fn answered_whole(&self) -> bool {
        true
    }

    /// Whose answer it is depends on an account, and it changes from one moment to the next: it is never kept.
    fn fingerprint(&self) -> Option<Fingerprint> {
        None
    }

    fn say(&self, _: &str) -> Option<Relayed> {
        None
    }

    fn words(&self) -> String {
        String::new()
    }
}

/// The provider's answer. Its body streams, however long it is.
#[derive(Debug)]
pub struct Relayed {
    /// The provider's status, which is one of success.
    pub status: StatusCode,
    /// The body as the frames of a reply, with what came along.
    reply: ChatReply,
}

impl Relayed {
    /// An answer of this status and these frames.
    pub fn new(status: StatusCode, reply: ChatReply) -> Self {
        Self { status, reply }
    }

    /// What of its head is worth handing on.
    pub fn meta(&self) -> &Meta {
        &self.reply.meta
    }

    /// The body, piece by piece.
    pub fn into_body(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        self.reply.filter_map(|frame| {
            ready(match frame {
                Ok(Frame::Wire { bytes, .. }) => Some(Ok(bytes)),
                Ok(Frame::Events(_)) => None,
                Err(error) => Some(Err(error)),
            })
        })
    }
}

impl Reply for Relayed {
    type Recording = ();

    fn watch(self, done: Done) -> Self {
        Self { reply: self.reply.watch(done), ..self }
    }

    fn paced(self, pace: Pace) -> Self {
        Self { reply: self.reply.paced(pace), ..self }
    }

    fn record(self, _: usize, _: &TaskTracker, kept: Box<dyn FnOnce(bool) + Send>) {
        kept(false);
    }

    fn replay((): &()) -> Option<Self> {
        None
    }

    fn weight((): &()) -> usize {
        0
    }

    fn keepable(&self) -> bool {
        false
    }

    fn provenance(&self) -> &Provenance {
        self.reply.provenance()
    }

    fn provenance_mut(&mut self) -> &mut Provenance {
        self.reply.provenance_mut()
    }
}
