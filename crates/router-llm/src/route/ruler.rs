//! Measures a question against windows: by its bytes where they already fit, by an estimate, and exactly where it is close.

use router_core::chat::Chat;

use super::{
    fit::{Length, Room, is_close},
    target::Target,
};
use crate::{
    models::Known,
    tokens::{self, Counter, Weight},
};

/// What a model is told beside the question, in tokens: the words around messages and tools.
const AROUND: u64 = 2048;

/// One question, weighed at most once.
pub(super) struct Ruler<'a> {
    chat: &'a Chat,
    counter: &'a Counter,
    weight: Option<Weight>,
}

impl<'a> Ruler<'a> {
    pub(super) fn new(chat: &'a Chat, counter: &'a Counter) -> Self {
        Self { chat, counter, weight: None }
    }

    /// What room the model has for the question and its answer.
    pub(super) async fn room(&mut self, target: &Target, known: &Known) -> Room {
        let asked = self.chat.needs.max_tokens;
        if let Some(room) = Room::at_most(known, asked, self.bound()) {
            return room;
        }
        let weight = self.weight.get_or_insert_with(|| Weight::of(self.chat));
        let estimate = self.counter.estimate(&target.provider, &target.model, known, weight);
        // Only then is it worth decoding.
        let prompt = if is_close(known, asked, estimate) { self.chat.prompt().ok() } else { None };
        let exact = match prompt {
            Some(prompt) => tokens::exact(prompt, known.tokenizer).await,
            None => None,
        };
        Room::of(known, asked, exact.map_or(Length::About(estimate), Length::Exactly))
    }

    /// What the question cannot be longer than, in tokens: none is shorter than a byte. A picture may stand elsewhere.
    fn bound(&self) -> u64 {
        let needs = &self.chat.needs;
        let spelled = self.chat.wire().filter(|_| !needs.images && !needs.documents);
        spelled.map_or(u64::MAX, |wire| (wire.body.len() as u64).saturating_add(AROUND))
    }
}
