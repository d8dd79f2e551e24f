//! JSON written straight into the body that goes out: a text without a sign that needs an escape is one copy, and what is
//! carried is copied as it is.

use router_core::{Raw, scan};
use serde::Serialize;
use serde_json::{Map, Value};

/// A body that is being written.
///
/// Where a comma belongs is told by the last byte: nothing but an opening bracket or a colon stands before a first value.
#[derive(Default)]
pub(super) struct JsonWriter {
    out: Vec<u8>,
    /// How much stood there before.
    before: usize,
}

impl JsonWriter {
    /// One that goes on after `out`, which is no JSON of the same value.
    pub(super) fn after(out: Vec<u8>) -> Self {
        Self { before: out.len(), out }
    }

    /// What has been written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// An object, whose members `members` writes.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.within(*b"{}", members);
    }

    /// A list of what `each` writes of `items`.
    pub(super) fn list<I: IntoIterator>(&mut self, items: I, mut each: impl FnMut(&mut Self, I::Item)) {
        self.within(*b"[]", |json| items.into_iter().for_each(|item| each(json, item)));
    }

    /// The key of a member, whose value is written next. It needs no escape.
    pub(super) fn key(&mut self, key: &'static str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.separate();
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (plain, special) = rest.split_at(scan::plain(rest).min(rest.len()));
            self.out.extend_from_slice(plain);
            let Some((special, after)) = special.split_first() else { break };
            self.escape(*special);
            rest = after;
        }
        self.out.push(b'"');
    }

    /// A value that is carried.
    pub(super) fn raw(&mut self, raw: &Raw) {
        self.separate();
        self.out.extend_from_slice(raw.bytes());
    }

    /// A value that was built, or any other that can be written in any case, as memory takes all of it.
    pub(super) fn value(&mut self, value: &impl Serialize) {
        self.separate();
        let _certain = serde_json::to_writer(&mut self.out, value);
    }

    /// Members that were built.
    pub(super) fn members(&mut self, members: &Map<String, Value>) {
        for (key, value) in members {
            self.text(key);
            self.out.push(b':');
            self.value(value);
        }
    }

    fn within(&mut self, [open, close]: [u8; 2], inner: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        inner(self);
        self.out.push(close);
    }

    fn separate(&mut self) {
        if self.out.len() > self.before && !matches!(self.out.last(), Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            _ => {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |digit| digit as u8);
                return self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_escaped_as_serde_does() {
        let all: String = (0..=0x80).filter_map(char::from_u32).collect();
        let long = format!("{}\n{}\"\\ — 😀", "a".repeat(200), "b".repeat(63));
        for text in ["", "plain", &all, &long, "\u{1f}\u{7f}"] {
            let mut json = JsonWriter::default();
            json.text(text);
            assert_eq!(String::from_utf8(json.into_bytes()).unwrap(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn commas_stand_between_values_only() {
        let mut json = JsonWriter::default();
        json.object(|json| {
            json.key("a").text("[");
            json.key("b").list(["{", ":"], JsonWriter::text);
            json.key("c").list([], JsonWriter::text);
            json.key("d").raw(&Raw::trusted("[1, 2]"));
            json.key("e").object(|_| ());
            json.key("f").value(&json!({"g": null}));
            json.members(&Map::from_iter([("h".to_owned(), 1.into()), ("i\n".to_owned(), true.into())]));
        });
        let written = json.into_bytes();
        let mut after = JsonWriter::after(b"data: ".to_vec());
        after.list([1, 2], |json, number| json.value(&number));
        assert_eq!(after.into_bytes(), b"data: [1,2]");
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"a":"[","b":["{",":"],"c":[],"d":[1, 2],"e":{},"f":{"g":null},"h":1,"i\n":true}"#
        );
    }
}
