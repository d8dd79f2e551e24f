//! One server's place in the catalog: the lists that are known of it, kept fresh, and kept when it is away.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use router_core::{
    Caller, Cx, Error, Kind, Outcome, Raw, Reply, Result, Source, Upstream,
    tool::{Answer, Errand, Lookup},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{FETCH_TIME, FIRST_WAIT, KNOWN_WAIT, Offer, ledger::Ledger, list::List, listing::Listing, uri};
use crate::{
    client::{ServerState, tells},
    fields,
    pins::{Pinned, Strictness},
    rpc::{RpcError, code},
    view::Revision,
};

/// How many pages of one list are fetched.
const MAX_PAGES: usize = 100;
/// How many bytes of one list are read; what is kept of a page keeps the page.
const MAX_BYTES: usize = 64 << 20;
/// How often a server that is starting is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A refresh that several may wait for.
type Flight = Shared<BoxFuture<'static, Result<Arc<Listing>>>>;

pub(super) struct Shelf {
    pub(super) offer: Offer,
    slots: [Slot; 4],
    revisions: watch::Receiver<Revision>,
    /// What it last said that it can do: while it is away, that still counts.
    said: Mutex<Option<Raw>>,
    /// When it was started, or its first lists were first asked for since it last came up or changed.
    asked: Mutex<(Revision, Instant)>,
    tasks: TaskTracker,
    /// Whose the tasks are that it was given.
    pub(super) ledger: Ledger,
}

/// What is known of one list, and the refresh that is under way.
#[derive(Default)]
struct Slot {
    known: ArcSwapOption<Listing>,
    flight: Mutex<Option<Flight>>,
    /// What was last found wrong with it, and told: it is told once.
    faults: Mutex<Option<String>>,
}

/// Who else waits for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Nobody: the server stands alone.
    Alone,
    /// Other servers, whose lists are there already.
    Among,
}

/// What is known of one name.
pub(super) enum Known {
    /// The server has it: the list, and the place on it.
    Item(Arc<Listing>, usize),
    /// The server has no such thing.
    Absent,
    /// The server has it, but it is not what it was.
    Away,
    /// The server could not be asked what it has.
    Nothing,
}

impl Shelf {
    pub(super) fn new(offer: Offer, tasks: TaskTracker) -> Self {
        let revisions = offer.view.revisions();
        let asked = Mutex::new((*revisions.borrow(), Instant::now()));
        Self {
            offer,
            slots: Default::default(),
            revisions,
            said: Mutex::default(),
            asked,
            tasks,
            ledger: Ledger::default(),
        }
    }

    fn slot(&self, list: List) -> &Slot {
        list.of(&self.slots)
    }

    /// Whether the server says so, or has not said anything yet.
    pub(super) fn may_have(&self, capability: &str) -> bool {
        self.capabilities().is_none_or(|said| fields::get(&said, capability).is_some())
    }

    /// What the server says of one of its capabilities.
    pub(super) fn said(&self, capability: &[&str]) -> Option<Raw> {
        fields::get_path(&self.capabilities()?, capability)
    }

    pub(super) fn capabilities(&self) -> Option<Raw> {
        let mut said = self.said.lock();
        if let Some(now) = self.offer.view.capabilities() {
            *said = Some(now);
        }
        said.clone()
    }

    /// Whether the server says that it tells when its resources change, or has not said anything yet.
    pub(super) fn may_tell_of_resources(&self) -> bool {
        self.may_have("resources") && self.said.lock().as_ref().is_none_or(tells)
    }

    /// The last list that the server gave.
    pub(super) fn known(&self, list: List) -> Option<Arc<Listing>> {
        self.slot(list).known.load_full()
    }

    fn revision(&self, list: List) -> u64 {
        let revision = *self.revisions.borrow();
        match list {
            List::Tools => revision.tools,
            List::Resources | List::Templates => revision.resources,
            List::Prompts => revision.prompts,
        }
    }

    /// Whether this is what is known of a list.
    pub(super) fn knows(&self, list: List, listing: Option<&Arc<Listing>>) -> bool {
        self.slot(list).known.load().as_ref().map(Arc::as_ptr) == listing.map(Arc::as_ptr)
    }

    /// Whether a list is as good as new.
    pub(super) fn is_fresh(&self, list: List, listing: &Listing) -> bool {
        listing.is_fresh(self.revision(list))
    }

    /// Has a list asked for of which nothing is known, without waiting for it.
    pub(super) fn warm(self: &Arc<Self>, list: List) {
        if self.known(list).is_none() && self.may_have(list.capability()) {
            drop(self.refresh(list));
        }
    }

    /// The list as it is now, or the last known when the server is away or slow; `None` when it has none of the kind.
    pub(super) async fn current(self: &Arc<Self>, list: List, company: Company) -> Result<Option<Arc<Listing>>> {
        if !self.may_have(list.capability()) {
            self.slot(list).known.store(None);
            return Ok(None);
        }
        let known = self.known(list);
        let revision = self.revision(list);
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh(revision)) {
            return Ok(Some(Arc::clone(known)));
        }
        let wait = match (&known, self.offer.view.state()) {
            (None, state) => self.first_wait(state, company),
            (Some(_), ServerState::Ready) => KNOWN_WAIT,
            (Some(_), ServerState::Starting | ServerState::BackingOff | ServerState::Failed | ServerState::Stopped) => {
                Duration::ZERO
            }
        };
        match timeout(wait, self.since(list, revision)).await {
            Ok(Ok(listing)) => Ok(Some(listing)),
            Ok(Err(error)) => known.ok_or(error).map(Some),
            Err(_) => known
                .ok_or_else(|| Error::new(Kind::Timeout, "the server has not given its list yet").at(&self.offer.name))
                .map(Some),
        }
    }

    /// How long a list may take of which nothing is known. Where other servers wait for the answer, all first lists of
    /// this one share one stretch of time, which begins anew when it comes up: its clients are told of that.
    fn first_wait(&self, state: ServerState, company: Company) -> Duration {
        if company == Company::Alone {
            return FIRST_WAIT;
        }
        let (revision, now) = (*self.revisions.borrow(), Instant::now());
        let mut asked = self.asked.lock();
        if asked.0 != revision {
            *asked = (revision, now);
        }
        let since = asked.1;
        let left = FIRST_WAIT.saturating_sub(now.duration_since(since));
        match state {
            ServerState::Ready | ServerState::Starting => left,
            ServerState::BackingOff | ServerState::Failed | ServerState::Stopped => Duration::ZERO,
        }
    }

    /// A list that was asked for after `revision`: a refresh under way may have begun before it.
    async fn since(self: &Arc<Self>, list: List, revision: u64) -> Result<Arc<Listing>> {
        let listing = self.refresh(list).await?;
        if listing.revision >= revision {
            return Ok(listing);
        }
        self.refresh(list).await
    }

    fn refresh(self: &Arc<Self>, list: List) -> Flight {
        let mut flight = self.slot(list).flight.lock();
        // It lands only when it is looked at, and nobody may have waited to the end.
        if let Some(flying) = flight.as_ref().filter(|&flight| flight.clone().now_or_never().is_none()) {
            return flying.clone();
        }
        let server = Arc::clone(self);
        let task = self.tasks.spawn(async move { server.fetch(list).await });
        let landed = async move {
            task.await.unwrap_or_else(|error| Err(Error::new(Kind::Internal, "a list was not read").because(error)))
        };
        let started = landed.boxed().shared();
        *flight = Some(started.clone());
        started
    }

    /// Waits until the server has come up or failed: what is asked too early would count as its fault, and the breaker
    /// would keep it away when it is up.
    async fn started(&self) -> Result<()> {
        let starting = async {
            while self.offer.view.state() == ServerState::Starting {
                sleep(GLANCE).await;
            }
        };
        let late = |_| Error::new(Kind::Unavailable, "the server is still starting").outcome_is(Outcome::NotSent);
        timeout(FETCH_TIME, starting).await.map_err(|elapsed| late(elapsed).at(&self.offer.name))
    }

    async fn fetch(&self, list: List) -> Result<Arc<Listing>> {
        self.started().await?;
        // Lists are asked for in nobody's name: what they hold does not depend on who reads them.
        let cx = Cx::new(Arc::new(Caller::router("catalog")), FETCH_TIME);
        let mut listing = Listing::new(list, self.revision(list));
        let pinned = self.offer.pinned.as_ref().filter(|_| list == List::Tools);
        let (mut cursor, mut bytes) = (None, 0);
        for _ in 0..MAX_PAGES {
            let params = cursor.as_ref().map(|cursor| fields::with_field(&fields::empty(), "cursor", cursor));
            let page = match self.lookup(&cx, Lookup { params, ..Lookup::new(list.what()) }).await {
                Err(error) if has_no_such_method(&error) => break,
                outcome => outcome?,
            };
            let next = listing.add(&self.offer.terms, &page.result);
            if page.provenance().source != Source::Live {
                listing.is_old();
            }
            bytes += page.result.bytes().len();
            if next.is_none() || next == cursor {
                break;
            }
            if bytes > MAX_BYTES {
                listing.is_cut();
                break;
            }
            cursor = next;
        }
        if let Some(Pinned { pins, strictness }) = pinned {
            let offered = listing.items.iter().map(|tool| (&*tool.key, &tool.own));
            let away = pins.review(&self.offer.name, *strictness, offered);
            listing.keep_away(away);
        }
        self.tell_faults(list, &listing);
        let listing = Arc::new(listing);
        self.slot(list).known.store(Some(Arc::clone(&listing)));
        Ok(listing)
    }

    fn holds_tools_back(&self) -> bool {
        self.offer.pinned.as_ref().is_some_and(|pinned| pinned.strictness == Strictness::Quarantine)
    }

    /// Says what is wrong with a list, when that is news.
    fn tell_faults(&self, list: List, listing: &Listing) {
        let faults = listing.faults();
        let mut told = self.slot(list).faults.lock();
        if let Some(faults) = faults.as_ref().filter(|&faults| told.as_ref() != Some(faults)) {
            tracing::warn!(server = %self.offer.name, list = list.field(), faults, "not all of a list is offered");
        }
        *told = faults;
    }

    /// What is known of a name. A list that lacks it may be out of date, and is asked for once more.
    pub(super) async fn find(self: &Arc<Self>, list: List, key: &str, company: Company) -> Known {
        let known = self.known(list);
        let unknown = known.is_none();
        match known {
            Some(known) => {
                if let Some(place) = known.place(key) {
                    return Known::Item(known, place);
                }
            }
            // Whether a tool is still what it was, only the list tells.
            None if list == List::Tools && self.holds_tools_back() => {}
            None => {
                drop(self.refresh(list));
                return Known::Nothing;
            }
        }
        let Ok(listing) = self.current(list, company).await else { return Known::Nothing };
        if listing.as_ref().is_some_and(|listing| listing.is_away(key)) {
            return Known::Away;
        }
        if listing.is_none() && unknown {
            // It says that it has no tools: there is nothing to compare a call with.
            return Known::Nothing;
        }
        let place = listing.as_ref().and_then(|listing| listing.place(key));
        listing.zip(place).map_or(Known::Absent, |(listing, place)| Known::Item(listing, place))
    }

    /// Whether the URI is on a known list, or fits a known template.
    pub(super) fn owns(&self, uri: &str) -> bool {
        let listed = self.known(List::Resources).is_some_and(|listing| listing.get(uri).is_some());
        let fits = |listing: Arc<Listing>| {
            listing.items.iter().any(|item| *item.key == *uri || uri::fits_template(&item.key, uri))
        };
        listed || self.known(List::Templates).is_some_and(fits)
    }

    pub(super) async fn lookup(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        self.offer.lookups.call(cx, lookup).await.map_err(|error| error.at(&self.offer.name))
    }

    pub(super) async fn errand(&self, cx: &Cx, errand: Errand) -> Result<Answer> {
        self.offer.errands.call(cx, errand).await.map_err(|error| error.at(&self.offer.name))
    }
}

/// A server without this kind of thing may say so when asked instead of beforehand.
fn has_no_such_method(error: &Error) -> bool {
    let said = error.words().filter(|words| words.dialect == "mcp").and_then(|words| RpcError::parse(&words.body));
    said.is_some_and(|said| said.code == code::METHOD_NOT_FOUND)
}
