//! What makes tokens of a text, counted byte by byte without splitting it into any.
//!
//! Tokenizers of this kind make a token of a common word with the blank before it, of up to three digits, of a run of
//! marks, of a line break with the indentation after it; longer words take several. So it is enough to count where such
//! runs begin, and how far they go on. Beyond ASCII, characters are counted by their kind.

/// What makes tokens of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// Words; an upper-case letter after a lower-case one begins a word of its own.
    pub(super) words: u64,
    /// Letters of words beyond their first [`WORD`].
    pub(super) tails: u64,
    /// Groups of up to three digits.
    pub(super) numbers: u64,
    /// Runs of other signs.
    pub(super) marks: u64,
    /// Signs of such runs beyond their first.
    pub(super) more_marks: u64,
    /// Line breaks and indentations; a single blank belongs to its word.
    pub(super) breaks: u64,
    /// Letters of two bytes: Latin with accents, Greek, Cyrillic, Hebrew, Arabic.
    pub(super) letters: u64,
    /// Characters of three bytes that write words: Chinese, Japanese, Korean.
    pub(super) wide: u64,
    /// Other characters of three bytes: Indic letters, dashes, quotation marks, frames.
    pub(super) signs: u64,
    /// Characters of four bytes: emoji and the like.
    pub(super) pictograms: u64,
}

/// Letters of a word that is one token, as most are.
const WORD: u32 = 6;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Mark,
    Blank,
    #[default]
    Other,
}

/// Reads a text, in as many pieces as it comes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) text: Text,
    last: Kind,
    run: u32,
}

impl Reader {
    /// Reads more of the text, as it is.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    /// Reads more of the text as it stands in a JSON string, with its escapes.
    pub(super) fn read_escaped(&mut self, mut string: &[u8]) {
        while let Some(at) = memchr::memchr(b'\\', string) {
            let (plain, escape) = string.split_at(at);
            self.read(plain);
            let (taken, rest) = match escape {
                [b'\\', b'u', unit @ ..] => {
                    self.unit(unit);
                    (6, escape)
                }
                [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => {
                    self.byte(b'\n');
                    (2, escape)
                }
                [b'\\', sign, ..] => {
                    self.byte(*sign);
                    (2, escape)
                }
                _ => (1, escape),
            };
            string = rest.get(taken..).unwrap_or_default();
        }
        self.read(string);
    }

    /// The next text is another one: no word goes on in it.
    pub(super) fn pause(&mut self) {
        self.last = Kind::Other;
    }

    /// A code unit of UTF-16, of which the first four bytes are the digits; half of a pair counts for both.
    fn unit(&mut self, digits: &[u8]) {
        let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(unit @ ..0x80) => self.byte(u8::try_from(unit).unwrap_or_default()),
            Some(0x80..0x800) => self.beyond(0xC3),
            Some(0xD800..0xDC00) => self.beyond(0xF0),
            Some(0xDC00..0xE000) | None => {}
            Some(0x3000..0xD7B0) => self.beyond(0xE4),
            Some(_) => self.beyond(0xE2),
        }
    }

    fn byte(&mut self, byte: u8) {
        let kind = match byte {
            b'a'..=b'z' => Kind::Lower,
            b'A'..=b'Z' => Kind::Upper,
            b'0'..=b'9' => Kind::Digit,
            b' ' | b'\n' | b'\r' | b'\t' => Kind::Blank,
            0x80.. => return self.beyond(byte),
            _ => Kind::Mark,
        };
        let begins = match (self.last, kind) {
            (Kind::Upper, Kind::Lower) => false,
            (last, kind) => last != kind,
        };
        self.run = if begins { 0 } else { self.run + 1 };
        self.last = kind;
        match kind {
            Kind::Lower | Kind::Upper if begins => self.text.words += 1,
            Kind::Lower | Kind::Upper => self.text.tails += u64::from(self.run >= WORD),
            Kind::Digit => self.text.numbers += u64::from(self.run.is_multiple_of(3)),
            Kind::Mark if begins => self.text.marks += 1,
            Kind::Mark => self.text.more_marks += 1,
            Kind::Blank if byte == b' ' => self.text.breaks += u64::from(self.run == 1),
            Kind::Blank => {
                // A line break counts at once, and the blanks after it with it.
                self.text.breaks += u64::from(self.run == 0);
                self.run = self.run.max(1);
            }
            Kind::Other => {}
        }
    }

    /// The first byte of a character beyond ASCII tells its kind; those that follow it tell nothing.
    fn beyond(&mut self, first: u8) {
        self.last = Kind::Other;
        match first {
            ..0xC0 => {}
            0xC0..0xE0 => self.text.letters += 1,
            0xE3..=0xED => self.text.wide += 1,
            0xE0..0xF0 => self.text.signs += 1,
            0xF0.. => self.text.pictograms += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Text {
        let mut reader = Reader::default();
        reader.read(text.as_bytes());
        reader.text
    }

    #[test]
    fn runs_are_counted_where_they_begin() {
        let none = Text::default();
        let table = [
            ("", none),
            ("two words", Text { words: 2, ..none }),
            ("camelCaseWord", Text { words: 3, ..none }),
            ("HTTPServer", Text { words: 1, tails: 4, ..none }),
            ("extraordinary", Text { words: 1, tails: 7, ..none }),
            ("12 1234567", Text { numbers: 4, ..none }),
            ("a == b", Text { words: 2, marks: 1, more_marks: 1, ..none }),
            ("a\n    b\n\nc  d", Text { words: 4, breaks: 3, ..none }),
            ("é漢字—😀", Text { letters: 1, wide: 2, signs: 1, pictograms: 1, ..none }),
        ];
        for (text, expect) in table {
            assert_eq!(read(text), expect, "{text}");
        }
    }

    #[test]
    fn an_escaped_text_counts_as_what_it_says() {
        for text in ["a\n\tb \"c\" \\ d/e", "é漢字😀—x", "plain", "\u{7f}\\", "tab\there"] {
            let plain = serde_json::to_string(text).unwrap();
            let escaped: String =
                text.encode_utf16().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"));
            for written in [plain.trim_matches('"').to_owned().replace("\\\\\\", "\\\\"), escaped] {
                let mut reader = Reader::default();
                reader.read_escaped(written.as_bytes());
                assert_eq!(reader.text, read(text), "{written}");
            }
        }
    }
}
