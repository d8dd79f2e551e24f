//! The `response_schema` of `/ask`, and the `data` that an answer then has beside its text.

use std::sync::Arc;

use router_core::{Error, Kind, Outcome, Provenance, Raw, Result, chat::Format};
use router_llm::structured::Schema;
use serde_json::Value;

/// The schema that an answer has to keep to.
#[derive(Clone, Debug)]
pub struct ResponseSchema {
    raw: Raw,
    schema: Arc<Schema>,
}

impl ResponseSchema {
    /// Reads a schema, or says why it is none.
    pub fn read(schema: &Value) -> Result<Self, String> {
        let raw = Raw::trusted(schema.to_string());
        Ok(Self { schema: Arc::new(Schema::read(&raw)?), raw })
    }

    /// How a model is told.
    pub fn format(self) -> Format {
        Format::JsonSchema { name: None, schema: self.raw, strict: None }
    }
}

/// Puts the JSON of an answer beside its text, or says why that is none. Whoever answered, the caller can rely on it.
pub fn put(wanted: Option<&ResponseSchema>, mut told: Value, provenance: &Provenance) -> Result<Value> {
    let Some(wanted) = wanted else { return Ok(told) };
    let answer = told.get("answer").and_then(Value::as_str).unwrap_or_default();
    match wanted.schema.find(answer) {
        Ok(found) => {
            let data = found.value;
            if let Some(fields) = told.as_object_mut() {
                fields.insert("data".to_owned(), data);
            }
            Ok(told)
        }
        Err(why) => {
            let message = format!("the answer does not keep to response_schema: {why}");
            let error = Error::new(Kind::Protocol, message).outcome_is(Outcome::Failed);
            Err(provenance.upstream.iter().fold(error, Error::at))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_its_data_or_there_is_none() {
        let wanted = ResponseSchema::read(&json!({ "type": "object", "required": ["a"] })).expect("a schema");
        let put = |wanted, answer: &str| put(wanted, json!({ "answer": answer }), &Provenance::default());
        let table = [
            (None, "hi", Ok(json!({ "answer": "hi" }))),
            (Some(&wanted), "{\"a\": 1}", Ok(json!({ "answer": "{\"a\": 1}", "data": { "a": 1 } }))),
            (
                Some(&wanted),
                "{}",
                Err("the answer does not keep to response_schema: at the top: \"a\" is a required property"),
            ),
        ];
        for (wanted, answer, expect) in table {
            let told = put(wanted, answer).map_err(|error| error.message().to_owned());
            assert_eq!(told, expect.map_err(str::to_owned), "{answer}");
        }
    }
}
