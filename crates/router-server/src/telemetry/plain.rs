//! Fields of the text log as the usual format writes them, but for what a terminal would obey: what clients and servers say
//! is among them, and none of it may begin a line of its own.

use std::fmt::{self, Debug, Write};

use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

/// Writes one field.
pub(super) fn field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match (field.name(), out.has_ansi_escapes()) {
        ("message", _) => {}
        (name, true) => write!(out, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
        (name, false) => write!(out, "{name}=")?,
    }
    write!(Plain(out), "{value:?}")
}

/// Writes out what would otherwise be obeyed.
struct Plain<'a, W>(&'a mut W);

impl<W: Write> Write for Plain<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(is_obeyed) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|found| {
            if is_obeyed(found) { write!(self.0, "{}", found.escape_unicode()) } else { self.0.write_char(found) }
        })
    }
}

/// Control characters, breaks of lines, and what turns the direction of writing.
fn is_obeyed(found: char) -> bool {
    found.is_control() || matches!(found, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_21_nothing_is_left_that_a_terminal_obeys() {
        for (said, written) in [
            ("plain, größe, 日本語 👍", "plain, größe, 日本語 👍"),
            ("a\nERROR forged\r\n", "a\\u{a}ERROR forged\\u{d}\\u{a}"),
            ("\u{1b}[2J\u{7}\u{9b}31m\u{7f}\0", "\\u{1b}[2J\\u{7}\\u{9b}31m\\u{7f}\\u{0}"),
            ("a\u{2028}b\u{202e}c\u{2066}", "a\\u{2028}b\\u{202e}c\\u{2066}"),
        ] {
            let mut text = String::new();
            Plain(&mut text).write_str(said).unwrap();
            assert_eq!(text, written);
        }
    }
}
