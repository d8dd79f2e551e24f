//! A page of a list, as it goes out: what stands around its items is written anew each time, the items are not.

use std::time::Duration;

use bytes::Bytes;
use router_core::{Error, Kind, Raw, Result};

use super::{
    board::{Board, Listings},
    cursor::Cursor,
    list::List,
    shelf::Company,
    view::View,
};
use crate::{fields, rpc};

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    list: List,
    /// The result, with an empty array where the items go.
    pub(crate) frame: Raw,
    /// The items: an array.
    pub(crate) items: Bytes,
}

/// Whether all servers of a view are on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// Of some nothing is known.
    Partial,
}

impl Page {
    /// A list that only the configuration can change, which is no secret.
    pub(super) fn unchanging(list: List, items: &Raw) -> Self {
        let hints = [("ttlMs", &Raw::trusted("0")), ("cacheScope", &Raw::trusted("\"private\""))];
        let frame = fields::with_fields(&framed(list), &hints);
        Self { list, frame, items: Bytes::clone(items.bytes()) }
    }

    /// Where the items go in a result that has a place for them.
    pub(crate) fn field(&self) -> &'static str {
        self.list.field()
    }

    /// The result in one piece.
    pub(crate) fn whole(&self) -> Raw {
        fields::with_field(&self.frame, self.list.field(), &Raw::trusted(Bytes::clone(&self.items)))
    }
}

fn framed(list: List) -> Raw {
    fields::with_field(&fields::empty(), list.field(), &Raw::trusted("[]"))
}

impl View {
    /// The page that `params` ask for.
    pub(super) fn page(&self, board: &std::sync::Arc<Board>, params: Option<&Raw>, extent: Extent) -> Result<Page> {
        let list = board.list;
        let cursor = params.and_then(|params| fields::get(params, "cursor")).filter(|cursor| cursor.as_str() != "null");
        let Some(cursor) = cursor else { return self.numbered(board, 0, extent) };
        let read = |text: String| self.cursors.read(&self.spec.name, list, &text);
        let cursor = fields::said(&cursor).and_then(read);
        let Some(cursor) = cursor else { return Err(Error::new(Kind::Invalid, "unknown cursor: it is none of ours")) };
        match self.board_at(board, cursor.digest) {
            Some(board) => self.numbered(&board, cursor.page, extent),
            None => Err(Error::new(Kind::Invalid, "the list has changed since this cursor was given out")
                .hint("ask for it again from its beginning")),
        }
    }

    fn numbered(&self, board: &Board, page: u32, extent: Extent) -> Result<Page> {
        let list = board.list;
        let items =
            board.page(page).ok_or_else(|| Error::new(Kind::Invalid, "unknown cursor: there is no such page"))?;
        let next = page + 1;
        let mut set = Vec::with_capacity(3);
        if usize::try_from(next).is_ok_and(|next| next < board.pages().len()) {
            let cursor = Cursor { digest: board.digest(), page: next };
            set.push(("nextCursor", rpc::quoted(&self.cursors.write(&self.spec.name, list, cursor))));
        }
        let (ttl, scope) = self.hints(&board.listings, extent);
        set.extend([("ttlMs", ttl), ("cacheScope", scope)]);
        let set: Vec<(&str, &Raw)> = set.iter().map(|(key, value)| (*key, value)).collect();
        Ok(Page { list, frame: fields::with_fields(&self.frame(board), &set), items })
    }

    /// What else stands in the result: of a server that stands alone, what it said.
    fn frame(&self, board: &Board) -> Raw {
        match (self.company, board.listings.first()) {
            (Company::Alone, Some(Some(listing))) => listing.frame.clone(),
            _ => framed(board.list),
        }
    }

    /// The list is as fresh as its oldest part, and not at all when a part is missing; whoever may not see a part may not be
    /// handed the whole.
    fn hints(&self, listings: &Listings, extent: Extent) -> (Raw, Raw) {
        let known = || listings.iter().flatten();
        let ttl = known().map(|listing| listing.left()).min().filter(|_| extent == Extent::Whole);
        let public = !self.spec.private && known().next().is_some() && known().all(|listing| listing.public);
        let scope = Raw::trusted(if public { "\"public\"" } else { "\"private\"" });
        (Raw::trusted(ttl.unwrap_or(Duration::ZERO).as_millis().to_string()), scope)
    }
}
