//! Who asks decides the manner: a client's own model, and words that go before its questions.

use std::{collections::BTreeMap, sync::Arc};

use router_core::{
    BoxUpstream, Cx, Result, Upstream,
    chat::{Chat, ChatReply, Message, Role},
};

/// What is done for the questions of one client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientRule {
    /// The model that answers it, whatever it asks for.
    pub model: Option<Arc<str>>,
    /// A system message before its own.
    pub prompt: Option<String>,
}

/// The layer that applies the rules. A question of a client without one passes untouched.
pub struct ClientRules {
    rules: BTreeMap<Arc<str>, ClientRule>,
    inner: BoxUpstream<Chat>,
}

impl ClientRules {
    /// Rules by the client's name, around `inner`.
    pub fn new(rules: impl IntoIterator<Item = (Arc<str>, ClientRule)>, inner: BoxUpstream<Chat>) -> Self {
        let rules = rules.into_iter().map(|(name, rule)| (name.to_ascii_lowercase().into(), rule));
        Self { rules: rules.collect(), inner }
    }

    /// The model that a question of this caller goes to when it asks for `asked`.
    pub fn model<'a>(&'a self, cx: &Cx, asked: &'a str) -> &'a str {
        self.rule(cx).and_then(|rule| rule.model.as_deref()).unwrap_or(asked)
    }

    fn rule(&self, cx: &Cx) -> Option<&ClientRule> {
        if self.rules.is_empty() {
            return None;
        }
        self.rules.get(cx.caller().client.as_deref()?.to_ascii_lowercase().as_str())
    }
}

impl Upstream<Chat> for ClientRules {
    async fn call(&self, cx: &Cx, mut chat: Chat) -> Result<ChatReply> {
        if let Some(rule) = self.rule(cx) {
            if let Some(model) = &rule.model {
                chat.model = Arc::clone(model);
            }
            if let Some(prompt) = &rule.prompt {
                chat.change(|said| said.messages.insert(0, Message::text(Role::System, prompt.as_str())))?;
            }
        }
        self.inner.call(cx, chat).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use router_core::{
        Caller,
        chat::{Prompt, Shape},
    };

    use super::*;

    /// Says which model was asked, and what came first.
    struct Mirror;

    impl Upstream<Chat> for Mirror {
        async fn call(&self, _: &Cx, chat: Chat) -> Result<ChatReply> {
            let first = chat.prompt()?.messages.first().map(Message::joined_text).unwrap_or_default();
            Ok(ChatReply::say(&format!("{}: {first}", chat.model)))
        }
    }

    async fn asked_by(client: Option<&str>) -> String {
        use futures_util::StreamExt;
        use router_core::chat::{Part, fold};
        let rule = ClientRule { model: Some("fast".into()), prompt: Some("Be short.".into()) };
        let rules = ClientRules::new([("Raycast".into(), rule)], Mirror.boxed());
        let caller = Caller { client: client.map(Arc::from), ..Caller::anonymous("r") };
        let cx = Cx::new(Arc::new(caller), Duration::from_secs(1));
        let reply = rules.call(&cx, Chat::of(Prompt::ask("Why?"), "big", Shape::Whole)).await.expect("an answer");
        let events: Vec<_> = reply.into_events().map(|event| event.expect("an event")).collect().await;
        match fold(events).message.parts.first() {
            Some(Part::Text(text)) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn only_the_named_client_is_treated_so() {
        assert_eq!(asked_by(Some("raycast")).await, "fast: Be short.");
        assert_eq!(asked_by(Some("cursor")).await, "big: Why?");
        assert_eq!(asked_by(None).await, "big: Why?");
    }
}
