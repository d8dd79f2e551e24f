//! Reading and changing single fields of raw JSON: every byte that is not asked about stays where it was.

use std::{borrow::Cow, ops::Range};

use router_core::{
    Raw,
    scan::{self, Fault, Flaw, Scanner},
};
use smallvec::SmallVec;

/// One member of an object: its key with the quotes, and its value.
#[derive(Clone)]
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

type Members = SmallVec<[Member; 8]>;

/// The members of an object, in their order; none when it is no object.
fn members(object: &Raw) -> Members {
    scan_members(object.bytes()).unwrap_or_default()
}

fn scan_members(object: &[u8]) -> Result<Members, Flaw> {
    let mut scanner = Scanner::trusted(object);
    let mut place = scanner.object()?;
    let mut members = Members::new();
    while let Some(key) = scanner.key(&mut place)? {
        members.push(Member { key, value: scanner.value()? });
    }
    Ok(members)
}

/// Whether a member stands under `key`.
fn is(object: &Raw, member: &Member, key: &str) -> bool {
    object.bytes().get(member.key.clone()).is_some_and(|name| scan::says(name, key))
}

fn name<'a>(object: &'a Raw, member: &Member) -> Cow<'a, str> {
    object.bytes().get(member.key.clone()).and_then(scan::text).unwrap_or_default()
}

fn slice(raw: &Raw, range: &Range<usize>) -> Raw {
    Raw::trusted(raw.bytes().slice(range.clone()))
}

/// The value of `key`.
pub fn get(object: &Raw, key: &str) -> Option<Raw> {
    let mut scanner = Scanner::trusted(object.bytes());
    let mut place = scanner.object().ok()?;
    while let Some(found) = scanner.key(&mut place).ok()? {
        let value = scanner.value().ok()?;
        if scan::says(object.bytes().get(found)?, key) {
            return Some(slice(object, &value));
        }
    }
    None
}

/// Where in the bytes of an object the value of `key` stands.
pub fn place(object: &Raw, key: &str) -> Option<Range<usize>> {
    let found = members(object).into_iter().find(|member| is(object, member, key));
    found.map(|member| member.value)
}

/// The value at a path of keys.
pub fn get_path(object: &Raw, path: &[&str]) -> Option<Raw> {
    path.iter().try_fold(object.clone(), |object, key| get(&object, key))
}

/// The text under `key`; `None` when there is none, or something else.
pub fn text(object: &Raw, key: &str) -> Option<String> {
    said(&get(object, key)?)
}

/// What a string says; `None` when the value is none.
pub fn said(value: &Raw) -> Option<String> {
    scan::text(value.bytes()).map(Cow::into_owned)
}

/// The whole number under `key`.
pub fn number(object: &Raw, key: &str) -> Option<u64> {
    get(object, key)?.as_str().parse().ok()
}

/// Whether `true` stands under `key`.
pub fn is_true(object: &Raw, key: &str) -> bool {
    get(object, key).is_some_and(|value| value.as_str() == "true")
}

/// All fields in their order.
pub fn entries(object: &Raw) -> Vec<(String, Raw)> {
    members(object).iter().map(|member| (name(object, member).into_owned(), slice(object, &member.value))).collect()
}

/// Whether a key of an object comes twice: of two values one reader takes the first, and another the last.
pub fn repeats_a_key(object: &Raw) -> bool {
    let walked = Scanner::trusted(object.bytes()).distinct(|scanner, _| scanner.value().map(drop));
    walked.is_err_and(|flaw| flaw.fault == Fault::Twice)
}

/// The elements of an array in their order; none when it is no array.
pub fn elements(array: &Raw) -> Vec<Raw> {
    scan_elements(array).unwrap_or_default()
}

fn scan_elements(array: &Raw) -> Result<Vec<Raw>, Flaw> {
    let mut scanner = Scanner::trusted(array.bytes());
    let mut place = scanner.array()?;
    let mut elements = Vec::new();
    while scanner.element(&mut place)? {
        elements.push(slice(array, &scanner.value()?));
    }
    Ok(elements)
}

/// The object with `value` under `key`: in its old place, or at the end.
#[must_use]
pub fn with_field(object: &Raw, key: &str, value: &Raw) -> Raw {
    with_fields(object, &[(key, value)])
}

/// The object with several fields set, in one pass.
#[must_use]
pub fn with_fields(object: &Raw, fields: &[(&str, &Raw)]) -> Raw {
    Object::of(object).with(fields)
}

/// An object whose members have been found, for whoever asks for several of them.
pub struct Object<'a> {
    raw: &'a Raw,
    members: Members,
}

impl<'a> Object<'a> {
    /// Finds the members.
    pub fn of(raw: &'a Raw) -> Self {
        Self { raw, members: members(raw) }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Raw> {
        let found = self.members.iter().find(|member| is(self.raw, member, key));
        found.map(|member| slice(self.raw, &member.value))
    }

    /// The object with several fields set; the same bytes when it has them already.
    #[must_use]
    pub fn with(&self, fields: &[(&str, &Raw)]) -> Raw {
        let holds = |(key, value): &(&str, &Raw)| self.get(key).as_ref() == Some(*value);
        if fields.iter().all(holds) { self.raw.clone() } else { splice(self.raw, &self.members, fields) }
    }
}

fn splice(object: &Raw, members: &[Member], fields: &[(&str, &Raw)]) -> Raw {
    let old = object.bytes();
    let added: usize = fields.iter().map(|(key, value)| key.len() + value.bytes().len() + 8).sum();
    let mut json = Vec::with_capacity(old.len() + added);
    let mut copied = 0;
    let mut missing: SmallVec<[&(&str, &Raw); 8]> = fields.iter().collect();
    for member in members {
        let Some((name, value)) = fields.iter().find(|(key, _)| is(object, member, key)) else { continue };
        json.extend_from_slice(old.get(copied..member.value.start).unwrap_or_default());
        json.extend_from_slice(value.bytes());
        copied = member.value.end;
        missing.retain(|(key, _)| key != name);
    }
    let end = members.last().map_or_else(|| opening(old), |last| last.value.end);
    json.extend_from_slice(old.get(copied..end).unwrap_or_default());
    let mut separate = !members.is_empty();
    for (key, value) in missing {
        if std::mem::replace(&mut separate, true) {
            json.push(b',');
        }
        json.extend_from_slice(crate::rpc::quoted(key).bytes());
        json.push(b':');
        json.extend_from_slice(value.bytes());
    }
    json.extend_from_slice(old.get(end..).unwrap_or_default());
    Raw::trusted(json)
}

/// Just behind the opening brace.
fn opening(object: &[u8]) -> usize {
    memchr::memchr(b'{', object).map_or(object.len(), |brace| brace + 1)
}

/// The object without `key`.
#[must_use]
pub fn without_field(object: &Raw, key: &str) -> Raw {
    without_fields(object, &[key])
}

/// The object without several keys, in one pass; the same bytes when it has none of them.
#[must_use]
pub fn without_fields(object: &Raw, keys: &[&str]) -> Raw {
    retain(object, |key, _| !keys.contains(&key))
}

/// The object with those fields only that `stays` says yes to, by their keys and values; the same bytes when all stay.
#[must_use]
pub fn retain(object: &Raw, stays: impl Fn(&str, &[u8]) -> bool) -> Raw {
    let old = object.bytes();
    let members = members(object);
    let value = |member: &Member| old.get(member.value.clone()).unwrap_or_default();
    let kept: Members = members.iter().filter(|member| stays(&name(object, member), value(member))).cloned().collect();
    let Some(last) = members.last().filter(|_| kept.len() < members.len()) else { return object.clone() };
    let mut json = Vec::with_capacity(old.len());
    json.extend_from_slice(old.get(..opening(old)).unwrap_or_default());
    let mut separate = false;
    for member in &kept {
        if std::mem::replace(&mut separate, true) {
            json.push(b',');
        }
        json.extend_from_slice(old.get(member.key.start..member.value.end).unwrap_or_default());
    }
    json.extend_from_slice(old.get(last.value.end..).unwrap_or_default());
    Raw::trusted(json)
}

/// The values of several keys, in one pass.
pub fn pick<const N: usize>(object: &Raw, keys: [&str; N]) -> [Option<Raw>; N] {
    let mut picked = [const { None }; N];
    for member in &members(object) {
        if let Some((place, _)) = picked.iter_mut().zip(keys).find(|(_, key)| is(object, member, key)) {
            *place = Some(slice(object, &member.value));
        }
    }
    picked
}

/// Takes some fields out of an object, in one pass: their values, and the rest of it, if there is a rest.
pub fn split<const N: usize>(object: &Raw, keys: [&str; N]) -> ([Option<Raw>; N], Option<Raw>) {
    let mut taken = [const { None }; N];
    let mut others = false;
    for member in &members(object) {
        let places = taken.iter_mut().zip(keys);
        match places.into_iter().find(|(_, key)| is(object, member, key)) {
            Some((place, _)) => *place = Some(slice(object, &member.value)),
            None => others = true,
        }
    }
    (taken, others.then(|| without_fields(object, &keys)))
}

/// Fields that an object is to have; what it has already stays.
pub struct Defaults(Vec<(String, Raw)>);

impl Defaults {
    /// The fields of `object`.
    pub fn of(object: &Raw) -> Self {
        Self(entries(object))
    }

    /// The object with what it lacks. Where both have an object, as in `_meta`, that is filled in the same way.
    #[must_use]
    pub fn fill(&self, object: &Raw) -> Raw {
        let members = members(object);
        let mut set: SmallVec<[(&str, Cow<'_, Raw>); 4]> = SmallVec::new();
        for (key, default) in &self.0 {
            match members.iter().find(|member| is(object, member, key)) {
                None => set.push((key, Cow::Borrowed(default))),
                Some(member) => {
                    let present = slice(object, &member.value);
                    if is_object(&present) && is_object(default) {
                        set.push((key, Cow::Owned(Self::of(default).fill(&present))));
                    }
                }
            }
        }
        let set: SmallVec<[(&str, &Raw); 4]> = set.iter().map(|(key, value)| (*key, &**value)).collect();
        splice(object, &members, &set)
    }
}

/// The object with `value` at a path of keys; objects on the way are made where they are missing.
#[must_use]
pub fn with_path(object: &Raw, path: &[&str], value: &Raw) -> Raw {
    match path {
        [] => value.clone(),
        [key, rest @ ..] => {
            let inner = get(object, key).filter(is_object).unwrap_or_else(empty);
            with_field(object, key, &with_path(&inner, rest, value))
        }
    }
}

/// Whether the value is an object.
pub fn is_object(value: &Raw) -> bool {
    value.bytes().first() == Some(&b'{')
}

/// The empty object.
pub fn empty() -> Raw {
    Raw::trusted("{}")
}

/// An array of values that are there already.
pub fn array<'a>(values: impl IntoIterator<Item = &'a Raw>) -> Raw {
    let mut json = vec![b'['];
    for value in values {
        if json.len() > 1 {
            json.push(b',');
        }
        json.extend_from_slice(value.bytes());
    }
    json.push(b']');
    Raw::trusted(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    #[test]
    fn a_field_is_read_by_what_its_key_says() {
        let object = raw(r#" { "z" : 1e2 , "na\u006de" : "a\tb", "o": {"p": {"q": [1, 2 ]}} } "#);
        assert_eq!(get(&object, "z"), Some(raw("1e2")));
        assert_eq!(text(&object, "name").as_deref(), Some("a\tb"));
        assert_eq!(text(&object, "z"), None);
        assert_eq!(get(&object, "missing"), None);
        assert_eq!(get_path(&object, &["o", "p", "q"]), Some(raw("[1, 2 ]")));
        assert_eq!(elements(&raw("[1, 2 ]")), [raw("1"), raw("2")]);
        assert_eq!(entries(&raw(r#"{"b":1,"a":2}"#)), [("b".to_owned(), raw("1")), ("a".to_owned(), raw("2"))]);
    }

    #[test]
    fn nothing_else_moves() {
        for (object, fields, expected) in [
            ("{}", vec![("a", "1")], r#"{"a":1}"#),
            ("{ }", vec![("a", "1"), ("b", "2")], r#"{"a":1,"b":2 }"#),
            (r#"{"z": 12345678901234567890123 ,"a":1}"#, vec![("a", "2")], r#"{"z": 12345678901234567890123 ,"a":2}"#),
            (r#"{"z":1, "b" :2 }"#, vec![("n", "[]"), ("z", "0")], r#"{"z":0, "b" :2,"n":[] }"#),
        ] {
            let values: Vec<_> = fields.iter().map(|(key, value)| (*key, raw(value))).collect();
            let fields: Vec<_> = values.iter().map(|(key, value)| (*key, value)).collect();
            assert_eq!(with_fields(&raw(object), &fields), raw(expected));
        }
    }

    #[test]
    fn what_goes_takes_its_comma_along() {
        for (object, expected) in [
            (r#"{"a":1}"#, "{}"),
            (r#"{"a":1,"b": 2}"#, r#"{"b": 2}"#),
            (r#"{"b":2,"a":1}"#, r#"{"b":2}"#),
            (r#"{"b":2,"a":1, "c":3 }"#, r#"{"b":2,"c":3 }"#),
            (r#"{"b":2}"#, r#"{"b":2}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(without_field(&raw(object), "a"), raw(expected));
        }
    }

    #[test]
    fn a_path_is_made_where_it_is_missing() {
        assert_eq!(with_path(&raw("{}"), &["_meta", "k"], &raw("1")), raw(r#"{"_meta":{"k":1}}"#));
        assert_eq!(
            with_path(&raw(r#"{"_meta":{"j":0},"x":1}"#), &["_meta", "k"], &raw("1")),
            raw(r#"{"_meta":{"j":0,"k":1},"x":1}"#)
        );
    }
}
