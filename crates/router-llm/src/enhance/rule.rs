//! What is done for the questions of one client.

use std::{sync::Arc, time::Duration};

use router_core::{
    Result,
    chat::{Chat, Keeping, Message, Prompt, Role},
};

use super::template::Template;

/// A client's rule. Without anything in it, a question passes as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientRule {
    /// The key whose bearer is this client; otherwise the key of the rule's own name.
    pub key: Option<Arc<str>>,
    /// The model that answers it, whatever it asks for.
    pub model: Option<Arc<str>>,
    /// Words for its questions.
    pub prompt: Option<Template>,
    /// What is done with those words.
    pub manner: Manner,
    /// For the model that the prompt is put to, where the question says nothing of it.
    pub temperature: Option<f64>,
    /// The most tokens of its answer, where the question says nothing of it.
    pub max_tokens: Option<u64>,
    /// How the answers it gets are kept, where its question does not say.
    pub keeping: Option<Keeping>,
    /// Whether nothing of its questions may leave this machine.
    pub local: bool,
    /// Whether questions that offer tools are treated so, too. Otherwise only the model is chosen for them.
    pub touches_tools: bool,
}

/// What a rule's prompt is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Manner {
    /// It goes before the question, as words of the system.
    #[default]
    Prepend,
    /// It tells a small model how to rewrite what the user said last.
    Rewrite(Rewriting),
}

/// Who rewrites, and within which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewriting {
    /// The models, in the order in which they are asked.
    pub models: Vec<Arc<str>>,
    /// A longer prompt passes unchanged. In tokens, estimated.
    pub input_cap: u64,
    /// How long it may take over all models.
    pub time: Duration,
}

impl ClientRule {
    /// Puts the system's words, and what the rule has to say of sampling, into a question. Its bytes are kept where the
    /// words are all there is to put in.
    pub(super) fn put(&self, chat: &mut Chat, system: Option<&str>) -> Result<()> {
        if (self.temperature.is_some() || self.max_tokens.is_some()) && self.adds_to(&*chat.prompt()?) {
            return chat.change(|prompt| {
                prompt.temperature = prompt.temperature.or(self.temperature);
                prompt.max_tokens = prompt.max_tokens.or(self.max_tokens);
                prompt.messages.splice(..0, system.map(|text| Message::text(Role::System, text)));
            });
        }
        system.map_or(Ok(()), |text| chat.prepend(text))
    }

    fn adds_to(&self, prompt: &Prompt) -> bool {
        (prompt.temperature.is_none() && self.temperature.is_some())
            || (prompt.max_tokens.is_none() && self.max_tokens.is_some())
    }
}
