//! JSON that was cut off: whether it was in order so far, and what would make it whole.

use super::{Scanner, is_json};

/// Whether more text could make `json` one JSON value.
pub fn is_beginning(json: &[u8]) -> bool {
    let mut scanner = Scanner::trusted(json);
    match scanner.value() {
        Ok(_) => scanner.end().is_ok(),
        // What was cut within an escape or a word fails at its first byte.
        Err(_) => scanner.rest().is_empty() || (scanner.rest().len() < 6 && is_cut_token(scanner.rest())),
    }
}

fn is_cut_token(rest: &[u8]) -> bool {
    let is_escape = matches!(rest, [b'\\'] | [b'\\', b'u', ..]) && rest.iter().skip(2).all(u8::is_ascii_hexdigit);
    is_escape || ["true", "false", "null"].iter().any(|word| word.as_bytes().starts_with(rest))
}

/// What has to follow `json`, which was cut off, to make it one JSON value; `None` when nothing can.
pub fn closing(json: &[u8]) -> Option<String> {
    const ENDS: [&str; 16] = [
        "",
        "\"",
        "null",
        ":null",
        "\":null",
        "\"\":null",
        "0",
        "\\\"",
        "0\"",
        "00\"",
        "000\"",
        "0000\"",
        "e",
        "ue",
        "l",
        "ll",
    ];
    let mut scanner = Scanner::trusted(json);
    if scanner.value().is_ok() {
        return is_json(json).then(String::new);
    }
    let brackets: String = scanner.brackets().collect();
    ENDS.iter().map(|end| format!("{end}{brackets}")).find(|end| is_json(&[json, end.as_bytes()].concat()))
}
