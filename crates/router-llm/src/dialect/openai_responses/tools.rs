//! Tools: to us flat functions; on the wire also custom ones, whose input is a text, and ones that stand in namespaces.

use std::{borrow::Cow, collections::BTreeMap};

use router_core::{
    Raw,
    chat::{Prompt, ToolSpec},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::NAME;
use crate::dialect::{
    fields::{Fields, Misfit, read},
    openai_chat::{
        names, schema,
        tools::{ONE_TEXT, typed},
    },
};

/// The name of a tool of a namespace among functions that have none: the same in every request.
pub(super) fn flat(namespace: Option<&str>, name: &str) -> String {
    match namespace.map(|space| space.trim_end_matches('_')) {
        Some(space) if !space.is_empty() => format!("{space}__{name}"),
        Some(_) | None => name.to_owned(),
    }
}

/// Reads the tools. `extra` gets all of them in the client's order, where more is told of them than we have words for:
/// of plain functions their names and further fields, all others whole.
pub(super) fn decode(fields: &mut Fields<'_>, extra: &mut Map<String, Value>) -> Result<Vec<ToolSpec>, Misfit> {
    let (mut tools, mut told) = (Vec::new(), Vec::new());
    let mut plain = true;
    for (index, value) in fields.take_list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let at = |misfit: Misfit| misfit.within(format_args!("tools.{index}"));
        let rest = one(fields.of(value).map_err(at)?, None, &mut tools).map_err(at)?;
        plain &= rest.as_ref().is_some_and(Map::is_empty);
        told.push(match (rest, tools.last()) {
            (Some(mut rest), Some(tool)) => {
                rest.insert("name".to_owned(), tool.name.as_str().into());
                Value::Object(rest)
            }
            (Some(_) | None, _) => read(value).map_err(at)?,
        });
    }
    if !plain {
        extra.insert("tools".to_owned(), Value::Array(told));
    }
    Ok(tools)
}

/// Reads one tool, or all that stand in one namespace; tells what else is said of a plain function.
fn one(
    mut fields: Fields<'_>,
    space: Option<&str>,
    tools: &mut Vec<ToolSpec>,
) -> Result<Option<Map<String, Value>>, Misfit> {
    match &*fields.need::<Cow<'_, str>>("type")? {
        "function" => {
            let schema = fields.take_value("parameters").map(|value| fields.raw(value));
            tools.push(ToolSpec {
                name: flat(space, &fields.need::<Cow<'_, str>>("name")?),
                description: fields.take("description")?,
                schema: typed(schema.unwrap_or_else(|| Raw::trusted("{}"))),
                strict: fields.take("strict")?,
            });
            Ok(Some(fields.rest()?))
        }
        "custom" => {
            let name = flat(space, &fields.need::<Cow<'_, str>>("name")?);
            let description = described(fields.take("description")?, fields.take("format")?.as_ref());
            tools.push(ToolSpec { name, description, schema: Raw::trusted(ONE_TEXT), strict: None });
            Ok(None)
        }
        "namespace" if space.is_none() => {
            let name: Cow<'_, str> = fields.need("name")?;
            for (index, value) in fields.need_list("tools")?.into_iter().enumerate() {
                let at = |misfit: Misfit| misfit.within(format_args!("tools.{index}"));
                one(fields.of(value).map_err(at)?, Some(&name), tools).map_err(at)?;
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// What a custom tool does, with the grammar that its input has to follow.
fn described(description: Option<String>, format: Option<&Value>) -> Option<String> {
    let of = |key: &str| format?.get(key)?.as_str();
    let grammar = of("definition").map(|definition| {
        let syntax = of("syntax").unwrap_or("given");
        format!("The input has to follow this {syntax} grammar:\n{definition}")
    });
    let told: Vec<String> = description.into_iter().chain(grammar).collect();
    (!told.is_empty()).then(|| told.join("\n\n"))
}

/// A tool as it goes out.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    /// A function.
    Function {
        r#type: &'static str,
        name: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: Cow<'a, Raw>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(flatten)]
        further: Map<String, Value>,
    },
    /// As the client wrote it.
    Carried(&'a Value),
}

/// Writes the tools: a client's of this dialect as he told them, but for those that a layer took away; those that one
/// added come last.
pub(super) fn encode(prompt: &Prompt) -> Vec<Tool<'_>> {
    let own = prompt.origin == Some(NAME);
    let told = prompt.extra.get("tools").and_then(Value::as_array).filter(|_| own);
    let mut left: Vec<&ToolSpec> = prompt.tools.iter().collect();
    let mut tools = Vec::with_capacity(left.len());
    for told in told.into_iter().flatten() {
        let names = names_of(told);
        let before = left.len();
        let first = left.iter().position(|tool| names.contains(&tool.name));
        let spec = first.and_then(|at| left.get(at).copied());
        left.retain(|tool| !names.contains(&tool.name));
        match (told.get("type"), spec) {
            (None, Some(spec)) => {
                let mut further = told.as_object().cloned().unwrap_or_default();
                further.shift_remove("name");
                tools.push(function(spec, own, further));
            }
            (Some(_), _) if names.is_empty() || left.len() < before => tools.push(Tool::Carried(told)),
            (None | Some(_), _) => {}
        }
    }
    tools.extend(left.into_iter().map(|spec| function(spec, own, Map::new())));
    tools
}

/// Whether a tool is to be called strictly whose schema leaves open what must not be open then.
pub(super) fn loosens(prompt: &Prompt) -> bool {
    let is_open = |spec: &ToolSpec| spec.strict == Some(true) && !schema::is_strict(&schema::plain(spec));
    prompt.origin != Some(NAME) && prompt.tools.iter().any(is_open)
}

/// Strict is what a function is where nothing is said of it.
fn function(spec: &ToolSpec, own: bool, further: Map<String, Value>) -> Tool<'_> {
    let parameters = if own { Cow::Borrowed(&spec.schema) } else { schema::plain(spec) };
    let strict = if own { spec.strict } else { Some(spec.strict == Some(true) && schema::is_strict(&parameters)) };
    let description = spec.description.as_deref();
    Tool::Function { r#type: "function", name: names::spelled(&spec.name), description, parameters, strict, further }
}

/// The flat names of what one entry of the client's list holds; none for a tool that its provider runs.
fn names_of(told: &Value) -> Vec<String> {
    named(told).into_iter().map(|(flat, _)| flat).collect()
}

/// A tool's own name, where its flat one is not all that there is to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) custom: bool,
}

fn named(tool: &Value) -> Vec<(String, Named)> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = |tool: &Value, space: Option<&str>| {
        let name = text(tool, "name");
        let custom = tool.get("type").is_some_and(|kind| kind == "custom");
        (flat(space, &name), Named { namespace: space.map(str::to_owned), name, custom })
    };
    match tool.get("type").and_then(Value::as_str) {
        None | Some("function" | "custom") => vec![one(tool, None)],
        Some("namespace") => {
            let space = text(tool, "name");
            let inner = tool.get("tools").and_then(Value::as_array).into_iter().flatten();
            inner.map(|tool| one(tool, Some(&space))).collect()
        }
        Some(_) => Vec::new(),
    }
}

/// The tools of a request that are called otherwise than by their flat names, by these.
pub(super) fn own_names(tools: Option<&Value>) -> BTreeMap<String, Named> {
    let tools = tools.and_then(Value::as_array).into_iter().flatten();
    let special = |(_, named): &(String, Named)| named.custom || named.namespace.is_some();
    tools.flat_map(named).filter(special).collect()
}

/// The text in the arguments of a call of a custom tool: what the model wrote, where it did not keep to the schema.
pub(super) fn text_input(arguments: &str) -> String {
    let object = serde_json::from_str::<Map<String, Value>>(arguments);
    match object.ok().and_then(|mut object| object.shift_remove("input")) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => arguments.to_owned(),
    }
}
