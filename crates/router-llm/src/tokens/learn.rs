//! How far counts were off before, by model: every reply tells how much its question really was.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::RwLock;
use router_core::{End, Name, Reply, chat::ChatReply};

use super::weight::Weight;
use crate::models::Known;

/// Models that something is remembered of; their names come from clients.
const MODELS: usize = 1024;

/// How much of the newest reply goes into what is remembered.
const NEWEST: f64 = 0.2;

/// Replies of a model that are watched in any case.
const FIRST: u32 = 4;

/// Questions after which that is given up: short ones teach nothing, and some upstreams tell no usage.
const TRIES: u32 = 64;

/// Of the others, one in so many is.
const EVERY: u32 = 64;

/// A shorter question tells more of what is written around it than of the tokenizer, in tokens.
const TELLING: u64 = 200;

/// No model's tokens are further from its family's than this; what is further off has another cause.
const BOUNDS: (f64, f64) = (0.6, 2.5);

/// Counts the tokens of questions, and remembers how far that was off.
#[derive(Debug, Default)]
pub struct Counter {
    learnt: Arc<RwLock<HashMap<Place, Learnt>>>,
    calls: AtomicU32,
}

/// A provider, and a model of it.
type Place = (Name, Arc<str>);

#[derive(Clone, Copy, Debug)]
struct Learnt {
    factor: f64,
    /// Replies that taught it.
    replies: u32,
    /// Replies that might have.
    tries: u32,
}

impl Learnt {
    const NOTHING: Self = Self { factor: 1.0, replies: 0, tries: 0 };

    /// Whether every reply of the model is worth a look.
    fn is_young(self) -> bool {
        self.replies < FIRST && self.tries < TRIES
    }
}

impl Counter {
    /// How many tokens a question takes of a model, by what it weighs and by what earlier replies taught.
    #[expect(clippy::cast_precision_loss, reason = "nothing that is counted here comes near 2^52")]
    pub fn estimate(&self, provider: &Name, model: &Arc<str>, known: &Known, weight: &Weight) -> u64 {
        let factor = self.learnt(provider, model).map_or(1.0, |learnt| learnt.factor);
        super::family::whole(weight.tokens(known.tokenizer) as f64 * factor)
    }

    /// Whether the next reply of this model should be watched: the first few are, and then some, because weighing a
    /// question costs time that most of them need not spend.
    pub fn is_curious(&self, provider: &Name, model: &Arc<str>) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY)
            || self.learnt(provider, model).is_none_or(Learnt::is_young)
    }

    /// The same reply; when it is complete, the usage it tells corrects the count of its model from then on.
    #[must_use]
    pub fn watch(&self, reply: ChatReply, place: (&Name, &Arc<str>), known: &Known, weight: &Weight) -> ChatReply {
        self.tried(place);
        let counted = weight.tokens(known.tokenizer);
        if counted < TELLING || weight.has_pictures() || weight.has_documents() {
            return reply;
        }
        let (learnt, place) = (Arc::clone(&self.learnt), (Arc::clone(place.0), Arc::clone(place.1)));
        reply.watch(Box::new(move |end| {
            if let End::Complete(usage) = end {
                learn(&learnt, place, counted, usage.total_input());
            }
        }))
    }

    fn tried(&self, (provider, model): (&Name, &Arc<str>)) {
        let place = (Arc::clone(provider), Arc::clone(model));
        let mut learnt = self.learnt.write();
        let of = entry(&mut learnt, place);
        of.tries = of.tries.saturating_add(1);
    }

    fn learnt(&self, provider: &Name, model: &Arc<str>) -> Option<Learnt> {
        self.learnt.read().get(&(Arc::clone(provider), Arc::clone(model))).copied()
    }
}

/// What the newest reply teaches: at first it counts as much as all before it.
#[expect(clippy::cast_precision_loss, reason = "nothing that is counted here comes near 2^52")]
fn learn(learnt: &RwLock<HashMap<Place, Learnt>>, place: Place, counted: u64, told: u64) {
    if told == 0 || counted == 0 {
        return;
    }
    let seen = (told as f64 / counted as f64).clamp(BOUNDS.0, BOUNDS.1);
    let mut learnt = learnt.write();
    let of = entry(&mut learnt, place);
    of.replies = of.replies.saturating_add(1);
    of.factor += (seen - of.factor) * NEWEST.max(1.0 / f64::from(of.replies));
}

/// What is remembered of a model; where that would be too many, another one is forgotten.
fn entry(learnt: &mut HashMap<Place, Learnt>, place: Place) -> &mut Learnt {
    if learnt.len() >= MODELS
        && !learnt.contains_key(&place)
        && let Some(any) = learnt.keys().next().cloned()
    {
        learnt.remove(&any);
    }
    learnt.entry(place).or_insert(Learnt::NOTHING)
}

#[cfg(test)]
mod tests {
    use router_core::chat::{Prompt, Usage};

    use super::*;

    fn after(told: &[u64]) -> u64 {
        let (counter, provider, model, known) = (Counter::default(), Name::from("p"), Arc::from("m"), Known::default());
        let weight = Weight::of_prompt(&Prompt::ask("one ".repeat(1000)));
        let base = weight.tokens(known.tokenizer);
        for percent in told {
            learn(&counter.learnt, (Arc::clone(&provider), Arc::clone(&model)), base, base * percent / 100);
        }
        counter.estimate(&provider, &model, &known, &weight) * 100 / base
    }

    #[test]
    fn what_replies_tell_corrects_the_count_within_bounds() {
        let table: [(&[u64], u64); 6] =
            [(&[], 100), (&[150], 150), (&[100, 200], 150), (&[1], 60), (&[9900], 250), (&[100, 0, 100], 100)];
        for (told, expect) in table {
            assert!(after(told).abs_diff(expect) <= 1, "{told:?}: {}", after(told));
        }
        assert!(after(&[[200; 40], [100; 40]].concat()).abs_diff(100) <= 1);
    }

    #[test]
    fn a_reply_that_is_read_to_its_end_teaches() {
        let (counter, provider, known) = (Counter::default(), Name::from("p"), Known::default());
        let weight = Weight::of_prompt(&Prompt::ask("one ".repeat(1000)));
        let model: Arc<str> = Arc::from("m");
        assert!(counter.is_curious(&provider, &model));
        let reply = counter.watch(ChatReply::say("hi"), (&provider, &model), &known, &weight);
        drop(reply);
        assert_eq!(counter.estimate(&provider, &model, &known, &weight), weight.tokens(known.tokenizer));
        let usage = Usage { input: 1500, cache_read: 500, ..Usage::default() };
        let events = futures_util::stream::iter([Ok(router_core::chat::Event::Usage(usage))]);
        let reply = ChatReply::events(router_core::chat::Shape::Whole, events);
        let reply = counter.watch(reply, (&provider, &model), &known, &weight);
        futures_util::future::FutureExt::now_or_never(futures_util::StreamExt::collect::<Vec<_>>(reply)).unwrap();
        assert!(counter.estimate(&provider, &model, &known, &weight).abs_diff(2000) <= 1);
    }

    #[test]
    fn a_model_that_teaches_nothing_is_given_up() {
        let (counter, provider, known) = (Counter::default(), Name::from("p"), Known::default());
        let (model, short): (Arc<str>, _) = (Arc::from("m"), Weight::of_prompt(&Prompt::ask("hi".to_owned())));
        let ask = || {
            let curious = counter.is_curious(&provider, &model);
            if curious {
                drop(counter.watch(ChatReply::say("hi"), (&provider, &model), &known, &short));
            }
            curious
        };
        let first = (0..TRIES).filter(|_| ask()).count();
        let later = (0..EVERY * 2).filter(|_| ask()).count();
        assert_eq!((first, later), (TRIES as usize, 2));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let learnt = RwLock::default();
        for model in 0..MODELS * 2 {
            learn(&learnt, ("p".into(), model.to_string().into()), 1000, 1000);
        }
        assert_eq!(learnt.read().len(), MODELS);
    }
}
