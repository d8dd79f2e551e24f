//! The product stands alone: nothing in it points at the place where it was built.

use super::Finding;
use crate::source::{Source, is_word};

/// In two halves, so that this file does not find itself.
const OUTSIDE: &[(&str, &str)] = &[("../", "shared"), ("/wo", "rk/"), ("/.libr", "ary")];

/// Paths to things outside the project.
pub(super) fn references(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "bring what is needed into the project, or leave it out";
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(source.text.lines()) {
        for word in OUTSIDE.iter().map(|(a, b)| format!("{a}{b}")) {
            let starts = |at: usize| !text.split_at(at).0.ends_with(|c| is_word(c) || c == '.' || c == '-' || c == '/');
            if text.match_indices(&word).any(|(at, _)| starts(at)) {
                findings.push(Finding::new(source, line, format!("points outside the project: {word}"), REMEDY));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn references() {
        let (shared, work) = (["see ../", "shared/x"].concat(), ["a\ncd /wo", "rk/main"].concat());
        let (shared_finding, work_finding) = (
            ["1: points outside the project: ../", "shared"].concat(),
            ["2: points outside the project: /wo", "rk/"].concat(),
        );
        table(
            super::references,
            &[
                ("README.md", &shared, &[&shared_finding]),
                ("test", &work, &[&work_finding]),
                ("a.rs", &["https://example.com/wo", "rk/x"].concat(), &[]),
                ("a.rs", "//! Works.", &[]),
            ],
        );
    }
}
