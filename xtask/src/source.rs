//! One file as the rules see it: its text, and its code with comments and the insides of strings blanked.

use std::path::Path;

/// A text file of the project.
pub(crate) struct Source {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
    /// For Rust: the text with comments as spaces and strings as quotation marks, line for line. Else empty.
    pub(crate) code: String,
}

/// An identifier or keyword of the code.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// Counted from one.
    pub(crate) line: usize,
    /// The code up to this word.
    pub(crate) before: &'a str,
    /// The code after it.
    pub(crate) after: &'a str,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if is_rust(&path) { blank(&text) } else { String::new() };
        Self { path, text, code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// The crate this file belongs to, when it lies in `crates/`.
    pub(crate) fn krate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether the path begins with one of these.
    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// Every identifier and keyword of the code, in order.
    pub(crate) fn words(&self) -> Vec<Word<'_>> {
        let code = self.code.as_str();
        let mut words = Vec::new();
        let (mut line, mut from) = (1, 0);
        while let Some(start) = code.get(from..).and_then(|rest| rest.find(is_word)).map(|at| from + at) {
            let end = code.get(start..).and_then(|rest| rest.find(|c| !is_word(c))).map_or(code.len(), |at| start + at);
            let (Some(skipped), Some(text)) = (code.get(from..start), code.get(start..end)) else { break };
            line += skipped.matches('\n').count();
            words.push(Word { text, line, before: code.split_at(start).0, after: code.split_at(end).1 });
            from = end;
        }
        words
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Whether `c` can stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words inside a name: `HttpUtil` and `http_util` are both `http`, `util`.
pub(crate) fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut was_lower = false;
    for c in name.chars() {
        match parts.last_mut() {
            Some(part) if is_word(c) && c != '_' && !(c.is_uppercase() && was_lower) => part.extend(c.to_lowercase()),
            _ if c == '_' || !is_word(c) => parts.push(String::new()),
            _ => parts.push(c.to_lowercase().collect()),
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Blanks what is not code, keeping every line where it was.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = out.chars().next_back().is_some_and(is_word);
        let (length, fill) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), ' ')
        } else if rest.starts_with("/*") {
            (block_comment(rest), ' ')
        } else if let Some(length) = raw_string(rest).filter(|_| !in_word) {
            (length, '"')
        } else if first == '"' {
            (quoted(rest, '"'), '"')
        } else if first == '\'' && is_char_literal(rest) {
            (quoted(rest, '\''), '"')
        } else {
            out.push(first);
            rest = rest.split_at(first.len_utf8()).1;
            continue;
        };
        let (gone, remains) = rest.split_at(length);
        out.extend(gone.chars().map(|c| if c == '\n' { c } else { fill }));
        rest = remains;
    }
    out
}

/// The length of the block comment at the start of `text`; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            let Some(c) = rest.chars().next() else { break };
            at += c.len_utf8();
        }
    }
    text.len()
}

/// The length of the raw string (`r"`, `br#"`, `cr##"`) at the start of `text`, if one begins there.
fn raw_string(text: &str) -> Option<usize> {
    let after_prefix = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let after_hashes = after_prefix.trim_start_matches('#');
    let hashes = after_prefix.len() - after_hashes.len();
    let content = after_hashes.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = text.len() - content.len();
    Some(content.find(&end).map_or(text.len(), |at| opening + at + end.len()))
}

/// The length of the literal at the start of `text` that `mark` opens and closes.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == mark {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// Tells `'a'` from the lifetime `'a`.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_line_for_line() {
        for (text, code) in [
            ("let a = 1; // b\nc", "let a = 1;     \nc"),
            ("a /* b /* c */\n d */ e", "a             \n      e"),
            (r#"f("a \" b", 'c', '\'')"#, "f(\"\"\"\"\"\"\"\", \"\"\", \"\"\"\")"),
            ("f(r#\"a\"b\n\"#) + br\"x\"", "f(\"\"\"\"\"\"\n\"\") + \"\"\"\"\""),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("let r#type = var\"\"", "let r#type = var\"\""),
        ] {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn names_fall_into_their_words() {
        for (name, expected) in [
            ("HttpUtil", vec!["http", "util"]),
            ("http_util", vec!["http", "util"]),
            ("Metadata", vec!["metadata"]),
            ("tool-info", vec!["tool", "info"]),
            ("V2Data", vec!["v2", "data"]),
            ("ID", vec!["id"]),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }

    #[test]
    fn words_know_their_line_and_surroundings() {
        let source = Source::new("a.rs", "//! x\nfn one() {\n    two(\"three\");\n}\n");
        let words: Vec<_> = source.words().iter().map(|word| (word.text, word.line)).collect();
        assert_eq!(words, [("fn", 2), ("one", 2), ("two", 3)]);
    }
}
