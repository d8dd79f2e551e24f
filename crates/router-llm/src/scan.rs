//! Finds its way in JSON without building a tree: one pass checks the grammar and tells where the chosen keys stand.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use router_core::{Error, Kind, Result};
use smallvec::SmallVec;

/// How deep objects and arrays may nest in what a client sends.
pub const MAX_DEPTH: u32 = 64;

/// Checks that `body` is one JSON object in UTF-8, no deeper than [`MAX_DEPTH`] and without a duplicate key at its top,
/// and tells where the values of `keys` stand.
pub fn envelope<const N: usize>(body: &[u8], keys: [&str; N]) -> Result<[Option<Range<usize>>; N]> {
    if let Err(error) = std::str::from_utf8(body) {
        let message = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        return Err(Error::new(Kind::Invalid, message).hint("send JSON encoded as UTF-8"));
    }
    let mut walk = Walk::over(body);
    walk.envelope(keys).map_err(|wanted| tell(body, walk.at, wanted))
}

/// Whether `json` is one JSON value and nothing else.
pub fn is_json(json: &[u8]) -> bool {
    let mut walk = Walk::over(json);
    std::str::from_utf8(json).is_ok() && walk.value().is_ok() && walk.end().is_ok()
}

/// Whether more text could make `json` one JSON value.
pub fn is_beginning(json: &[u8]) -> bool {
    let mut walk = Walk::over(json);
    match walk.value() {
        Ok(()) => walk.end().is_ok(),
        // What was cut within an escape or a word fails at its first byte.
        Err(_) => walk.rest().is_empty() || (walk.rest().len() < 6 && is_cut_token(walk.rest())),
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
    let mut walk = Walk::over(json);
    if walk.value().is_ok() {
        return walk.end().is_ok().then(String::new);
    }
    let bracket = |level| if walk.objects >> level & 1 == 1 { '}' } else { ']' };
    let brackets: String = (0..walk.depth).map(bracket).collect();
    ENDS.iter().map(|end| format!("{end}{brackets}")).find(|end| is_json(&[json, end.as_bytes()].concat()))
}

/// The bytes of the value that a JSON pointer leads to; `None` when it leads nowhere.
///
/// ```
/// let json = br#"{"choices":[{"delta":{"content":"hi"}}]}"#;
/// assert_eq!(router_llm::scan::find(json, "/choices/0/delta/content"), Some(&br#""hi""#[..]));
/// ```
pub fn find<'a>(json: &'a [u8], pointer: &str) -> Option<&'a [u8]> {
    pointer.split('/').skip(1).try_fold(json, |value, step| match value.trim_ascii_start().first()? {
        b'[' => items(value).nth(step.parse().ok()?),
        _ => members(value).find(|(key, _)| *key == step.as_bytes()).map(|(_, value)| value),
    })
}

/// The members of an object, each key without its quotes but with its escapes; none when it is no object.
pub fn members(json: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut walk = Walk::into(json, b'{');
    std::iter::from_fn(move || {
        let walk = walk.as_mut()?;
        let (key, value) = walk.member().ok()??;
        Some((json.get(key)?, json.get(value)?))
    })
}

/// The elements of an array; none when it is no array.
pub fn items(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut walk = Walk::into(json, b'[');
    std::iter::from_fn(move || json.get(walk.as_mut()?.element().ok()??))
}

/// The text of a JSON string, borrowed unless it holds escapes; `None` when it is no string.
pub fn text(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_some() {
        return serde_json::from_slice(json).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// The JSON pointer of the value at byte `at` of `json`, which need be correct only up to there.
pub fn pointer(json: &[u8], at: usize) -> String {
    let mut path: Vec<Step> = Vec::new();
    let mut walk = Walk::over(json.get(..at).unwrap_or(json));
    while let Some(byte) = walk.peek() {
        let start = walk.at;
        walk.at += 1;
        match (byte, path.last_mut()) {
            (b'"', step) => {
                let _ = walk.string();
                if let Some(step @ Step::Key(None)) = step {
                    *step = Step::Key(Some(start..walk.at));
                }
            }
            (b'{', _) => path.push(Step::Key(None)),
            (b'[', _) => path.push(Step::Index(0)),
            (b'}' | b']', _) => drop(path.pop()),
            (b',', Some(Step::Index(index))) => *index += 1,
            (b',', Some(step)) => *step = Step::Key(None),
            _ => {}
        }
    }
    path.iter().fold(String::new(), |text, step| step.append(json, text))
}

/// One step of a JSON pointer.
enum Step {
    Key(Option<Range<usize>>),
    Index(usize),
}

impl Step {
    fn append(&self, json: &[u8], mut path: String) -> String {
        match self {
            Self::Index(index) => {
                let _ = write!(path, "/{index}");
            }
            Self::Key(Some(at)) => {
                let key = json.get(at.clone()).and_then(text).unwrap_or_default();
                let _ = write!(path, "/{}", key.replace('~', "~0").replace('/', "~1"));
            }
            Self::Key(None) => {}
        }
        path
    }
}

/// What should have stood where the walk stopped. Two words, so that a result travels in registers.
type Parsed<T> = std::result::Result<T, &'static str>;

type Span = Range<usize>;

/// The error of a walk over `body` that stopped at `at`.
fn tell(body: &[u8], at: usize, wanted: &str) -> Error {
    if body.trim_ascii().is_empty() {
        return Error::new(Kind::Invalid, "the body is empty").hint("send one JSON object");
    }
    let place = match pointer(body, at) {
        place if place.is_empty() => String::new(),
        place => format!(" ({place})"),
    };
    Error::new(Kind::Invalid, format!("the body is refused at byte {at}{place}: {wanted}"))
        .hint("send one JSON object as RFC 8259 has it")
}

/// A position in JSON text. What it has passed is valid.
struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    depth: u32,
    /// One bit per open level, the innermost lowest: whether it is an object.
    objects: u64,
}

impl<'a> Walk<'a> {
    fn over(json: &'a [u8]) -> Self {
        Self { json, at: 0, depth: 0, objects: 0 }
    }

    /// Inside the object or array that `json` is; `None` when it is another thing.
    fn into(json: &'a [u8], opening: u8) -> Option<Self> {
        let mut walk = Self::over(json);
        walk.space();
        walk.eat(opening).then_some(walk)
    }

    fn envelope<const N: usize>(&mut self, keys: [&str; N]) -> Parsed<[Option<Span>; N]> {
        let mut found = [const { None }; N];
        let mut seen: SmallVec<[(Cow<'_, str>, usize); 24]> = SmallVec::new();
        self.space();
        if !self.eat(b'{') {
            return Err("an object was expected");
        }
        self.depth = 1;
        while let Some((key, value)) = self.strict_member(seen.is_empty())? {
            let Some(name) = self.json.get(key.start - 1..=key.end).and_then(text) else {
                return Err("the key before has half of a surrogate pair");
            };
            if let Some((place, _)) = found.iter_mut().zip(keys).find(|(_, wanted)| *wanted == name) {
                *place = Some(value);
            }
            seen.push((name, key.end + 1));
        }
        self.end()?;
        seen.sort_unstable();
        let mut neighbours = seen.iter().zip(seen.iter().skip(1));
        match neighbours.find(|(one, two)| one.0 == two.0) {
            Some((_, (_, again))) => {
                self.at = *again;
                Err("the key stands there a second time")
            }
            None => Ok(found),
        }
    }

    /// The next member of the object at the top, with the commas where they belong.
    fn strict_member(&mut self, first: bool) -> Parsed<Option<(Span, Span)>> {
        self.space();
        if self.eat(b'}') {
            return Ok(None);
        }
        if !first && !self.eat(b',') {
            return Err("a comma or `}` was expected");
        }
        self.space();
        self.pair().map(Some)
    }

    /// The next member, with or without a comma before it: for text that is known to be JSON.
    fn member(&mut self) -> Parsed<Option<(Span, Span)>> {
        self.space();
        if self.eat(b'}') {
            return Ok(None);
        }
        self.eat(b',');
        self.space();
        self.pair().map(Some)
    }

    /// The next element, likewise.
    fn element(&mut self) -> Parsed<Option<Span>> {
        self.space();
        if self.eat(b']') {
            return Ok(None);
        }
        self.eat(b',');
        self.space();
        let start = self.at;
        self.value()?;
        Ok(Some(start..self.at))
    }

    fn pair(&mut self) -> Parsed<(Span, Span)> {
        let key = self.at + 1;
        self.quoted("a key in quotes was expected")?;
        let key = key..self.at - 1;
        self.colon()?;
        self.space();
        let start = self.at;
        self.value()?;
        Ok((key, start..self.at))
    }

    fn colon(&mut self) -> Parsed<()> {
        self.space();
        if self.eat(b':') { Ok(()) } else { Err("a colon was expected") }
    }

    /// One value, however deep, without recursion.
    fn value(&mut self) -> Parsed<()> {
        let floor = self.depth;
        loop {
            self.space();
            if self.begin()? {
                continue;
            }
            while self.depth > floor && !self.more()? {}
            if self.depth == floor {
                return Ok(());
            }
        }
    }

    /// A whole scalar or empty container, or the beginning of one that holds a value, which is then `true`.
    fn begin(&mut self) -> Parsed<bool> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.open(true)?;
                self.space();
                if !self.eat(b'}') {
                    self.quoted("a key in quotes or `}` was expected")?;
                    self.colon()?;
                    return Ok(true);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(false)?;
                self.space();
                if !self.eat(b']') {
                    return Ok(true);
                }
                self.close();
            }
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err("a value was expected"),
        }
        Ok(false)
    }

    /// After a value inside a container: whether another one follows; otherwise the container has been closed.
    fn more(&mut self) -> Parsed<bool> {
        self.space();
        let object = self.objects & 1 == 1;
        if self.eat(if object { b'}' } else { b']' }) {
            self.close();
            return Ok(false);
        }
        if !self.eat(b',') {
            return Err(if object { "a comma or `}` was expected" } else { "a comma or `]` was expected" });
        }
        if object {
            self.space();
            self.quoted("a key in quotes was expected")?;
            self.colon()?;
        }
        Ok(true)
    }

    fn open(&mut self, object: bool) -> Parsed<()> {
        if self.depth == MAX_DEPTH {
            return Err("nested deeper than 64 levels; flatten it");
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn quoted(&mut self, wanted: &'static str) -> Parsed<()> {
        if self.peek() == Some(b'"') { self.string() } else { Err(wanted) }
    }

    fn string(&mut self) -> Parsed<()> {
        self.at += 1;
        loop {
            self.at += plain(self.rest());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("a control character must be escaped"),
                None => return Err("the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Parsed<()> {
        let length = match self.json.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if self.rest().iter().skip(2).take(4).filter(|digit| digit.is_ascii_hexdigit()).count() == 4 => {
                6
            }
            _ => return Err("no such escape"),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Parsed<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Parsed<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err("a digit was expected") } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err("a value was expected");
        }
        self.at += word.len();
        Ok(())
    }

    fn end(&mut self) -> Parsed<()> {
        self.space();
        if self.at == self.json.len() { Ok(()) } else { Err("the end was expected") }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.json.get(self.at..).unwrap_or_default()
    }
}

/// How many bytes from the beginning need no look in a string: up to a quote, a backslash or a control character.
///
/// Eight bytes at a time: `word - 0x20..` borrows into the high bit of a byte below 0x20, and a byte that equals another
/// is zero when the two are put together by exclusive or. A borrow only ever reaches upwards, so the lowest high bit is
/// right.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, tail) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let special = (below | zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c))) & HIGH;
        if special != 0 {
            return place * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests;
