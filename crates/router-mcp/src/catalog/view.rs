//! A view: some servers, some of what they have, under some names. What clients can do is decided here, and nowhere
//! else: what a view does not show it does not call either.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::{
    board::{Board, Listings},
    cursor::{Cursors, Digest},
    lazy::Desk,
    list::List,
    naming::{Charset, JOINT, Prefix},
    shelf::{Company, Shelf},
    spec::ViewSpec,
};

/// How many earlier states of a list are kept for those who are in the middle of its pages.
const EARLIER: usize = 2;

pub(super) struct View {
    pub(super) spec: ViewSpec,
    pub(super) servers: Vec<Shown>,
    /// What names may be; those of a server that stands alone are its own.
    pub(super) charset: Charset,
    pub(super) company: Company,
    pub(super) cursors: Cursors,
    pub(super) desk: Option<Desk>,
    boards: [Boards; 4],
}

/// A server as a view shows it.
pub(super) struct Shown {
    pub(super) shelf: Arc<Shelf>,
    pub(super) prefix: Prefix,
    /// Names of our own, by its names.
    pub(super) aliases: BTreeMap<String, Box<str>>,
}

/// A list's present state, and the last ones.
#[derive(Default)]
struct Boards {
    present: ArcSwapOption<Board>,
    earlier: Mutex<Vec<Arc<Board>>>,
}

impl View {
    /// A view over those of `all` that its specification names, in that order.
    pub(super) fn new(spec: ViewSpec, all: &[Arc<Shelf>], cursors: Cursors, desk: Option<Desk>) -> Self {
        let shelves: Vec<&Arc<Shelf>> = match &spec.servers {
            None => all.iter().collect(),
            Some(names) => names.iter().filter_map(|name| all.iter().find(|shelf| shelf.offer.name == *name)).collect(),
        };
        let shown = |shelf: &Arc<Shelf>| Shown {
            shelf: Arc::clone(shelf),
            prefix: spec.prefix.unwrap_or(shelf.offer.terms.prefix),
            aliases: aliases(&spec, &shelf.offer.name),
        };
        let servers = shelves.into_iter().map(shown).collect();
        let charset = Charset::Plain { most: spec.max_name };
        Self { servers, charset, company: Company::Among, cursors, desk, boards: Default::default(), spec }
    }

    /// One server, under its own names.
    pub(super) fn single(spec: ViewSpec, shelf: &Arc<Shelf>, cursors: Cursors) -> Self {
        let shown = Shown { shelf: Arc::clone(shelf), prefix: Prefix::Never, aliases: BTreeMap::new() };
        let (charset, company) = (Charset::Any, Company::Alone);
        Self { servers: vec![shown], charset, company, cursors, desk: None, boards: Default::default(), spec }
    }

    /// Whether a thing of a server is to be seen here.
    pub(super) fn shows(&self, list: List, server: usize, own: &str) -> bool {
        let filter = self.spec.filters.of(list);
        let names = self.servers.iter().map(|server| &*server.shelf.offer.name);
        filter.is_open()
            || self.servers.get(server).is_some_and(|shown| filter.passes_of(&shown.shelf.offer.name, own, &names))
    }

    /// Whether a thing of a server is to be seen, here and at all.
    pub(super) fn lets_through(&self, list: List, server: usize, own: &str) -> bool {
        let offered = |shown: &Shown| shown.shelf.offer.terms.filters.of(list).passes(own);
        self.servers.get(server).is_some_and(offered) && self.shows(list, server, own)
    }

    /// Whether servers have what is not to be seen here.
    pub(super) fn is_narrow(&self) -> bool {
        let hides = |shown: &Shown| !shown.shelf.offer.terms.filters.is_open();
        self.desk.is_some() || !self.spec.filters.is_open() || self.servers.iter().any(hides)
    }

    /// What tells the list that clients see from any other.
    pub(super) fn told(&self, board: &Board) -> Digest {
        match self.desk.as_ref().filter(|desk| board.list == List::Tools && desk.is_open(board)) {
            Some(_) => Digest::default(),
            None => board.digest(),
        }
    }

    /// The board of what is known by now.
    pub(super) fn board(&self, list: List) -> Arc<Board> {
        let present = list.of(&self.boards).present.load_full();
        let is_current = |board: &Arc<Board>| {
            self.servers.iter().zip(&board.listings).all(|(server, listing)| server.shelf.knows(list, listing.as_ref()))
        };
        match present.filter(is_current) {
            Some(board) => board,
            None => self.board_of(list, self.servers.iter().map(|server| server.shelf.known(list)).collect()),
        }
    }

    /// The board of these lists of the servers.
    pub(super) fn board_of(&self, list: List, listings: Listings) -> Arc<Board> {
        let boards = list.of(&self.boards);
        let present = boards.present.load_full();
        let is_same = |board: &Arc<Board>| {
            let pairs = board.listings.iter().zip(&listings);
            pairs.into_iter().all(|(one, other)| one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr))
        };
        if let Some(board) = present.as_ref().filter(|board| is_same(board)) {
            return Arc::clone(board);
        }
        let board = Arc::new(Board::new(self, list, listings));
        boards.present.store(Some(Arc::clone(&board)));
        // Only who has got a cursor comes back for more.
        if let Some(past) = present.filter(|past| past.entries.len() > self.spec.page_size) {
            let mut earlier = boards.earlier.lock();
            earlier.insert(0, past);
            earlier.truncate(EARLIER);
        }
        board
    }

    /// The state of a list that somebody was told a page of.
    pub(super) fn board_at(&self, present: &Arc<Board>, digest: Digest) -> Option<Arc<Board>> {
        if present.digest() == digest {
            return Some(Arc::clone(present));
        }
        let earlier = list_of(&self.boards, present.list).earlier.lock();
        earlier.iter().find(|board| board.digest() == digest).cloned()
    }

    /// The server that a name with a prefix, or an alias, belongs to, and its own name there. Of servers whose names
    /// begin alike the longest wins.
    pub(super) fn owner<'a>(&'a self, list: List, name: &'a str) -> Option<(usize, &'a str)> {
        if self.company == Company::Alone {
            let only = self.servers.first()?;
            return Some((0, own(list, &only.shelf, name)));
        }
        if let Some(alias) = self.spec.aliases.get(name).filter(|_| list == List::Tools) {
            let server = self.servers.iter().position(|server| server.shelf.offer.name == alias.server)?;
            return Some((server, &alias.tool));
        }
        let owns = |shown: &Shown| name.strip_prefix(&*shown.shelf.offer.name)?.strip_prefix(JOINT);
        let owners = self.servers.iter().enumerate();
        let owners = owners.filter_map(|(server, shown)| Some((server, shown, owns(shown)?)));
        let (server, shown, rest) = owners.min_by_key(|(.., rest)| rest.len())?;
        Some((server, own(list, &shown.shelf, rest)))
    }
}

fn list_of(boards: &[Boards; 4], list: List) -> &Boards {
    list.of(boards)
}

fn own<'a>(list: List, shelf: &'a Shelf, name: &'a str) -> &'a str {
    if list == List::Tools { shelf.offer.terms.own(name) } else { name }
}

fn aliases(spec: &ViewSpec, server: &str) -> BTreeMap<String, Box<str>> {
    let own = spec.aliases.iter().filter(|(_, alias)| *alias.server == *server);
    // Of several the first is the one that is listed.
    own.rev().map(|(name, alias)| (alias.tool.clone(), name.as_str().into())).collect()
}
