//! A client that is spoken to on one way and speaks on another, one message after the other, in every era at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use router_core::{Cx, Error, Kind};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Front, Question, failure, listen::Listener, reply, session::Session, version::Version};
use crate::rpc::{self, Message, RpcError, code};

/// One client's two ways, whatever carries them.
pub(super) struct Pipe {
    front: Front,
    session: Arc<Session>,
    out: mpsc::Sender<Bytes>,
    room: Arc<Semaphore>,
    /// How many requests may be under way.
    underway: usize,
    /// Ends what would tell of changes for ever.
    listening: CancellationToken,
    /// Whether the client hears of changes already.
    stands: AtomicBool,
}

impl Pipe {
    /// A client in `session` who hears what goes into `out`, and may have so many requests under way.
    pub(super) fn new(front: Front, session: Arc<Session>, out: mpsc::Sender<Bytes>, underway: usize) -> Self {
        let listening = session.over.child_token();
        let room = Arc::new(Semaphore::new(underway));
        Self { front, session, out, room, underway, listening, stands: AtomicBool::new(false) }
    }

    /// Ends, when it is dropped, what would tell the client of changes for ever.
    pub(super) fn listening(&self) -> DropGuard {
        self.listening.clone().drop_guard()
    }

    /// Waits until nothing is under way.
    pub(super) async fn is_idle(&self) {
        let all = u32::try_from(self.underway).unwrap_or(u32::MAX);
        drop(self.room.acquire_many(all).await);
    }

    /// Whether the client leaves unread what it was told.
    pub(super) fn is_full(&self) -> bool {
        self.out.capacity() == 0
    }

    pub(super) async fn send(&self, message: Bytes) {
        // The other end has gone when nobody takes it: reading will end, too.
        drop(self.out.send(message).await);
    }

    /// Takes in one message of the client.
    pub(super) async fn take(&self, cx: Cx, message: Message) {
        match message {
            Message::Request { id, method, params } => {
                self.request(cx, Question::new(id, method, params)).await;
            }
            Message::Notification { method, params } => match &*method {
                "notifications/cancelled" => self.session.cancel(params.as_ref()),
                "notifications/initialized" => self.stand(),
                _ => {}
            },
            Message::Response { id, outcome } => self.session.answered(id.as_ref(), outcome),
        }
    }

    async fn request(&self, cx: Cx, mut question: Question) {
        question.session = Some(Arc::clone(&self.session));
        match self.version(&question) {
            Ok(version) => question.version = version,
            Err(error) => return self.send(rpc::error(Some(&question.id), &error)).await,
        }
        match (&*question.method, question.version.is_modern()) {
            ("initialize", false) => {
                let (hello, result) = self.front.greeting(question.params.as_ref());
                self.session.greet(hello);
                self.send(rpc::result(&question.id, &result)).await;
            }
            ("subscriptions/listen", true) => self.subscribe(cx, question),
            _ => self.start(cx, question).await,
        }
    }

    /// Each request says its era by itself: clients greet in the old way after they have asked in the new one.
    fn version(&self, question: &Question) -> Result<Version, RpcError> {
        let lacks = |key: &str| {
            Err(RpcError::new(code::INVALID_PARAMS, format!("`_meta` lacks io.modelcontextprotocol/{key}")))
        };
        match question.meta.version.as_deref() {
            None if &*question.method == "server/discover" => lacks("protocolVersion"),
            None => Ok(self.session.hello().version),
            Some(said) => match Version::parse(said) {
                None => Err(failure::unsupported(said)),
                Some(version) if !version.is_modern() => Ok(self.session.hello().version),
                Some(_) if question.meta.capabilities.is_none() => lacks("clientCapabilities"),
                Some(version) => Ok(version),
            },
        }
    }

    /// Answers a request beside the others.
    async fn start(&self, cx: Cx, question: Question) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            let full = Error::new(Kind::Shed, "too many requests are under way");
            let outcome = question.fails(&full);
            return self.send(reply(&question.id, &outcome)).await;
        };
        let (front, out, id) = (self.front.clone(), self.out.clone(), question.id.clone());
        self.front.0.setup.tasks.spawn(async move {
            if let Some(outcome) = front.run(cx, question, out.clone()).await {
                drop(out.send(reply(&id, &outcome)).await);
            }
            drop(permit);
        });
    }

    /// Takes in several, where the revision has such a thing.
    pub(super) async fn batch(&self, cx: Cx, line: &Bytes) {
        let refused = RpcError::new(code::INVALID_REQUEST, "batches belong to protocol version 2025-03-26 only");
        let messages = match self.session.hello().version {
            Version::Batching => rpc::read_batch(line),
            Version::First | Version::Elicitation | Version::LastLegacy | Version::Modern => Err(refused),
        };
        match messages {
            Err(error) => self.send(rpc::error(None, &error)).await,
            Ok(messages) => {
                let (front, session, out) = (self.front.clone(), Arc::clone(&self.session), self.out.clone());
                self.front.0.setup.tasks.spawn(async move {
                    if let Some(answers) = front.answer_all(&cx, messages, Some(session), &out).await {
                        drop(out.send(answers).await);
                    }
                });
            }
        }
    }

    /// Tells a legacy client what changes, from the moment on when it says that it is ready.
    fn stand(&self) {
        if !self.stands.swap(true, Ordering::Relaxed) {
            let setup = &self.front.0.setup;
            let until = (self.listening.clone(), setup.closing.clone());
            let listener = Listener::standing(&setup.catalog, &self.session, until.0, until.1);
            setup.tasks.spawn(send_all(listener, self.out.clone()));
        }
    }

    fn subscribe(&self, cx: Cx, question: Question) {
        let over = self.listening.child_token();
        let underway = self.session.begin(&question.id, over.clone());
        let (front, out) = (self.front.clone(), self.out.clone());
        self.front.0.setup.tasks.spawn(async move {
            let setup = &front.0.setup;
            let until = (over, setup.closing.clone());
            let listener = Listener::subscribed(&setup.catalog, &cx, &question, until).await;
            send_all(listener, out).await;
            drop(underway);
        });
    }
}

/// Tells what changes, until it is over or nobody reads any more.
async fn send_all(mut listener: Listener, out: mpsc::Sender<Bytes>) {
    while let Some(message) = listener.next().await {
        if out.send(message).await.is_err() {
            break;
        }
    }
}
