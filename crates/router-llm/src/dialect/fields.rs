//! The fields of a JSON object, each still in the bytes it arrived in, to be taken out one by one.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use router_core::{
    Raw,
    scan::{Flaw, Scanner},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// A value of a body, as it stands there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Its text.
    pub(super) fn get(self) -> &'a str {
        self.0
    }
}

/// The fields of an object that nobody has taken yet, in their order.
pub(super) struct Fields<'a> {
    body: &'a Bytes,
    pairs: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// What does not fit, and where: the path reads like `messages.0.role`.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub(super) struct Misfit {
    path: String,
    reason: String,
}

impl Misfit {
    /// `reason`, at `path`.
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }

    /// The same, seen from further out.
    pub(super) fn within(self, outer: impl fmt::Display) -> Self {
        let path = if self.path.is_empty() { outer.to_string() } else { format!("{outer}.{}", self.path) };
        Self { path, ..self }
    }
}

impl<'a> Fields<'a> {
    /// The fields of a whole body.
    pub(super) fn of_body(body: &'a Bytes) -> Result<Self, Misfit> {
        let json = std::str::from_utf8(body).map_err(|error| Misfit::new("body", error.to_string()))?;
        let pairs = pairs(json).map_err(|misfit| misfit.within("body"))?;
        Ok(Self { body, pairs })
    }

    /// The fields of `value`, which is a part of the same body.
    pub(super) fn of(&self, value: Json<'a>) -> Result<Self, Misfit> {
        Ok(Self { body: self.body, pairs: pairs(value.get())? })
    }

    /// Takes a field that may be missing or null.
    pub(super) fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, Misfit> {
        match self.take_value(name) {
            Some(value) => read(value).map(Some).map_err(|misfit| misfit.within(name)),
            None => Ok(None),
        }
    }

    /// Takes a field that has to be there.
    pub(super) fn need<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, Misfit> {
        self.take(name)?.ok_or_else(|| Misfit::new(name, "Field required"))
    }

    /// Takes a field that may be missing or null, as it stands. Of one that comes twice the last counts, as it does to most
    /// parsers, and none is left over: it would go on beside what was made of the other.
    pub(super) fn take_value(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.pairs.iter().rposition(|(key, _)| key == name)?;
        let (_, value) = self.pairs.remove(at);
        self.pairs.retain(|(key, _)| key != name);
        (value.get() != "null").then_some(value)
    }

    /// Takes a field that has to be there, as it stands.
    pub(super) fn need_value(&mut self, name: &str) -> Result<Json<'a>, Misfit> {
        self.take_value(name).ok_or_else(|| Misfit::new(name, "Field required"))
    }

    /// Takes a list that may be missing or null.
    pub(super) fn take_list(&mut self, name: &str) -> Result<Option<Vec<Json<'a>>>, Misfit> {
        self.take_value(name).map(list).transpose().map_err(|misfit| misfit.within(name))
    }

    /// Takes a list that has to be there.
    pub(super) fn need_list(&mut self, name: &str) -> Result<Vec<Json<'a>>, Misfit> {
        self.take_list(name)?.ok_or_else(|| Misfit::new(name, "Field required"))
    }

    /// Takes a field that has to be there, as bytes that share the body.
    pub(super) fn need_raw(&mut self, name: &str) -> Result<Raw, Misfit> {
        let value = self.need_value(name)?;
        Ok(self.raw(value))
    }

    /// The bytes of `value`, which is a part of the same body.
    pub(super) fn raw(&self, value: Json<'a>) -> Raw {
        Raw::trusted(self.body.slice_ref(value.get().as_bytes()))
    }

    /// Whatever nobody took and is not null.
    pub(super) fn rest(self) -> Result<Map<String, Value>, Misfit> {
        let kept = self.pairs.into_iter().filter(|(_, value)| value.get() != "null");
        kept.map(|(name, value)| Ok((name.to_string(), read(value).map_err(|misfit| misfit.within(&name))?))).collect()
    }
}

/// Reads a value as `T`.
pub(super) fn read<'a, T: Deserialize<'a>>(value: Json<'a>) -> Result<T, Misfit> {
    serde_json::from_str(value.get()).map_err(|error| {
        let reason = error.to_string();
        // The position would count from the value's own beginning, which tells the reader nothing.
        Misfit::new("", reason.split(" at line ").next().unwrap_or_default())
    })
}

/// The elements of a list.
pub(super) fn list(value: Json<'_>) -> Result<Vec<Json<'_>>, Misfit> {
    elements(value.get()).map_err(|flaw| misread::<Vec<IgnoredAny>>(value, flaw))
}

fn elements(json: &str) -> Result<Vec<Json<'_>>, Flaw> {
    let mut elements = Vec::new();
    let mut scanner = Scanner::trusted(json.as_bytes());
    let mut place = scanner.array()?;
    while scanner.element(&mut place)? {
        let at = scanner.value()?;
        elements.push(Json(json.get(at).unwrap_or_default()));
    }
    scanner.end()?;
    Ok(elements)
}

/// The members of an object, each key as it is meant.
fn pairs(json: &str) -> Result<Vec<(Cow<'_, str>, Json<'_>)>, Misfit> {
    let wrong = |flaw| misread::<Object>(Json(json), flaw);
    let mut pairs = Vec::with_capacity(8);
    let mut scanner = Scanner::trusted(json.as_bytes());
    let mut place = scanner.object().map_err(wrong)?;
    while let Some(key) = scanner.key(&mut place).map_err(wrong)? {
        let value = scanner.value().map_err(wrong)?;
        pairs.push((spelled(json.get(key).unwrap_or_default())?, Json(json.get(value).unwrap_or_default())));
    }
    scanner.end().map_err(wrong)?;
    Ok(pairs)
}

/// What a key says, borrowed where no escape stands in it.
fn spelled(key: &str) -> Result<Cow<'_, str>, Misfit> {
    match key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) {
        Some(plain) if memchr::memchr(b'\\', plain.as_bytes()).is_none() => Ok(Cow::Borrowed(plain)),
        Some(_) | None => read(Json(key)).map(Cow::Owned),
    }
}

/// Why a value is no `T`, in the words in which every other misfit is told.
#[cold]
fn misread<'a, T: Deserialize<'a>>(value: Json<'a>, flaw: Flaw) -> Misfit {
    read::<T>(value).err().unwrap_or_else(|| Misfit::new("", flaw.to_string()))
}

/// Any object.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &'static str) -> Bytes {
        Bytes::from_static(json.as_bytes())
    }

    #[test]
    fn takes_what_is_asked_for_and_keeps_the_rest_in_its_order() {
        let body = body(r#"{"z":1,"na\u006de":"x","n":null,"raw": {"b":1, "a":12345678901234567890123} ,"a":[2]}"#);
        let mut fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.need::<String>("name").unwrap(), "x");
        assert_eq!(fields.take::<u64>("n").unwrap(), None);
        assert_eq!(fields.take::<u64>("missing").unwrap(), None);
        assert_eq!(fields.need_raw("raw").unwrap().as_str(), r#"{"b":1, "a":12345678901234567890123}"#);
        assert_eq!(serde_json::to_string(&fields.rest().unwrap()).unwrap(), r#"{"z":1,"a":[2]}"#);
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_counts_and_none_is_left() {
        let body = body(r#"{"a":1,"b":2,"\u0061":3,"c":4,"c":5}"#);
        let mut fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.take::<u64>("a").unwrap(), Some(3));
        assert_eq!(serde_json::to_string(&fields.rest().unwrap()).unwrap(), r#"{"b":2,"c":5}"#);
    }

    #[test]
    fn says_where_something_does_not_fit() {
        let body = body(r#"{"a":{"b":"text"}}"#);
        let mut fields = Fields::of_body(&body).unwrap();
        let value = fields.take_value("a").unwrap();
        let mut inner = fields.of(value).unwrap();
        let told = |misfit: Misfit| misfit.within("a").to_string();
        assert_eq!(told(inner.need::<u64>("c").unwrap_err()), "a.c: Field required");
        assert_eq!(told(inner.need::<u64>("b").unwrap_err()), r#"a.b: invalid type: string "text", expected u64"#);
    }
}
