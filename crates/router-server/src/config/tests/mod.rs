//! The configuration from its outside: a text, variables and flags go in; settings, warnings or problems come out.

mod asking;
mod bad;
mod documents;
mod files;
mod good;
mod kept;
mod models;
mod offers;
mod secrets;

use std::{path::Path, time::Duration};

use router_core::{Secret, layer::timeout::TimeoutPolicy};

use super::{settings::Timeouts, *};

/// Names and values of variables.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A time.
const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A value that nobody gets to see.
fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A configuration that is to be read.
#[derive(Default)]
struct Case<'a> {
    text: &'a str,
    environment: Pairs<'a>,
    listen: Option<&'a str>,
}

impl Case<'_> {
    fn load(&self) -> Result<(Config, Vec<Warning>), Problems> {
        let variables =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        let environment: Environment = variables.collect();
        let flags = Flags { listen: self.listen.map(str::to_owned), ..Flags::default() };
        let source = Source::new(Path::new("router.yaml"), self.text);
        let variables = Variables::new(&environment);
        let mut findings = Findings::default();
        let given = Given { flags: &flags, environment: &environment, variables: &variables, source: &source };
        let config = configure(given, None, &mut findings);
        findings.settle(&source, config)
    }
}

/// The same times, of which the first follows what is usual.
fn adaptive(Timeouts { connect, attempt }: Timeouts) -> Timeouts {
    Timeouts { connect, attempt: TimeoutPolicy { adaptive: true, ..attempt } }
}

fn load(text: &str) -> Config {
    loaded(&Case { text, ..Case::default() }).0
}

/// The settings, and the warnings as they are shown.
fn loaded(case: &Case<'_>) -> (Config, Vec<String>) {
    match case.load() {
        Ok((config, warnings)) => (config, warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => panic!("{problems}"),
    }
}
