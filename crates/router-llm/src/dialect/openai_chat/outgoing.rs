//! What a question is made of as it goes out, and how it is written.

use std::borrow::Cow;

use router_core::Raw;
use serde_json::{Map, Value};

use crate::dialect::json::JsonWriter;

/// A message of the wire.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: &'static str,
    pub(super) content: Option<Content<'a>>,
    pub(super) reasoning_content: Option<String>,
    pub(super) reasoning_details: Vec<Value>,
    pub(super) tool_calls: Vec<Call<'a>>,
    pub(super) tool_call_id: Option<&'a str>,
    pub(super) further: Map<String, Value>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

/// A part of a message's content.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text { text: Cow<'a, str>, further: Map<String, Value> },
    Image { image_url: Map<String, Value> },
    File { filename: &'a str, file_data: String },
    Carried(&'a Raw),
}

#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: Cow<'a, str>,
    pub(super) arguments: Cow<'a, str>,
}

/// A tool, as it goes out.
pub(super) enum Tool<'a> {
    Function(Function<'a>),
    /// One that takes a text instead of JSON, as the client told of it.
    Custom(&'a Value),
}

pub(super) struct Function<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) description: Option<&'a str>,
    pub(super) parameters: Cow<'a, Raw>,
    pub(super) strict: Option<bool>,
}

impl Turn<'_> {
    pub(super) fn write(&self, json: &mut JsonWriter) {
        json.object(|json| {
            json.key("role").text(self.role);
            match &self.content {
                None => json.key("content").value(&Value::Null),
                Some(Content::Text(text)) => json.key("content").text(text),
                Some(Content::Pieces(pieces)) => json.key("content").list(pieces, |json, piece| piece.write(json)),
            }
            if let Some(thought) = &self.reasoning_content {
                json.key("reasoning_content").text(thought);
            }
            if !self.reasoning_details.is_empty() {
                json.key("reasoning_details").list(&self.reasoning_details, JsonWriter::value);
            }
            if !self.tool_calls.is_empty() {
                json.key("tool_calls").list(&self.tool_calls, |json, call| call.write(json));
            }
            if let Some(id) = self.tool_call_id {
                json.key("tool_call_id").text(id);
            }
            json.members(&self.further);
        });
    }
}

impl Piece<'_> {
    fn write(&self, json: &mut JsonWriter) {
        match self {
            Self::Text { text, further } => json.object(|json| {
                json.key("type").text("text");
                json.key("text").text(text);
                json.members(further);
            }),
            Self::Image { image_url } => json.object(|json| {
                json.key("type").text("image_url");
                json.key("image_url").object(|json| json.members(image_url));
            }),
            Self::File { filename, file_data } => json.object(|json| {
                json.key("type").text("file");
                json.key("file").object(|json| {
                    json.key("filename").text(filename);
                    json.key("file_data").text(file_data);
                });
            }),
            Self::Carried(raw) => json.raw(raw),
        }
    }
}

impl Call<'_> {
    fn write(&self, json: &mut JsonWriter) {
        json.object(|json| {
            json.key("id").text(self.id);
            json.key("type").text("function");
            json.key("function").object(|json| {
                json.key("name").text(&self.name);
                json.key("arguments").text(&self.arguments);
            });
        });
    }
}

impl Tool<'_> {
    pub(super) fn write(&self, json: &mut JsonWriter) {
        let Function { name, description, parameters, strict } = match self {
            Self::Function(function) => function,
            Self::Custom(told) => return json.value(told),
        };
        json.object(|json| {
            json.key("type").text("function");
            json.key("function").object(|json| {
                json.key("name").text(name);
                if let Some(description) = description {
                    json.key("description").text(description);
                }
                json.key("parameters").raw(parameters);
                if let Some(strict) = strict {
                    json.key("strict").value(&Value::Bool(*strict));
                }
            });
        });
    }
}
