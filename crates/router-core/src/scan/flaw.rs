//! Why a text is not JSON that we pass on.

use super::{MAX_DEPTH, pointer};

/// The longest JSON pointer that a place is told with, in bytes: its keys are whatever the sender wrote.
const POINTER_MAX: usize = 256;

/// Where a text is refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct Flaw {
    /// How many bytes before it are in order.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

impl Flaw {
    /// The place as people look for it: `byte 40 (/messages/1/content)`.
    pub fn place(&self, json: &[u8]) -> String {
        match pointer(json, self.at) {
            pointer if pointer.is_empty() || pointer.len() > POINTER_MAX => format!("byte {}", self.at),
            pointer => format!("byte {} ({pointer})", self.at),
        }
    }
}

/// What is wrong. One byte, so that a result of the scanner's inner steps travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are not UTF-8 from there on.
    #[error("UTF-8 was expected")]
    Utf8,
    /// Something else stands where a value has to.
    #[error("a value was expected")]
    Value,
    /// Something else stands where an object has to.
    #[error("an object was expected")]
    Object,
    /// Something else stands where an array has to.
    #[error("an array was expected")]
    Array,
    /// After a comma in an object.
    #[error("a key in quotes was expected")]
    Key,
    /// After the opening brace.
    #[error("a key in quotes or `}}` was expected")]
    KeyOrBrace,
    /// After a key.
    #[error("a colon was expected")]
    Colon,
    /// After a member.
    #[error("a comma or `}}` was expected")]
    CommaOrBrace,
    /// After an element.
    #[error("a comma or `]` was expected")]
    CommaOrBracket,
    /// A number that lacks one, or begins with a zero too many.
    #[error("a digit was expected")]
    Digit,
    /// A string has no closing quote.
    #[error("the text ends inside a string")]
    Unclosed,
    /// A line break or the like stands naked in a string.
    #[error("a control character must be escaped")]
    Control,
    /// A backslash before something that needs none.
    #[error("no such escape")]
    Escape,
    /// Half of a surrogate pair stands for no character.
    #[error("half of a surrogate pair stands alone")]
    Surrogate,
    /// A number is beyond what a double holds.
    #[error("a number is too large")]
    Vast,
    /// More text follows the value.
    #[error("the end was expected")]
    End,
    /// Objects and arrays nest deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// A key of the object has been there before.
    #[error("the key stands there a second time")]
    Twice,
}
