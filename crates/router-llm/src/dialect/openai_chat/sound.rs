//! A look at a schema, without building it, that tells whether OpenAI takes it as it is: an agent sends the same dozens of
//! tools with every question, and hardly ever one that has to be changed.

use std::{borrow::Cow, fmt};

use router_core::Raw;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::schema::BRANCHES;

/// Whether the schema is that of an object with properties, without branches at its top, and every list in it says what
/// its items are.
pub(super) fn is_sound(schema: &Raw) -> bool {
    serde_json::from_str::<Look>(schema.as_str()).is_ok_and(|look| look.fits_on_top && look.lists_have_items)
}

/// What is seen of a value.
struct Look {
    /// It is a text that names a type.
    names: Option<Type>,
    /// It may stand at the top.
    fits_on_top: bool,
    /// Every list in it says what its items are.
    lists_have_items: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Array,
    Object,
}

/// What counts among the keys of an object.
#[derive(Default)]
struct Keys {
    kind: Option<Type>,
    items: bool,
    properties: bool,
    refused_on_top: bool,
}

impl<'de> Deserialize<'de> for Look {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Eye)
    }
}

struct Eye;

impl Eye {
    const PLAIN: Look = Look { names: None, fits_on_top: false, lists_have_items: true };
}

impl<'de> Visitor<'de> for Eye {
    type Value = Look;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Look, E> {
        Ok(Self::PLAIN)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Look, E> {
        Ok(Self::PLAIN)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Look, E> {
        Ok(Self::PLAIN)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Look, E> {
        Ok(Self::PLAIN)
    }

    fn visit_unit<E>(self) -> Result<Look, E> {
        Ok(Self::PLAIN)
    }

    fn visit_str<E>(self, text: &str) -> Result<Look, E> {
        let names = match text {
            "array" => Some(Type::Array),
            "object" => Some(Type::Object),
            _ => None,
        };
        Ok(Look { names, ..Self::PLAIN })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Look, A::Error> {
        let mut whole = Self::PLAIN;
        while let Some(look) = values.next_element::<Look>()? {
            whole.lists_have_items &= look.lists_have_items;
        }
        Ok(whole)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Look, A::Error> {
        let (mut keys, mut below) = (Keys::default(), true);
        while let Some(Key(key)) = map.next_key()? {
            let look = map.next_value::<Look>()?;
            below &= look.lists_have_items;
            match &*key {
                "type" => keys.kind = look.names,
                "items" => keys.items = true,
                "properties" => keys.properties = true,
                key => keys.refused_on_top |= key == "$schema" || BRANCHES.contains(&key),
            }
        }
        Ok(Look {
            names: None,
            fits_on_top: keys.kind == Some(Type::Object) && keys.properties && !keys.refused_on_top,
            lists_have_items: below && (keys.kind != Some(Type::Array) || keys.items),
        })
    }
}

/// A key, borrowed where no escape stands in it.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_openai_refuses_is_unsound() {
        let table = [
            (r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}}}"#, true),
            (r#"{"type":"object","properties":{"type":{"type":"array","items":{}}},"x":[1,-1,1.5,null,true]}"#, true),
            (r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}}}"#, true),
            (r#"{"type":"object"}"#, false),
            (r#"{"properties":{}}"#, false),
            (r#"{"type":["object","null"],"properties":{}}"#, false),
            (r#"{"$schema":"x","type":"object","properties":{}}"#, false),
            (r#"{"type":"object","properties":{},"anyOf":[]}"#, false),
            (r#"{"type":"object","properties":{"a":{"type":"array"}}}"#, false),
            (r#"{"type":"object","properties":{"a":{"oneOf":[{"t\u0079pe":"array"}]}}}"#, false),
            ("true", false),
        ];
        for (schema, sound) in table {
            assert_eq!(is_sound(&Raw::trusted(schema)), sound, "{schema}");
        }
    }
}
