//! One list of one server: its pages put together, its items read only as far as routing needs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use router_core::{Raw, tool::What};
use tokio::time::Instant;

use super::{JOINT, Offer};
use crate::{fields, mirror::Mirror, rpc};

/// How many items of one list are kept.
const MAX_ITEMS: usize = 1_000;
/// How long a list counts as fresh whose server gives no time but tells its changes.
const UNTIMED: Duration = Duration::from_mins(5);

/// The lists of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl List {
    pub(crate) const fn what(self) -> What {
        match self {
            Self::Tools => What::Tools,
            Self::Resources => What::Resources,
            Self::Templates => What::ResourceTemplates,
            Self::Prompts => What::Prompts,
        }
    }

    /// The capability without which a server has no such list.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::Templates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// Where the items stand in a result.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    pub(crate) const fn singular(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Resources => "resource",
            Self::Templates => "resource template",
            Self::Prompts => "prompt",
        }
    }

    /// What identifies an item.
    const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// Names get their server's prefix; a URI is the same everywhere.
    const fn is_named(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }
}

/// One tool, resource, template or prompt.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its own name, or URI.
    pub(super) key: Arc<str>,
    /// As the server wrote it.
    own: Raw,
    /// The same with the server's prefix.
    joined: Raw,
    pub(super) read_only: bool,
    pub(super) idempotent: bool,
    pub(super) mirrors: Arc<[Mirror]>,
}

impl Item {
    fn read(list: List, server: &str, own: Raw) -> Option<Self> {
        let key = fields::text(&own, list.key())?;
        let joined = if list.is_named() {
            fields::with_field(&own, "name", &rpc::quoted(&format!("{server}{JOINT}{key}")))
        } else {
            own.clone()
        };
        let mut item =
            Self { key: key.into(), own, joined, read_only: false, idempotent: false, mirrors: Arc::default() };
        if list == List::Tools {
            item.read_tool();
        }
        Some(item)
    }

    fn read_tool(&mut self) {
        if let Some(annotations) = fields::get(&self.own, "annotations") {
            self.read_only = fields::is_true(&annotations, "readOnlyHint");
            self.idempotent = fields::is_true(&annotations, "idempotentHint");
        }
        self.mirrors = Mirror::all(&self.own);
    }
}

/// What a server said it has, when, and for how long.
#[derive(Debug)]
pub(super) struct Listing {
    list: List,
    pub(super) items: Vec<Item>,
    index: HashMap<Arc<str>, usize>,
    /// The result of the first page, for what else stands in it.
    frame: Raw,
    /// How long it is fresh, where the server said so.
    ttl: Option<Duration>,
    public: bool,
    pub(super) revision: u64,
    fetched: Instant,
}

impl Listing {
    /// A list of nothing yet.
    pub(super) fn new(list: List, revision: u64) -> Self {
        Self {
            list,
            items: Vec::new(),
            index: HashMap::new(),
            frame: fields::empty(),
            ttl: None,
            public: true,
            revision,
            fetched: Instant::now(),
        }
    }

    /// Adds a page and tells where the next one begins.
    pub(super) fn add(&mut self, offer: &Offer, page: &Raw) -> Option<Raw> {
        if self.items.is_empty() {
            self.frame = page.clone();
        }
        let ttl = fields::number(page, "ttlMs").map(Duration::from_millis);
        self.ttl = [self.ttl, ttl].into_iter().flatten().min();
        self.public &= fields::text(page, "cacheScope").as_deref() == Some("public");
        let items = fields::get(page, self.list.field()).map(|items| fields::elements(&items)).unwrap_or_default();
        for own in items {
            self.push(offer, own);
        }
        fields::get(page, "nextCursor").filter(|cursor| cursor.bytes().len() > 2 && self.items.len() < MAX_ITEMS)
    }

    fn push(&mut self, offer: &Offer, own: Raw) {
        let server = &*offer.name;
        let Some(item) = Item::read(self.list, server, own) else {
            tracing::debug!(server, list = self.list.field(), "an item without a name is left out");
            return;
        };
        if self.list == List::Tools && offer.hides(&item.key) {
            return;
        }
        if self.items.len() >= MAX_ITEMS || self.index.contains_key(&item.key) {
            tracing::debug!(server, item = %item.key, "an item too many, or named twice, is left out");
            return;
        }
        self.index.insert(Arc::clone(&item.key), self.items.len());
        self.items.push(item);
    }

    /// A list that is not the server's latest word is asked for again next time.
    pub(super) fn is_old(&mut self) {
        self.ttl = Some(Duration::ZERO);
    }

    pub(super) fn is_fresh(&self, revision: u64) -> bool {
        self.revision == revision && self.fetched.elapsed() < self.ttl.unwrap_or(UNTIMED)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.items.get(*self.index.get(key)?)
    }

    /// The list as its server has it, all pages as one.
    pub(super) fn page(&self) -> Raw {
        let items = fields::array(self.items.iter().map(|item| &item.own));
        let (ttl, scope) = hints(self.left(), self.public);
        let page = fields::without_field(&self.frame, "nextCursor");
        fields::with_fields(&page, &[(self.list.field(), &items), ("ttlMs", &ttl), ("cacheScope", &scope)])
    }

    /// What is left of the time that the server gave it.
    fn left(&self) -> Duration {
        self.ttl.unwrap_or_default().saturating_sub(self.fetched.elapsed())
    }
}

/// Several lists as one, in their order. Of two items with one URI the first stays. The list is as fresh as its oldest
/// part, and not at all when a part is missing.
pub(super) fn merged(list: List, listings: &[&Arc<Listing>], missing: bool) -> Raw {
    let mut seen = HashMap::new();
    let mut items = Vec::new();
    for (server, listing) in listings.iter().enumerate() {
        for item in &listing.items {
            if list.is_named() || *seen.entry(&*item.key).or_insert(server) == server {
                items.push(&item.joined);
            }
        }
    }
    let ttl = listings.iter().map(|listing| listing.left()).min().filter(|_| !missing);
    let public = !listings.is_empty() && listings.iter().all(|listing| listing.public);
    let (ttl, scope) = hints(ttl.unwrap_or_default(), public);
    let fields = [(list.field(), &fields::array(items)), ("ttlMs", &ttl), ("cacheScope", &scope)];
    fields::with_fields(&fields::empty(), &fields)
}

fn hints(ttl: Duration, public: bool) -> (Raw, Raw) {
    let scope = Raw::trusted(if public { "\"public\"" } else { "\"private\"" });
    (Raw::trusted(ttl.as_millis().to_string()), scope)
}
