//! Names say what a thing is: words that say nothing are not used for types, modules and files.

use super::Finding;
use crate::source::{Source, Word, parts};

/// Words that fit everything and so mean nothing.
const EMPTY: &[&str] = &[
    "manager",
    "coordinator",
    "orchestrator",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "base",
    "processor",
    "info",
    "data",
];

/// A word that only the HTTP edge uses, in axum's sense.
const ONLY_HTTP: &[&str] = &["handler", "handlers"];

const REMEDY: &str = "name it after what it is, with the words of ARCHITECTURE.md";

/// The names of types, modules and files.
pub(super) fn names(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let file = source.path.trim_end_matches(".rs").split('/').filter_map(|name| {
        let word = empty_word(source, name)?;
        Some(Finding::new(source, 1, format!("the path says \"{word}\""), REMEDY))
    });
    let words = source.words();
    let pairs = words.iter().zip(words.iter().skip(1));
    let declared = pairs.filter(|(word, name)| declares(word) && word.after.trim_start().starts_with(name.text));
    let declared = declared.filter_map(|(_, name)| {
        let word = empty_word(source, name.text)?;
        Some(Finding::new(source, name.line, format!("`{}` says \"{word}\"", name.text), REMEDY))
    });
    file.chain(declared).collect()
}

/// Whether a keyword gives a name of our own. An indented `type` is an associated one: a trait chose its name.
fn declares(keyword: &Word<'_>) -> bool {
    match keyword.text {
        "struct" | "enum" | "trait" | "mod" | "union" => true,
        "type" => !keyword.before.lines().next_back().is_some_and(|line| !line.is_empty() && line.trim().is_empty()),
        _ => false,
    }
}

/// The first word of a name that means nothing here.
fn empty_word(source: &Source, name: &str) -> Option<String> {
    let at_http = source.path.contains("/http/") || source.path.ends_with("/http.rs");
    parts(name)
        .into_iter()
        .find(|part| EMPTY.contains(&part.as_str()) || (!at_http && ONLY_HTTP.contains(&part.as_str())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn names() {
        table(
            super::names,
            &[
                (
                    "crates/a/src/b.rs",
                    "struct ToolManager;\nenum Metadata {}\n",
                    &["1: `ToolManager` says \"manager\""],
                ),
                (
                    "crates/a/src/b.rs",
                    "mod utils;\ntrait DataSource {}",
                    &["1: `utils` says \"utils\"", "2: `DataSource` says \"data\""],
                ),
                ("crates/a/src/http_util.rs", "", &["1: the path says \"util\""]),
                ("crates/a/src/helpers/x.rs", "", &["1: the path says \"helpers\""]),
                ("crates/a/src/b.rs", "type Handler = u8;", &["1: `Handler` says \"handler\""]),
                ("crates/a/src/b.rs", "impl Body for A {\n    type Data = Bytes;\n}", &[]),
                ("crates/a/src/b.rs", "pub type Data = Bytes;", &["1: `Data` says \"data\""]),
                ("crates/a/src/http/b.rs", "type Handler = u8;", &[]),
                ("crates/a/src/b.rs", "fn base_url(data: Base) {} // struct Info\nlet database = 1;", &[]),
            ],
        );
    }
}
