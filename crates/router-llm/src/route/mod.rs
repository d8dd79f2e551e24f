//! Finds who answers for a model's name, and asks one candidate after the other.

mod names;
pub(crate) mod near;
mod target;

use std::{collections::HashMap, fmt, sync::Arc};

use router_core::{
    BoxUpstream, Cx, Error, Fact, Kind, Meter, Name, NoMeter, Result, Strategy, Upstream,
    chat::{Chat, ChatReply},
};

pub use names::{Alias, Choice, Names, fits};
pub use target::Target;

/// The choice by name.
///
/// A candidate that fails before its first content is followed by the next one where that may fare better: when the
/// failure will pass, when our key was refused, or when the provider has no such model. A question that is itself at
/// fault is not put to anybody else. When all fail, the caller reads why the first one did: that is who was asked for.
/// A candidate that a call may not be put to (it would leave this machine) is passed over, and told of last.
pub struct Route {
    names: Arc<Names>,
    providers: HashMap<Name, BoxUpstream<Chat>>,
    meter: Arc<dyn Meter>,
}

impl Route {
    /// A route from `names` to `providers`.
    pub fn new(names: Arc<Names>, providers: HashMap<Name, BoxUpstream<Chat>>) -> Self {
        Self { names, providers, meter: Arc::new(NoMeter) }
    }

    /// The same route, which tells `meter` when another candidate than the first answered.
    #[must_use]
    pub fn with_meter(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Asks one candidate.
    async fn ask(&self, cx: &Cx, chat: &Chat, target: &Target) -> Result<ChatReply> {
        let mut chat = chat.clone();
        chat.model = Arc::clone(&target.model);
        let provider = self.providers.get(&target.provider).ok_or_else(|| self.names.unknown(&target.to_string()))?;
        provider.call(cx, chat).await
    }
}

impl Upstream<Chat> for Route {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let (mut first, mut barred) = (None, None);
        let choice = self.names.choice(&chat.model)?;
        for target in choice.targets.iter() {
            match self.ask(cx, &chat, target).await {
                Err(error) if error.kind() == Kind::Forbidden => drop(barred.get_or_insert(error)),
                Err(error) if may_fare_better_elsewhere(&error) => {
                    first.get_or_insert((error, &target.provider));
                }
                outcome => {
                    if let (Ok(_), Some((_, failed))) = (&outcome, &first) {
                        self.meter.fact(failed, Fact::FellBack(Strategy::Upstream));
                    }
                    return outcome;
                }
            }
        }
        let error = first.map(|(error, _)| error).or(barred);
        Err(error.unwrap_or_else(|| self.names.unknown(&chat.model)))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("names", &self.names).finish_non_exhaustive()
    }
}

pub(crate) fn may_fare_better_elsewhere(error: &Error) -> bool {
    error.is_transient() || matches!(error.kind(), Kind::Credential | Kind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;
    use router_core::{
        Caller, Observation,
        chat::{Prompt, Shape},
    };

    use super::*;

    /// A provider that answers each model as the test says, and notes who was asked for what.
    struct Scripted {
        name: &'static str,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Upstream<Chat> for Scripted {
        async fn call(&self, _: &Cx, chat: Chat) -> Result<ChatReply> {
            self.asked.lock().push(format!("{}: {}", self.name, chat.model));
            let kind = Kind::ALL.into_iter().find(|kind| chat.model.ends_with(kind.as_str()));
            match kind {
                Some(kind) => Err(Error::new(kind, format!("{} says {}", self.name, kind.as_str()))),
                None => Ok(ChatReply::say(self.name)),
            }
        }
    }

    #[derive(Default)]
    struct Facts(Mutex<Vec<(Name, Fact)>>);

    impl Meter for Facts {
        fn fact(&self, upstream: &Name, fact: Fact) {
            self.0.lock().push((Arc::clone(upstream), fact));
        }
        fn observe(&self, _: &Name, _: Observation) {}
    }

    struct Bench {
        route: Route,
        asked: Arc<Mutex<Vec<String>>>,
        facts: Arc<Facts>,
    }

    impl Bench {
        fn with(aliases: &[(&str, &[&str])]) -> Self {
            let asked = Arc::<Mutex<Vec<String>>>::default();
            let scripted = |name| (Name::from(name), Scripted { name, asked: Arc::clone(&asked) }.boxed());
            let targets = |names: &[&str]| names.iter().map(|name| Target::read(name).unwrap()).collect();
            let aliases = aliases.iter().map(|(name, list)| Alias { name: (*name).into(), targets: targets(list) });
            let providers = ["one", "two", "three"];
            let names = Names::new(aliases.collect(), "one".into(), providers.map(Name::from)).unwrap();
            let facts = Arc::<Facts>::default();
            let meter: Arc<dyn Meter> = Arc::<Facts>::clone(&facts);
            Self { route: Route::new(Arc::new(names), providers.map(scripted).into()).with_meter(meter), asked, facts }
        }

        async fn ask(&self, model: &str) -> (Result<ChatReply>, Vec<String>) {
            let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
            let chat = Chat::of(Prompt::ask("hi"), model, Shape::Whole);
            let outcome = self.route.call(&cx, chat).await;
            (outcome, std::mem::take(&mut *self.asked.lock()))
        }
    }

    #[tokio::test]
    async fn a_name_leads_to_its_provider_by_the_providers_own_name() {
        let bench = Bench::with(&[("big", &["two/large"]), ("odd/name", &["three/m"])]);
        let table = [
            ("two/m", "two: m"),
            ("two/org/m:free", "two: org/m:free"),
            ("big", "two: large"),
            ("odd/name", "three: m"),
            ("gpt-4o", "one: gpt-4o"),
        ];
        for (model, expect) in table {
            let (outcome, asked) = bench.ask(model).await;
            assert!(outcome.is_ok(), "{model}");
            assert_eq!(asked, [expect], "{model}");
        }
    }

    #[tokio::test]
    async fn the_next_candidate_answers_where_it_may_fare_better() {
        for kind in Kind::ALL {
            let first = format!("one/{}", kind.as_str());
            let bench = Bench::with(&[("big", &[&first, "two/m"])]);
            let (outcome, asked) = bench.ask("big").await;
            let fails = kind.is_transient() || matches!(kind, Kind::Credential | Kind::NotFound);
            let goes_on = fails || kind == Kind::Forbidden;
            assert_eq!((outcome.is_ok(), asked.len()), (goes_on, 1 + usize::from(goes_on)), "{kind:?}");
            let facts = std::mem::take(&mut *bench.facts.0.lock());
            let expect = fails.then(|| ("one".into(), Fact::FellBack(Strategy::Upstream)));
            assert_eq!(facts, Vec::from_iter(expect), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn the_caller_reads_the_failure_that_helps() {
        let table: [(&[&str], &str); 5] = [
            (&["one/timeout", "two/unavailable"], "one says timeout"),
            (&["one/forbidden", "two/unavailable"], "two says unavailable"),
            (&["one/forbidden", "two/forbidden"], "one says forbidden"),
            (&["one/unavailable", "two/too_long", "three/m"], "two says too_long"),
            (&["one/cancelled", "two/m"], "one says cancelled"),
        ];
        for (candidates, expect) in table {
            let (outcome, _) = Bench::with(&[("big", candidates)]).ask("big").await;
            assert_eq!(outcome.unwrap_err().message(), expect);
        }
    }
}
