//! Servers that stand in for others: named before they are built, because all of them are built one by one.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use router_core::{
    BoxUpstream, Cx, Error, Kind, Name, Result, Upstream,
    tool::{Answer, ToolCall},
};

/// The stacks of all servers, of use while they are built. Nobody stands in for himself in the end (the configuration sees
/// to that), so none of them holds itself.
#[derive(Default)]
pub struct Reliefs(Mutex<BTreeMap<Name, Place>>);

type Place = Arc<OnceLock<BoxUpstream<ToolCall>>>;

/// How others are found that can answer `Q`; only tools are alike in several servers.
pub type Others<'a, Q> = Option<&'a dyn Fn(&Name) -> BoxUpstream<Q>>;

impl Reliefs {
    /// One more server.
    pub fn add(&self, name: &Name, tools: &BoxUpstream<ToolCall>) {
        self.place(name).get_or_init(|| tools.clone());
    }

    /// Whoever is called `name`.
    pub fn named(&self, name: &Name) -> BoxUpstream<ToolCall> {
        Relief { name: Arc::clone(name), place: self.place(name) }.boxed()
    }

    fn place(&self, name: &Name) -> Place {
        Arc::clone(self.0.lock().entry(Arc::clone(name)).or_default())
    }
}

/// A server that stands in for another one.
struct Relief {
    name: Name,
    place: Place,
}

impl Upstream<ToolCall> for Relief {
    async fn call(&self, cx: &Cx, query: ToolCall) -> Result<Answer> {
        match self.place.get() {
            // Whether its answers may be kept is its own matter, and nobody has said.
            Some(tools) => tools.call(cx, ToolCall { keep: false, ..query }).await,
            None => Err(Error::new(Kind::Unavailable, format!("the server {} is not here", self.name))),
        }
    }
}
