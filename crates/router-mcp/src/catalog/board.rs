//! A list of a view as it is told: what its servers have, in their order, under its names. It is made once for each
//! state of theirs, and its pages are the bytes that go out.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use router_core::Raw;

use super::{
    cursor::Digest,
    item::Item,
    list::List,
    listing::Listing,
    naming::{self, Candidate, Charset},
    search::Index,
    view::View,
};
use crate::fields;

/// How often a word of a name, or of a title, counts in a search.
const NAME_COUNTS: f64 = 3.0;
const TITLE_COUNTS: f64 = 2.0;

/// What is known of each of a view's servers, in their order; `None` where that is nothing.
pub(super) type Listings = Vec<Option<Arc<Listing>>>;

pub(super) struct Board {
    pub(super) list: List,
    pub(super) listings: Listings,
    pub(super) entries: Vec<Entry>,
    index: HashMap<Arc<str>, usize>,
    page_size: usize,
    digest: OnceLock<Digest>,
    pages: OnceLock<Vec<Bytes>>,
    tokens: OnceLock<u64>,
    searched: OnceLock<Index>,
}

/// One thing on a board.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The name that it goes by here.
    pub(super) name: Arc<str>,
    /// Which of the view's servers has it.
    pub(super) server: usize,
    /// Where it stands on that server's list.
    pub(super) place: usize,
}

impl Board {
    pub(super) fn new(view: &View, list: List, listings: Listings) -> Self {
        let candidates = candidates(view, list, &listings);
        let entries = if list.is_named() { named(view, list, &candidates) } else { by_uri(&candidates) };
        if entries.len() < candidates.len() && list.is_named() {
            let (list, left_out) = (list.field(), candidates.len() - entries.len());
            tracing::warn!(view = %view.spec.name, list, left_out, "names of earlier servers: these are not offered");
        }
        let index = entries.iter().enumerate().map(|(place, entry)| (Arc::clone(&entry.name), place)).collect();
        Self {
            list,
            listings,
            entries,
            index,
            page_size: view.spec.page_size.max(1),
            digest: OnceLock::new(),
            pages: OnceLock::new(),
            tokens: OnceLock::new(),
            searched: OnceLock::new(),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.index.get(name)?)
    }

    pub(super) fn item(&self, entry: &Entry) -> Option<&Item> {
        self.listings.get(entry.server)?.as_ref()?.items.get(entry.place)
    }

    /// Everything, as it is told here.
    pub(super) fn told(&self) -> impl Iterator<Item = (&Entry, Raw)> {
        self.entries.iter().filter_map(|entry| Some((entry, self.as_told(entry)?)))
    }

    pub(super) fn as_told(&self, entry: &Entry) -> Option<Raw> {
        let item = self.item(entry)?;
        Some(if self.list.is_named() { item.named(&entry.name) } else { item.told.clone() })
    }

    /// What tells this list from any other.
    pub(super) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.page_size.to_be_bytes());
            for (entry, told) in self.entries.iter().filter_map(|entry| Some((entry, &self.item(entry)?.told))) {
                hasher.update(entry.name.as_bytes()).update(b"\0");
                hasher.update(&told.bytes().len().to_be_bytes()).update(told.bytes());
            }
            let mut digest = [0; 16];
            hasher.finalize_xof().fill(&mut digest);
            digest
        })
    }

    /// The items of a page: an array.
    pub(super) fn page(&self, page: u32) -> Option<Bytes> {
        self.pages().get(usize::try_from(page).ok()?).cloned()
    }

    pub(super) fn pages(&self) -> &[Bytes] {
        self.pages.get_or_init(|| {
            let mut pages: Vec<Bytes> =
                self.entries.chunks(self.page_size).map(|entries| self.array(entries)).collect();
            if pages.is_empty() {
                pages.push(Bytes::from_static(b"[]"));
            }
            pages
        })
    }

    /// How many tokens all of it is to a model.
    pub(super) fn tokens(&self, count: fn(&[u8]) -> u64) -> u64 {
        *self.tokens.get_or_init(|| self.pages().iter().map(|page| count(page)).sum())
    }

    /// What searches look into.
    pub(super) fn searched(&self) -> &Index {
        self.searched.get_or_init(|| Index::of(self.entries.iter().map(|entry| self.words_of(entry))))
    }

    /// What a thing says of itself, and how much each part of that counts.
    fn words_of<'a>(&'a self, entry: &'a Entry) -> Vec<(f64, Cow<'a, str>)> {
        let Some(item) = self.item(entry) else { return Vec::new() };
        let said = |key| fields::text(&item.told, key).unwrap_or_default().into();
        let arguments = fields::get_path(&item.told, &["inputSchema", "properties"]);
        let arguments = arguments.map(|arguments| fields::entries(&arguments)).unwrap_or_default();
        let arguments: Vec<String> = arguments.into_iter().map(|(name, _)| name).collect();
        vec![
            (NAME_COUNTS, Cow::Borrowed(&*entry.name)),
            (TITLE_COUNTS, said("title")),
            (1.0, said("description")),
            (1.0, arguments.join(" ").into()),
        ]
    }

    fn array(&self, entries: &[Entry]) -> Bytes {
        let items: Vec<Raw> = entries.iter().filter_map(|entry| self.as_told(entry)).collect();
        Bytes::clone(fields::array(&items).bytes())
    }
}

/// What a view has to offer, in its order.
type Candidates<'a> = Vec<(Entry, &'a Item)>;

fn candidates<'a>(view: &View, list: List, listings: &'a Listings) -> Candidates<'a> {
    let known = listings.iter().enumerate().filter_map(|(server, listing)| Some((server, listing.as_ref()?)));
    let all = known.flat_map(|(server, listing)| {
        listing
            .items
            .iter()
            .enumerate()
            .map(move |(place, item)| (Entry { name: Arc::clone(&item.key), server, place }, item))
    });
    all.filter(|(entry, item)| view.shows(list, entry.server, &item.key)).collect()
}

/// Of several things with one URI the first stays.
fn by_uri(candidates: &Candidates<'_>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    candidates.iter().filter(|(_, item)| seen.insert(&*item.key)).map(|(entry, _)| entry.clone()).collect()
}

fn named(view: &View, list: List, candidates: &Candidates<'_>) -> Vec<Entry> {
    let candidate = |(entry, item)| asked_for(view, list, entry, item);
    let asked: Vec<Candidate<'_>> =
        candidates.iter().map(|(entry, item)| (entry, *item)).filter_map(candidate).collect();
    let charset = if list == List::Tools { view.charset } else { Charset::Any };
    let names = naming::names(&asked, charset);
    let pairs = candidates.iter().zip(names);
    pairs.filter_map(|((entry, _), name)| Some(Entry { name: name?.into(), ..entry.clone() })).collect()
}

fn asked_for<'a>(view: &'a View, list: List, entry: &Entry, item: &'a Item) -> Option<Candidate<'a>> {
    let shown = view.servers.get(entry.server)?;
    let alias = shown.aliases.get(&*item.key).filter(|_| list == List::Tools).map(|alias| &**alias);
    Some(Candidate { server: &shown.shelf.offer.name, own: &item.shown, alias, prefix: shown.prefix })
}
