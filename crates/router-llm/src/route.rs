//! Finds who answers for a model's name: a provider, an alias with its candidates in order, or the default provider.

use std::{collections::HashMap, fmt, sync::Arc};

use router_core::{
    BoxUpstream, Cx, Error, Fact, Kind, Meter, Name, NoMeter, Result, Strategy, Upstream,
    chat::{Chat, ChatReply},
};

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider.
    pub provider: Name,
    /// The model, as the provider names it.
    pub model: Arc<str>,
}

impl Target {
    /// Reads `provider/model`; the model's name may hold slashes of its own.
    pub fn read(name: &str) -> Option<Self> {
        let (provider, model) = name.split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then(|| Self { provider: provider.into(), model: model.into() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What there is to choose from.
pub struct RouteSpec {
    /// Our names for choices, each with its candidates in order.
    pub aliases: Vec<(String, Vec<Target>)>,
    /// Who is asked for a bare name that is no alias.
    pub default_provider: Name,
    /// The providers.
    pub providers: HashMap<Name, BoxUpstream<Chat>>,
}

/// The choice by name.
///
/// A candidate that fails before its first content is followed by the next one where that may fare better: when the
/// failure will pass, when our key was refused, or when the provider has no such model. A question that is itself at
/// fault is not put to anybody else. When all fail, the caller reads why the first one did: that is who was asked for.
pub struct Route {
    aliases: Vec<(String, Vec<Target>)>,
    default_provider: Name,
    providers: HashMap<Name, BoxUpstream<Chat>>,
    meter: Arc<dyn Meter>,
}

impl Route {
    /// A route over `spec`, or what in it leads nowhere.
    pub fn new(spec: RouteSpec) -> Result<Self> {
        let RouteSpec { aliases, default_provider, providers } = spec;
        let route = Self { aliases, default_provider, providers, meter: Arc::new(NoMeter) };
        route.provider(&route.default_provider)?;
        for (alias, targets) in &route.aliases {
            if targets.is_empty() {
                return Err(Error::new(Kind::Invalid, format!("the alias {alias:?} has no candidate")));
            }
            for target in targets {
                route.provider(&target.provider)?;
            }
        }
        Ok(route)
    }

    /// The same route, which tells `meter` when another candidate than the first answered.
    #[must_use]
    pub fn with_meter(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// The aliases, in the order of the configuration.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &[Target])> {
        self.aliases.iter().map(|(alias, targets)| (alias.as_str(), targets.as_slice()))
    }

    /// Who answers for `name`, in the order in which they are asked; never nobody.
    pub fn targets(&self, name: &str) -> Result<Vec<Target>> {
        if let Some((_, targets)) = self.aliases.iter().find(|(alias, _)| alias == name) {
            return Ok(targets.clone());
        }
        match Target::read(name) {
            Some(target) if self.providers.contains_key(&target.provider) => Ok(vec![target]),
            None if !name.is_empty() && !name.contains('/') => {
                Ok(vec![Target { provider: Arc::clone(&self.default_provider), model: name.into() }])
            }
            Some(_) | None => Err(self.unknown(name)),
        }
    }

    fn provider(&self, name: &Name) -> Result<&BoxUpstream<Chat>> {
        self.providers.get(name).ok_or_else(|| {
            let near = nearest(name, self.providers.keys().map(|name| &**name));
            let hint = near.map(|near| format!("did you mean {near:?}?"));
            let error = Error::new(Kind::NotFound, format!("there is no provider {name:?}"));
            hint.into_iter().fold(error, Error::hint)
        })
    }

    fn unknown(&self, name: &str) -> Error {
        let (provider, model) = name.split_once('/').unwrap_or(("", name));
        let aliases = self.aliases.iter().map(|(alias, _)| alias.as_str());
        let alias = nearest(name, aliases.clone()).map(str::to_owned);
        let near = alias.or_else(|| {
            let near = nearest(provider, self.providers.keys().map(|name| &**name))?;
            Some(format!("{near}/{model}"))
        });
        let hint = near.map_or_else(
            || format!("write it as provider/model, `{}/{name}` for one", self.default_provider),
            |near| format!("did you mean {near:?}?"),
        );
        Error::new(Kind::NotFound, format!("there is no model {name:?}")).hint(hint)
    }

    /// Asks one candidate.
    async fn ask(&self, cx: &Cx, chat: &Chat, target: &Target) -> Result<ChatReply> {
        let mut chat = chat.clone();
        chat.model = Arc::clone(&target.model);
        self.provider(&target.provider)?.call(cx, chat).await
    }
}

impl Upstream<Chat> for Route {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let mut first = None;
        for target in self.targets(&chat.model)? {
            match self.ask(cx, &chat, &target).await {
                Err(error) if may_fare_better_elsewhere(&error) => {
                    first.get_or_insert((error, target.provider));
                }
                outcome => {
                    if let (Ok(_), Some((_, failed))) = (&outcome, &first) {
                        self.meter.fact(failed, Fact::FellBack(Strategy::Upstream));
                    }
                    return outcome;
                }
            }
        }
        Err(first.map_or_else(|| self.unknown(&chat.model), |(error, _)| error))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("aliases", &self.aliases)
            .field("default_provider", &self.default_provider)
            .finish_non_exhaustive()
    }
}

fn may_fare_better_elsewhere(error: &Error) -> bool {
    error.is_transient() || matches!(error.kind(), Kind::Credential | Kind::NotFound)
}

/// The name that `written` was probably meant to be: the nearest one, when no more than a third of it is wrong.
fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = written.chars().count() / 3;
    let near = names.map(|name| (distance(written, name), name)).filter(|(distance, _)| *distance <= far.max(1));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters have to be put in, left out or replaced to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other = other.chars().collect::<Vec<_>>();
    let mut row = (0..=other.len()).collect::<Vec<_>>();
    for (line, letter) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (line, line + 1);
        for (cell, theirs) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(letter != *theirs);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(cell) = row.first_mut() {
            *cell = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
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
            let spec = RouteSpec {
                aliases: aliases.iter().map(|(alias, names)| ((*alias).to_owned(), targets(names))).collect(),
                default_provider: "one".into(),
                providers: ["one", "two", "three"].map(scripted).into(),
            };
            let facts = Arc::<Facts>::default();
            let meter: Arc<dyn Meter> = Arc::<Facts>::clone(&facts);
            Self { route: Route::new(spec).unwrap().with_meter(meter), asked, facts }
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
    async fn an_unknown_name_is_answered_with_the_nearest_one() {
        let bench = Bench::with(&[("reasoning", &["two/r1"])]);
        let table = [
            ("twoo/m", "there is no model \"twoo/m\" (did you mean \"two/m\"?)"),
            ("resoning/", "there is no model \"resoning/\" (did you mean \"reasoning\"?)"),
            ("meta/llama", "there is no model \"meta/llama\" (write it as provider/model, `one/meta/llama` for one)"),
            ("", "there is no model \"\" (write it as provider/model, `one/` for one)"),
        ];
        for (model, expect) in table {
            let (outcome, asked) = bench.ask(model).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NotFound, expect));
            assert!(asked.is_empty());
        }
    }

    #[tokio::test]
    async fn the_next_candidate_answers_where_it_may_fare_better() {
        for kind in Kind::ALL {
            let first = format!("one/{}", kind.as_str());
            let bench = Bench::with(&[("big", &[&first, "two/m"])]);
            let (outcome, asked) = bench.ask("big").await;
            let goes_on = kind.is_transient() || matches!(kind, Kind::Credential | Kind::NotFound);
            assert_eq!((outcome.is_ok(), asked.len()), (goes_on, 1 + usize::from(goes_on)), "{kind:?}");
            let facts = std::mem::take(&mut *bench.facts.0.lock());
            let expect = goes_on.then(|| ("one".into(), Fact::FellBack(Strategy::Upstream)));
            assert_eq!(facts, Vec::from_iter(expect), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn the_caller_reads_the_failure_that_helps() {
        let table: [(&[&str], &str); 3] = [
            (&["one/timeout", "two/unavailable"], "one says timeout"),
            (&["one/unavailable", "two/too_long", "three/m"], "two says too_long"),
            (&["one/cancelled", "two/m"], "one says cancelled"),
        ];
        for (candidates, expect) in table {
            let (outcome, _) = Bench::with(&[("big", candidates)]).ask("big").await;
            assert_eq!(outcome.unwrap_err().message(), expect);
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_when_it_is_built() {
        let build = |targets: Vec<Target>| {
            let silent = Scripted { name: "one", asked: Arc::default() }.boxed();
            let aliases = vec![("big".to_owned(), targets)];
            Route::new(RouteSpec {
                aliases,
                default_provider: "one".into(),
                providers: [("one".into(), silent)].into(),
            })
        };
        let error = build(vec![Target::read("onee/m").unwrap()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no provider \"onee\" (did you mean \"one\"?)");
        assert_eq!(build(vec![]).unwrap_err().message(), "the alias \"big\" has no candidate");
    }

    #[test]
    fn counts_the_letters_that_are_wrong() {
        for (one, other, expect) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ollama", "olama", 1)] {
            assert_eq!((distance(one, other), distance(other, one)), (expect, expect));
        }
    }
}
