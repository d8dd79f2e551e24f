//! The form in which a chat travels, opaque to everybody but the dialect that speaks it.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{Event, Needs, Prompt};
use crate::{Name, Result};

/// A wire format for chats. The dialects implement it; here it is only a thing that can decode itself.
pub trait Dialect: Send + Sync + 'static {
    /// Its name; two dialects are the same when their names are.
    fn name(&self) -> &'static str;

    /// Reads a question.
    fn decode(&self, body: &Bytes) -> Result<Prompt>;

    /// Reads a reply, frame by frame.
    fn frames(&self, shape: Shape) -> Box<dyn FrameDecoder>;

    /// The same question with `text` before all that its system says, every other byte as it was; `None` where that
    /// cannot be done without decoding it.
    fn prepend(&self, _question: &Wire, _text: &str) -> Option<Wire> {
        None
    }
}

/// Reads the frames of one reply in order, and keeps what spans several.
pub trait FrameDecoder: Send {
    /// Reads one frame: the whole body of a [`Shape::Whole`] reply, or one or more whole events of a stream.
    fn decode(&mut self, frame: &Bytes, events: &mut Vec<Event>) -> Result<()>;

    /// The upstream has ended its reply: closes what is open, or says that it was cut.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()>;
}

/// One message, or a stream of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One body.
    Whole,
    /// Events.
    Stream,
}

/// A question as it came in.
#[derive(Clone)]
pub struct Wire {
    /// Who can read it.
    pub dialect: &'static dyn Dialect,
    /// The body, checked for depth, size and duplicate keys of its envelope; what was checked is what is forwarded.
    pub body: Bytes,
    /// Where in the body the model's name stands, with its quotes.
    pub model: Range<usize>,
    /// Where in the body the number stands that limits the answer, where it has one that may be lowered.
    pub limit: Option<Range<usize>>,
    /// What a glance at the body tells of what it needs.
    pub needs: Needs,
}

/// What a question refers to that was said before and is kept on our side, so that not every upstream can follow it.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The one upstream that keeps it, too, and is best asked in the question's own bytes.
    pub kept_by: Option<Name>,
    /// The body with all of it written out, for everybody else.
    pub whole: Bytes,
}

impl Wire {
    /// The body before and after the model's name, for splicing another one in.
    pub fn around_model(&self) -> (&[u8], &[u8]) {
        let before = self.body.get(..self.model.start).unwrap_or_default();
        let after = self.body.get(self.model.end..).unwrap_or_default();
        (before, after)
    }

    /// The same question with `text` inserted at byte `at`, which must not be within the model's name or the limit.
    #[must_use]
    pub fn inserted(&self, at: usize, text: &str) -> Self {
        let (before, after) = self.body.split_at(at.min(self.body.len()));
        let moved = |range: &Range<usize>| {
            let shift = if at <= range.start { text.len() } else { 0 };
            range.start + shift..range.end + shift
        };
        Self {
            dialect: self.dialect,
            body: [before, text.as_bytes(), after].concat().into(),
            model: moved(&self.model),
            limit: self.limit.as_ref().map(moved),
            needs: self.needs,
        }
    }
}

/// Metadata that came with a message: pairs of a lower-case name and a value, in the order they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta(pub Arc<[(Box<str>, Box<str>)]>);

impl Meta {
    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Meta {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
