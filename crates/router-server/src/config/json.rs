//! Values that are not ours to understand: they are handed on as JSON.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as JsonValue;

use super::{
    read::{Read, Reader},
    substitute,
    tree::{Node, Value},
};

/// Any value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json(pub(super) JsonValue);

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

impl Read for Json {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let value = match &node.value {
            Value::Null => JsonValue::Null,
            Value::Scalar(text) => scalar(node, text, reader)?,
            Value::List(items) => {
                let items = items.iter().map(|item| Self::read(item, reader).map(|item| item.0));
                JsonValue::Array(items.collect::<Option<_>>()?)
            }
            Value::Map(entries) => {
                let entry = |entry: &super::tree::Entry| {
                    let value = reader.within(&entry.key, |reader| Self::read(&entry.node, reader))?;
                    Some((entry.key.clone(), value.0))
                };
                JsonValue::Object(entries.iter().map(entry).collect::<Option<_>>()?)
            }
        };
        Some(Self(value))
    }

    fn empty() -> Option<Self> {
        Some(Self(JsonValue::Null))
    }
}

/// A word that is written without quotes is what it says, if that is a number or a truth; everything else is a text.
fn scalar(node: &Node, text: &str, reader: &mut Reader<'_>) -> Option<JsonValue> {
    let is_plain = reader.source.text.get(node.span.start..).is_some_and(|written| written.starts_with(text));
    let resolved = match substitute::resolve(text, reader.lookup, reader.source) {
        Ok(resolved) => resolved,
        Err(flaw) => {
            let at = reader.at(node.span);
            reader.findings.flaw(&at, None, flaw);
            return None;
        }
    };
    let value = is_plain.then(|| serde_json::from_str::<JsonValue>(&resolved.text).ok()).flatten();
    let value = value.filter(|value| value.is_number() || value.is_boolean());
    Some(value.unwrap_or(JsonValue::String(resolved.text)))
}
