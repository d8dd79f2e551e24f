//! What is done to a reply on its way back because of how its question was written: names given back, texts that end it
//! enforced, thoughts kept from a client that did not want to see them.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use router_core::{
    Reply, Result,
    chat::{Block, ChatReply, Event},
};

use super::{
    Ask, Language,
    proof::{self, Borne},
    stops::Stops,
};

/// What has to be done to a reply.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Amend {
    /// The tools whose names are spelled otherwise there: as they are sent, and as the client has them.
    names: Vec<(String, String)>,
    /// The texts that end the answer and were not sent.
    stops: Vec<String>,
    /// Whether thoughts are carried in their signatures alone.
    hides_thoughts: bool,
}

impl Amend {
    /// What the reply needs to a question that `language` has written.
    pub(crate) fn of(language: &dyn Language, ask: &Ask<'_>) -> Self {
        let display = ask.prompt.extra.get("thinking").and_then(|thinking| thinking.get("display"));
        Self {
            names: language.respelled(ask.prompt),
            stops: language.unsent_stops(ask).into_iter().filter(|stop| !stop.is_empty()).collect(),
            hides_thoughts: ask.prompt.origin != Some(language.name()) && display.is_some_and(|word| word == "omitted"),
        }
    }

    /// Does it.
    pub(crate) fn apply(self, reply: ChatReply) -> ChatReply {
        if self == Self::default() {
            return reply;
        }
        let (shape, meta, provenance) = (reply.shape, reply.meta.clone(), reply.provenance().clone());
        let mut amended = ChatReply::events(shape, self.amended(reply.into_events()));
        amended.meta = meta;
        *amended.provenance_mut() = provenance;
        amended
    }

    fn amended(
        self,
        events: impl Stream<Item = Result<Event>> + Send + 'static,
    ) -> impl Stream<Item = Result<Event>> + Send + 'static {
        let upstream: Pin<Box<dyn Stream<Item = Result<Event>> + Send>> = Box::pin(events);
        let start = (upstream, Amender::new(self));
        stream::unfold(Some(start), |state| async move {
            let (mut upstream, mut amender) = state?;
            let mut ready = Vec::new();
            let goes_on = match upstream.next().await? {
                Ok(event) => !amender.feed(event, &mut ready),
                Err(error) => return Some((stream::iter(vec![Err(error)]), None)),
            };
            let ready: Vec<_> = ready.into_iter().map(Ok).collect();
            // Letting go of the upstream closes its request: nobody pays for what is cut off.
            Some((stream::iter(ready), goes_on.then_some((upstream, amender))))
        })
        .flatten()
    }
}

/// Amends one reply.
struct Amender {
    names: Vec<(String, String)>,
    stops: Stops,
    /// The open thought, where it is not shown.
    hidden: Option<Hidden>,
    hides_thoughts: bool,
}

/// A thought that is not shown.
#[derive(Default)]
struct Hidden {
    text: String,
    signed: bool,
}

impl Amender {
    fn new(amend: Amend) -> Self {
        let Amend { names, stops, hides_thoughts } = amend;
        Self { names, stops: Stops::new(stops), hidden: None, hides_thoughts }
    }

    /// Hands out what becomes of `event`; `true` when the reply has ended with it.
    fn feed(&mut self, event: Event, events: &mut Vec<Event>) -> bool {
        match (event, &mut self.hidden) {
            (Event::Open(Block::Thinking), _) => {
                self.hidden = self.hides_thoughts.then(Hidden::default);
                events.push(Event::Open(Block::Thinking));
                false
            }
            (Event::Thinking(more), Some(thought)) => {
                thought.text.push_str(&more);
                false
            }
            (Event::Signature(signature), hidden) => {
                if let Some(thought) = hidden {
                    thought.signed = true;
                }
                events.push(Event::Signature(signature));
                false
            }
            (Event::Close, hidden) => {
                let thought = hidden.take().filter(|thought| !thought.signed && !thought.text.is_empty());
                let borne = thought.map(|thought| proof::bearing(Borne::Text, thought.text.as_bytes()));
                events.extend(borne.map(Event::Signature));
                self.stops.feed(Event::Close, events)
            }
            (Event::Open(Block::ToolUse { id, name }), _) => {
                let client = self.names.iter().find(|(sent, _)| *sent == name).map(|(_, client)| client.clone());
                events.push(Event::Open(Block::ToolUse { id, name: client.unwrap_or(name) }));
                false
            }
            (event, _) => self.stops.feed(event, events),
        }
    }
}
