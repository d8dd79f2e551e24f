//! What the catalog sees of a server besides its answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use router_core::{Cx, Note, Raw, Result};
use tokio::sync::{broadcast, watch};

use crate::client::{ServerState, Watch};

/// The outside of one MCP server: what it said of itself, how it is, and whether its lists have changed.
pub trait ServerView: Send + Sync + 'static {
    /// What the server says it can do, as its protocol writes it; `None` until it was reached for the first time.
    fn capabilities(&self) -> Option<Raw>;

    /// How the server wants to be used, in its own words.
    fn instructions(&self) -> Option<String>;

    /// How it is.
    fn state(&self) -> ServerState;

    /// How often each of its lists has changed. All three count up when a connection is made, since nobody knows what
    /// changed meanwhile; one counts up when the server says so.
    fn revisions(&self) -> watch::Receiver<Revision>;

    /// What it says from now on that belongs to no request.
    fn remarks(&self) -> broadcast::Receiver<Remark>;

    /// Has the server tell whoever asks when a resource changes, for as long as what this gives is kept; it tells by a remark.
    fn watch(&self, cx: &Cx, uri: &str) -> BoxFuture<'static, Result<Watch>>;

    /// Somebody wants to hear its log from this level on, as its protocol writes it.
    fn want_level(&self, level: &'static str);
}

/// Something that a server says beside all requests.
#[derive(Clone, Debug)]
pub struct Remark {
    /// What it says.
    pub note: Note,
    /// The name of the caller for whom it is; `None`: for everybody who may use the server.
    pub to: Option<Arc<str>>,
    /// The one session of his that it is for; `None`: for all of them.
    pub session: Option<Arc<str>>,
}

impl Remark {
    /// For everybody who may use the server.
    pub fn to_all(note: Note) -> Self {
        Self { note, to: None, session: None }
    }
}

/// How often each list of a server has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Of the tools.
    pub tools: u64,
    /// Of the resources and their templates.
    pub resources: u64,
    /// Of the prompts.
    pub prompts: u64,
}

impl Revision {
    /// The revision after a new connection.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { tools: self.tools + 1, resources: self.resources + 1, prompts: self.prompts + 1 }
    }

    /// Whether the server has said since then that its tools are other ones; a new connection alone says nothing.
    pub fn has_other_tools_than(self, before: Self) -> bool {
        let since = |now: u64, then: u64| now.saturating_sub(then);
        let connections = since(self.resources, before.resources).min(since(self.prompts, before.prompts));
        since(self.tools, before.tools) > connections
    }
}
