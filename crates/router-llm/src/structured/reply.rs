//! A reply, read to its end, held to a schema, and told again.

use futures_util::{TryStreamExt, stream};
use router_core::{
    Name, Provenance, Reply, Result,
    chat::{Block, ChatReply, Event, Part, Shape, StopReason, Usage, fold},
};

use super::schema::Schema;

/// A whole answer.
pub(super) struct Answer {
    events: Vec<Event>,
    shape: Shape,
    provenance: Provenance,
}

/// An answer that does not keep to its schema.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit {
    /// What the model said.
    pub(super) said: String,
    /// What is wrong with that.
    pub(super) why: String,
    /// What it cost.
    pub(super) usage: Usage,
    /// Who said it.
    pub(super) upstream: Option<Name>,
}

impl Answer {
    /// Reads a reply to its end.
    pub(super) async fn read(reply: ChatReply) -> Result<Self> {
        let (shape, provenance) = (reply.shape, reply.provenance().clone());
        Ok(Self { events: reply.into_events().try_collect().await?, shape, provenance })
    }

    /// The same answer without what was said around its JSON. An answer that calls a tool is not the last one, and what
    /// was cut or refused says so itself, as it does where a model keeps to schemas: these pass as they are.
    pub(super) fn held_to(mut self, schema: &Schema) -> Result<Self, Misfit> {
        let folded = fold(self.events.iter().cloned());
        if folded.message.parts.iter().any(|part| matches!(part, Part::ToolUse { .. })) {
            return Ok(self);
        }
        let said = folded.message.said();
        match schema.find(&said).map(|found| found.text.to_owned()) {
            Ok(json) => self.events = saying(self.events, json),
            Err(why) if matches!(folded.stop, StopReason::EndTurn | StopReason::StopSequence) => {
                return Err(Misfit { said, why, usage: folded.usage, upstream: self.provenance.upstream });
            }
            Err(_) => {}
        }
        Ok(self)
    }

    /// Tells it, with what the answers before it have cost.
    pub(super) fn told(self, spent: Usage) -> ChatReply {
        let events = self
            .events
            .into_iter()
            .map(move |event| Ok(if let Event::Usage(usage) = event { Event::Usage(spent + usage) } else { event }));
        let mut reply = ChatReply::events(self.shape, stream::iter(events));
        *reply.provenance_mut() = self.provenance;
        reply
    }
}

/// The same events with `text` in the place of all that they say.
fn saying(events: Vec<Event>, text: String) -> Vec<Event> {
    let mut text = Some(text);
    let mut in_text = false;
    let mut told = Vec::with_capacity(events.len());
    for event in events {
        if event == Event::Open(Block::Text) {
            in_text = true;
            let said = text.take().map(|text| [Event::Open(Block::Text), Event::Text(text), Event::Close]);
            told.extend(said.into_iter().flatten());
        } else if in_text && event == Event::Close {
            in_text = false;
        } else if !matches!(event, Event::Text(_)) {
            told.push(event);
        }
    }
    told
}
