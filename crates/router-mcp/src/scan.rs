//! The grammar of JSON in one forward scan: nothing is built, depth is bounded, and everything refused says where.

use std::ops::Range;

/// How deep values may nest. Parsers behind us differ in what they survive; none needs more than this.
pub(crate) const MAX_DEPTH: u32 = 64;

/// Why a text is not JSON that we pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("not JSON at byte {0}")]
    Grammar(usize),
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

type Scan<T> = Result<T, Flaw>;

/// Walks over a text that is known to be UTF-8.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
}

/// Where a walk through one object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Opened,
    Within,
}

/// Which brackets are open inside one value: a bit per level, set for an object.
#[derive(Default)]
struct Nest {
    bits: u64,
    levels: u32,
}

impl Nest {
    fn push(&mut self, object: bool) {
        self.bits = self.bits << 1 | u64::from(object);
        self.levels += 1;
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.levels -= 1;
    }

    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

impl<'a> Scanner<'a> {
    /// A walk from the beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0, depth: 0 }
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// How many bytes have been walked over.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Steps into an object, over its opening brace.
    pub(crate) fn object(&mut self) -> Scan<Place> {
        self.open(b'{')
    }

    /// Steps into an array, over its opening bracket.
    pub(crate) fn array(&mut self) -> Scan<Place> {
        self.open(b'[')
    }

    /// The next key with its quotes, and the walk stands before its value; `None` when the object is over.
    pub(crate) fn key(&mut self, place: &mut Place) -> Scan<Option<Range<usize>>> {
        if !self.more(place, b'}')? {
            return Ok(None);
        }
        self.keyed().map(Some)
    }

    /// Whether the array has another element, before which the walk then stands.
    pub(crate) fn element(&mut self, place: &mut Place) -> Scan<bool> {
        self.more(place, b']')
    }

    /// Steps over one value, and tells where it stands.
    pub(crate) fn value(&mut self) -> Scan<Range<usize>> {
        let mut nest = Nest::default();
        self.peek();
        let start = self.at;
        loop {
            if self.enter(&mut nest)? {
                continue;
            }
            while nest.levels > 0 && self.leave(&mut nest)? {}
            if nest.levels == 0 {
                return Ok(start..self.at);
            }
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Scan<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.flaw(),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn flaw<T>(&self) -> Scan<T> {
        Err(Flaw::Grammar(self.at))
    }

    fn take(&mut self, byte: u8) -> Scan<()> {
        if self.peek() != Some(byte) {
            return self.flaw();
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Scan<Place> {
        self.take(bracket)?;
        if self.depth == MAX_DEPTH {
            return Err(Flaw::Depth);
        }
        self.depth += 1;
        Ok(Place::Opened)
    }

    fn more(&mut self, place: &mut Place, close: u8) -> Scan<bool> {
        if self.peek() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if *place == Place::Within {
            self.take(b',')?;
        }
        *place = Place::Within;
        Ok(true)
    }

    fn keyed(&mut self) -> Scan<Range<usize>> {
        if self.peek() != Some(b'"') {
            return self.flaw();
        }
        let start = self.at;
        self.string()?;
        let key = start..self.at;
        self.take(b':')?;
        Ok(key)
    }

    /// Steps over a scalar or into a container. True when another value has to follow: a container was opened.
    fn enter(&mut self, nest: &mut Nest) -> Scan<bool> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| false),
            Some(b'{') => self.nest(nest, true),
            Some(b'[') => self.nest(nest, false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.word(b"true").map(|()| false),
            Some(b'f') => self.word(b"false").map(|()| false),
            Some(b'n') => self.word(b"null").map(|()| false),
            _ => self.flaw(),
        }
    }

    fn nest(&mut self, nest: &mut Nest, object: bool) -> Scan<bool> {
        self.at += 1;
        if self.depth + nest.levels >= MAX_DEPTH {
            return Err(Flaw::Depth);
        }
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.at += 1;
            return Ok(false);
        }
        nest.push(object);
        if object {
            self.keyed()?;
        }
        Ok(true)
    }

    /// After a value: over the closing bracket (true: that ends another value), or over the comma (false).
    fn leave(&mut self, nest: &mut Nest) -> Scan<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                if nest.in_object() {
                    self.keyed()?;
                }
                Ok(false)
            }
            Some(b'}') if nest.in_object() => Ok(self.close(nest)),
            Some(b']') if !nest.in_object() => Ok(self.close(nest)),
            _ => self.flaw(),
        }
    }

    fn close(&mut self, nest: &mut Nest) -> bool {
        self.at += 1;
        nest.pop();
        true
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.flaw();
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Scan<()> {
        self.at += 1;
        loop {
            self.at += plain(self.text.get(self.at..).unwrap_or_default());
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return self.flaw(),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Scan<()> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.surrogates(),
            _ => self.flaw(),
        }
    }

    /// A half of a surrogate pair alone stands for no character: parsers disagree about it, so it is refused.
    fn surrogates(&mut self) -> Scan<()> {
        match self.hex()? {
            0xD800..=0xDBFF if matches!(self.hex()?, 0xDC00..=0xDFFF) => Ok(()),
            0xD800..=0xDFFF => self.flaw(),
            _ => Ok(()),
        }
    }

    fn hex(&mut self) -> Scan<u32> {
        let Some([b'\\', b'u', digits @ ..]) = self.text.get(self.at..self.at + 6) else {
            return self.flaw();
        };
        let mut code = 0;
        for &digit in digits {
            let Some(digit) = char::from(digit).to_digit(16) else { return self.flaw() };
            code = code << 4 | digit;
        }
        self.at += 6;
        Ok(code)
    }

    fn number(&mut self) -> Scan<()> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut vast = self.at - start > 300;
        if let Some(b'e' | b'E') = self.byte() {
            vast = true;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if vast && !finite(self.text.get(start..self.at).unwrap_or_default()) {
            return Err(Flaw::Grammar(start));
        }
        Ok(())
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { self.flaw() } else { Ok(()) }
    }
}

/// How many bytes from the front need no look: neither quote, nor backslash, nor control character.
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let mut length = 0;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5C);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let hits = (zero(quote) | zero(slash) | control) & TOPS;
        if hits != 0 {
            // The lowest hit is exact; only bytes above a hit can be marked by its borrow.
            return length + (hits.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    length + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// Numbers beyond what a double holds are refused: the parsers that read us after the router would refuse them too.
fn finite(number: &[u8]) -> bool {
    std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn accepts(text: &str) -> Result<(), Flaw> {
        let mut scanner = Scanner::new(text);
        scanner.value()?;
        scanner.end()
    }

    #[test]
    fn agrees_with_the_grammar() {
        for text in [
            "0",
            "-0",
            "1.5e-3",
            "12345678901234567890123",
            "1e400",
            "-1e400",
            "0e400",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "{}",
            "[]",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{1:1}",
            "[1 2]",
            "[}",
            "{]",
            "",
            " ",
            "nul",
            "nulll",
            "true false",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\u0041\"",
            "\"\\u12g4\"",
            "\"\\x\"",
            "\"a\nb\"",
            "\"a",
            "\"12345678\\\"",
            "\"1234567\u{1}\"",
            "\u{feff}{}",
            "\"\0\"",
            " { \"a\" : [ 1 , { } , [ ] , \"x\" ] , \"b\" : null } ",
            "[[[]],{\"a\":{}}]",
            "\"äöü€😀 plain\"",
        ] {
            assert_eq!(accepts(text).is_ok(), serde_json::from_str::<Value>(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn bounds_the_depth() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
            assert_eq!(accepts(&nested(64)), Ok(()));
            assert_eq!(accepts(&nested(65)), Err(Flaw::Depth));
            assert_eq!(accepts(&open.repeat(1_000_000)), Err(Flaw::Depth));
        }
        assert_eq!(accepts(&("[".repeat(64) + "{}")), Err(Flaw::Depth));
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_anything(text in "[-\\[\\]{}:,\"\\\\u0-9a-f.eE+ tn\u{1}ä]{0,40}") {
            prop_assert_eq!(accepts(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }

        #[test]
        fn sees_every_byte_of_a_string(text in "[a-z\"\\\\\u{1}\u{1f}\u{20}\u{21}\u{7f}\u{80}\u{ff}€]{0,30}") {
            let expected = text.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            prop_assert_eq!(plain(text.as_bytes()), expected);
        }
    }
}
