//! The context window that Ollama is asked for, and whether it cut a question nevertheless.
//!
//! Ollama gives a model a window of its own choosing, mostly far below the model's, and drops what does not fit in
//! silence. So a question asks for the window it needs: in few steps, because every other window makes Ollama load the
//! model anew, and not for less than lately, so that short questions between long ones do not do that either.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use router_core::{
    End, Fact, Reply,
    chat::{Chat, ChatReply},
};
use tokio::time::Instant;

use super::{Api, Provider, question};
use crate::{models::Known, tokens::Weight};

/// The window that Ollama has unless it is told otherwise, in tokens; the smallest step.
const USUAL: u64 = 4096;

/// Room for an answer of which nobody set a limit, and the most that is kept for one, in tokens.
const ANSWER: u64 = 1024;
const MOST_ANSWER: u64 = 16 * ANSWER;

/// How long Ollama keeps a model loaded that nobody asks; after that the window is chosen afresh.
const LOADED: Duration = Duration::from_mins(5);

/// Models whose windows are remembered; their names come from clients.
const MODELS: usize = 256;

/// The windows that models were lately asked with.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<HashMap<Arc<str>, (u64, Instant)>>);

impl Windows {
    /// The step that has room for `need` tokens, up to `most`; not less than lately.
    fn choose(&self, model: &Arc<str>, need: u64, most: u64) -> u64 {
        let now = Instant::now();
        let mut lately = self.0.lock();
        lately.retain(|_, (_, asked)| now.duration_since(*asked) < LOADED);
        let least = lately.get(model).map_or(USUAL, |(window, _)| *window);
        let step = need.max(USUAL).checked_next_power_of_two().unwrap_or(u64::MAX);
        let window = step.max(least).min(most.max(1));
        if lately.len() < MODELS || lately.contains_key(model) {
            lately.insert(Arc::clone(model), (window, now));
        }
        window
    }
}

/// What was counted of a question before it was put.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counted {
    /// Its tokens.
    pub(super) tokens: u64,
    /// The window that it asks for, or is given.
    pub(super) window: u64,
}

impl Provider {
    /// Counts a question where that decides how it is put, and chooses its window; the client's own choice stands.
    pub(super) fn counted(&self, chat: &Chat, known: &Known, weight: &Weight) -> Option<Counted> {
        if self.preset.api != Api::Ollama {
            return None;
        }
        // What is learnt from replies may make a count smaller, but a window that is too small loses words.
        let learnt = self.shared.counter.estimate(&self.name, &chat.model, known, weight);
        let tokens = learnt.max(weight.tokens(known.tokenizer));
        let window = match (weight.window(), question::as_it_is(self, chat)) {
            (Some(window), _) => window,
            (None, Some(_)) => USUAL,
            (None, None) => {
                let answer = weight.max_tokens().unwrap_or(ANSWER).min(MOST_ANSWER);
                // A count is an estimate: a tenth more is cheaper than a question that is cut.
                let need = tokens + tokens / 10 + answer;
                let most = self.max_window.into_iter().chain(known.window).min().unwrap_or(u64::MAX);
                self.windows.choose(&chat.model, need, most)
            }
        };
        Some(Counted { tokens, window })
    }

    /// Notes on a reply that its question was cut, and tells the operator; of a stream that is known at its end only.
    pub(super) fn watch_for_cuts(&self, mut reply: ChatReply, counted: Counted, model: &Arc<str>) -> ChatReply {
        let (name, meter, model) = (Arc::clone(&self.name), Arc::clone(&self.shared.meter), Arc::clone(model));
        if counted.is_cut(reply.usage().input) {
            reply.provenance_mut().dropped.note("context");
        }
        reply.watch(Box::new(move |end| {
            if let End::Complete(usage) = end
                && counted.is_cut(usage.input)
            {
                meter.fact(&name, Fact::Truncated);
                let Counted { tokens, window } = counted;
                tracing::warn!(
                    provider = &*name,
                    model = &*model,
                    counted = tokens,
                    read = usage.input,
                    window,
                    "a question was cut to the context window; raise num_ctx_max or choose a model with a larger one"
                );
            }
        }))
    }
}

impl Counted {
    /// Whether the window has room for it.
    pub(super) fn fits(self) -> bool {
        self.tokens < self.window
    }

    /// Whether a model that read `read` tokens read less than it was told: clearly fewer than counted, and about as many
    /// as its window holds, of which Ollama may keep a part for the answer. Counts are estimates, so a little less proves
    /// nothing.
    fn is_cut(self, read: u64) -> bool {
        !self.fits() && read > 0 && read * 4 < self.tokens * 3 && read * 8 >= self.window * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_grows_in_steps_and_stays_for_a_while() {
        let (windows, model) = (Windows::default(), Arc::from("m"));
        let table = [
            (100, u64::MAX, 4096),
            (4097, u64::MAX, 8192),
            (100, u64::MAX, 8192),
            (70_000, 40_960, 40_960),
            (9, 2048, 2048),
        ];
        for (need, most, expect) in table {
            assert_eq!(windows.choose(&model, need, most), expect, "{need}");
        }
        assert_eq!(windows.choose(&Arc::from("other"), 100, u64::MAX), 4096);
        windows.choose(&model, 20_000, u64::MAX);
        tokio::time::advance(LOADED).await;
        assert_eq!(windows.choose(&model, 100, u64::MAX), 4096);
        assert_eq!(windows.0.lock().len(), 1);
    }

    #[test]
    fn a_cut_is_told_from_a_wrong_count() {
        let table = [
            (20_000, 4096, 4096, true),
            (20_000, 4096, 2050, true),
            (20_000, 8192, 4090, true),
            (20_000, 32_768, 4096, false),
            (20_000, 4096, 0, false),
            (20_000, 4096, 18_000, false),
            (4500, 4096, 4000, false),
            (20_000, 4096, 10, false),
        ];
        for (tokens, window, read, expect) in table {
            assert_eq!(Counted { tokens, window }.is_cut(read), expect, "{tokens} {window} {read}");
        }
    }
}
