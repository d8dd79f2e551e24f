//! Some things are done in one place only: stacks are built, the environment is read, the clock is asked.

use super::Finding;
use crate::source::{Source, Word};

const WIRE: &[&str] = &[
    "crates/router-server/src/wire.rs",
    "crates/router-server/src/wire/",
    "crates/router-core/src/layer",
    "crates/router-core/tests/",
];
const CONFIG: &[&str] = &["crates/router-server/src/config.rs", "crates/router-server/src/config/"];
const PRODUCT: &[&str] = &["crates/", "xtask/"];

/// Calls of `stack(..)` or `stack::<Q>(..)`: only the wiring builds stacks (and the layers' own tests).
pub(super) fn stacks(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "build the stack in router-server's wire.rs and pass it in";
    let called = |word: &Word<'_>| {
        let defined = word.before.trim_end().ends_with("fn") || word.before.ends_with('.');
        word.text == "stack" && !defined && (word.after.starts_with('(') || word.after.starts_with("::<"))
    };
    if source.is_in(WIRE) || !source.is_in(&["crates/"]) {
        return Vec::new();
    }
    source
        .words()
        .iter()
        .filter(|word| called(word))
        .map(|word| Finding::new(source, word.line, "a stack is built here", REMEDY))
        .collect()
}

/// Reads of the environment: only router-server's config reads it.
pub(super) fn environment(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "read it in router-server's config and pass the value in";
    let reads =
        |word: &&Word<'_>| ["var", "var_os", "vars", "vars_os"].contains(&word.text) && word.before.ends_with("env::");
    if source.is_in(CONFIG) || !source.is_in(PRODUCT) {
        return Vec::new();
    }
    let words = source.words();
    words
        .iter()
        .filter(reads)
        .map(|word| Finding::new(source, word.line, "the environment is read here", REMEDY))
        .collect()
}

/// The clock of the standard library, which a test cannot pause.
pub(super) fn clock(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "use tokio::time::Instant";
    if !source.is_in(&["crates/"]) {
        return Vec::new();
    }
    let imported = source.code.split("use std").skip(1).filter_map(|rest| rest.split(';').next());
    let imported = imported.into_iter().any(|list| list.contains("Instant"));
    let is_std = |word: &&Word<'_>| {
        let bare = !word.before.ends_with("::");
        let named = word.before.ends_with("std::time::") || (bare && imported);
        word.text == "Instant" && word.after.starts_with("::now") && named
    };
    let words = source.words();
    words.iter().filter(is_std).map(|word| Finding::new(source, word.line, "std's Instant::now", REMEDY)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn stacks() {
        table(
            super::stacks,
            &[
                ("crates/router-server/src/agent.rs", "let a = stack(x);\n", &["1: a stack is built here"]),
                ("crates/router-llm/src/a.rs", "\nlayer::stack::<Chat>(x)\n", &["2: a stack is built here"]),
                ("crates/router-server/src/wire.rs", "stack::<Chat>(x)", &[]),
                ("crates/router-server/src/wire/models.rs", "stack(x)", &[]),
                ("crates/router-core/src/layer/stack.rs", "pub fn stack(x: X) {}\nstack(x)", &[]),
                ("crates/router-llm/src/a.rs", "fn stack(x: X) {} // stack(x)\nx.stack(); full_stack();", &[]),
            ],
        );
    }

    #[test]
    fn environment() {
        table(
            super::environment,
            &[
                ("crates/router-llm/src/a.rs", "std::env::var(\"A\")", &["1: the environment is read here"]),
                ("xtask/src/main.rs", "use std::env;\nenv::vars();", &["2: the environment is read here"]),
                ("crates/router-server/src/config/env.rs", "std::env::var(\"A\")", &[]),
                ("crates/router-server/src/main.rs", "env::args(); // env::var(", &[]),
                ("bench/src/a.rs", "std::env::var(\"A\")", &[]),
            ],
        );
    }

    #[test]
    fn clock() {
        table(
            super::clock,
            &[
                (
                    "crates/router-core/src/a.rs",
                    "use std::time::{Duration, Instant};\nInstant::now()",
                    &["2: std's Instant::now"],
                ),
                ("crates/router-core/src/a.rs", "std::time::Instant::now()", &["1: std's Instant::now"]),
                (
                    "crates/router-core/src/a.rs",
                    "use std::time::Duration;\nuse tokio::time::Instant;\nInstant::now()",
                    &[],
                ),
                ("bench/src/a.rs", "use std::time::Instant;\nInstant::now()", &[]),
            ],
        );
    }
}
