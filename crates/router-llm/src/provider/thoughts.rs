//! Whose the encrypted thoughts in a conversation are. Only the account that had one can read it: every other refuses the
//! whole question, so a fallback would fail that could well have answered.

use std::sync::Arc;

use moka::sync::Cache;
use router_core::{
    Name,
    chat::{Chat, Losses, Prompt},
};

use super::{Api, Provider};
use crate::dialect::openai_responses::disown::{disowned, encrypted, names_kept};

/// How many thoughts are remembered; of the others it is guessed whose they are.
const THOUGHTS: u64 = 16 << 10;

/// Who had the thoughts that passed by lately, by their hashes.
#[derive(Clone)]
pub struct Thoughts(Cache<u128, Name>);

impl Default for Thoughts {
    fn default() -> Self {
        Self(Cache::new(THOUGHTS))
    }
}

impl Thoughts {
    /// Notes the thoughts in a reply of `name`, or in a part of one.
    fn note(&self, name: &Name, reply: &[u8]) {
        encrypted(reply).for_each(|thought| self.0.insert(hash(thought), Arc::clone(name)));
    }
}

fn hash(thought: &[u8]) -> u128 {
    let hash = *blake3::hash(thought).as_bytes();
    u128::from_le_bytes(hash.first_chunk().copied().unwrap_or_default())
}

/// Who listens to a provider that tells encrypted thoughts.
pub(super) struct Witness {
    name: Name,
    thoughts: Thoughts,
}

impl Witness {
    /// The witness of a provider; `None` for those that tell none.
    pub(super) fn of(provider: &Provider) -> Option<Self> {
        let tells = provider.preset.api == Api::Responses;
        tells.then(|| Self { name: Arc::clone(&provider.name), thoughts: provider.shared.thoughts.clone() })
    }

    /// Sees a part of a reply.
    pub(super) fn see(&self, part: &[u8]) {
        self.thoughts.note(&self.name, part);
    }
}

impl Provider {
    /// Whether a thought in `chat` is this provider's. One that nobody remembers is taken for that of the upstream that
    /// is asked first.
    fn had(&self, chat: &Chat, thought: &[u8]) -> bool {
        let remembered = if thought.is_empty() { None } else { self.shared.thoughts.0.get(&hash(thought)) };
        remembered.as_ref().or(chat.home.as_ref()).is_none_or(|name| *name == self.name)
    }

    /// Whether all thoughts in the bytes of a question can be read here.
    pub(super) fn reads_all(&self, chat: &Chat, body: &[u8]) -> bool {
        self.preset.api != Api::Responses
            || (encrypted(body).all(|thought| self.had(chat, thought)) && (self.had(chat, b"") || !names_kept(body)))
    }

    /// The prompt without the thoughts of others; `None` where it holds none.
    pub(super) fn without_others_thoughts(&self, chat: &Chat, prompt: &Prompt, losses: &mut Losses) -> Option<Prompt> {
        let speaks = self.preset.api == Api::Responses;
        speaks.then(|| disowned(prompt, &|thought| self.had(chat, thought), losses)).flatten()
    }
}
