//! Leads to a value by its place, and tells the place of a value. What is no JSON is found nowhere.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use super::Scanner;

/// The bytes of the value that a JSON pointer leads to; `None` when it leads nowhere. Keys are compared as they are
/// written, so neither the pointer nor the key may need an escape.
///
/// ```
/// let json = br#"{"choices":[{"delta":{"content":"hi"}}]}"#;
/// assert_eq!(router_core::scan::find(json, "/choices/0/delta/content"), Some(&br#""hi""#[..]));
/// ```
pub fn find<'a>(json: &'a [u8], pointer: &str) -> Option<&'a [u8]> {
    pointer.split('/').skip(1).try_fold(json, |value, step| match value.trim_ascii_start().first()? {
        b'[' => items(value).nth(step.parse().ok()?),
        _ => members(value).find(|(key, _)| *key == step.as_bytes()).map(|(_, value)| value),
    })
}

/// The members of an object, each key without its quotes but with its escapes; none when it is no object.
pub fn members(json: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut scanner = Scanner::trusted(json);
    let mut place = scanner.object().ok();
    std::iter::from_fn(move || {
        let (key, value) = scanner.member(place.as_mut()?).ok()??;
        Some((json.get(key.start + 1..key.end - 1)?, json.get(value)?))
    })
}

/// The elements of an array; none when it is no array.
pub fn items(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scanner = Scanner::trusted(json);
    let mut place = scanner.array().ok();
    std::iter::from_fn(move || json.get(scanner.item(place.as_mut()?).ok()??))
}

/// The text of a JSON string, borrowed unless it holds escapes; `None` when it is no string.
pub fn text(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_some() {
        return serde_json::from_slice(json).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Whether a JSON string says `text`.
pub fn says(json: &[u8], text: &str) -> bool {
    let Some(inner) = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else { return false };
    match memchr::memchr(b'\\', inner) {
        None => inner == text.as_bytes(),
        Some(_) => self::text(json).is_some_and(|said| said == text),
    }
}

/// The JSON pointer of the value at byte `at` of `json`, which need be correct only up to there.
pub fn pointer(json: &[u8], at: usize) -> String {
    let mut path: Vec<Step> = Vec::new();
    let mut scanner = Scanner::trusted(json.get(..at).unwrap_or(json));
    while let Some((byte, token)) = scanner.token() {
        match (byte, path.last_mut()) {
            (b'"', Some(step @ Step::Key(None))) => *step = Step::Key(Some(token)),
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
