//! Schemas of tools in the part of JSON Schema that OpenAI takes.

use std::borrow::Cow;

use router_core::{Raw, chat::ToolSpec};
use serde_json::{Map, Value, json};

use super::sound;

/// What OpenAI refuses at the top of a schema, where it wants nothing but an object.
pub(super) const BRANCHES: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// The schema of a tool from another dialect, changed only where OpenAI would refuse it.
pub(in crate::dialect) fn plain(tool: &ToolSpec) -> Cow<'_, Raw> {
    if sound::is_sound(&tool.schema) {
        return Cow::Borrowed(&tool.schema);
    }
    let Ok(mut schema) = tool.schema.decode::<Value>() else {
        return Cow::Owned(Raw::trusted("{\"type\":\"object\",\"properties\":{}}"));
    };
    top(&mut schema);
    items(&mut schema);
    Cow::Owned(Raw::trusted(schema.to_string()))
}

/// Whether OpenAI can hold a model to the schema: every object closed and every property required.
pub(in crate::dialect) fn is_strict(schema: &Raw) -> bool {
    schema.decode::<Value>().is_ok_and(|schema| closed(&schema))
}

fn closed(schema: &Value) -> bool {
    let object = match schema {
        Value::Object(object) => object,
        Value::Array(branches) => return branches.iter().all(closed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return true,
    };
    let properties = object.get("properties").and_then(Value::as_object);
    let required = object.get("required").and_then(Value::as_array);
    let all_required = properties.is_none_or(|properties| {
        properties.keys().all(|key| required.is_some_and(|names| names.iter().any(|name| name == key)))
    });
    let is_object = properties.is_some() || object.get("type").is_some_and(|kind| kind == "object");
    let is_closed = !is_object || object.get("additionalProperties") == Some(&Value::Bool(false));
    let inner = ["items", "anyOf", "oneOf", "allOf"].iter().filter_map(|key| object.get(*key));
    let below = properties.into_iter().flat_map(Map::values).chain(inner);
    let defined = ["$defs", "definitions"].iter().filter_map(|key| object.get(*key)?.as_object()).flat_map(Map::values);
    all_required && is_closed && below.chain(defined).all(closed)
}

fn top(schema: &mut Value) {
    if !schema.is_object() {
        *schema = json!({ "type": "object" });
    }
    let Some(object) = schema.as_object_mut() else { return };
    object.shift_remove("$schema");
    for keyword in BRANCHES {
        if let Some(Value::Array(branches)) = object.shift_remove(keyword) {
            merge(object, branches, keyword);
        }
    }
    if object.get("type").is_none_or(|kind| kind != "object") {
        object.insert("type".into(), "object".into());
    }
    if !object.contains_key("properties") {
        object.insert("properties".into(), json!({}));
    }
}

/// Puts the properties of all branches into `object`: what one branch allows must be writable, so a property is
/// required only where all branches say so (or any, where all of them hold).
fn merge(object: &mut Map<String, Value>, branches: Vec<Value>, keyword: &str) {
    let names = |branch: &Value| -> Vec<Value> {
        branch.get("required").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let lists: Vec<Vec<Value>> = branches.iter().map(names).collect();
    let mut required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in lists.iter().flatten() {
        let everywhere = keyword == "allOf" || lists.iter().all(|list| list.contains(name));
        if everywhere && !required.contains(name) {
            required.push(name.clone());
        }
    }
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    for branch in branches {
        let Value::Object(mut branch) = branch else { continue };
        if let (Some(Value::Object(more)), Some(properties)) = (branch.remove("properties"), properties.as_object_mut())
        {
            for (name, schema) in more {
                properties.entry(name).or_insert(schema);
            }
        }
    }
    if !required.is_empty() {
        object.insert("required".into(), required.into());
    }
}

/// Gives every list the schema of its items that OpenAI insists on.
fn items(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("type").is_some_and(|kind| kind == "array") && !object.contains_key("items") {
                object.insert("items".into(), json!({}));
            }
            object.values_mut().for_each(items);
        }
        Value::Array(values) => values.iter_mut().for_each(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_changed_only_where_it_would_be_refused() {
        let table = [
            (json!({"type": "object", "properties": {"a": {"type": "string", "format": "uri"}}}), None),
            (json!({}), Some(json!({"type": "object", "properties": {}}))),
            (
                json!({"$schema": "x", "type": "object", "properties": {"a": {"type": "array"}}}),
                Some(json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}})),
            ),
            (
                json!({"anyOf": [
                    {"type": "object", "properties": {"a": {}, "c": {}}, "required": ["a", "c"]},
                    {"type": "object", "properties": {"b": {}, "c": {}}, "required": ["b", "c"]},
                ]}),
                Some(json!({"properties": {"a": {}, "c": {}, "b": {}}, "required": ["c"], "type": "object"})),
            ),
            (
                json!({"allOf": [{"properties": {"a": {}}, "required": ["a"]}], "properties": {"z": {}}}),
                Some(json!({"properties": {"z": {}, "a": {}}, "required": ["a"], "type": "object"})),
            ),
        ];
        for (schema, expected) in table {
            let tool = ToolSpec {
                name: "t".into(),
                description: None,
                schema: Raw::trusted(schema.to_string()),
                strict: None,
            };
            let written = plain(&tool);
            assert_eq!(matches!(written, Cow::Borrowed(_)), expected.is_none(), "{schema}");
            assert_eq!(written.decode::<Value>().unwrap(), expected.unwrap_or(schema));
        }
    }

    #[test]
    fn strict_is_only_what_leaves_nothing_open() {
        let table = [
            (
                json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false}),
                true,
            ),
            (json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}), false),
            (json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}), false),
            (
                json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}},
                       "required": ["a"], "additionalProperties": false}),
                false,
            ),
        ];
        for (schema, strict) in table {
            assert_eq!(is_strict(&Raw::trusted(schema.to_string())), strict, "{schema}");
        }
    }
}
