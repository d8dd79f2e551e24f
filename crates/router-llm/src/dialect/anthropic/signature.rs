//! The proofs on thoughts: Anthropic's own, and the mark that we put on a thought that came without one.

/// On thoughts that another provider's model had: clients of this dialect send no thought back without a signature, and
/// Anthropic refuses a conversation with a signature that is not its own.
pub(super) const UNSIGNED: &str = "mcp-router:unsigned";

/// Whether Anthropic can have made it.
pub(super) fn is_anthropics(signature: &str) -> bool {
    !signature.is_empty() && signature != UNSIGNED
}
