//! The tools that a client offers, and which of them the model is to call.

use router_core::{
    Raw,
    chat::{ToolChoice, ToolSpec},
    scan,
};
use serde_json::Value;

use crate::dialect::fields::{Fields, Misfit, read};

/// The input of a tool that takes a text, as a schema.
pub(in crate::dialect) const ONE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// What a question offers.
pub(super) struct Offer {
    /// The tools; one that takes a text instead of JSON is a function of one string.
    pub(super) tools: Vec<ToolSpec>,
    /// Those that take a text, as the client told of them, for an upstream of this dialect.
    pub(super) custom: Vec<Value>,
    /// Whether and which must be called.
    pub(super) choice: Option<ToolChoice>,
}

/// Reads `tools` and `tool_choice`.
pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Offer, Misfit> {
    let (mut tools, mut custom) = (Vec::new(), Vec::new());
    for (index, value) in fields.take_list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let at = |misfit: Misfit| misfit.within(format_args!("tools.{index}"));
        let mut inner = fields.of(value).map_err(at)?;
        let kind: String = inner.need("type").map_err(at)?;
        let told = inner.take_value(&kind).filter(|_| matches!(kind.as_str(), "function" | "custom"));
        let Some(told) = told else {
            return Err(at(Misfit::new(
                "type",
                format!("`{kind}` cannot be carried to this model; offer a `function`"),
            )));
        };
        let within = |misfit: Misfit| at(misfit.within(&kind));
        let told = fields.of(told).map_err(within)?;
        if kind == "custom" {
            custom.push(read(value).map_err(at)?);
            tools.push(of_text(told).map_err(within)?);
        } else {
            tools.push(function(told).map_err(within)?);
        }
    }
    let choice = tool_choice(fields, &mut tools)?;
    Ok(Offer { tools, custom, choice })
}

fn function(mut function: Fields<'_>) -> Result<ToolSpec, Misfit> {
    let schema = function.take_value("parameters").map(|value| function.raw(value));
    Ok(ToolSpec {
        name: function.need("name")?,
        description: function.take_text("description")?,
        schema: typed(schema.unwrap_or_else(|| Raw::trusted("{}"))),
        strict: function.take("strict")?,
    })
}

/// A tool that takes a text; the grammar that the text must follow is told in words.
fn of_text(mut custom: Fields<'_>) -> Result<ToolSpec, Misfit> {
    let (name, description) = (custom.need("name")?, custom.take::<String>("description")?);
    let format: Option<Value> = custom.take("format")?;
    let written = |pointer: &str| format.as_ref()?.pointer(pointer)?.as_str();
    let grammar = written("/grammar/definition").map(|definition| {
        let syntax = written("/grammar/syntax").unwrap_or_default();
        format!("The input must follow this {syntax} grammar:\n{definition}")
    });
    let description = [description, grammar].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let description = Some(description).filter(|description| !description.is_empty());
    Ok(ToolSpec { name, description, schema: Raw::trusted(ONE_TEXT), strict: None })
}

/// The schema with the `type` that OpenAI lets one leave out.
pub(in crate::dialect) fn typed(schema: Raw) -> Raw {
    let Some(inner) = schema.as_str().trim().strip_prefix('{') else { return schema };
    if scan::find(schema.bytes(), "/type").is_some() {
        return schema;
    }
    let comma = if inner.trim_start().starts_with('}') { "" } else { "," };
    Raw::trusted(format!("{{\"type\":\"object\"{comma}{inner}"))
}

/// Reads the choice; one that allows some of the tools leaves out the others.
fn tool_choice(fields: &mut Fields<'_>, tools: &mut Vec<ToolSpec>) -> Result<Option<ToolChoice>, Misfit> {
    let Some(value) = fields.take_value("tool_choice") else { return Ok(None) };
    let json = value.get().as_bytes();
    if let Some(word) = scan::text(json) {
        return word_for(&word).map(Some);
    }
    let text = |pointer: &str| scan::find(json, pointer).and_then(scan::text);
    if let Some(allowed) = scan::find(json, "/allowed_tools/tools") {
        let name = |tool| ["/function/name", "/custom/name"].iter().find_map(|at| scan::text(scan::find(tool, at)?));
        let names: Vec<_> = scan::items(allowed).filter_map(name).collect();
        tools.retain(|tool| names.iter().any(|name| **name == tool.name));
        return text("/allowed_tools/mode").map(|mode| word_for(&mode)).transpose();
    }
    match text("/function/name").or_else(|| text("/custom/name")) {
        Some(name) => Ok(Some(ToolChoice::Tool(name.into_owned()))),
        None => Err(unknown()),
    }
}

fn word_for(word: &str) -> Result<ToolChoice, Misfit> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Any),
        _ => Err(unknown()),
    }
}

fn unknown() -> Misfit {
    Misfit::new("tool_choice", "must be `auto`, `none`, `required`, name a tool or list `allowed_tools`")
}
