//! Files and functions stay small enough to be read at once.

use super::Finding;
use crate::source::{Source, Word};

/// What people read to understand the product. The bench's mocks and generators trade this for speed.
const READ: &[&str] = &["crates/", "xtask/"];

/// A file has fewer lines than this.
const FILE_LINES: usize = 600;

/// A function has at most this many lines of code, braces included; blank lines and comments are free.
const FUNCTION_LINES: usize = 60;

/// Files that may be long, each with its reason. Only tables are.
const LONG_FILES: &[(&str, &str)] =
    &[("crates/router-llm/src/models/table.rs", "a row for each family of models that there is")];

/// Functions that may be long: file, name, reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Rust files of at least [`FILE_LINES`] lines.
pub(super) fn files(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "split it by ideas; a table is exempted in xtask/src/rules/size.rs with its reason";
    let lines = source.text.lines().count();
    if !source.is_rust()
        || !source.is_in(READ)
        || lines < FILE_LINES
        || LONG_FILES.iter().any(|(path, _)| *path == source.path)
    {
        return Vec::new();
    }
    vec![Finding::new(source, lines, format!("{lines} lines in one file, the cap is {FILE_LINES}"), REMEDY)]
}

/// Rust functions of more than [`FUNCTION_LINES`] lines of code.
pub(super) fn functions(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "name its parts and make each a function";
    if !source.is_in(READ) {
        return Vec::new();
    }
    let words = source.words();
    let named = words.iter().zip(words.iter().skip(1)).filter(|(word, name)| {
        word.text == "fn" && word.after.strip_prefix(' ').is_some_and(|after| after.starts_with(name.text))
    });
    let measured = named.map(|(word, name)| (word.line, name.text, lines_of_code(name)));
    let exempt = |name: &str| LONG_FUNCTIONS.iter().any(|(path, long, _)| *path == source.path && *long == name);
    measured
        .filter(|(_, name, lines)| *lines > FUNCTION_LINES && !exempt(name))
        .map(|(line, name, lines)| {
            Finding::new(source, line, format!("`{name}` has {lines} lines, the cap is {FUNCTION_LINES}"), REMEDY)
        })
        .collect()
}

/// The lines of the body that follows a function's name; 0 when it has none (a trait's).
fn lines_of_code(name: &Word<'_>) -> usize {
    let (mut nested, mut braces) = (0_usize, 0_usize);
    let mut start = None;
    for (at, c) in name.after.char_indices() {
        match c {
            '(' | '[' if braces == 0 => nested += 1,
            ')' | ']' if braces == 0 => nested = nested.saturating_sub(1),
            ';' if braces == 0 && nested == 0 => return 0,
            '{' if nested == 0 => {
                start.get_or_insert(at);
                braces += 1;
            }
            '}' if nested == 0 => {
                braces = braces.saturating_sub(1);
                if let (0, Some(start)) = (braces, start) {
                    let body = name.after.get(start..at).unwrap_or_default();
                    return body.lines().filter(|line| !line.trim().is_empty()).count();
                }
            }
            _ => {}
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::testing::{run, table};
    use super::{files, functions};

    #[test]
    fn long_files() {
        assert_eq!(run(files, "crates/a.rs", &"x\n".repeat(599)), Vec::<String>::new());
        assert_eq!(run(files, "crates/a.rs", &"x\n".repeat(600)), ["600: 600 lines in one file, the cap is 600"]);
        assert_eq!(run(files, "bench/a.rs", &"x\n".repeat(600)), Vec::<String>::new());
        assert_eq!(run(files, "crates/a.json", &"x\n".repeat(6000)), Vec::<String>::new());
    }

    #[test]
    fn long_functions() {
        let body =
            |lines: usize| format!("//! x\nfn f(a: [u8; 4]) -> u8 where A: B {{\n{}}}\n", "    x;\n".repeat(lines));
        let free = format!("fn g() {{\n{}}}\n", "// a comment {\n\n".repeat(90));
        let nested = format!("impl A {{\n    fn f() {{\n{}    }}\n}}\n", "        if a { b(\"}\") }\n".repeat(70));
        table(
            functions,
            &[
                ("crates/a.rs", &body(59), &[]),
                ("crates/a.rs", &body(60), &["2: `f` has 61 lines, the cap is 60"]),
                ("crates/a.rs", &free, &[]),
                (
                    "crates/a.rs",
                    &body(60).replace("u8 where", "impl Iterator<Item = u8> where"),
                    &["2: `f` has 61 lines, the cap is 60"],
                ),
                ("crates/a.rs", &nested, &["2: `f` has 71 lines, the cap is 60"]),
                (
                    "crates/a.rs",
                    &format!("trait A {{ fn f(); }}\ntype F = fn(u8) -> u8;\nmod b {{\n{}}}", "x!();\n".repeat(90)),
                    &[],
                ),
            ],
        );
    }
}
