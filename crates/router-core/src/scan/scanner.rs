//! The walk itself: one position that only moves forward, and what it has passed is JSON.

use std::ops::Range;

use super::{Fault, Flaw, MAX_DEPTH, keys::Keys, plain::plain, text};

type Scan<T> = Result<T, Flaw>;

/// The inner steps tell only what is wrong: where, is where the walk stands.
type Step<T> = Result<T, Fault>;

/// A position in JSON text. What it has passed is in order.
pub struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
    depth: u32,
    /// One bit per open level, the innermost lowest: whether it is an object.
    objects: u64,
    taste: Taste,
}

/// What is taken besides the grammar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taste {
    Grammar,
    Strict,
}

/// Where a walk through one object or array stands.
#[derive(PartialEq, Eq)]
pub enum Place {
    /// Behind its opening bracket.
    Opened,
    /// Behind a member or an element, or before the next.
    Within,
    /// Behind its closing bracket.
    Closed,
}

impl<'a> Scanner<'a> {
    /// A walk from the beginning of `json`, which has been seen to be UTF-8, or is only searched.
    pub fn trusted(json: &'a [u8]) -> Self {
        Self { json, at: 0, depth: 0, objects: 0, taste: Taste::Grammar }
    }

    /// A walk from the beginning of `json`, once that is seen to be UTF-8.
    pub fn checked(json: &'a [u8]) -> Scan<Self> {
        match std::str::from_utf8(json) {
            Ok(_) => Ok(Self::trusted(json)),
            Err(error) => Err(Flaw { at: error.valid_up_to(), fault: Fault::Utf8 }),
        }
    }

    /// The same walk, which refuses also what the grammar allows and parsers disagree about: half of a surrogate pair,
    /// and a number that no double holds.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { taste: Taste::Strict, ..self }
    }

    /// How many bytes have been walked over.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been walked over.
    pub fn rest(&self) -> &'a [u8] {
        self.json.get(self.at..).unwrap_or_default()
    }

    /// What stands where the walk has been.
    pub fn seen(&self, at: Range<usize>) -> &'a [u8] {
        self.json.get(at).unwrap_or_default()
    }

    /// The first byte of what comes next.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Steps into an object, over its opening brace.
    pub fn object(&mut self) -> Scan<Place> {
        if self.peek() != Some(b'{') {
            return self.flaw(Fault::Object);
        }
        self.tell(Self::open)
    }

    /// Steps into an array, over its opening bracket.
    pub fn array(&mut self) -> Scan<Place> {
        if self.peek() != Some(b'[') {
            return self.flaw(Fault::Array);
        }
        self.tell(Self::open)
    }

    /// The next key with its quotes, and the walk stands before its value; `None` when the object is over.
    pub fn key(&mut self, place: &mut Place) -> Scan<Option<Range<usize>>> {
        let wanted = if *place == Place::Opened { Fault::KeyOrBrace } else { Fault::Key };
        self.tell(|walk| Ok(if walk.follows(place, b'}')? { Some(walk.keyed(wanted)?) } else { None }))
    }

    /// Whether the array has another element, before which the walk then stands.
    pub fn element(&mut self, place: &mut Place) -> Scan<bool> {
        self.tell(|walk| walk.follows(place, b']'))
    }

    /// Steps over one value, however deep, and tells where it stands.
    pub fn value(&mut self) -> Scan<Range<usize>> {
        self.peek();
        let start = self.at;
        self.tell(Self::pass)?;
        Ok(start..self.at)
    }

    /// Steps over an object, no key of which may come twice, however it is spelled. `each` is told what a key says and
    /// steps over its value.
    pub fn distinct(&mut self, mut each: impl FnMut(&mut Self, &str) -> Scan<()>) -> Scan<Range<usize>> {
        let mut place = self.object()?;
        let start = self.at - 1;
        let mut seen = Keys::default();
        while let Some(key) = self.named(&mut place, &mut seen)? {
            each(self, key)?;
        }
        seen.check()?;
        Ok(start..self.at)
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Scan<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.flaw(Fault::End),
        }
    }

    /// What the next key says, which is then among those seen.
    fn named<'k>(&mut self, place: &mut Place, seen: &'k mut Keys<'a>) -> Scan<Option<&'k str>> {
        let Some(key) = self.key(place)? else { return Ok(None) };
        let behind = key.end;
        let key = self.json.get(key).and_then(text).ok_or(Flaw { at: behind, fault: Fault::Surrogate })?;
        Ok(Some(seen.add(key, behind)))
    }

    /// The next member: its key with the quotes, and its value.
    pub(super) fn member(&mut self, place: &mut Place) -> Step<Option<(Range<usize>, Range<usize>)>> {
        if !self.follows(place, b'}')? {
            return Ok(None);
        }
        let key = self.keyed(Fault::Key)?;
        self.peek();
        let start = self.at;
        self.pass()?;
        Ok(Some((key, start..self.at)))
    }

    /// The next element.
    pub(super) fn item(&mut self, place: &mut Place) -> Step<Option<Range<usize>>> {
        if !self.follows(place, b']')? {
            return Ok(None);
        }
        self.peek();
        let start = self.at;
        self.pass()?;
        Ok(Some(start..self.at))
    }

    /// What closes the levels that are open, the innermost first.
    pub(super) fn brackets(&self) -> impl Iterator<Item = char> {
        (0..self.depth).map(|level| if self.objects >> level & 1 == 1 { '}' } else { ']' })
    }

    /// The next byte and where its token stands, without regard to the grammar; only a string is more than a byte.
    pub(super) fn token(&mut self) -> Option<(u8, Range<usize>)> {
        let (byte, start) = (self.byte()?, self.at);
        if byte == b'"' {
            let _cut = self.string();
        } else {
            self.at += 1;
        }
        Some((byte, start..self.at))
    }

    fn flaw<T>(&self, fault: Fault) -> Scan<T> {
        Err(Flaw { at: self.at, fault })
    }

    #[inline]
    fn tell<T>(&mut self, step: impl FnOnce(&mut Self) -> Step<T>) -> Scan<T> {
        step(self).or_else(|fault| self.flaw(fault))
    }

    /// Over a comma to what follows it, or over the closing bracket.
    fn follows(&mut self, place: &mut Place, close: u8) -> Step<bool> {
        if *place == Place::Closed {
            return Ok(false);
        }
        if self.peek() == Some(close) {
            self.close();
            *place = Place::Closed;
            return Ok(false);
        }
        if *place == Place::Within && !self.eat(b',') {
            return Err(if close == b'}' { Fault::CommaOrBrace } else { Fault::CommaOrBracket });
        }
        *place = Place::Within;
        Ok(true)
    }

    /// Over a key and its colon; the key with its quotes.
    fn keyed(&mut self, wanted: Fault) -> Step<Range<usize>> {
        if self.peek() != Some(b'"') {
            return Err(wanted);
        }
        let start = self.at;
        self.string()?;
        let key = start..self.at;
        if self.peek() != Some(b':') {
            return Err(Fault::Colon);
        }
        self.at += 1;
        Ok(key)
    }

    /// Over one value. A loop instead of a recursion: no depth of theirs is a depth of our stack.
    fn pass(&mut self) -> Step<()> {
        let floor = self.depth;
        loop {
            if self.begin()? {
                continue;
            }
            while self.depth > floor && !self.more()? {}
            if self.depth == floor {
                return Ok(());
            }
        }
    }

    /// Over a scalar or an empty container, or into one that holds a value, which is then `true`.
    fn begin(&mut self) -> Step<bool> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.open()?;
                if self.peek() != Some(b'}') {
                    return self.keyed(Fault::KeyOrBrace).map(|_| true);
                }
                self.close();
            }
            Some(b'[') => {
                self.open()?;
                if self.peek() != Some(b']') {
                    return Ok(true);
                }
                self.close();
            }
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(Fault::Value),
        }
        Ok(false)
    }

    /// After a value inside a container: whether another one follows; otherwise the container has been closed.
    fn more(&mut self) -> Step<bool> {
        let object = self.objects & 1 == 1;
        match (self.peek(), object) {
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.close();
                return Ok(false);
            }
            (Some(b','), _) => self.at += 1,
            (_, true) => return Err(Fault::CommaOrBrace),
            (_, false) => return Err(Fault::CommaOrBracket),
        }
        if object {
            self.keyed(Fault::Key)?;
        }
        Ok(true)
    }

    /// Into the container that begins here.
    fn open(&mut self) -> Step<Place> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.objects = self.objects << 1 | u64::from(self.byte() == Some(b'{'));
        self.depth += 1;
        self.at += 1;
        Ok(Place::Opened)
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn word(&mut self, word: &[u8]) -> Step<()> {
        if !self.rest().starts_with(word) {
            return Err(Fault::Value);
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Step<()> {
        self.at += 1;
        loop {
            self.at += plain(self.rest());
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Fault::Control),
                None => return Err(Fault::Unclosed),
            }
        }
    }

    fn escape(&mut self) -> Step<()> {
        match self.json.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode(),
            _ => Err(Fault::Escape),
        }
    }

    /// Kept out of the loop over a string, which is the quicker for it.
    #[inline(never)]
    fn unicode(&mut self) -> Step<()> {
        match self.unit()? {
            0xD800..=0xDBFF if self.taste == Taste::Strict => self.low_half(),
            0xDC00..=0xDFFF if self.taste == Taste::Strict => Err(Fault::Surrogate),
            _ => Ok(()),
        }
    }

    fn low_half(&mut self) -> Step<()> {
        match self.unit() {
            Ok(0xDC00..=0xDFFF) => Ok(()),
            Ok(_) | Err(_) => Err(Fault::Surrogate),
        }
    }

    /// Over `\u` and its four digits.
    fn unit(&mut self) -> Step<u32> {
        let Some([b'\\', b'u', digits @ ..]) = self.rest().first_chunk::<6>() else { return Err(Fault::Escape) };
        let mut unit = 0;
        for digit in digits {
            unit = unit << 4 | char::from(*digit).to_digit(16).ok_or(Fault::Escape)?;
        }
        self.at += 6;
        Ok(unit)
    }

    fn number(&mut self) -> Step<()> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        let scaled = self.eat(b'e') || self.eat(b'E');
        if scaled {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        // A double holds every number of fewer than 308 digits.
        if self.taste == Taste::Strict && (scaled || self.at - start > 300) {
            return self.finite(start);
        }
        Ok(())
    }

    fn finite(&mut self, start: usize) -> Step<()> {
        let number = self.json.get(start..self.at).and_then(|number| std::str::from_utf8(number).ok());
        if number.and_then(|number| number.parse().ok()).is_some_and(f64::is_finite) {
            return Ok(());
        }
        self.at = start;
        Err(Fault::Vast)
    }

    fn digits(&mut self) -> Step<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { Err(Fault::Digit) } else { Ok(()) }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.byte() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }
}
