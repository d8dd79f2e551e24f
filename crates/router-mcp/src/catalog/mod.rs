//! The catalog: the union of what many servers offer, under names that cannot collide.

mod amend;
mod board;
mod changes;
mod cursor;
mod errands;
mod filter;
mod item;
mod lazy;
mod ledger;
mod list;
mod listing;
mod naming;
mod near;
mod page;
mod search;
mod shelf;
mod spec;
mod talk;
mod tasks;
#[cfg(test)]
mod tests;
mod uri;
mod view;
#[cfg(test)]
mod view_tests;
mod words;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use router_core::{
    BoxUpstream, Cx, Error, Kind, Name, Outcome, Raw, Repeat, Result, Upstream,
    tool::{Answer, Errand, Lookup, ToolCall, What},
};
use tokio_util::task::TaskTracker;

pub(crate) use self::tasks::{EXTENSION as TASKS_EXTENSION, Place, is_required};
pub use self::{
    amend::Override,
    changes::{Changed, Changes},
    filter::{Filter, Filters},
    lazy::{Counted, Laziness, Lazy, Meaning, Tokens},
    naming::Prefix,
    spec::{Alias, Terms, ViewSpec},
};
pub(crate) use self::{ledger::Owner, list::List, page::Page, talk::Remarks};

use self::{
    board::{Board, Listings},
    cursor::Cursors,
    item::{Item, TaskSupport},
    lazy::{Desk, Passed},
    listing::Listing,
    page::Extent,
    shelf::{Company, Known, Shelf},
    view::View,
};
use crate::{fields, mirror::Mirror, pins::Pinned, rpc, view::ServerView};

/// One server, as the catalog needs it.
#[derive(Clone)]
pub struct Offer {
    /// Its name in the configuration.
    pub name: Name,
    /// Its tools, guarded.
    pub tools: BoxUpstream<ToolCall>,
    /// Everything else it can be asked, guarded. Lists must come uncached: the catalog keeps them itself.
    pub lookups: BoxUpstream<Lookup>,
    /// What only it and its clients understand, guarded.
    pub errands: BoxUpstream<Errand>,
    /// What it says of itself.
    pub view: Arc<dyn ServerView>,
    /// Whether its word counts on what its tools do (`readOnlyHint`, `idempotentHint`).
    pub trusted: bool,
    /// Whose results may be kept: a tool's own name (the operator's word), or a pattern with `*` for those that call
    /// themselves read-only. Without any, those of a trusted server that call themselves so.
    pub cached_tools: Vec<String>,
    /// On which terms its things are offered.
    pub terms: Terms,
    /// What its tools are held to; `None` holds them to nothing.
    pub pinned: Option<Pinned>,
}

/// Many servers as one, some of them, or one alone. Cloning it shares what is known of their lists.
#[derive(Clone)]
pub struct Catalog {
    shelves: Arc<[Arc<Shelf>]>,
    view: Arc<View>,
    tasks: TaskTracker,
    cursors: Cursors,
}

/// A thing that somebody named.
enum Found {
    /// A server has it: the list, and the place on it.
    Item(usize, Arc<Listing>, usize),
    /// A server could have it that has not told what it has.
    Perhaps(usize, Arc<str>),
}

impl Catalog {
    /// The union of `offers`, in their order. `tasks` runs what refreshes the lists; `key` is what cursors are known by.
    pub fn new(offers: Vec<Offer>, tasks: &TaskTracker, key: [u8; 32]) -> Self {
        let shelves: Arc<[_]> = offers.into_iter().map(|offer| Arc::new(Shelf::new(offer, tasks.clone()))).collect();
        let cursors = Cursors::new(key);
        let view = Arc::new(View::new(ViewSpec::default(), &shelves, cursors.clone(), None));
        Self { shelves, view, tasks: tasks.clone(), cursors }
    }

    /// What `spec` shows of the same servers.
    #[must_use]
    pub fn view(&self, spec: ViewSpec) -> Self {
        let is_in = |name: &&Name| spec.servers.as_ref().is_none_or(|servers| servers.contains(name));
        let servers = self.shelves.iter().map(|shelf| &shelf.offer.name).filter(is_in);
        let desk = Desk::new(&spec.lazy, servers.map(|name| &**name));
        let view = Arc::new(View::new(spec, &self.shelves, self.cursors.clone(), desk));
        Self { view, ..self.clone() }
    }

    /// One of its servers alone, under its own names.
    pub fn single(&self, name: &str) -> Option<Self> {
        let server = self.shelves.iter().find(|server| &*server.offer.name == name)?;
        let (private, page_size) = (self.view.spec.private, self.view.spec.page_size);
        let spec = ViewSpec { name: format!("/mcp/{name}").into(), private, page_size, ..ViewSpec::default() };
        Some(Self { view: Arc::new(View::single(spec, server, self.cursors.clone())), ..self.clone() })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &Name {
        &self.view.spec.name
    }

    /// The names of its servers.
    pub fn servers(&self) -> impl Iterator<Item = &Name> {
        self.view.servers.iter().map(|shown| &shown.shelf.offer.name)
    }

    /// Hears when the lists change.
    pub fn changes(&self) -> Changes {
        Changes::of(self)
    }

    /// Whether a server that has been reached offers this, or one that has not might.
    pub(crate) fn may_have(&self, capability: &str) -> bool {
        let ours = capability == "tools" && self.view.desk.is_some();
        ours || self.view.servers.iter().any(|shown| shown.shelf.may_have(capability))
    }

    /// How its servers want to be used.
    pub(crate) fn instructions(&self) -> Option<String> {
        if let Some(instructions) = &self.view.spec.instructions {
            return Some(instructions.clone());
        }
        let offers = self.view.servers.iter().map(|shown| &shown.shelf.offer);
        let said = offers.filter_map(|offer| Some((&offer.name, offer.view.instructions()?)));
        let parts: Vec<_> = match self.view.company {
            Company::Alone => said.map(|(_, text)| text).collect(),
            Company::Among => said.map(|(name, text)| format!("# {name}\n\n{text}")).collect(),
        };
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// Which arguments of a tool its clients repeat in HTTP headers, as far as the tool is known.
    pub(crate) fn mirrors(&self, tool: &str) -> Arc<[Mirror]> {
        let mirrors = |item: &Item| Arc::clone(&item.mirrors);
        let board = self.view.board(List::Tools);
        if let Some(item) = board.find(tool).and_then(|entry| board.item(entry)) {
            return mirrors(item);
        }
        let owner = self.view.owner(List::Tools, tool).and_then(|(server, own)| Some((self.shelf(server).ok()?, own)));
        let listing = owner.and_then(|(shelf, own)| Some((shelf.known(List::Tools)?, own)));
        listing.and_then(|(listing, own)| listing.get(own).map(mirrors)).unwrap_or_default()
    }

    fn shelf(&self, server: usize) -> Result<&Arc<Shelf>> {
        let shown = self.view.servers.get(server);
        shown.map(|shown| &shown.shelf).ok_or_else(|| Error::new(Kind::Internal, "a server that is not in the view"))
    }

    fn server(&self, server: usize) -> &str {
        self.view.servers.get(server).map_or("", |shown| &*shown.shelf.offer.name)
    }

    /// Runs what nobody waits for.
    fn background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// A page of a list.
    pub(crate) async fn page(&self, list: List, params: Option<&Raw>) -> Result<Page> {
        let desk = self.view.desk.as_ref().filter(|_| list == List::Tools);
        if let Some(desk) = desk.filter(|desk| !desk.needs_lists()) {
            self.view.servers.iter().for_each(|shown| shown.shelf.warm(list));
            return Ok(desk.page(self.name(), &self.view.board(list)));
        }
        let (board, extent) = self.current(list).await?;
        match desk.filter(|desk| desk.is_open(&board)) {
            Some(desk) => Ok(desk.page(self.name(), &board)),
            None => self.view.page(&board, params, extent),
        }
    }

    /// What is on a list now. A server that cannot tell is left out, unless it stands alone.
    async fn current(&self, list: List) -> Result<(Arc<Board>, Extent)> {
        let board = self.view.board(list);
        let is_fresh = |(shown, known): (&view::Shown, &Option<Arc<Listing>>)| match known {
            Some(known) => shown.shelf.is_fresh(list, known),
            None => !shown.shelf.may_have(list.capability()),
        };
        if self.view.servers.iter().zip(&board.listings).all(is_fresh) {
            return Ok((board, Extent::Whole));
        }
        let each = self.view.servers.iter().map(async |shown| shown.shelf.current(list, self.view.company).await);
        let (mut listings, mut extent) = (Listings::new(), Extent::Whole);
        for (shown, outcome) in self.view.servers.iter().zip(join_all(each).await) {
            listings.push(match outcome {
                Ok(listing) => listing,
                Err(error) if self.view.company == Company::Alone => return Err(error),
                Err(error) => {
                    tracing::warn!(server = %shown.shelf.offer.name, list = list.field(), %error, "left out of a list");
                    extent = Extent::Partial;
                    None
                }
            });
        }
        Ok((self.view.board_of(list, listings), extent))
    }

    /// What somebody means by a name. What is known decides before anybody is asked.
    async fn find(&self, list: List, name: &str) -> Result<Found> {
        let board = self.view.board(list);
        if let Some(found) = on_board(&board, name) {
            return Ok(found);
        }
        let Some((server, own)) = self.view.owner(list, name) else {
            let (board, _) = self.current(list).await?;
            return on_board(&board, name).ok_or_else(|| self.unknown(list, name));
        };
        if !self.view.lets_through(list, server, own) {
            return Err(self.unknown(list, name));
        }
        let owner = self.shelf(server)?;
        if owner.known(list).is_none() && self.view.company == Company::Among && naming::may_be_made(name) {
            // Only the list tells which name this was made of.
            let (board, _) = self.current(list).await?;
            if let Some(found) = on_board(&board, name) {
                return Ok(found);
            }
        }
        match owner.find(list, own, self.view.company).await {
            Known::Item(listing, place) => Ok(Found::Item(server, listing, place)),
            // A name may be made of a longer one: whose it is, is then only seen on the list.
            Known::Absent => on_board(&self.view.board(list), name).ok_or_else(|| self.unknown(list, name)),
            Known::Away => Err(kept_away(owner, own)),
            Known::Nothing => Ok(Found::Perhaps(server, own.into())),
        }
    }

    /// A tool as it is told, when it is there.
    async fn definition(&self, name: &str) -> Option<Raw> {
        match self.find(List::Tools, name).await {
            Ok(Found::Item(_, listing, place)) => Some(listing.items.get(place)?.named(name)),
            Ok(Found::Perhaps(..)) | Err(_) => None,
        }
    }

    /// The error for a name that nobody has, with the nearest that somebody has.
    fn unknown(&self, list: List, name: &str) -> Error {
        let names: Vec<String> = self.view.board(list).entries.iter().map(|entry| entry.name.to_string()).collect();
        let error = Error::new(Kind::NotFound, format!("unknown {}: {name}", list.singular()));
        match near::nearest(name, &names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        }
    }

    /// Calls a tool of a server.
    async fn call_tool(&self, cx: &Cx, mut call: ToolCall) -> Result<Answer> {
        let name = Arc::clone(&call.name);
        let server = match self.find(List::Tools, &name).await? {
            Found::Item(server, listing, place) => {
                if let Some(tool) = listing.items.get(place) {
                    let owner = self.shelf(server)?;
                    if tool.task != TaskSupport::Forbidden && tasks::is_wanted(cx, &call, (owner, tool)) {
                        return Err(tasks::required(&name));
                    }
                    mark(&mut call, &owner.offer, tool);
                }
                server
            }
            Found::Perhaps(server, own) => {
                call.name = own;
                server
            }
        };
        let offer = &self.shelf(server)?.offer;
        if let Some(said) = offer.terms.overrides.get(&*call.name) {
            call.arguments = said.of_arguments(call.arguments.as_ref());
        }
        offer.tools.call(cx, call).await.map_err(|error| error.at(&offer.name))
    }

    async fn prompt(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        let params = required(lookup.params.as_ref())?;
        let name = fields::text(params, "name").ok_or_else(|| missing("name"))?;
        let (server, own) = self.named_prompt(&name).await?;
        let params = fields::with_field(params, "name", &rpc::quoted(&own));
        self.shelf(server)?.lookup(cx, Lookup { params: Some(params), ..lookup }).await
    }

    /// Whose a prompt is, and its server's own name for it.
    async fn named_prompt(&self, name: &str) -> Result<(usize, Arc<str>)> {
        Ok(match self.find(List::Prompts, name).await? {
            Found::Item(server, listing, place) => {
                let item = listing.items.get(place).ok_or_else(|| self.unknown(List::Prompts, name))?;
                (server, Arc::clone(&item.key))
            }
            Found::Perhaps(server, own) => (server, own),
        })
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
            let (server, own) = self.named_prompt(&name).await?;
            let params = fields::with_path(params, &["ref", "name"], &rpc::quoted(&own));
            return self.shelf(server)?.lookup(cx, Lookup { params: Some(params), ..lookup }).await;
        }
        let uri = fields::text(&reference, "uri").ok_or_else(|| missing("ref.uri"))?;
        let server = self.owner(&uri).await.ok_or_else(|| self.unknown(List::Templates, &uri))?;
        server.lookup(cx, lookup).await
    }

    /// Whose a URI is: listed by, or fitting a template of, the first in the view's order. What is known decides before
    /// anybody is asked, so that a slow server cannot delay another's resources.
    async fn owner(&self, uri: &str) -> Option<&Arc<Shelf>> {
        let shown = self.view.servers.iter().enumerate();
        let able = shown.filter(|(server, shown)| {
            self.view.lets_through(List::Resources, *server, uri) && shown.shelf.may_have("resources")
        });
        let able: Vec<&Arc<Shelf>> = able.map(|(_, shown)| &shown.shelf).collect();
        if let [only] = able.as_slice() {
            return Some(only);
        }
        if let Some(server) = able.iter().find(|server| server.owns(uri)) {
            return Some(server);
        }
        let _ = futures_util::join!(self.current(List::Resources), self.current(List::Templates));
        able.into_iter().find(|server| server.owns(uri))
    }
}

fn on_board(board: &Board, name: &str) -> Option<Found> {
    let entry = board.find(name)?;
    let listing = Arc::clone(board.listings.get(entry.server)?.as_ref()?);
    Some(Found::Item(entry.server, listing, entry.place))
}

impl Upstream<ToolCall> for Catalog {
    async fn call(&self, cx: &Cx, call: ToolCall) -> Result<Answer> {
        let Some(desk) = &self.view.desk else { return self.call_tool(cx, call).await };
        match desk.serve(self, cx, call).await {
            Ok(answer) => Ok(answer),
            Err(Passed::Failed(error)) => Err(error),
            Err(Passed::On(call)) => self.call_tool(cx, call).await,
        }
    }
}

/// The error for a tool that is not what it was.
fn kept_away(server: &Shelf, tool: &str) -> Error {
    let server = &server.offer.name;
    let error = Error::new(
        Kind::Refused,
        format!("the tool {tool} is not what it was, and is kept away until somebody approves it"),
    );
    error
        .outcome_is(Outcome::NotSent)
        .hint(format!("`mcp-router servers changes`, then `mcp-router servers approve {server} {tool}`"))
        .at(server)
}

/// Says of a call what its tool's annotations say, as far as they are to be believed.
fn mark(call: &mut ToolCall, offer: &Offer, tool: &Item) {
    call.name = Arc::clone(&tool.key);
    if offer.trusted && (tool.read_only || tool.idempotent) {
        call.repeat = Repeat::Safe;
    }
    let kept = |pattern: &String| {
        let named = **pattern == *tool.key;
        named || (tool.read_only && pattern.contains('*') && router_core::matches_glob(pattern, &tool.key))
    };
    let worth_keeping = match offer.cached_tools.as_slice() {
        [] => offer.trusted && tool.read_only,
        patterns => patterns.iter().any(kept),
    };
    call.keep = worth_keeping && stands_alone(call);
}

/// Whether the answer depends on the arguments only: not on what was said in an earlier round of the same call.
fn stands_alone(call: &ToolCall) -> bool {
    call.extra.as_ref().is_none_or(|extra| {
        fields::entries(extra).iter().all(|(key, _)| matches!(&**key, "name" | "arguments" | "_meta"))
    })
}

impl Upstream<Lookup> for Catalog {
    async fn call(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        if let Some(list) = List::asked(lookup.what) {
            return self.page(list, lookup.params.as_ref()).await.map(|page| Answer::new(page.whole()));
        }
        match lookup.what {
            What::Resource => self.resource(cx, lookup).await,
            What::Prompt => self.prompt(cx, lookup).await,
            What::Completion => self.completion(cx, lookup).await,
            What::Tools | What::Resources | What::ResourceTemplates | What::Prompts => {
                Err(Error::new(Kind::Internal, "a list that is none"))
            }
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
