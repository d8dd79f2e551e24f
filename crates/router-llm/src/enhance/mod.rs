//! Who asks decides the manner: a client's own model, words before or in the place of its own, what may not leave.

mod rewrite;
mod rule;
mod template;
mod tools;
mod who;

use std::sync::Arc;

use router_core::{
    BoxUpstream, Cx, Result, Upstream,
    chat::{Chat, ChatReply},
};

use self::who::Roll;
pub use self::{
    rule::{ClientRule, Manner, Rewriting},
    template::{Flaw, Template, VARIABLES, Words},
    who::{DEFAULT, Signs},
};

/// The layer that applies the rules. A question of a client without one passes untouched.
pub struct ClientRules {
    roll: Roll,
    /// Today, as prompts tell it.
    today: fn() -> String,
    inner: BoxUpstream<Chat>,
}

/// A prompt as a rule makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// The rule it was made by.
    pub client: Option<Arc<str>>,
    /// The prompt: made better, or as it was.
    pub prompt: String,
    /// The model that rewrote it.
    pub model: Option<Arc<str>>,
    /// Why it is as it was.
    pub unchanged: Option<String>,
}

impl ClientRules {
    /// Rules by the client's name, around `inner`; `today` tells the date.
    pub fn new(
        rules: impl IntoIterator<Item = (Arc<str>, ClientRule)>,
        today: fn() -> String,
        inner: BoxUpstream<Chat>,
    ) -> Self {
        Self { roll: Roll::new(rules), today, inner }
    }

    /// Which client it is that shows these signs. A client's name on a path has to have a rule.
    pub fn client(&self, signs: Signs<'_>) -> Result<Option<Arc<str>>> {
        self.roll.client(signs)
    }

    /// The same call, kept on this machine where its client's rule says so.
    pub fn confined(&self, cx: Cx) -> Cx {
        match self.rule(&cx) {
            Some((_, rule)) if rule.local && !cx.is_local() => cx.kept_local(),
            Some(_) | None => cx,
        }
    }

    /// The model that a question of this caller goes to when it asks for `asked`.
    pub fn model<'a>(&'a self, cx: &Cx, asked: &'a str) -> &'a str {
        self.rule(cx).and_then(|(_, rule)| rule.model.as_deref()).unwrap_or(asked)
    }

    /// Whether the caller's rule names the model, whatever is asked for.
    pub fn decides(&self, cx: &Cx) -> bool {
        self.rule(cx).is_some_and(|(_, rule)| rule.model.is_some())
    }

    /// What the caller's rule makes of a prompt, by itself. Where that fails, the prompt is as it was.
    pub async fn enhance(&self, cx: &Cx, prompt: &str) -> Enhanced {
        let cx = &self.confined(cx.clone());
        let Some((client, rule)) = self.rule(cx) else {
            let why = match cx.caller().client.as_deref() {
                Some(client) => format!("client {client:?} has no rule"),
                None => "the request names no client".to_owned(),
            };
            return Enhanced { client: None, prompt: prompt.to_owned(), model: None, unchanged: Some(why) };
        };
        let today = (self.today)();
        let model = rule.model.as_deref().unwrap_or_default();
        let words = Words { caller: &cx.caller().name, client, date: &today, model, prompt };
        let made = match (&rule.prompt, &rule.manner) {
            (None, _) => Err(format!("the rule of client {client:?} has no prompt")),
            (Some(template), Manner::Rewrite(rewriting)) => {
                let rewritten = rewrite::rewrite(&self.inner, cx, rule, (template, rewriting), words).await;
                rewritten.map(|(text, model)| (text, Some(model)))
            }
            (Some(template), Manner::Prepend) => template
                .render(words)
                .map(|told| if template.takes_prompt() { told } else { format!("{told}\n\n{prompt}") })
                .map(|told| (told, None))
                .map_err(|error| error.to_string()),
        };
        let client = Some(Arc::clone(client));
        match made {
            Ok((prompt, model)) => Enhanced { client, prompt, model, unchanged: None },
            Err(why) => Enhanced { client, prompt: prompt.to_owned(), model: None, unchanged: Some(why) },
        }
    }

    fn rule(&self, cx: &Cx) -> Option<&(Arc<str>, ClientRule)> {
        self.roll.rule(cx.caller().client.as_deref())
    }

    /// Puts the rule's words into a question.
    async fn speak(&self, cx: &Cx, client: &str, rule: &ClientRule, chat: &mut Chat) -> Result<()> {
        let Some(template) = &rule.prompt else { return rule.put(chat, None) };
        let rewriting = match &rule.manner {
            Manner::Rewrite(rewriting) => Some(rewriting),
            Manner::Prepend => None,
        };
        let said = if rewriting.is_some() || template.takes_prompt() {
            chat.prompt()?.last_user_text()
        } else {
            String::new()
        };
        let (today, model) = ((self.today)(), Arc::clone(&chat.model));
        let words = Words { caller: &cx.caller().name, client, date: &today, model: &model, prompt: &said };
        let Some(rewriting) = rewriting else { return rule.put(chat, Some(&template.render(words)?)) };
        match rewrite::rewrite(&self.inner, cx, rule, (template, rewriting), words).await {
            Ok((better, _)) => chat.change(|prompt| rewrite::replace_last_user_text(prompt, &better)),
            Err(_) => Ok(()),
        }
    }
}

impl Upstream<Chat> for ClientRules {
    async fn call(&self, cx: &Cx, mut chat: Chat) -> Result<ChatReply> {
        let Some((client, rule)) = self.rule(cx) else { return self.inner.call(cx, chat).await };
        let cx = &self.confined(cx.clone());
        if let Some(model) = &rule.model {
            chat.model = Arc::clone(model);
        }
        chat.keep.keeping = chat.keep.keeping.or(rule.keeping);
        let speaks = rule.prompt.is_some() || rule.temperature.is_some() || rule.max_tokens.is_some();
        if speaks && (rule.touches_tools || !tools::offered(&chat)?) {
            self.speak(cx, client, rule, &mut chat).await?;
        }
        self.inner.call(cx, chat).await
    }
}

#[cfg(test)]
mod tests;
