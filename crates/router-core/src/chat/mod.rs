//! A question to a model, and its answer, which is always a stream of frames.

mod event;
mod keep;
mod loss;
mod needs;
mod prompt;
mod reply;
mod wire;

pub use event::{Block, Event, Folded, StopReason, Usage, fold};
pub use keep::{Keep, Keeping, Reach};
pub use loss::{Losses, OnLoss};
pub use needs::Needs;
pub use prompt::{Document, Format, Image, Message, Part, Prompt, Role, Thinking, ThinkingMode, ToolChoice, ToolSpec};
pub use reply::{ChatRecording, ChatReply, Frame};
pub use wire::{Dialect, FrameDecoder, Meta, Reference, Shape, Wire};

use std::sync::{Arc, OnceLock};

use crate::{Fingerprint, Name, Query, Repeat, Result};

/// A question to a model.
///
/// It carries the bytes it arrived in for as long as nobody changes what they say; the typed [`Prompt`] is decoded on
/// first need, once, and shared by every clone.
#[derive(Clone)]
pub struct Chat {
    /// The model asked for: an alias at the door, the provider's own name for it behind the route.
    pub model: Arc<str>,
    /// Whether the caller wants one message or a stream.
    pub shape: Shape,
    /// What came with it and is worth forwarding to an upstream of the dialect it came in.
    pub meta: Meta,
    /// Whether its answer may be kept, and whether a kept one will do.
    pub keep: Keep,
    /// What is done when its upstream has no words for all of it, where whoever asks says so.
    pub on_loss: Option<OnLoss>,
    /// What it asks of a model beside words.
    pub needs: Needs,
    /// The most tokens that its answer may have at whoever is asked now, where that is less than it asks for.
    pub cap: Option<u64>,
    /// The upstream that is asked first by the name that it came with: the one that had the thoughts in it, where nobody
    /// knows better.
    pub home: Option<Name>,
    wire: Option<Arc<Wire>>,
    reference: Option<Arc<Reference>>,
    prompt: Arc<OnceLock<Result<Arc<Prompt>>>>,
}

impl Chat {
    /// A question as it came in.
    pub fn arrived(wire: Wire, meta: Meta, model: impl Into<Arc<str>>, shape: Shape) -> Self {
        Self {
            model: model.into(),
            shape,
            meta,
            keep: Keep::default(),
            on_loss: None,
            needs: wire.needs,
            cap: None,
            home: None,
            wire: Some(Arc::new(wire)),
            reference: None,
            prompt: Arc::default(),
        }
    }

    /// A question of our own making.
    pub fn of(prompt: Prompt, model: impl Into<Arc<str>>, shape: Shape) -> Self {
        Self {
            model: model.into(),
            shape,
            meta: Meta::default(),
            keep: Keep::default(),
            on_loss: None,
            needs: Needs::of(&prompt),
            cap: None,
            home: None,
            wire: None,
            reference: None,
            prompt: Arc::new(OnceLock::from(Ok(Arc::new(prompt)))),
        }
    }

    /// The same question, whose bytes refer to something that was said before.
    #[must_use]
    pub fn referring(mut self, reference: Reference) -> Self {
        (self.reference, self.prompt) = (Some(Arc::new(reference)), Arc::default());
        self
    }

    /// The bytes it arrived in, unless a layer changed what they say.
    pub fn wire(&self) -> Option<&Wire> {
        self.wire.as_deref()
    }

    /// The bytes it arrived in, where an upstream can make sense of them that keeps what it says under the name `keeper`.
    pub fn wire_for(&self, keeper: Option<&Name>) -> Option<&Wire> {
        let kept = |reference: &Arc<Reference>| keeper.is_some() && reference.kept_by.as_ref() == keeper;
        let understood = self.reference.as_ref().is_none_or(kept);
        self.wire().filter(|_| understood)
    }

    /// The dialect it came in, also when it was changed since; `None` for a question of our own making.
    pub fn origin(&self) -> Option<&'static str> {
        match &self.wire {
            Some(wire) => Some(wire.dialect.name()),
            None => self.prompt().ok()?.origin,
        }
    }

    /// What it says, decoded once.
    pub fn prompt(&self) -> Result<Arc<Prompt>> {
        self.prompt
            .get_or_init(|| match &self.wire {
                Some(wire) => {
                    let whole = self.reference.as_ref().map_or(&wire.body, |reference| &reference.whole);
                    wire.dialect.decode(whole).map(Arc::new)
                }
                None => Ok(Arc::default()),
            })
            .clone()
    }

    /// Puts `text` before all that the system says: into the bytes it arrived in, where their dialect knows how to and
    /// they say all of it.
    pub fn prepend(&mut self, text: &str) -> Result<()> {
        let wire = self.wire.as_deref().filter(|_| self.reference.is_none());
        match wire.and_then(|wire| wire.dialect.prepend(wire, text)) {
            Some(wire) => {
                self.wire = Some(Arc::new(wire));
                self.prompt = Arc::default();
                Ok(())
            }
            None => self.change(|said| said.messages.insert(0, Message::text(Role::System, text))),
        }
    }

    /// Changes what it says. From here on it is encoded anew: the bytes it arrived in no longer speak for it.
    pub fn change(&mut self, change: impl FnOnce(&mut Prompt)) -> Result<()> {
        let mut prompt = Prompt::clone(&*self.prompt()?);
        change(&mut prompt);
        self.needs = Needs::of(&prompt);
        self.wire = None;
        self.prompt = Arc::new(OnceLock::from(Ok(Arc::new(prompt))));
        Ok(())
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat").field("model", &self.model).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Query for Chat {
    type Reply = ChatReply;

    fn operation(&self) -> &'static str {
        "chat"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn answered_whole(&self) -> bool {
        self.shape == Shape::Whole
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let shape: &[u8] = match self.shape {
            Shape::Whole => b"whole",
            Shape::Stream => b"stream",
        };
        let Some(wire) = &self.wire else {
            let said = format!("{:?}", self.prompt().ok()?);
            return Some(Fingerprint::of([b"typed", self.model.as_bytes(), shape, said.as_bytes()]));
        };
        let (before, after) = wire.around_model();
        Some(Fingerprint::of([wire.dialect.name().as_bytes(), self.model.as_bytes(), shape, before, after]))
    }

    fn say(&self, text: &str) -> Option<ChatReply> {
        Some(ChatReply::say(text))
    }

    fn words(&self) -> String {
        self.prompt().map(|prompt| prompt.last_user_text()).unwrap_or_default()
    }
}
