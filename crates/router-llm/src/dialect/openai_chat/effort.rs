//! How hard to think, in the one word that OpenAI has for it.

use router_core::{
    Error, Kind, Result,
    chat::{Thinking, ThinkingMode},
};

use super::NAME;
use crate::{
    dialect::{Ask, Quirks},
    models::EFFORTS as LEVELS,
};

const OFF: &str = "none";

/// The levels that a server takes of which nothing is known.
const USUAL: [&str; 4] = [OFF, "low", "medium", "high"];

/// The value of `reasoning_effort`; `None` leaves it to the model.
pub(in crate::dialect) fn effort<'a>(ask: &Ask<'a>) -> Result<Option<&'a str>> {
    let Some(thinking) = ask.prompt.thinking.as_ref() else { return Ok(None) };
    let Some(asked) = asked(thinking).or_else(|| unnamed(thinking, ask.quirks)) else { return Ok(None) };
    let Some(rank) = LEVELS.iter().position(|level| *level == asked) else {
        let message = format!("the effort `{asked}` is none of {}", LEVELS.join(", "));
        return Err(Error::new(Kind::Invalid, message));
    };
    if ask.quirks.no_effort {
        return Ok(None);
    }
    let listed = match ask.quirks.efforts {
        [] if ask.quirks.reasoning_model || ask.prompt.origin == Some(NAME) => return Ok(Some(asked)),
        [] => &USUAL[..],
        listed => listed,
    };
    // Only who switches thinking off gets no thinking.
    let off = asked == OFF;
    let usable = || listed.iter().filter(|level| (**level == OFF) == off);
    let lower = |level: &&&str| LEVELS.iter().position(|other| other == *level).is_some_and(|other| other <= rank);
    Ok(usable().rev().find(lower).or(usable().next()).or(listed.first()).copied())
}

/// The level that a prompt asks for; switched off beats any level.
fn asked(thinking: &Thinking) -> Option<&str> {
    match (thinking.mode, thinking.effort.as_deref(), thinking.budget) {
        (Some(ThinkingMode::Off), _, _) => Some(OFF),
        (_, Some(effort), _) => Some(effort),
        (_, None, Some(..=4096)) => Some("low"),
        (_, None, Some(..=16_384)) => Some("medium"),
        (_, None, Some(_)) => Some("high"),
        (_, None, None) => None,
    }
}

/// What thinking takes that is switched on without a level. OpenAI's models that can do without (since gpt-5.1) do so
/// unless they are told one; the others think anyway.
fn unnamed(thinking: &Thinking, quirks: &Quirks) -> Option<&'static str> {
    let may_not = quirks.efforts.is_empty() || quirks.efforts.contains(&OFF);
    (thinking.mode == Some(ThinkingMode::On) && quirks.reasoning_model && may_not).then_some("medium")
}

#[cfg(test)]
mod tests {
    use router_core::chat::Prompt;

    use super::*;

    const LISTED: Quirks = Quirks { efforts: &["minimal", "low", "medium", "high"], ..Quirks::NONE };

    fn written(thinking: Thinking, quirks: &Quirks) -> Result<Option<String>> {
        let prompt = Prompt { thinking: Some(thinking), ..Prompt::default() };
        let ask = Ask { quirks, ..Ask::of(&prompt, "m") };
        effort(&ask).map(|effort| effort.map(str::to_owned))
    }

    #[test]
    fn a_level_is_the_highest_that_the_upstream_lists() {
        let level = |effort: &str| Thinking { effort: Some(effort.into()), ..Thinking::default() };
        let budget = |budget| Thinking { mode: Some(ThinkingMode::On), budget: Some(budget), effort: None };
        let adaptive = |effort: Option<&str>| Thinking {
            mode: Some(ThinkingMode::Adaptive),
            budget: None,
            effort: effort.map(str::to_owned),
        };
        let on = Thinking { mode: Some(ThinkingMode::On), ..Thinking::default() };
        let off = Thinking { mode: Some(ThinkingMode::Off), budget: None, effort: Some("high".into()) };
        let reasoning = Quirks { reasoning_model: true, ..Quirks::NONE };
        let silent = Quirks { no_effort: true, ..Quirks::NONE };
        let table = [
            (adaptive(Some("max")), Quirks::NONE, Some("high")),
            (adaptive(Some("xhigh")), LISTED, Some("high")),
            (adaptive(Some("max")), reasoning, Some("max")),
            (adaptive(None), Quirks::NONE, None),
            (on.clone(), Quirks::NONE, None),
            (on.clone(), reasoning, Some("medium")),
            (on.clone(), Quirks { efforts: &["none", "low", "medium"], ..reasoning }, Some("medium")),
            (on, Quirks { reasoning_model: true, ..LISTED }, None),
            (level("minimal"), LISTED, Some("minimal")),
            (level("minimal"), Quirks::NONE, Some("low")),
            (off.clone(), Quirks::NONE, Some("none")),
            (off, LISTED, Some("minimal")),
            (budget(1024), Quirks::NONE, Some("low")),
            (budget(8192), Quirks::NONE, Some("medium")),
            (budget(32_768), Quirks::NONE, Some("high")),
            (level("high"), silent, None),
        ];
        for (thinking, quirks, expected) in table {
            assert_eq!(written(thinking.clone(), &quirks).unwrap().as_deref(), expected, "{thinking:?}");
        }
        let error = written(level("enormous"), &Quirks::NONE).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("`enormous`"));
    }
}
