//! What the configuration says otherwise of a tool than its server: everything else of it stays as it came.

use router_core::Raw;

use crate::{
    fields::{self, Defaults},
    rpc,
};

/// What is said otherwise of one tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// By which name it goes, in place of its own.
    pub name: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Some of its annotations: an object; the others stay.
    pub annotations: Option<Raw>,
    /// Arguments that a call has when it does not say otherwise: an object.
    pub arguments: Option<Raw>,
}

impl Override {
    /// The tool as it is told.
    pub(super) fn of_tool(&self, tool: &Raw) -> Raw {
        let texts = [("title", &self.title), ("description", &self.description)];
        let mut set: Vec<(&str, Raw)> =
            texts.into_iter().filter_map(|(key, text)| Some((key, rpc::quoted(text.as_deref()?)))).collect();
        if let Some(annotations) = &self.annotations {
            let old = fields::get(tool, "annotations").filter(fields::is_object).unwrap_or_else(fields::empty);
            set.push(("annotations", over(&old, annotations)));
        }
        if let Some(schema) = self.arguments.as_ref().and_then(|arguments| with_defaults(tool, arguments)) {
            set.push(("inputSchema", schema));
        }
        let set: Vec<(&str, &Raw)> = set.iter().map(|(key, value)| (*key, value)).collect();
        fields::with_fields(tool, &set)
    }

    /// The arguments of a call, with those that it lacks.
    pub(super) fn of_arguments(&self, given: Option<&Raw>) -> Option<Raw> {
        let Some(defaults) = &self.arguments else { return given.cloned() };
        let Some(given) = given else { return Some(defaults.clone()) };
        let has: Vec<String> = fields::entries(given).into_iter().map(|(key, _)| key).collect();
        let lacks = fields::retain(defaults, |key, _| !has.iter().any(|given| given == key));
        Some(Defaults::of(&lacks).fill(given))
    }
}

/// An object with the fields of another one in it.
fn over(object: &Raw, new: &Raw) -> Raw {
    let new = fields::entries(new);
    let set: Vec<(&str, &Raw)> = new.iter().map(|(key, value)| (&**key, value)).collect();
    fields::with_fields(object, &set)
}

/// A tool's schema in which `arguments` are defaults, and not asked for any more.
fn with_defaults(tool: &Raw, arguments: &Raw) -> Option<Raw> {
    let mut schema = fields::get(tool, "inputSchema").filter(fields::is_object)?;
    let names: Vec<String> = fields::entries(arguments).into_iter().map(|(name, _)| name).collect();
    for (name, value) in fields::entries(arguments) {
        if fields::get_path(&schema, &["properties", &name]).as_ref().is_some_and(fields::is_object) {
            schema = fields::with_path(&schema, &["properties", &name, "default"], &value);
        }
    }
    let Some(required) = fields::get(&schema, "required") else { return Some(schema) };
    let is_given = |name: &Raw| fields::said(name).is_some_and(|name| names.contains(&name));
    let left: Vec<Raw> = fields::elements(&required).into_iter().filter(|name| !is_given(name)).collect();
    Some(match left.as_slice() {
        [] => fields::without_field(&schema, "required"),
        left => fields::with_field(&schema, "required", &fields::array(left)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::raw;

    #[test]
    fn only_what_is_overridden_changes() {
        let tool = raw(
            r#"{ "x-v":1e2, "name":"t","description":"old","annotations":{"readOnlyHint":true,"x":1}, "inputSchema":{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b","a"]} }"#,
        );
        for (says, expected) in [
            (Override::default(), tool.as_str().to_owned()),
            (
                Override { title: Some("T \"1\"".into()), description: Some("new".into()), ..Override::default() },
                tool.as_str().replace(r#""old""#, r#""new""#).replace("]} }", r#"]},"title":"T \"1\"" }"#),
            ),
            (
                Override {
                    annotations: Some(raw(r#"{"destructiveHint":false,"readOnlyHint":false}"#)),
                    ..Override::default()
                },
                tool.as_str().replace(
                    r#"{"readOnlyHint":true,"x":1}"#,
                    r#"{"readOnlyHint":false,"x":1,"destructiveHint":false}"#,
                ),
            ),
            (
                Override { arguments: Some(raw(r#"{"b":"v"}"#)), ..Override::default() },
                tool.as_str()
                    .replace(r#""b":{"type":"string"}"#, r#""b":{"type":"string","default":"v"}"#)
                    .replace(r#"["b","a"]"#, r#"["a"]"#),
            ),
            (
                Override { arguments: Some(raw(r#"{"b":"v","a":1,"unknown":2}"#)), ..Override::default() },
                tool.as_str()
                    .replace(r#""b":{"type":"string"}"#, r#""b":{"type":"string","default":"v"}"#)
                    .replace(r#""a":{"type":"integer"}"#, r#""a":{"type":"integer","default":1}"#)
                    .replace(r#","required":["b","a"]"#, ""),
            ),
        ] {
            assert_eq!(says.of_tool(&tool).as_str(), expected);
        }
    }

    #[test]
    fn what_a_call_says_itself_goes_before_a_default() {
        let says = Override { arguments: Some(raw(r#"{"a":{"x":1},"b":2}"#)), ..Override::default() };
        for (given, expected) in [
            (None, r#"{"a":{"x":1},"b":2}"#),
            (Some("{}"), r#"{"a":{"x":1},"b":2}"#),
            (Some(r#"{"b":null, "c":1.0}"#), r#"{"b":null, "c":1.0,"a":{"x":1}}"#),
            (Some(r#"{"a":{}}"#), r#"{"a":{},"b":2}"#),
        ] {
            assert_eq!(says.of_arguments(given.map(raw).as_ref()), Some(raw(expected)));
        }
        assert_eq!(Override::default().of_arguments(None), None);
    }
}
