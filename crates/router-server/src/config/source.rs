//! The configuration file as text: where a byte stands, and what its line looks like to a person.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::mask;

/// The widest piece of a line that is shown; a client's file may be one line of many kilobytes.
const WIDTH: usize = 110;

/// A range of bytes in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// The first byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
}

/// The configuration file.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// How it is called in messages: the path as it was given.
    pub(super) name: String,
    /// What stands in it.
    pub(super) text: String,
    /// The folder that relative paths in it start from.
    pub(super) folder: PathBuf,
}

/// One line of the file, with a place in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snippet {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// The line as it may be shown.
    pub(super) text: String,
    /// Characters before the place.
    pub(super) column: usize,
    /// Characters of the place, at least one.
    pub(super) width: usize,
}

impl Source {
    /// The file at `path`, which holds `text`.
    pub(super) fn new(path: &Path, text: &str) -> Self {
        // An editor's byte order mark is not part of what was written.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self { name: path.display().to_string(), text, folder }
    }

    /// Line and column of a byte, both from 1; a column is a character.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The line that `span` begins in. What `masks` cover, and what looks like a credential, is not shown.
    pub(super) fn snippet(&self, span: Span, masks: &[Span]) -> Snippet {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let mut hidden = mask::credentials(line);
        hidden.extend(
            masks
                .iter()
                .filter(|mask| mask.end > start && mask.start < start + line.len())
                .map(|mask| mask.start.saturating_sub(start)..mask.end - start),
        );
        let text = shown(line, line.len(), &hidden);
        let column = shown(line, span.start - start, &hidden).chars().count();
        let end = shown(line, span.end.saturating_sub(start), &hidden).chars().count();
        cropped(Snippet { line: self.position(span.start).0, text, column, width: end.saturating_sub(column).max(1) })
    }
}

/// The first `length` bytes of a line as they may be shown.
fn shown(line: &str, length: usize, hidden: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut masked = false;
    for (offset, character) in line.char_indices().take_while(|&(offset, _)| offset < length) {
        let hide = hidden.iter().any(|range| range.contains(&offset));
        if !hide {
            // A control character in a file must not reach the terminal.
            shown.push(if character.is_control() { ' ' } else { character });
        } else if !masked {
            shown.push_str("****");
        }
        masked = hide;
    }
    shown
}

/// Keeps the part of a long line that surrounds the place.
fn cropped(snippet: Snippet) -> Snippet {
    if snippet.text.chars().count() <= WIDTH {
        return snippet;
    }
    let skipped = snippet.column.saturating_sub(WIDTH / 2);
    let lead = if skipped == 0 { "" } else { "…" };
    let rest = if snippet.text.chars().count() > skipped + WIDTH { "…" } else { "" };
    let text: String = snippet.text.chars().skip(skipped).take(WIDTH).collect();
    let column = snippet.column - skipped + lead.chars().count();
    Snippet { text: format!("{lead}{text}{rest}"), column, width: snippet.width.min(WIDTH / 2), ..snippet }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(text: &str, place: &str, secret: Option<&str>) -> Snippet {
        let source = Source::new(Path::new("router.yaml"), text);
        let span = |word: &str| {
            let start = text.find(word).expect("the word is in the text");
            Span { start, end: start + word.len() }
        };
        source.snippet(span(place), &secret.map(span).into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn counts_characters_and_hides_what_is_masked() {
        let shown = snippet("a: 1\nb: { é: \"hunter2\", c: 3 }\n", "3", Some("\"hunter2\""));
        assert_eq!(shown, Snippet { line: 2, text: "b: { é: ****, c: 3 }".into(), column: 17, width: 1 });
    }

    #[test]
    fn a_long_line_is_cropped_around_the_place() {
        let line = format!("{}HERE{}", "x".repeat(300), "y".repeat(300));
        let shown = snippet(&line, "HERE", None);
        assert_eq!(shown.text.chars().skip(shown.column).take(shown.width).collect::<String>(), "HERE");
        assert!(shown.text.chars().count() <= WIDTH + 2);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(snippet("a: \u{1b}[31mred\n", "red", None).text, "a:  [31mred");
    }
}
