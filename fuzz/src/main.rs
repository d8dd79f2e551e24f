//! Feeds the decoders what nobody would send on purpose. `FUZZ_TARGET` names which of them (see [`targets::ALL`]); the rest
//! is libFuzzer's.

#![no_main]

mod chance;
#[path = "../../crates/router-llm/src/dialect/cross_tests/grammar/mod.rs"]
mod grammar;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// The target that was asked for.
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let known = targets::ALL.iter().find(|(known, _)| *known == name);
        TARGET.get_or_init(|| known.unwrap_or_else(|| panic!("FUZZ_TARGET={name}: no such target")).1);
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(input);
        }
    }
);
