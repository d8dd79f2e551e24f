//! The keys of one object, none of which may come twice.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Fault, Flaw};

/// The keys seen so far, each with the byte behind it.
///
/// Of a key that comes twice some parsers take the first and some the last, so that what was checked here would not be
/// what is obeyed there: such an object is refused. Escaped spellings of a key are the same key.
#[derive(Default)]
pub(super) struct Keys<'a>(SmallVec<[(Cow<'a, str>, usize); 12]>);

impl<'a> Keys<'a> {
    pub(super) fn add(&mut self, key: Cow<'a, str>, behind: usize) -> &str {
        self.0.push((key, behind));
        self.0.last().map_or("", |(key, _)| key)
    }

    /// A few keys are compared as they are; many are sorted first, so that no sender can make it slow.
    pub(super) fn check(&mut self) -> Result<(), Flaw> {
        let twice = if self.0.spilled() { self.among_many() } else { self.among_few() };
        twice.map_or(Ok(()), |at| Err(Flaw { at, fault: Fault::Twice }))
    }

    fn among_few(&self) -> Option<usize> {
        let mut rest = self.0.as_slice();
        while let [(key, _), later @ ..] = rest {
            if let Some((_, behind)) = later.iter().find(|(other, _)| other == key) {
                return Some(*behind);
            }
            rest = later;
        }
        None
    }

    fn among_many(&mut self) -> Option<usize> {
        self.0.sort_unstable();
        let mut neighbours = self.0.iter().zip(self.0.iter().skip(1));
        neighbours.find(|(one, two)| one.0 == two.0).map(|(_, (_, behind))| *behind)
    }
}
