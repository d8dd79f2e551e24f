//! A JSON schema that answers are held to.

use std::fmt::{self, Write as _};

use jsonschema::{ValidationError, Validator};
use router_core::Raw;
use serde_json::Value;

use super::find;

/// How many of an answer's faults are told: a model that reads these sees what it did wrong.
const MOST_FAULTS: usize = 5;

/// The longest that one fault is told, in bytes: it quotes the value that is at fault.
const LONGEST_FAULT: usize = 300;

/// A schema, ready to hold answers to it. Nothing that it refers to is fetched.
pub struct Schema {
    text: String,
    validator: Validator,
}

/// The JSON in what a model said.
#[derive(Debug, PartialEq)]
pub struct Found<'a> {
    /// As the model wrote it.
    pub text: &'a str,
    /// The same, read.
    pub value: Value,
}

impl Schema {
    /// Reads a schema, or says why it is none.
    pub fn read(schema: &Raw) -> Result<Self, String> {
        let schema: Value = schema.decode().map_err(|error| error.message().to_owned())?;
        match jsonschema::options().offline().build(&schema) {
            Ok(validator) => Ok(Self { text: schema.to_string(), validator }),
            Err(error) => Err(told(&error)),
        }
    }

    /// The schema in one line.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Finds the JSON that keeps to the schema, whatever a model put around it, or says what is wrong with what it
    /// said, each fault with its place.
    pub fn find<'a>(&self, said: &'a str) -> Result<Found<'a>, String> {
        let mut nearest = None;
        for found in find::candidates(said) {
            if self.validator.is_valid(&found.value) {
                return Ok(found);
            }
            nearest.get_or_insert(found.value);
        }
        match nearest {
            Some(value) => Err(self.faults(&value)),
            None if said.trim().is_empty() => Err("it is empty".to_owned()),
            None => {
                let flaw = serde_json::from_str::<Value>(said.trim()).err();
                Err(format!("it holds no JSON: {}", flaw.map(|flaw| flaw.to_string()).unwrap_or_default()))
            }
        }
    }

    fn faults(&self, value: &Value) -> String {
        let mut errors = self.validator.iter_errors(value);
        let mut list = errors.by_ref().take(MOST_FAULTS).map(|error| told(&error)).collect::<Vec<_>>().join("; ");
        let more = errors.count();
        if more > 0 {
            let _ = write!(list, "; and {more} more");
        }
        list
    }
}

/// `at /age: "x" is not of type "integer"`.
fn told(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str();
    let mut text = format!("at {}: {error}", if path.is_empty() { "the top" } else { path });
    if text.len() > LONGEST_FAULT {
        text.truncate(text.floor_char_boundary(LONGEST_FAULT));
        text.push_str(" ...");
    }
    text
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(schema: &Value) -> Result<Schema, String> {
        Schema::read(&Raw::encode(schema).unwrap())
    }

    fn person() -> Schema {
        let properties = json!({ "name": { "type": "string" }, "age": { "type": "integer", "minimum": 0 } });
        schema(&json!({ "type": "object", "properties": properties, "required": ["name", "age"],
            "additionalProperties": false }))
        .unwrap()
    }

    #[test]
    fn finds_what_keeps_to_the_schema_among_what_does_not() {
        let good = r#"{"name": "Ada", "age": 36}"#;
        let around = [
            good.to_owned(),
            format!("\n  {good}\n"),
            format!("```json\n{good}\n```"),
            format!("Here it is:\n\n```\n{good}\n```\nAnything else?"),
            format!("Sure! {good} I hope that helps {{:-}}"),
            format!("An example is {{\"name\": \"x\"}}; the answer is {good}."),
            format!("[1] {{a}} {good}"),
            format!("{{\"name\": \"Bob\", \"age\": 1}}, no: {good}"),
        ];
        for said in around {
            let found = person().find(&said).unwrap_or_else(|fault| panic!("{said}: {fault}"));
            assert_eq!(found, Found { text: good, value: json!({ "name": "Ada", "age": 36 }) }, "{said}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let table = [
            (r#"{"name": "Ada", "age": "36"}"#, r#"at /age: "36" is not of type "integer""#),
            (
                r#"{"age": -1}"#,
                r#"at the top: "name" is a required property; at /age: -1 is less than the minimum of 0"#,
            ),
            ("[]", r#"at the top: [] is not of type "object""#),
            ("", "it is empty"),
            ("I would rather not.", "it holds no JSON: expected value at line 1 column 1"),
            (r#"{"name": "Ada", "age": "#, "it holds no JSON: EOF while parsing a value at line 1 column 22"),
        ];
        for (said, expect) in table {
            assert_eq!(person().find(said).unwrap_err(), expect, "{said}");
        }
    }

    #[test]
    fn a_value_that_is_no_object_is_an_answer_too() {
        let table = [
            (json!({ "type": "integer" }), "```\n42\n```", "42"),
            (json!({ "type": "string" }), "\"a\"", "\"a\""),
            (json!({ "type": "array", "items": { "type": "object" } }), "So: [{\"a\": [1]}]", "[{\"a\": [1]}]"),
        ];
        for (wanted, said, expect) in table {
            assert_eq!(schema(&wanted).unwrap().find(said).map(|found| found.text), Ok(expect), "{said}");
        }
    }

    #[test]
    fn faults_are_told_in_few_words() {
        let wanted = json!({ "type": "array", "items": { "type": "string", "maxLength": 3 } });
        let fault =
            schema(&wanted).unwrap().find(&format!("[1, 2, 3, 4, 5, 6, \"{}\"]", "é".repeat(9000))).unwrap_err();
        assert!(
            fault.starts_with("at /0: 1 is not of type \"string\"; at /1:") && fault.ends_with("; and 2 more"),
            "{fault}"
        );
        let long = schema(&wanted).unwrap().find(&format!("[\"{}\"]", "é".repeat(9000))).unwrap_err();
        assert!(long.len() < LONGEST_FAULT + 8 && long.ends_with(" ..."), "{long}");
    }

    #[test]
    fn what_is_no_schema_is_refused_and_nothing_is_fetched() {
        let table = [
            (json!({ "type": "objekt" }), "at /type: "),
            (json!({ "properties": { "a": { "minimum": "x" } } }), "at /properties/a/minimum: "),
            (json!({ "$ref": "https://example.com/schema.json" }), "https://example.com/schema.json"),
            (json!({ "type": "string", "pattern": "(" }), "("),
        ];
        for (wanted, expect) in table {
            let why = schema(&wanted).map(drop).unwrap_err();
            assert!(why.contains(expect), "{wanted}: {why}");
        }
        assert!(Schema::read(&Raw::trusted("{")).is_err());
    }

    #[test]
    fn a_schema_that_leads_to_itself_ends() {
        for wanted in
            [json!({ "$ref": "#" }), json!({ "allOf": [{ "$ref": "#/$defs/a" }], "$defs": { "a": { "$ref": "#" } } })]
        {
            if let Ok(schema) = schema(&wanted) {
                let _ = schema.find("{}");
            }
        }
        let tree = json!({ "type": "object", "properties": { "in": { "$ref": "#" } }, "additionalProperties": false });
        assert!(schema(&tree).unwrap().find(r#"{"in": {"in": {}}}"#).is_ok());
        assert!(schema(&tree).unwrap().find(r#"{"in": {"on": {}}}"#).is_err());
    }
}
