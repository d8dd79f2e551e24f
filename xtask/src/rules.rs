//! The rules: each is a function from one file to what is wrong with it.

mod direction;
mod opening;
mod outside;
mod places;
mod size;
mod vocabulary;

use crate::source::Source;
use std::fmt;

/// A breach of a rule, with what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    remedy: &'static str,
}

impl Finding {
    fn new(source: &Source, line: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        Self { path: source.path.clone(), line, what: what.into(), remedy }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.remedy)
    }
}

/// Everything that is wrong with one file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    const RULES: &[fn(&Source) -> Vec<Finding>] = &[
        direction::dependencies,
        direction::core_words,
        opening::module_docs,
        outside::references,
        places::stacks,
        places::environment,
        places::clock,
        size::files,
        size::functions,
        vocabulary::names,
    ];
    RULES.iter().flat_map(|rule| rule(source)).collect()
}

#[cfg(test)]
mod testing {
    use super::{Finding, Source};

    /// Runs one rule over one file; each finding as `line: what`.
    pub(super) fn run(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<String> {
        rule(&Source::new(path, text)).into_iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    /// Asserts a rule's findings for a table of `(path, text, findings)`.
    pub(super) fn table(rule: fn(&Source) -> Vec<Finding>, rows: &[(&str, &str, &[&str])]) {
        for (path, text, expected) in rows {
            assert_eq!(run(rule, path, text), *expected, "{path}\n{text}");
        }
    }
}
