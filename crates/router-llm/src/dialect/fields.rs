//! The fields of a JSON object, each still in the bytes it arrived in, to be taken out one by one.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use router_core::{
    Raw,
    scan::{self, Fault, Flaw, Scanner},
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
    pairs: Pairs<'a>,
}

type Pairs<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// An element of a list, and its fields where it is an object.
pub(super) type Element<'a> = (Json<'a>, Result<Fields<'a>, Misfit>);

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

    /// The elements of `list`, which is a part of the same body, with their fields: one walk finds both.
    pub(super) fn each(&self, list: Json<'a>) -> Result<Vec<Element<'a>>, Misfit> {
        self.elements(list.get()).map_err(|flaw| misread::<Vec<IgnoredAny>>(list, flaw))
    }

    fn elements(&self, json: &'a str) -> Result<Vec<Element<'a>>, Flaw> {
        let mut elements = Vec::new();
        let mut scanner = Scanner::trusted(json.as_bytes());
        let mut place = scanner.array()?;
        while scanner.element(&mut place)? {
            let first = scanner.peek();
            let start = scanner.at();
            let pairs = if first == Some(b'{') {
                Some(next_pairs(&mut scanner, json)?)
            } else {
                scanner.value()?;
                None
            };
            let value = Json(json.get(start..scanner.at()).unwrap_or_default());
            let fields = pairs.map_or_else(|| self.of(value), |pairs| Ok(Self { body: self.body, pairs }));
            elements.push((value, fields));
        }
        scanner.end()?;
        Ok(elements)
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

    /// Takes a text that may be missing or null.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, Misfit> {
        self.take_value(name).map(text).transpose().map_err(|misfit| misfit.within(name))
    }

    /// Takes a text that has to be there.
    pub(super) fn need_text(&mut self, name: &str) -> Result<String, Misfit> {
        self.take_text(name)?.ok_or_else(|| Misfit::new(name, "Field required"))
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

/// Reads a text: a copy, where no escape stands in it.
pub(super) fn text(value: Json<'_>) -> Result<String, Misfit> {
    match value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(plain) if memchr::memchr(b'\\', plain.as_bytes()).is_none() => Ok(plain.to_owned()),
        Some(_) | None => read(value),
    }
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

/// The members of an object.
fn pairs(json: &str) -> Result<Pairs<'_>, Misfit> {
    let walk = || {
        let mut scanner = Scanner::trusted(json.as_bytes());
        let pairs = next_pairs(&mut scanner, json)?;
        scanner.end()?;
        Ok(pairs)
    };
    walk().map_err(|flaw| misread::<Object>(Json(json), flaw))
}

/// The members of the object that comes next, each key as it is meant.
fn next_pairs<'a>(scanner: &mut Scanner<'a>, json: &'a str) -> Result<Pairs<'a>, Flaw> {
    let mut pairs = Vec::with_capacity(4);
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        let at = key.end;
        let key = scan::text(scanner.seen(key)).ok_or(Flaw { at, fault: Fault::Surrogate })?;
        let value = scanner.value()?;
        pairs.push((key, Json(json.get(value).unwrap_or_default())));
    }
    Ok(pairs)
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
    fn the_objects_of_a_list_are_found_with_their_fields() {
        let body = body(r#"{"a":[ {"n\u006f":1,"x": [{}] } , 2,{}],"b":{"\ud800":1},"c":[{"\ud800":1}]}"#);
        let mut fields = Fields::of_body(&body).unwrap();
        let list = fields.need_value("a").unwrap();
        let told = fields.each(list).unwrap().into_iter().map(|(value, fields)| {
            let rest = fields.and_then(Fields::rest).map(|rest| serde_json::to_string(&rest).unwrap());
            (value.get(), rest.map_err(|misfit| misfit.to_string()))
        });
        let wrong = Err(": invalid type: integer `2`, expected an object".to_owned());
        let first = r#"{"n\u006f":1,"x": [{}] }"#;
        let expect = [(first, Ok(r#"{"no":1,"x":[{}]}"#.to_owned())), ("2", wrong), ("{}", Ok("{}".to_owned()))];
        assert_eq!(told.collect::<Vec<_>>(), expect);
        for name in ["b", "c"] {
            let value = fields.need_value(name).unwrap();
            assert!(fields.each(value).is_err(), "{name}");
        }
    }

    #[test]
    fn a_text_is_what_it_means() {
        let body = body(r#"{"a":"plain é","b":"a\n\"","c":1,"d":"\ud800"}"#);
        let mut fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.need_text("a").unwrap(), "plain é");
        assert_eq!(fields.need_text("b").unwrap(), "a\n\"");
        assert_eq!(fields.take_text("e").unwrap(), None);
        assert_eq!(fields.need_text("c").unwrap_err().to_string(), "c: invalid type: integer `1`, expected a string");
        assert!(fields.need_text("d").is_err());
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
