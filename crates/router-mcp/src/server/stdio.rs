//! The pipe side: one client, every era at once, one message per line.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use router_core::{Cx, Error, Kind};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Front, Question, failure,
    listen::Listener,
    reply,
    session::{Hello, Session},
    version::Version,
};
use crate::{
    client::lines::{LINE_MAX, Line, Lines},
    rpc::{self, Message, RpcError, code},
};

/// How many messages wait for a client that reads slowly.
const WAITING: usize = 256;
/// How many requests may be under way.
const UNDERWAY: usize = 1_000;
/// How long requests may go on after the input has ended, as it does at once when it is a file.
const GRACE: Duration = Duration::from_secs(5);

/// Serves a client over a pipe until its end closes. `contexts` makes the context of each request.
pub async fn serve_stdio(
    front: Front,
    contexts: impl Fn() -> Cx + Send + Sync,
    input: impl AsyncRead + Unpin + Send,
    output: impl AsyncWrite + Unpin + Send,
) -> io::Result<()> {
    let (out, messages) = mpsc::channel(WAITING);
    let session = Arc::new(Session::new("", "", Hello::silent()));
    let _over = session.over.clone().drop_guard();
    let pipe = Pipe::new(front, session, out);
    let writing = write(messages, output);
    tokio::pin!(writing);
    let read = tokio::select! {
        read = pipe.read(contexts, input) => read,
        written = &mut writing => return written,
    };
    match timeout(GRACE, writing).await {
        Ok(written) => read.and(written),
        Err(_) => read,
    }
}

/// Writes one message per line, and flushes when there is no other.
async fn write(mut messages: mpsc::Receiver<Bytes>, output: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    while let Some(message) = messages.recv().await {
        output.write_all(&rpc::one_line(message)).await?;
        output.write_all(b"\n").await?;
        if messages.is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

struct Pipe {
    front: Front,
    session: Arc<Session>,
    out: mpsc::Sender<Bytes>,
    room: Arc<Semaphore>,
    /// Ends what would tell of changes for ever.
    listening: CancellationToken,
    /// Whether the client hears of changes already.
    stands: bool,
}

impl Pipe {
    fn new(front: Front, session: Arc<Session>, out: mpsc::Sender<Bytes>) -> Self {
        let listening = session.over.child_token();
        Self { front, session, out, room: Arc::new(Semaphore::new(UNDERWAY)), listening, stands: false }
    }

    async fn read(mut self, contexts: impl Fn() -> Cx, input: impl AsyncRead + Unpin) -> io::Result<()> {
        let _listening = self.listening.clone().drop_guard();
        let mut lines = Lines::new(input, LINE_MAX);
        while let Some(line) = lines.next().await? {
            match line {
                Line::Whole(line) if line.trim_ascii().is_empty() => {}
                Line::Whole(line) if rpc::is_batch(&line) => self.batch(contexts(), &line).await,
                Line::Whole(line) => match rpc::read_client(&line) {
                    Ok(message) => self.take(contexts(), message).await,
                    Err(error) => self.send(rpc::error(None, &error)).await,
                },
                Line::TooLong(_) => {
                    let error = RpcError::new(code::INVALID_REQUEST, "a message may have 16 MiB at most");
                    self.send(rpc::error(None, &error)).await;
                }
            }
        }
        Ok(())
    }

    async fn send(&self, message: Bytes) {
        // The other end has gone when nobody takes it: reading will end, too.
        drop(self.out.send(message).await);
    }

    async fn take(&mut self, cx: Cx, message: Message) {
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
            ("subscriptions/listen", true) => self.subscribe(question),
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
            let full = Error::new(Kind::Shed, "1000 requests are under way");
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

    async fn batch(&self, cx: Cx, line: &Bytes) {
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
    fn stand(&mut self) {
        if !std::mem::replace(&mut self.stands, true) {
            let setup = &self.front.0.setup;
            let until = (self.listening.clone(), setup.closing.clone());
            let listener = Listener::standing(&setup.catalog, &self.session, until.0, until.1);
            setup.tasks.spawn(send_all(listener, self.out.clone()));
        }
    }

    fn subscribe(&self, question: Question) {
        let over = self.listening.child_token();
        let underway = self.session.begin(&question.id, over.clone());
        let (front, out) = (self.front.clone(), self.out.clone());
        self.front.0.setup.tasks.spawn(async move {
            let setup = &front.0.setup;
            let until = (over, setup.closing.clone());
            let listener = Listener::subscribed(&setup.catalog, &question.id, question.params.as_ref(), until).await;
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
