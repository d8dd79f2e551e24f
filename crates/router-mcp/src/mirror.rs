//! Arguments of tools that clients repeat in HTTP headers (`x-mcp-header`, from 2026-07-28 on): which a tool names, and
//! whether it may name them.

use std::sync::Arc;

use http::HeaderName;
use router_core::Raw;

use crate::fields;

/// What marks a property of a tool's `inputSchema`.
const ANNOTATION: &str = "x-mcp-header";

/// An argument that clients repeat in the header `Mcp-Param-{header}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) header: Box<str>,
    pub(crate) path: Vec<Box<str>>,
}

impl Mirror {
    /// What a tool names. Annotations count only where a chain of `properties` reaches them.
    pub(crate) fn all(tool: &Raw) -> Arc<[Self]> {
        if !is_annotated(tool) {
            return Arc::default();
        }
        let mut mirrors = Vec::new();
        if let Some(schema) = fields::get(tool, "inputSchema") {
            collect(&schema, &mut Vec::new(), &mut mirrors);
        }
        mirrors.into()
    }

    /// The header, unless its name cannot be one.
    pub(crate) fn name(&self) -> Option<HeaderName> {
        header(&self.header)
    }

    /// What stands under its path; an argument that is `null` is none.
    pub(crate) fn argument(&self, arguments: &Raw) -> Option<Raw> {
        let path: Vec<&str> = self.path.iter().map(|key| &**key).collect();
        fields::get_path(arguments, &path).filter(|value| value.as_str() != "null")
    }

    /// Whether something on its path stands there twice, so that it is open which of the two is meant.
    pub(crate) fn is_ambiguous(&self, arguments: &Raw) -> bool {
        let mut object = Some(arguments.clone());
        self.path.iter().any(|key| {
            let twice = object.as_ref().is_some_and(fields::repeats_a_key);
            object = object.take().and_then(|object| fields::get(&object, key));
            twice
        })
    }
}

/// A quick no, for what is not annotated at all.
pub(crate) fn is_annotated(tools: &Raw) -> bool {
    memchr::memmem::find(tools.bytes(), ANNOTATION.as_bytes()).is_some()
}

fn header(name: &str) -> Option<HeaderName> {
    HeaderName::try_from(format!("mcp-param-{name}")).ok().filter(|_| !name.is_empty())
}

fn collect(schema: &Raw, path: &mut Vec<Box<str>>, mirrors: &mut Vec<Mirror>) {
    if let Some(header) = fields::text(schema, ANNOTATION).filter(|_| !path.is_empty()) {
        mirrors.push(Mirror { header: header.into(), path: path.clone() });
    }
    let Some(properties) = fields::get(schema, "properties") else { return };
    for (name, property) in fields::entries(&properties) {
        path.push(name.into());
        collect(&property, path, mirrors);
        path.pop();
    }
}

/// Keywords under which a schema, or a list of schemas, stands.
const SCHEMAS: [&str; 15] = [
    "items",
    "prefixItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "contentSchema",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
];
/// Keywords under which schemas stand by name.
const NAMED: [&str; 4] = ["$defs", "definitions", "patternProperties", "dependentSchemas"];

/// Where in a tool's schema something stands.
#[derive(Clone, Copy)]
enum Place {
    Root,
    /// A chain of `properties` leads there.
    Property,
    Elsewhere,
}

/// What is wrong with a tool's annotations. Clients have to leave such a tool out.
pub(crate) fn flaw(tool: &Raw) -> Option<&'static str> {
    let schema = is_annotated(tool).then(|| fields::get(tool, "inputSchema")).flatten()?;
    check(&schema, Place::Root, &mut Vec::new()).err()
}

fn check(schema: &Raw, place: Place, seen: &mut Vec<HeaderName>) -> Result<(), &'static str> {
    if let Some(annotation) = fields::get(schema, ANNOTATION) {
        let name = fields::said(&annotation).and_then(|name| header(&name)).ok_or("no header has such a name")?;
        match (place, fields::text(schema, "type").as_deref()) {
            (Place::Root | Place::Elsewhere, _) => return Err("an annotation no chain of properties leads to"),
            (Place::Property, Some("string" | "integer" | "boolean")) => {}
            (Place::Property, _) => return Err("an argument that is no string, integer or boolean"),
        }
        if seen.contains(&name) {
            return Err("one header for two arguments");
        }
        seen.push(name);
    }
    for (key, value) in fields::entries(schema) {
        let inner = match place {
            Place::Root | Place::Property if key == "properties" => Place::Property,
            Place::Root | Place::Property | Place::Elsewhere => Place::Elsewhere,
        };
        for schema in schemas_under(&key, value) {
            check(&schema, inner, seen)?;
        }
    }
    Ok(())
}

fn schemas_under(key: &str, value: Raw) -> Vec<Raw> {
    if key == "properties" || NAMED.contains(&key) {
        return fields::entries(&value).into_iter().map(|(_, schema)| schema).collect();
    }
    if !SCHEMAS.contains(&key) {
        return Vec::new();
    }
    if fields::is_object(&value) { vec![value] } else { fields::elements(&value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(properties: &str) -> Raw {
        Raw::trusted(format!(r#"{{"name":"t","inputSchema":{{"type":"object",{properties}}}}}"#))
    }

    #[test]
    fn annotations_have_rules() {
        for (schema, wrong) in [
            (r#""properties":{"a":{"type":"string","x-mcp-header":"A"}}"#, None),
            (r#""properties":{"o":{"properties":{"a":{"type":"boolean","x-mcp-header":"A"}}}}"#, None),
            (r#""properties":{"x-mcp-header":{"type":"object"}}"#, None),
            (r#""default":{"x-mcp-header":"A"}"#, None),
            (r#""properties":{"a":{"type":"string","x-mcp-header":""}}"#, Some("no header has such a name")),
            (r#""properties":{"a":{"type":"string","x-mcp-header":7}}"#, Some("no header has such a name")),
            (r#""properties":{"a":{"type":"string","x-mcp-header":"a b"}}"#, Some("no header has such a name")),
            (r#""properties":{"a":{"type":"string","x-mcp-header":"a:b"}}"#, Some("no header has such a name")),
            (r#""properties":{"a":{"type":"string","x-mcp-header":"Région"}}"#, Some("no header has such a name")),
            (
                r#""properties":{"a":{"type":"number","x-mcp-header":"A"}}"#,
                Some("an argument that is no string, integer or boolean"),
            ),
            (r#""properties":{"a":{"x-mcp-header":"A"}}"#, Some("an argument that is no string, integer or boolean")),
            (
                r#""properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
                Some("one header for two arguments"),
            ),
            (r#""x-mcp-header":"A""#, Some("an annotation no chain of properties leads to")),
            (
                r#""properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}"#,
                Some("an annotation no chain of properties leads to"),
            ),
            (
                r#""$defs":{"d":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#,
                Some("an annotation no chain of properties leads to"),
            ),
            (
                r#""anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]"#,
                Some("an annotation no chain of properties leads to"),
            ),
        ] {
            assert_eq!(flaw(&tool(schema)), wrong, "{schema}");
        }
    }
}
