//! A look at a schema, without building it, that tells whether OpenAI takes it as it is: an agent sends the same dozens of
//! tools with every question, and hardly ever one that has to be changed.

use std::borrow::Cow;

use memchr::memchr;
use router_core::{
    Raw,
    scan::{self, Flaw, Scanner},
};

use super::schema::BRANCHES;

/// Whether the schema is that of an object with properties, without branches at its top, and every list in it says what
/// its items are.
pub(super) fn is_sound(schema: &Raw) -> bool {
    let look = || {
        let mut scanner = Scanner::checked(schema.bytes())?.strict();
        let look = value(&mut scanner)?;
        scanner.end()?;
        Ok::<_, Flaw>(look)
    };
    look().is_ok_and(|look| look.fits_on_top && look.lists_have_items)
}

/// What is seen of a value.
#[derive(Clone, Copy)]
struct Look {
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

/// Looks at the next value. It calls itself no deeper than the scanner goes.
fn value(scanner: &mut Scanner<'_>) -> Result<Look, Flaw> {
    match scanner.peek() {
        Some(b'{') => object(scanner),
        Some(b'[') => Ok(Look { fits_on_top: false, lists_have_items: array(scanner)? }),
        _ => {
            scanner.value()?;
            Ok(Look { fits_on_top: false, lists_have_items: true })
        }
    }
}

fn array(scanner: &mut Scanner<'_>) -> Result<bool, Flaw> {
    let (mut place, mut sound) = (scanner.array()?, true);
    while scanner.element(&mut place)? {
        sound &= value(scanner)?.lists_have_items;
    }
    Ok(sound)
}

fn object(scanner: &mut Scanner<'_>) -> Result<Look, Flaw> {
    let (mut keys, mut below) = (Keys::default(), true);
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        let key = meant(scanner.seen(key));
        if *key == *b"type" {
            keys.kind = None;
            if scanner.peek() == Some(b'"') {
                let kind = scanner.value()?;
                keys.kind = named(scanner.seen(kind));
                continue;
            }
        }
        match &*key {
            b"items" => keys.items = true,
            b"properties" => keys.properties = true,
            key => keys.refused_on_top |= key == b"$schema" || BRANCHES.iter().any(|branch| branch.as_bytes() == key),
        }
        below &= value(scanner)?.lists_have_items;
    }
    Ok(Look {
        fits_on_top: keys.kind == Some(Type::Object) && keys.properties && !keys.refused_on_top,
        lists_have_items: below && (keys.kind != Some(Type::Array) || keys.items),
    })
}

/// What a key says that stands in quotes.
fn meant(key: &[u8]) -> Cow<'_, [u8]> {
    match key {
        [b'"', plain @ .., b'"'] if memchr(b'\\', plain).is_none() => Cow::Borrowed(plain),
        _ => Cow::Owned(scan::text(key).unwrap_or_default().into_owned().into_bytes()),
    }
}

fn named(kind: &[u8]) -> Option<Type> {
    match &*scan::text(kind)? {
        "array" => Some(Type::Array),
        "object" => Some(Type::Object),
        _ => None,
    }
}

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
