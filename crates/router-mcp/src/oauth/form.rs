//! `application/x-www-form-urlencoded`: how OAuth writes questions.

use std::fmt::Write;

/// Names and values in one line.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let mut line = String::new();
    for (name, value) in fields {
        if !line.is_empty() {
            line.push('&');
        }
        escape(name, &mut line);
        line.push('=');
        escape(value, &mut line);
    }
    line
}

/// One value by itself.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::new();
    escape(value, &mut text);
    text
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            // A percent code is read everywhere; a plus is not.
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(encode(&[("a", "x y"), ("b&", "=ü/~")]), "a=x%20y&b%26=%3D%C3%BC%2F~");
        assert_eq!(escaped("id:1"), "id%3A1");
    }
}
