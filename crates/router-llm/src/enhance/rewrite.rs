//! A small model rewrites what the user said. Whatever goes wrong, the user's own words are what remains.

use std::sync::Arc;

use futures_util::TryStreamExt;
use router_core::{
    BoxUpstream, Cx, Kind, Upstream,
    chat::{Chat, Message, Part, Prompt, Role, Shape, StopReason, fold},
};
use tokio::time::timeout_at;

use super::{
    rule::{ClientRule, Rewriting},
    template::{Template, Words},
};

/// How many characters make a token, as far as a cap is concerned: prose and code.
const CHARACTERS_PER_TOKEN: f64 = 3.5;

/// What a small model made of a prompt, or why the prompt stays as it is.
pub(super) type Rewritten = Result<(String, Arc<str>), String>;

/// Asks the models of `rewriting` one after the other.
pub(super) async fn rewrite(
    models: &BoxUpstream<Chat>,
    cx: &Cx,
    rule: &ClientRule,
    (template, rewriting): (&Template, &Rewriting),
    words: Words<'_>,
) -> Rewritten {
    let tokens = estimate(words.prompt);
    if tokens > rewriting.input_cap {
        return Err(format!("the prompt has about {tokens} tokens, more than {}", rewriting.input_cap));
    }
    if words.prompt.trim().is_empty() {
        return Err("there is no text to rewrite".to_owned());
    }
    let (cx, _) = cx.aside().within(Some(rewriting.time), Kind::Timeout);
    let mut why = "no model is left to rewrite it".to_owned();
    for model in &rewriting.models {
        let question = question(template, rule, Words { model, ..words })?;
        match ask(models, &cx, Chat::of(question, Arc::clone(model), Shape::Whole)).await {
            Ok(text) => return Ok((text, Arc::clone(model))),
            Err(reason) => why = format!("{model}: {reason}"),
        }
        if cx.remaining().is_zero() {
            break;
        }
    }
    Err(why)
}

/// The rule's words as the system's and the user's as his own; or all in one, where the rule says where the user's stand.
fn question(template: &Template, rule: &ClientRule, words: Words<'_>) -> Result<Prompt, String> {
    let told = template.render(words).map_err(|error| error.to_string())?;
    let messages = if template.takes_prompt() {
        vec![Message::text(Role::User, told)]
    } else {
        vec![Message::text(Role::System, told), Message::text(Role::User, words.prompt)]
    };
    Ok(Prompt { messages, temperature: rule.temperature, max_tokens: rule.max_tokens, ..Prompt::default() })
}

/// The text of an answer that is whole. Half of a prompt is worse than the one that the user wrote.
async fn ask(models: &BoxUpstream<Chat>, cx: &Cx, chat: Chat) -> Result<String, String> {
    let answer = async { models.call(cx, chat).await?.into_events().try_collect::<Vec<_>>().await };
    let events = match timeout_at(cx.deadline(), answer).await {
        Ok(events) => events.map_err(|error| error.to_string())?,
        Err(_) => return Err("it took too long".to_owned()),
    };
    let folded = fold(events);
    match folded.stop {
        StopReason::EndTurn | StopReason::StopSequence => {}
        StopReason::MaxTokens | StopReason::ContextWindow | StopReason::Pause => {
            return Err("its answer was cut short".to_owned());
        }
        StopReason::Refusal | StopReason::ToolUse => return Err("it did not rewrite the prompt".to_owned()),
    }
    let text = folded.message.joined_text();
    let text = text.trim();
    if text.is_empty() { Err("it answered nothing".to_owned()) } else { Ok(text.to_owned()) }
}

#[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "an estimate")]
fn estimate(text: &str) -> u64 {
    (text.chars().count() as f64 / CHARACTERS_PER_TOKEN).ceil() as u64
}

/// Puts `text` in the place of what the user said last.
pub(super) fn replace_last_user_text(prompt: &mut Prompt, text: &str) {
    let said = |message: &&mut Message| message.role == Role::User && !message.joined_text().is_empty();
    let Some(message) = prompt.messages.iter_mut().rev().find(said) else { return };
    let mut text = Some(text);
    message.parts.retain_mut(|part| match (part, text.take()) {
        (Part::Text(said), Some(text)) => {
            text.clone_into(said);
            true
        }
        (Part::Text(_), None) => false,
        (_, unsaid) => {
            text = unsaid;
            true
        }
    });
}

#[cfg(test)]
mod tests {
    use router_core::chat::Image;

    use super::*;

    #[test]
    fn tokens_are_estimated_by_characters() {
        for (characters, tokens) in [(0, 0), (1, 1), (7, 2), (8, 3), (14_336, 4096), (14_337, 4097)] {
            assert_eq!(estimate(&"é".repeat(characters)), tokens, "{characters}");
        }
    }

    #[test]
    fn only_the_last_words_of_the_user_are_replaced() {
        let picture = || Part::Image(Image::Url("u".into()));
        let text = |text: &str| Part::Text(text.into());
        let user = |parts| Message { role: Role::User, parts };
        let answer = Message::text(Role::Assistant, "answer");
        let mut prompt = Prompt {
            messages: vec![
                user(vec![text("first")]),
                answer.clone(),
                user(vec![picture(), text("a"), text("b"), picture()]),
                user(vec![picture()]),
            ],
            ..Prompt::default()
        };
        replace_last_user_text(&mut prompt, "better");
        let expected = vec![
            user(vec![text("first")]),
            answer,
            user(vec![picture(), text("better"), picture()]),
            user(vec![picture()]),
        ];
        assert_eq!(prompt.messages, expected);
    }
}
