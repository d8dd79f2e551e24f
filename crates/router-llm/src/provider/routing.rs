//! OpenRouter's own fields in a question that falls back from it: OpenAI and Azure refuse a question for every field that
//! they do not know, so it is put to them without these.

use router_core::{
    chat::{Chat, Losses, Prompt},
    scan,
};

use super::{Api, Provider, ProviderKind};

/// OpenRouter's API reference, "Parameters", "Provider Routing" and "Reasoning Tokens".
const FIELDS: [&str; 8] =
    ["provider", "models", "route", "transforms", "plugins", "reasoning", "include_reasoning", "usage"];

impl Provider {
    /// Whether a question may hold what is meant for the one who was asked before.
    fn inherits(&self, chat: &Chat) -> bool {
        let refuses = matches!(self.preset.kind, ProviderKind::OpenAi | ProviderKind::Azure);
        refuses && self.preset.api == Api::OpenAi && chat.home.as_ref().is_some_and(|home| *home != self.name)
    }

    /// Whether the bytes of a question hold no field that is meant for somebody else.
    pub(super) fn takes_all(&self, chat: &Chat, body: &[u8]) -> bool {
        !self.inherits(chat) || !scan::members(body).any(|(key, _)| FIELDS.iter().any(|field| field.as_bytes() == key))
    }

    /// The prompt without such fields; `None` where it holds none.
    pub(super) fn without_others_fields(&self, chat: &Chat, prompt: &Prompt, losses: &mut Losses) -> Option<Prompt> {
        let own = prompt.origin == Some(self.language.name());
        if !own || !self.inherits(chat) || !FIELDS.iter().any(|field| prompt.extra.contains_key(*field)) {
            return None;
        }
        let mut prompt = prompt.clone();
        for field in FIELDS {
            losses.note_if(prompt.extra.shift_remove(field).is_some(), field);
        }
        Some(prompt)
    }
}
