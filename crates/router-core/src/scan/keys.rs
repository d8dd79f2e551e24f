//! The keys of one object, none of which may come twice.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Fault, Flaw};

/// The keys seen so far, each with the byte behind it.
///
/// Of a key that comes twice some parsers take the first and some the last, so that what was checked here would not be
/// what is obeyed there: such an object is refused. Escaped spellings of a key are the same key.
#[derive(Default)]
pub(super) struct Keys<'a>(SmallVec<[(Cow<'a, str>, usize); 16]>);

impl<'a> Keys<'a> {
    pub(super) fn add(&mut self, key: Cow<'a, str>, behind: usize) -> &str {
        self.0.push((key, behind));
        self.0.last().map_or("", |(key, _)| key)
    }

    pub(super) fn check(&mut self) -> Result<(), Flaw> {
        self.0.sort_unstable();
        let mut neighbours = self.0.iter().zip(self.0.iter().skip(1));
        match neighbours.find(|(one, two)| one.0 == two.0) {
            Some((_, (_, again))) => Err(Flaw { at: *again, fault: Fault::Twice }),
            None => Ok(()),
        }
    }
}
