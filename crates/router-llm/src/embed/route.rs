//! Finds who answers for the model of a question for vectors, by the names that chats go by.

use std::{collections::HashMap, fmt, sync::Arc};

use router_core::{
    BoxUpstream, Cx, Error, Fact, Kind, Meter, Name, Result, Strategy, Upstream,
    embed::{Embed, Vectors},
};

use crate::route::{Names, Target, may_fare_better_elsewhere};

/// The choice by name. As with chats, the next candidate of an alias follows where it may fare better, and when all
/// fail the caller reads why the first one did.
pub struct EmbedRoute {
    names: Arc<Names>,
    providers: HashMap<Name, BoxUpstream<Embed>>,
    meter: Arc<dyn Meter>,
}

impl EmbedRoute {
    /// A route over `providers`, by the names of `names`; `meter` is told when another candidate than the first answered.
    pub fn new(names: Arc<Names>, providers: HashMap<Name, BoxUpstream<Embed>>, meter: Arc<dyn Meter>) -> Self {
        Self { names, providers, meter }
    }

    /// Asks one candidate.
    async fn ask(&self, cx: &Cx, query: &Embed, target: &Target) -> Result<Vectors> {
        let provider = self.providers.get(&target.provider).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("the provider {:?} has no embeddings", &*target.provider))
        })?;
        let mut query = query.clone();
        query.model = Arc::clone(&target.model);
        provider.call(cx, query).await
    }
}

impl Upstream<Embed> for EmbedRoute {
    async fn call(&self, cx: &Cx, query: Embed) -> Result<Vectors> {
        let mut first = None;
        let choice = self.names.choice(&query.model)?;
        for target in choice.targets.iter() {
            match self.ask(cx, &query, target).await {
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
        Err(first.map_or_else(|| self.names.unknown(&query.model), |(error, _)| error))
    }
}

impl fmt::Debug for EmbedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedRoute").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;
    use router_core::{Caller, NoMeter, chat::Usage, embed::Matrix};

    use super::*;
    use crate::route::Alias;

    /// A provider that fails as the name of its model says, or gives its own number back.
    struct Scripted {
        number: f32,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Upstream<Embed> for Scripted {
        async fn call(&self, _: &Cx, query: Embed) -> Result<Vectors> {
            self.asked.lock().push(format!("{}: {}", self.number, query.model));
            match Kind::ALL.into_iter().find(|kind| &*query.model == kind.as_str()) {
                Some(kind) => Err(Error::new(kind, format!("{} says {}", self.number, kind.as_str()))),
                None => Ok(Vectors::of(Matrix::of([[self.number]])?, Usage::default())),
            }
        }
    }

    /// The number that answers, or why nobody does; and who was asked.
    type Expected = (Result<f32, &'static str>, &'static [&'static str]);

    /// The number that answers for `model`, or why nobody does; and who was asked.
    async fn ask(model: &str, targets: &[&str]) -> (Result<f32, String>, Vec<String>) {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let scripted = |number| Scripted { number, asked: Arc::clone(&asked) }.boxed();
        let targets = targets.iter().filter_map(|target| Target::read(target)).collect();
        let aliases = vec![Alias { name: "embed".into(), targets, on_loss: None }];
        let names = Names::new(aliases, "one".into(), ["one", "two", "mute"].map(Name::from)).unwrap();
        let embedders = [("one".into(), scripted(1.0)), ("two".into(), scripted(2.0))].into();
        let route = EmbedRoute::new(Arc::new(names), embedders, Arc::new(NoMeter));
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let answer = route.call(&cx, Embed::of(vec![String::new()], model)).await;
        let number = answer.and_then(|vectors| vectors.matrix()).map(|matrix| matrix.values()[0]);
        let asked = asked.lock().clone();
        (number.map_err(|error| error.message().to_owned()), asked)
    }

    #[tokio::test]
    async fn goes_by_the_names_that_chats_go_by() {
        let all: &[&str] = &["one/unavailable", "two/m"];
        let table: [(&str, &[&str], Expected); 8] = [
            ("two/x/y", all, (Ok(2.0), &["2: x/y"])),
            ("bare", all, (Ok(1.0), &["1: bare"])),
            ("embed", all, (Ok(2.0), &["1: unavailable", "2: m"])),
            ("embed", &["one/invalid", "two/m"], (Err("1 says invalid"), &["1: invalid"])),
            ("embed", &["one/limited", "two/timeout"], (Err("1 says limited"), &["1: limited", "2: timeout"])),
            ("embed", &["mute/m", "two/m"], (Ok(2.0), &["2: m"])),
            ("mute/m", all, (Err("the provider \"mute\" has no embeddings"), &[])),
            ("tow/m", all, (Err("there is no model \"tow/m\""), &[])),
        ];
        for (model, targets, (answer, asked)) in table {
            let expected = (answer.map_err(str::to_owned), asked.iter().map(|&name| name.to_owned()).collect());
            assert_eq!(ask(model, targets).await, expected, "{model} {targets:?}");
        }
    }
}
