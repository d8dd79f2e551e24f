//! What can be asked: a query fixes its reply, and says what a layer has to know of it.

use std::sync::Arc;

use crate::Reply;

/// A question. `Chat` asks a model, `Embed` asks one for vectors, `ToolCall` asks a tool to act, `Lookup` asks an MCP
/// server what it offers, `Errand` asks it what only it and its client understand.
///
/// Cloning one is cheap: what it carries is shared.
pub trait Query: Clone + Send + Sync + 'static {
    /// What answers it.
    type Reply: Reply;

    /// The operation's name in telemetry, from a closed set (`chat`, `tools/call`).
    fn operation(&self) -> &'static str;

    /// What of its upstream it is about: the name of a tool, or nothing in particular. What is kept of its answers can be forgotten by it.
    #[expect(clippy::unnecessary_literal_bound, reason = "what is asked by name gives its own")]
    fn subject(&self) -> &str {
        ""
    }

    /// Whether asking twice can do harm.
    fn repeat(&self) -> Repeat;

    /// Whether the answer comes in one piece, before which silence is normal: then only the total time bounds it.
    fn answered_whole(&self) -> bool {
        false
    }

    /// What identifies the question in a cache; `None` when its answer must never be kept.
    fn fingerprint(&self) -> Option<Fingerprint>;

    /// The reply that says `text`, for a default or a backup; `None` where a text is no answer to this question.
    fn say(&self, text: &str) -> Option<Self::Reply>;

    /// The words of the question, for a backup that searches by them.
    fn words(&self) -> String;
}

/// Whether a question may be put again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Reading, or idempotent by a trusted word: ask as often as the budget allows.
    Safe,
    /// May act on the world: repeated only when it was provably never sent.
    Unsafe,
}

/// A digest of everything in a question that can change its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The digest of parts, each framed by its length so that no two lists of parts collide.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// Whose answers these are. A cache key cannot be built without one, so no tenant is answered with another's reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The configuration says that everybody may see it.
    Shared,
    /// One tenant's.
    Tenant(Arc<str>),
}
