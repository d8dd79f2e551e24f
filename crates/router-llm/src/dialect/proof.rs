//! The proofs on thoughts: a provider's own, and the mark that we put on a thought that came without one.
//!
//! Clients of Anthropic's dialect send no thought back without a signature, and send back what stands in one as it came.
//! So the mark may bear what the provider that had the thought wants to see again, and nobody else has words for.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// How our mark begins. Anthropic refuses a conversation with a signature that is not its own.
pub(super) const UNSIGNED: &str = "mcp-router:unsigned";

/// What a mark may bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Borne {
    /// The thought itself, of which the client did not want to be told.
    Text,
    /// OpenRouter's `reasoning_details`: a JSON array.
    Details,
}

impl Borne {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Details => "details",
        }
    }
}

/// A mark that bears `payload`.
pub(super) fn bearing(borne: Borne, payload: &[u8]) -> String {
    format!("{UNSIGNED};{}={}", borne.word(), STANDARD_NO_PAD.encode(payload))
}

/// What a mark bears, where it is of that kind.
pub(super) fn borne(signature: &str, borne: Borne) -> Option<Vec<u8>> {
    let written = signature.strip_prefix(UNSIGNED)?.strip_prefix(';')?.strip_prefix(borne.word())?.strip_prefix('=')?;
    STANDARD_NO_PAD.decode(written).ok()
}

/// Whether a provider of Anthropic's dialect can have made it.
pub(super) fn is_anthropics(signature: &str) -> bool {
    !signature.is_empty() && !signature.starts_with(UNSIGNED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_bears_what_it_was_given() {
        let mark = bearing(Borne::Text, "hm é".as_bytes());
        assert_eq!(borne(&mark, Borne::Text).as_deref(), Some("hm é".as_bytes()));
        assert_eq!(borne(&mark, Borne::Details), None);
        for (signature, anthropics) in [(mark.as_str(), false), (UNSIGNED, false), ("", false), ("EqQB", true)] {
            assert_eq!(is_anthropics(signature), anthropics, "{signature}");
        }
        for broken in [UNSIGNED, "mcp-router:unsigned;text=%", "mcp-router:unsigned;text", "EqQB;text=aGk"] {
            assert_eq!(borne(broken, Borne::Text), None, "{broken}");
        }
    }
}
