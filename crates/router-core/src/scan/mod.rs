//! JSON without a tree: one forward pass checks the grammar, bounds the depth, and tells where things stand.
//!
//! Most of what passes through is carried, not understood. So its bytes are walked over once, and nothing is built:
//! [`Scanner`] steps through them, [`fn@find`], [`members`] and [`items`] lead to a value by its place, and [`Flaw`] says
//! where and why a text is refused. No input makes any of it recurse, and none makes it panic.

mod cut;
mod find;
mod flaw;
mod keys;
mod plain;
mod scanner;
#[cfg(test)]
mod tests;

pub use cut::{closing, is_beginning};
pub use find::{find, items, members, pointer, says, text};
pub use flaw::{Fault, Flaw};
pub use plain::plain;
pub use scanner::{Place, Scanner};

/// How deep objects and arrays may nest. Parsers behind us differ in what they survive; none needs more than this.
pub const MAX_DEPTH: u32 = 64;

/// Whether `json` is one JSON value and nothing else.
pub fn is_json(json: &[u8]) -> bool {
    let whole = || {
        let mut scanner = Scanner::checked(json)?;
        scanner.value()?;
        scanner.end()
    };
    whole().is_ok()
}
