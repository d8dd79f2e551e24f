//! Every file says in its first line what it is.

use super::Finding;
use crate::source::Source;

/// The first line is the module's sentence.
pub(super) fn module_docs(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "say in one `//!` sentence what the file is";
    let says = source
        .text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//!"))
        .is_some_and(|rest| !rest.trim().is_empty());
    if !source.is_rust() || says {
        Vec::new()
    } else {
        vec![Finding::new(source, 1, "the first line is not a module doc", REMEDY)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn module_docs() {
        table(
            super::module_docs,
            &[
                ("a.rs", "//! What it is.\n", &[]),
                ("a.rs", "//!\n", &["1: the first line is not a module doc"]),
                ("a.rs", "#![allow(x)]\n//! Late.\n", &["1: the first line is not a module doc"]),
                ("a.rs", "", &["1: the first line is not a module doc"]),
                ("a.py", "import sys\n", &[]),
            ],
        );
    }
}
