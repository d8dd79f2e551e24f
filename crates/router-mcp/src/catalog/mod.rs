//! The catalog: the union of what many servers offer, under names that cannot collide.

mod changes;
mod listing;
mod near;
mod shelf;
mod talk;
#[cfg(test)]
mod tests;
mod uri;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use router_core::{
    BoxUpstream, Cx, Error, Kind, Name, Raw, Repeat, Result, Upstream,
    tool::{Answer, Lookup, ToolCall, What},
};
use tokio_util::task::TaskTracker;

pub use changes::{Changed, Changes};
pub(crate) use listing::List;
pub(crate) use talk::Remarks;

use self::{
    listing::{Item, Listing},
    shelf::{Known, Shelf},
};
use crate::{fields, mirror::Mirror, rpc, view::ServerView};

/// Between a server's name and its own name for a tool or prompt.
const JOINT: &str = "__";

/// One server, as the catalog needs it.
#[derive(Clone)]
pub struct Offer {
    /// Its name in the configuration.
    pub name: Name,
    /// Its tools, guarded.
    pub tools: BoxUpstream<ToolCall>,
    /// Everything else it can be asked, guarded. Lists must come uncached: the catalog keeps them itself.
    pub lookups: BoxUpstream<Lookup>,
    /// What it says of itself.
    pub view: Arc<dyn ServerView>,
    /// Whether its word counts on what its tools do (`readOnlyHint`, `idempotentHint`).
    pub trusted: bool,
    /// Whose results may be kept: a tool's own name (the operator's word), or a pattern with `*` for those that call
    /// themselves read-only.
    pub cached_tools: Vec<String>,
    /// Which of its tools nobody is to see or to call: own names, or patterns with `*`.
    pub hidden_tools: Vec<String>,
}

impl Offer {
    fn hides(&self, tool: &str) -> bool {
        self.hidden_tools.iter().any(|pattern| uri::matches_glob(pattern, tool))
    }
}

/// By which names tools and prompts are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// `server__tool`.
    Joined,
    /// As the one server has them.
    Plain,
}

/// Many servers as one, or one alone. Cloning it shares what is known of their lists.
#[derive(Clone)]
pub struct Catalog {
    shelves: Arc<[Arc<Shelf>]>,
    naming: Naming,
}

impl Catalog {
    /// The union of `offers`, in their order. `tasks` runs what refreshes the lists.
    pub fn new(offers: Vec<Offer>, tasks: &TaskTracker) -> Self {
        let shelves = offers.into_iter().map(|offer| Arc::new(Shelf::new(offer, tasks.clone()))).collect();
        Self { shelves, naming: Naming::Joined }
    }

    /// One of its servers alone, under its own names.
    pub fn single(&self, name: &str) -> Option<Self> {
        let server = self.shelves.iter().find(|server| &*server.offer.name == name)?;
        Some(Self { shelves: [Arc::clone(server)].into(), naming: Naming::Plain })
    }

    /// The names of its servers.
    pub fn servers(&self) -> impl Iterator<Item = &Name> {
        self.shelves.iter().map(|server| &server.offer.name)
    }

    /// Hears when the lists change.
    pub fn changes(&self) -> Changes {
        Changes::of(self.shelves.iter().map(|server| server.offer.view.revisions()))
    }

    /// Whether a server that has been reached offers this, or one that has not might.
    pub(crate) fn may_have(&self, capability: &str) -> bool {
        self.shelves.iter().any(|server| server.may_have(capability))
    }

    /// What is said of an extension of the protocol by the first server that has it.
    pub(crate) fn extension(&self, name: &str) -> Option<Raw> {
        self.shelves.iter().find_map(|server| server.said(&["extensions", name]))
    }

    /// How its servers want to be used.
    pub(crate) fn instructions(&self) -> Option<String> {
        let said =
            self.shelves.iter().filter_map(|server| Some((&server.offer.name, server.offer.view.instructions()?)));
        let parts: Vec<_> = match self.naming {
            Naming::Plain => said.map(|(_, text)| text).collect(),
            Naming::Joined => said.map(|(name, text)| format!("# {name}\n\n{text}")).collect(),
        };
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// Which arguments of a tool its clients repeat in HTTP headers, as far as the tool is known.
    pub(crate) fn mirrors(&self, tool: &str) -> Arc<[Mirror]> {
        let found = self.locate(tool).and_then(|(server, own)| server.known(List::Tools)?.get(own).cloned());
        found.map(|item| Arc::clone(&item.mirrors)).unwrap_or_default()
    }

    /// The server that a name belongs to, and its own name there. Of servers whose names begin alike the longest wins.
    fn locate<'a>(&self, name: &'a str) -> Option<(&Arc<Shelf>, &'a str)> {
        let owns = |server: &Shelf| match self.naming {
            Naming::Plain => Some(name),
            Naming::Joined => name.strip_prefix(&*server.offer.name)?.strip_prefix(JOINT),
        };
        let owners = self.shelves.iter().filter_map(|server| Some((server, owns(server)?)));
        owners.min_by_key(|(_, own)| own.len())
    }

    async fn listings(&self, list: List) -> Vec<(&Arc<Shelf>, Result<Arc<Listing>>)> {
        let each = self.shelves.iter().map(async |server| (server, server.current(list, self.naming).await));
        join_all(each).await
    }

    /// One page that holds everything.
    async fn union(&self, list: List, params: Option<&Raw>) -> Result<Answer> {
        if params.and_then(|params| fields::get(params, "cursor")).is_some_and(|cursor| cursor.as_str() != "null") {
            return Err(Error::new(Kind::Invalid, "unknown cursor: the list has one page only"));
        }
        let listings = self.listings(list).await;
        if let (Naming::Plain, [(_, outcome)]) = (self.naming, &listings[..]) {
            return outcome.clone().map(|listing| Answer::new(listing.page()));
        }
        for (server, outcome) in &listings {
            if let Err(error) = outcome {
                tracing::warn!(server = %server.offer.name, list = list.field(), %error, "left out of a list");
            }
        }
        let missing = listings.iter().any(|(_, outcome)| outcome.is_err());
        let known: Vec<_> = listings.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).collect();
        Ok(Answer::new(listing::merged(list, &known, missing)))
    }

    /// The error for a name that nobody has, with the nearest that somebody has.
    fn unknown(&self, list: List, name: &str) -> Error {
        let known = self.shelves.iter().filter_map(|server| server.known(list).map(|listing| (server, listing)));
        let mut names = Vec::new();
        for (server, listing) in known {
            names.extend(listing.items.iter().map(|item| self.public(&server.offer.name, &item.key)));
        }
        let error = Error::new(Kind::NotFound, format!("unknown {}: {name}", list.singular()));
        match near::nearest(name, &names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        }
    }

    fn public(&self, server: &str, own: &str) -> String {
        match self.naming {
            Naming::Plain => own.to_owned(),
            Naming::Joined => format!("{server}{JOINT}{own}"),
        }
    }

    async fn prompt(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        let params = required(lookup.params.as_ref())?;
        let name = fields::text(params, "name").ok_or_else(|| missing("name"))?;
        let (server, own) = self.locate(&name).ok_or_else(|| self.unknown(List::Prompts, &name))?;
        if let Known::Absent = server.find(List::Prompts, own, self.naming).await {
            return Err(self.unknown(List::Prompts, &name));
        }
        let params = fields::with_field(params, "name", &rpc::quoted(own));
        server.lookup(cx, Lookup { params: Some(params), ..lookup }).await
    }

    async fn resource(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        let uri = fields::text(required(lookup.params.as_ref())?, "uri").ok_or_else(|| missing("uri"))?;
        let server = self.owner(&uri).await.ok_or_else(|| self.unknown(List::Resources, &uri))?;
        server.lookup(cx, lookup).await
    }

    async fn completion(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        let params = required(lookup.params.as_ref())?;
        let reference = fields::get(params, "ref").ok_or_else(|| missing("ref"))?;
        if let Some(name) = fields::text(&reference, "name") {
            let (server, own) = self.locate(&name).ok_or_else(|| self.unknown(List::Prompts, &name))?;
            let params = fields::with_path(params, &["ref", "name"], &rpc::quoted(own));
            return server.lookup(cx, Lookup { params: Some(params), ..lookup }).await;
        }
        let uri = fields::text(&reference, "uri").ok_or_else(|| missing("ref.uri"))?;
        let server = self.owner(&uri).await.ok_or_else(|| self.unknown(List::Templates, &uri))?;
        server.lookup(cx, lookup).await
    }

    /// Whose a URI is: listed by, or fitting a template of, the first in the configuration's order. What is known
    /// decides before anybody is asked, so that a slow server cannot delay another's resources.
    async fn owner(&self, uri: &str) -> Option<&Arc<Shelf>> {
        let mut able = self.shelves.iter().filter(|server| server.may_have("resources"));
        if let (Some(only), None) = (able.next(), able.next()) {
            return Some(only);
        }
        if let Some(server) = self.shelves.iter().find(|server| server.owns(uri)) {
            return Some(server);
        }
        futures_util::join!(self.listings(List::Resources), self.listings(List::Templates));
        self.shelves.iter().find(|server| server.owns(uri))
    }
}

impl Upstream<ToolCall> for Catalog {
    async fn call(&self, cx: &Cx, mut call: ToolCall) -> Result<Answer> {
        let name = Arc::clone(&call.name);
        let (server, own) = self.locate(&name).ok_or_else(|| self.unknown(List::Tools, &name))?;
        if server.offer.hides(own) {
            return Err(self.unknown(List::Tools, &name));
        }
        match server.find(List::Tools, own, self.naming).await {
            Known::Item(tool) => mark(&mut call, &server.offer, &tool),
            Known::Absent => return Err(self.unknown(List::Tools, &name)),
            Known::Nothing => call.name = own.into(),
        }
        server.offer.tools.call(cx, call).await.map_err(|error| error.at(&server.offer.name))
    }
}

/// Says of a call what its tool's annotations say, as far as they are to be believed.
fn mark(call: &mut ToolCall, offer: &Offer, tool: &Item) {
    call.name = Arc::clone(&tool.key);
    if offer.trusted && (tool.read_only || tool.idempotent) {
        call.repeat = Repeat::Safe;
    }
    let kept = |pattern: &String| {
        let named = **pattern == *tool.key;
        named || (tool.read_only && pattern.contains('*') && uri::matches_glob(pattern, &tool.key))
    };
    call.keep = offer.cached_tools.iter().any(kept) && stands_alone(call);
}

/// Whether the answer depends on the arguments only: not on what was said in an earlier round of the same call.
fn stands_alone(call: &ToolCall) -> bool {
    call.extra.as_ref().is_none_or(|extra| {
        fields::entries(extra).iter().all(|(key, _)| matches!(&**key, "name" | "arguments" | "_meta"))
    })
}

impl Upstream<Lookup> for Catalog {
    async fn call(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        match lookup.what {
            What::Tools => self.union(List::Tools, lookup.params.as_ref()).await,
            What::Resources => self.union(List::Resources, lookup.params.as_ref()).await,
            What::ResourceTemplates => self.union(List::Templates, lookup.params.as_ref()).await,
            What::Prompts => self.union(List::Prompts, lookup.params.as_ref()).await,
            What::Resource => self.resource(cx, lookup).await,
            What::Prompt => self.prompt(cx, lookup).await,
            What::Completion => self.completion(cx, lookup).await,
        }
    }
}

fn required(params: Option<&Raw>) -> Result<&Raw> {
    params.ok_or_else(|| Error::new(Kind::Invalid, "the parameters are missing"))
}

fn missing(key: &str) -> Error {
    Error::new(Kind::Invalid, format!("`{key}` is missing, or no string"))
}

/// How long a list may take that we could do without, because an older one is there.
const KNOWN_WAIT: Duration = Duration::from_secs(5);
/// How long a list may take of which nothing is known yet: a server installed on its first start needs a while.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// How long a refresh goes on after those who waited for it have gone.
const FETCH_TIME: Duration = Duration::from_mins(1);
