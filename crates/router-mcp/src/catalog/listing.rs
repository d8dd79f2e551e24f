//! One list of one server: its pages put together, without what is not to be seen of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use router_core::Raw;
use tokio::time::Instant;

use super::{
    Terms,
    item::{Blemish, Item},
    list::List,
};
use crate::fields;

/// How many items of one list are kept.
const MAX_ITEMS: usize = 1_000;
/// How long a list counts as fresh whose server gives no time but tells its changes.
const UNTIMED: Duration = Duration::from_mins(5);

/// What a server said it has, when, and for how long.
#[derive(Debug)]
pub(super) struct Listing {
    list: List,
    pub(super) items: Vec<Item>,
    index: HashMap<Arc<str>, usize>,
    /// The result of the first page without its items, for what else stands in it.
    pub(super) frame: Raw,
    /// How long it is fresh, where the server said so.
    ttl: Option<Duration>,
    pub(super) public: bool,
    pub(super) revision: u64,
    fetched: Instant,
    blemishes: BTreeMap<Blemish, usize>,
    /// Tools that are not what they were.
    away: BTreeSet<String>,
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
            blemishes: BTreeMap::new(),
            away: BTreeSet::new(),
        }
    }

    /// Adds a page and tells where the next one begins.
    pub(super) fn add(&mut self, terms: &Terms, page: &Raw) -> Option<Raw> {
        if self.items.is_empty() {
            let frame = fields::with_field(page, self.list.field(), &Raw::trusted("[]"));
            self.frame = fields::without_field(&frame, "nextCursor");
        }
        let ttl = fields::number(page, "ttlMs").map(Duration::from_millis);
        self.ttl = [self.ttl, ttl].into_iter().flatten().min();
        self.public &= fields::text(page, "cacheScope").as_deref() == Some("public");
        let items = fields::get(page, self.list.field()).map(|items| fields::elements(&items)).unwrap_or_default();
        for own in items {
            if let Some(blemish) = self.push(terms, own) {
                *self.blemishes.entry(blemish).or_default() += 1;
            }
        }
        fields::get(page, "nextCursor").filter(|cursor| cursor.bytes().len() > 2 && self.items.len() < MAX_ITEMS)
    }

    fn push(&mut self, terms: &Terms, own: Raw) -> Option<Blemish> {
        if self.items.len() >= MAX_ITEMS {
            return Some(Blemish::TooMany);
        }
        let (item, blemish) = Item::read(self.list, terms, own);
        let Some(item) = item else { return blemish };
        if !terms.filters.of(self.list).passes(&item.key) {
            return None;
        }
        if self.index.contains_key(&item.key) {
            return Some(Blemish::Twin);
        }
        self.index.insert(Arc::clone(&item.key), self.items.len());
        self.items.push(item);
        blemish
    }

    /// Takes tools off the list, and remembers why they are not there.
    pub(super) fn keep_away(&mut self, away: Vec<String>) {
        if away.is_empty() {
            return;
        }
        self.away.extend(away);
        self.items.retain(|item| !self.away.contains(&*item.key));
        self.index = self.items.iter().enumerate().map(|(place, item)| (Arc::clone(&item.key), place)).collect();
    }

    /// Whether a tool was taken off.
    pub(super) fn is_away(&self, key: &str) -> bool {
        self.away.contains(key)
    }

    /// What there was to find fault with, in words; `None` when there was nothing.
    pub(super) fn faults(&self) -> Option<String> {
        let told = self.blemishes.iter().map(|(blemish, count)| format!("{count} {}", blemish.as_str()));
        let told: Vec<_> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// What comes after this is not read.
    pub(super) fn is_cut(&mut self) {
        *self.blemishes.entry(Blemish::TooLarge).or_default() += 1;
    }

    /// A list that is not the server's latest word is asked for again next time.
    pub(super) fn is_old(&mut self) {
        self.ttl = Some(Duration::ZERO);
    }

    pub(super) fn is_fresh(&self, revision: u64) -> bool {
        self.revision == revision && self.fetched.elapsed() < self.ttl.unwrap_or(UNTIMED)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.items.get(self.place(key)?)
    }

    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// What is left of the time that the server gave it.
    pub(super) fn left(&self) -> Duration {
        self.ttl.unwrap_or_default().saturating_sub(self.fetched.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::raw;

    #[test]
    fn a_server_has_its_bound_and_what_is_beyond_is_counted() {
        for (count, kept, faults) in [
            (MAX_ITEMS, MAX_ITEMS, None),
            (MAX_ITEMS + 1, MAX_ITEMS, Some("1 left out: more than 1000".to_owned())),
            (100 * MAX_ITEMS, MAX_ITEMS, Some("99000 left out: more than 1000".to_owned())),
        ] {
            let tools: Vec<String> = (0..count).map(|number| format!(r#"{{"name":"t{number}"}}"#)).collect();
            let mut listing = Listing::new(List::Tools, 0);
            let page = raw(&format!(r#"{{"tools":[{}],"nextCursor":"more"}}"#, tools.join(",")));
            listing.add(&Terms::default(), &page);
            assert_eq!((listing.items.len(), listing.faults()), (kept, faults));
        }
    }
}
