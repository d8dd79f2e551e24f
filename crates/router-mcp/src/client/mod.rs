//! The servers behind us: whatever carries their words and whichever revision they speak, each is one upstream.

mod answer;
mod changes;
mod eras;
mod greet;
mod http;
pub(crate) mod lines;
mod link;
mod listener;
mod news;
mod outbox;
mod server;
mod session;
mod stdio;
mod tail;

use std::sync::Arc;

use ::http::{HeaderName, Uri};
use router_core::{
    Name, Query, Repeat, Secret,
    tool::{Lookup, ToolCall},
};
use tokio_util::task::TaskTracker;

use self::{changes::Changes, eras::Request};
pub use self::{
    eras::{Era, Greeting, Protocol},
    server::{McpServer, ServerState, ServerStatus},
    stdio::{Launch, Program},
};
pub(crate) use self::{
    link::{Channel, Link},
    news::follow,
    session::Tally,
};

/// A server as the configuration describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSpec {
    /// Its name, also the prefix of its tools.
    pub name: Name,
    /// How it is reached.
    pub reach: Reach,
    /// What it is spoken to.
    pub protocol: Protocol,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// By starting it, and over its pipes.
    Program(Program),
    /// Over Streamable HTTP.
    Http(Endpoint),
}

/// A server that somebody else runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it listens.
    pub url: Uri,
    /// What is sent along with every request.
    pub headers: Vec<(HeaderName, Secret<String>)>,
}

/// What every connection of a server shares with the next.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) changes: Changes,
    pub(crate) tally: Arc<Tally>,
    pub(crate) tasks: TaskTracker,
}

impl Surroundings {
    pub(crate) fn new(tasks: &TaskTracker) -> Self {
        Self { changes: Changes::new(), tally: Arc::default(), tasks: tasks.clone() }
    }
}

/// A question on its way to a server.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    Tool(&'a ToolCall),
    Lookup(&'a Lookup),
}

impl Question<'_> {
    /// Whether asking twice can do harm.
    fn repeat(self) -> Repeat {
        match self {
            Self::Tool(call) => call.repeat(),
            Self::Lookup(lookup) => lookup.repeat(),
        }
    }

    /// The question in the words of a connection. `id` is its request's.
    fn request(self, era: Era, id: u64) -> Request {
        match self {
            Self::Tool(call) => Request::fit("tools/call", eras::call_params(call, era), era, id),
            Self::Lookup(lookup) => Request::fit(lookup.what.method(), eras::lookup_params(lookup), era, id),
        }
    }
}
