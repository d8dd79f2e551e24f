//! A connection to a server, whatever carries it.

use std::{sync::Arc, time::Duration};

use router_core::{Cx, Error, Kind, Outcome, Raw, Result, tool::Answer};
use tokio::time::{Instant, timeout};

use super::{
    Launch, Question, Reach, ServerSpec, Surroundings, Transport,
    eras::{Greeting, Protocol},
    greet,
    http::{Older, Remote},
    news::Ended,
    session::{Reply, Session},
    stdio::Process,
};

/// How long it may take until it is known why nobody reads what a server is told.
const REASON: Duration = Duration::from_secs(1);

/// A connection, as its supervisor owns it.
pub(crate) enum Link {
    Pipe(Box<Process>),
    Http(Arc<Remote>),
    Older(Older),
}

impl Link {
    /// Starts the program, or prepares the requests. Nothing has been said yet.
    pub(crate) async fn open(spec: &ServerSpec, launch: &Launch, around: &Surroundings) -> Result<Self> {
        match &spec.reach {
            Reach::Program(program) => {
                Ok(Self::Pipe(Box::new(Process::start(&spec.name, program, launch, around).await?)))
            }
            Reach::Http(endpoint) => {
                let remote = Remote::new(&spec.name, endpoint, around)?;
                Ok(match endpoint.transport {
                    Transport::Auto => Self::Http(Arc::new(remote)),
                    Transport::Sse => Self::Older(remote.older()),
                })
            }
            Reach::Absent(why) => Err(Error::new(Kind::Unavailable, why.clone()).outcome_is(Outcome::NotSent)),
        }
    }

    /// The connection, as callers use it.
    pub(crate) fn channel(&self) -> Channel {
        match self {
            Self::Pipe(process) => Channel::Pipe(Arc::clone(process.session())),
            Self::Http(remote) => Channel::Http(Arc::clone(remote)),
            Self::Older(older) => Channel::Pipe(Arc::clone(older.session())),
        }
    }

    /// Finds out what the server speaks, and over what: one that refuses Streamable HTTP may be of the time before.
    pub(crate) async fn greet(&mut self, protocol: Protocol, until: Instant) -> Result<Greeting> {
        let Self::Http(remote) = self else { return self.meet(protocol, until).await };
        let refusal = match remote.greet(protocol, until).await? {
            Ok(greeting) => return Ok(greeting),
            Err(refusal) if refusal.may_be_older() && protocol != Protocol::Modern => refusal.into_error(),
            Err(refusal) => return Err(refusal.into_error()),
        };
        *self = Self::Older(remote.older());
        self.meet(protocol, until).await.map_err(|error| {
            let told = format!("{}; nor does it speak HTTP+SSE: {}", refusal.message(), error.message());
            if error.consent().is_some() { error } else { Error::new(refusal.kind(), told) }
        })
    }

    /// Greets a server that speaks when it likes.
    async fn meet(&mut self, protocol: Protocol, until: Instant) -> Result<Greeting> {
        let channel = self.channel();
        let Channel::Pipe(session) = &channel else {
            return Err(Error::new(Kind::Internal, "requests of their own need no conversation"));
        };
        let protocol = if matches!(self, Self::Older(_)) { Protocol::Legacy } else { protocol };
        let met = tokio::select! {
            met = greet::greet(session, protocol, until) => met,
            error = self.over() => return Err(error),
        };
        match met {
            // Nobody reads any more: why, whoever guards the server is about to say.
            Err(error) if error.kind() == Kind::Unavailable => Err(timeout(REASON, self.over()).await.unwrap_or(error)),
            met => met,
        }
    }

    /// The process that guards the server, where we started one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Pipe(process) => process.pid(),
            Self::Http(_) | Self::Older(_) => None,
        }
    }

    /// Waits until the connection is of no more use. One over Streamable HTTP never is: each request makes its own.
    pub(crate) async fn over(&mut self) -> Error {
        match self {
            Self::Pipe(process) => process.over().await,
            Self::Http(_) => std::future::pending().await,
            Self::Older(older) => older.over().await,
        }
    }

    /// An error about this connection, with what the server last complained about.
    pub(crate) fn explain(&self, error: &Error) -> Error {
        match self {
            Self::Pipe(process) => Error::new(error.kind(), process.with_last_words(error.message().to_owned())),
            Self::Http(_) | Self::Older(_) => error.clone(),
        }
    }

    /// Says goodbye, and ends the processes.
    pub(crate) async fn stop(self) {
        match self {
            Self::Pipe(process) => process.stop().await,
            Self::Http(remote) => remote.leave().await,
            Self::Older(older) => older.stop(),
        }
    }
}

/// A connection, as callers use it.
#[derive(Clone)]
pub(crate) enum Channel {
    Pipe(Arc<Session>),
    Http(Arc<Remote>),
}

impl Channel {
    /// Waits until the server can ask whoever calls it, but not for long.
    pub(crate) async fn stands(&self) {
        match self {
            Self::Pipe(_) => {}
            Self::Http(remote) => remote.stands().await,
        }
    }

    /// Listens for news until there is no more. Of resources it tells what was wanted at `turn`.
    pub(super) async fn news(&self, params: &Raw, turn: Option<u64>) -> Ended {
        match self {
            Self::Pipe(session) => session.news(params, turn).await,
            Self::Http(remote) => remote.news(params, turn).await,
        }
    }

    /// Asks for ourselves.
    pub(super) async fn request(&self, method: &str, params: &Raw, until: Instant) -> Result<Reply> {
        match self {
            Self::Pipe(session) => session.request(method, params, until).await,
            Self::Http(remote) => remote.request(method, params, until).await,
        }
    }

    /// How often the server has said something; `None` while somebody waits for it: his own patience decides then.
    pub(crate) fn heard(&self) -> Option<u64> {
        match self {
            Self::Pipe(session) => session.is_idle().then(|| session.heard()),
            Self::Http(remote) => remote.is_idle().then(|| remote.heard()),
        }
    }

    /// Asks for a sign of life; the error when there is none within `patience`.
    pub(crate) async fn ping(&self, patience: Duration) -> Result<()> {
        let answered = match self {
            Self::Pipe(session) => session.ping(Instant::now() + patience).await,
            Self::Http(remote) => remote.ping(Instant::now() + patience).await,
        };
        answered.map_err(|error| {
            let silent = error.kind() == Kind::Deadline;
            if silent { Error::new(Kind::Unavailable, format!("no sign of life within {patience:?}")) } else { error }
        })
    }

    /// Has a legacy server tell as much as somebody wants to hear.
    pub(crate) fn want_level(&self, level: &str) {
        match self {
            Self::Pipe(session) => session.want_level(level),
            Self::Http(remote) => remote.want_level(level),
        }
    }

    pub(crate) async fn call(&self, cx: &Cx, question: Question<'_>) -> Result<Answer> {
        match self {
            Self::Pipe(session) => session.call(cx, question).await,
            Self::Http(remote) => remote.call(cx, question).await,
        }
    }
}
