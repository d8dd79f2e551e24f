//! Whether a model can answer a question: what it is able to do, and what its context window has room for.

use router_core::{Error, Excess, Kind, Name, chat::Needs};

use crate::models::{Abilities, Known};

/// The least that an answer is cut down to so that it fits beside its question: less would be no answer, in tokens.
const LEAST_ANSWER: u64 = 1024;

/// An estimate may be off by so much, in percent.
const DOUBT: u64 = 15;

/// How well what a model is able to do covers what a question needs; the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cover {
    /// All of it, as far as anybody knows.
    All,
    /// It would answer, but without thinking, or without keeping to the schema by itself.
    Partly,
    /// It could not read the question, or not use what it is offered.
    Not,
}

impl Cover {
    pub(super) fn of(needs: &Needs, able: Abilities) -> Self {
        let lacks = |needed: bool, able: Option<bool>| needed && able == Some(false);
        if lacks(needs.tools, able.tools) || lacks(needs.images, able.images) || lacks(needs.documents, able.documents)
        {
            Self::Not
        } else if lacks(needs.schema, able.schema) || lacks(needs.thinking, able.thinking) {
            Self::Partly
        } else {
            Self::All
        }
    }
}

/// How long a question is, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// About so long.
    About(u64),
    /// Exactly so long.
    Exactly(u64),
}

/// What room a model has for a question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Enough, where the answer is limited to `cap`.
    Enough { cap: Option<u64> },
    /// Too little by an estimate, which may be wrong.
    Doubtful { cap: Option<u64> },
    /// Too little.
    Lacking(Excess),
}

impl Room {
    /// The room for a question that is certainly not longer than `bound`; `None` where that is not enough to tell.
    pub(super) fn at_most(known: &Known, asked: Option<u64>, bound: u64) -> Option<Self> {
        let cap = lowered(known, asked);
        let answer = cap.or(asked).unwrap_or(0);
        let fits = known.window.is_none_or(|window| bound.saturating_add(answer) <= window);
        fits.then_some(Self::Enough { cap })
    }

    /// The room for a question of this length.
    pub(super) fn of(known: &Known, asked: Option<u64>, length: Length) -> Self {
        let most = lowered(known, asked);
        let Some(window) = known.window else { return Self::Enough { cap: most } };
        let answer = most.or(asked).unwrap_or(0);
        let (question, margin, certain) = match length {
            Length::About(tokens) => (tokens, percent(tokens, DOUBT), false),
            Length::Exactly(tokens) => (tokens, 0, true),
        };
        if question.saturating_add(answer) <= window {
            return Self::Enough { cap: most };
        }
        let rest = window.saturating_sub(question.saturating_add(margin));
        if rest >= LEAST_ANSWER.min(answer) && answer > 0 && rest > 0 {
            return Self::Enough { cap: Some(rest) };
        }
        if !certain && question <= percent(window, 100 + DOUBT) {
            return Self::Doubtful { cap: most };
        }
        let answer = (question < window).then_some(answer);
        Self::Lacking(Excess { question, answer, window })
    }
}

/// Whether an estimate is so near to the window that it is worth the time to count exactly.
pub(super) fn is_close(known: &Known, asked: Option<u64>, estimate: u64) -> bool {
    let answer = asked.unwrap_or(0).min(known.max_output.unwrap_or(u64::MAX));
    let total = estimate.saturating_add(answer);
    known.window.is_some_and(|window| total.abs_diff(window) <= percent(window, DOUBT))
}

/// That a question fits nobody's window, in words that say by how much at the roomiest of them.
pub(super) fn too_long(upstream: &Name, excess: Excess) -> Error {
    let Excess { question, answer, window } = excess;
    let message = match answer {
        Some(answer) => format!(
            "the context window is {window} tokens; the question has {question} and the answer may have {answer}"
        ),
        None => format!("the context window is {window} tokens; the question has {question}"),
    };
    Error::new(Kind::TooLong, message).by(excess).at(upstream).hint("shorten the conversation")
}

/// The model's own limit of an answer, where more is asked for.
fn lowered(known: &Known, asked: Option<u64>) -> Option<u64> {
    known.max_output.filter(|most| asked.is_some_and(|asked| asked > *most))
}

fn percent(of: u64, percent: u64) -> u64 {
    of.saturating_mul(percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_no_reason_to_pass_a_model_over() {
        let needs = Needs { tools: true, images: true, schema: true, thinking: true, ..Needs::default() };
        let able = Abilities { tools: Some(true), images: None, ..Abilities::default() };
        let table = [
            (needs, able, Cover::All),
            (needs, Abilities { tools: Some(false), ..able }, Cover::Not),
            (needs, Abilities { images: Some(false), schema: Some(false), ..able }, Cover::Not),
            (needs, Abilities { documents: Some(false), ..able }, Cover::All),
            (needs, Abilities { schema: Some(false), ..able }, Cover::Partly),
            (needs, Abilities { thinking: Some(false), ..able }, Cover::Partly),
            (Needs { documents: true, ..Needs::default() }, Abilities { documents: Some(false), ..able }, Cover::Not),
            (Needs::default(), Abilities { tools: Some(false), images: Some(false), ..able }, Cover::All),
        ];
        for (needs, able, expect) in table {
            assert_eq!(Cover::of(&needs, able), expect, "{needs:?} {able:?}");
        }
    }

    #[test]
    fn a_window_has_room_or_not() {
        use Length::{About, Exactly};
        let enough = |cap| Room::Enough { cap };
        let doubtful = |cap| Room::Doubtful { cap };
        let lacking = |question, answer| Room::Lacking(Excess { question, answer, window: 100_000 });
        let table = [
            // Nothing is asked for: only the question has to fit.
            (None, About(100_000), enough(None)),
            (None, About(115_000), doubtful(None)),
            (None, About(115_001), lacking(115_001, None)),
            (None, Exactly(100_001), lacking(100_001, None)),
            // The answer is asked for within the model's own limit of 20,000.
            (Some(10_000), About(90_000), enough(None)),
            (Some(10_000), Exactly(90_001), enough(Some(9_999))),
            (Some(10_000), Exactly(98_976), enough(Some(1_024))),
            (Some(10_000), Exactly(98_977), lacking(98_977, Some(10_000))),
            (Some(10_000), Exactly(100_000), lacking(100_000, None)),
            (Some(10), Exactly(99_990), enough(None)),
            (Some(10), Exactly(99_991), lacking(99_991, Some(10))),
            // An estimate leaves room for being wrong.
            (Some(20_000), About(82_000), enough(Some(5_700))),
            (Some(20_000), About(95_000), doubtful(None)),
            // The model's own limit comes first.
            (Some(128_000), Exactly(80_000), enough(Some(20_000))),
            (Some(128_000), Exactly(95_000), enough(Some(5_000))),
        ];
        let known = Known { window: Some(100_000), max_output: Some(20_000), ..Known::default() };
        for (asked, length, expect) in table {
            assert_eq!(Room::of(&known, asked, length), expect, "{asked:?} {length:?}");
        }
    }

    #[test]
    fn what_certainly_fits_is_not_measured() {
        let known = Known { window: Some(100_000), max_output: Some(20_000), ..Known::default() };
        let enough = |cap| Some(Room::Enough { cap });
        let table = [
            (known.clone(), None, 100_000, enough(None)),
            (known.clone(), None, 100_001, None),
            (known.clone(), Some(10_000), 90_000, enough(None)),
            (known.clone(), Some(10_000), 90_001, None),
            (known.clone(), Some(128_000), 80_000, enough(Some(20_000))),
            (Known { window: None, ..known }, Some(128_000), u64::MAX, enough(Some(20_000))),
            (Known::default(), Some(128_000), u64::MAX, enough(None)),
        ];
        for (known, asked, bound, expect) in table {
            assert_eq!(Room::at_most(&known, asked, bound), expect, "{asked:?} {bound}");
        }
    }

    #[test]
    fn only_what_is_close_is_counted() {
        let known = Known { window: Some(100_000), max_output: Some(20_000), ..Known::default() };
        let table = [
            (None, 84_999, false),
            (None, 85_000, true),
            (None, 115_000, true),
            (None, 115_001, false),
            (Some(128_000), 70_000, true),
            (Some(10_000), 70_000, false),
        ];
        for (asked, estimate, expect) in table {
            assert_eq!(is_close(&known, asked, estimate), expect, "{asked:?} {estimate}");
        }
        assert!(!is_close(&Known::default(), None, u64::MAX));
    }
}
