//! The proofs on thoughts, and whose they are: a provider refuses a conversation that holds a proof it did not make.
//!
//! Within a prompt Anthropic's proofs stand as they are and all others under a mark. In what goes out to a client every
//! proof stands under a mark that is not of the dialect spoken there, and so does a thought that has none: clients of
//! Anthropic's dialect send no thought back without a signature, and send back what stands in one as it came. So the mark
//! may also bear what the provider that had the thought wants to see again, and nobody else has words for.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// On a thought that came without a proof.
pub(super) const UNSIGNED: &str = "mcp-router:unsigned";

/// Before the maker's name, a colon, and the proof that he made.
const SIGNED: &str = "mcp-router:signed:";

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

/// `proof`, said to be made by `maker`.
pub(super) fn marked(maker: &str, proof: &str) -> String {
    format!("{SIGNED}{maker}:{proof}")
}

/// What `maker` made, where the mark says that he did.
pub(super) fn made_by<'a>(maker: &str, signature: &'a str) -> Option<&'a str> {
    signature.strip_prefix(SIGNED)?.strip_prefix(maker)?.strip_prefix(':')
}

/// Whether it stands under one of our marks.
pub(super) fn is_marked(signature: &str) -> bool {
    signature.starts_with(UNSIGNED) || signature.starts_with(SIGNED)
}

/// Whether a provider of Anthropic's dialect can have made it.
pub(super) fn is_anthropics(signature: &str) -> bool {
    !signature.is_empty() && !is_marked(signature)
}

/// Whether there is anybody who wants to see it again.
pub(super) fn says(signature: &str) -> bool {
    is_anthropics(signature) || signature.starts_with(SIGNED) || borne(signature, Borne::Details).is_some()
}

/// Whether one of our marks stands anywhere in a body: then it cannot go to a provider as it is.
pub(super) fn stands_in(body: &[u8]) -> bool {
    const FIRST: &[u8] = b"mcp-router:";
    let begins = |at: usize| {
        let rest = body.get(at + FIRST.len()..).unwrap_or_default();
        rest.starts_with(b"signed:") || rest.starts_with(b"unsigned")
    };
    memchr::memmem::find_iter(body, FIRST).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_bears_what_it_was_given() {
        let mark = bearing(Borne::Text, "hm é".as_bytes());
        assert_eq!(borne(&mark, Borne::Text).as_deref(), Some("hm é".as_bytes()));
        assert_eq!(borne(&mark, Borne::Details), None);
        for broken in [UNSIGNED, "mcp-router:unsigned;text=%", "mcp-router:unsigned;text", "EqQB;text=aGk"] {
            assert_eq!(borne(broken, Borne::Text), None, "{broken}");
        }
    }

    #[test]
    fn a_proof_is_its_makers_alone() {
        let proof = marked("responses", "rs_1:gAAA:B");
        assert_eq!(made_by("responses", &proof), Some("rs_1:gAAA:B"));
        assert_eq!(made_by("anthropic", &proof), None);
        assert_eq!(made_by("response", &proof), None);
        assert_eq!(made_by("responses", "gAAA"), None);
    }

    #[test]
    fn a_signature_is_anthropics_or_stands_under_a_mark() {
        let (signed, text) = (marked("responses", "rs_1:gAAA"), bearing(Borne::Text, b"hm"));
        let details = bearing(Borne::Details, b"[]");
        let cases = [
            // what it is, anthropics, marked, says something
            ("", [false, false, false]),
            ("EqQB", [true, false, true]),
            (UNSIGNED, [false, true, false]),
            (text.as_str(), [false, true, false]),
            (details.as_str(), [false, true, true]),
            (signed.as_str(), [false, true, true]),
        ];
        for (signature, expected) in cases {
            let told = [is_anthropics(signature), is_marked(signature), says(signature)];
            assert_eq!(told, expected, "{signature}");
        }
    }

    #[test]
    fn a_mark_is_found_wherever_it_stands() {
        let cases = [
            (r#"{"signature":"mcp-router:unsigned"}"#, true),
            (r#"{"text":"mcp-router: a router","signature":"mcp-router:signed:x:y"}"#, true),
            (r#"{"text":"see mcp-router:readme"}"#, false),
            ("mcp-router:", false),
        ];
        for (body, expected) in cases {
            assert_eq!(stands_in(body.as_bytes()), expected, "{body}");
        }
    }
}
