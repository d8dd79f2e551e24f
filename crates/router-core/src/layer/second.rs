//! The second level of a cache: copies that other replicas find, too. Whatever is wrong with it is a miss.

use std::{fmt, pin::Pin, time::Duration};

use super::{
    answers::{Copied, Key},
    sweep::About,
};
use crate::Query;

/// A place for copies beside the memory of this process.
pub trait SecondLevel<Q: Query>: Send + Sync + 'static {
    /// What is at `place`.
    fn take<'a>(&'a self, place: &'a Place) -> Later<'a, Found<Q>>;

    /// Has a copy kept at `place`, and gives `claim` back when it is there. Nobody waits for it.
    fn put(&self, place: &Place, copy: &Copied<Q>, ticket: Ticket, claim: Claim);

    /// Asks for the right to ask for all replicas, for `time` at the most; `None` when another one has it.
    fn claim<'a>(&'a self, place: &'a Place, time: Duration) -> Later<'a, Option<Claim>>;
}

/// What a place gives when it has an answer.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where one answer is.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is found by.
    pub key: Key,
    /// What it is about.
    pub about: About,
}

/// What was at a place.
pub struct Found<Q: Query> {
    /// The answer; how old it is, its provenance tells.
    pub reply: Option<Q::Reply>,
    /// What it takes to put another one there.
    pub ticket: Ticket,
}

/// What had been forgotten when a question was asked: an answer that was asked for before it was to be forgotten is not kept
/// after. `None` where nobody knows, and nothing can be kept.
pub type Ticket = Option<[u64; 3]>;

/// The right to ask for all replicas, given back when it is dropped.
#[derive(Default)]
pub struct Claim(Option<Box<dyn FnOnce() + Send>>);

impl Claim {
    /// A right that `back` gives back.
    pub fn new(back: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(back)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(back) = self.0.take() {
            back();
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.0.is_some()).finish()
    }
}
