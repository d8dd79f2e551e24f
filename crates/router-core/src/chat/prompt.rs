//! What a chat says, in no vendor's words.

use serde_json::{Map, Value};

use crate::Raw;

/// Everything that a model is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// The conversation, system messages among it where they stood.
    pub messages: Vec<Message>,
    /// The tools on offer, in the client's order, which a provider's prompt cache depends on.
    pub tools: Vec<ToolSpec>,
    /// Whether and which tool must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn.
    pub parallel_tools: Option<bool>,
    /// The most tokens the answer may have.
    pub max_tokens: Option<u64>,
    /// Sampling temperature, as the dialect scales it (0 to 2, or 0 to 1).
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from the most likely `k`.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Whether, and how hard, to think first.
    pub thinking: Option<Thinking>,
    /// The shape the answer must have.
    pub format: Option<Format>,
    /// Who the client says is asking, opaque.
    pub user: Option<String>,
    /// Fields that this vocabulary has no word for, by the name that the dialect they came in has for them.
    pub extra: Map<String, Value>,
    /// The dialect it came in, which alone can read `extra`; `None` for a prompt of our own making.
    pub origin: Option<&'static str>,
}

impl Prompt {
    /// A conversation of one user message.
    pub fn ask(text: impl Into<String>) -> Self {
        Self { messages: vec![Message::text(Role::User, text)], ..Self::default() }
    }

    /// The text of the last user message that has one.
    pub fn last_user_text(&self) -> String {
        let users = self.messages.iter().rev().filter(|message| message.role == Role::User);
        users.map(Message::joined_text).find(|text| !text.is_empty()).unwrap_or_default()
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What it consists of.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }

    /// Its texts, each in a line of its own.
    pub fn joined_text(&self) -> String {
        self.texts().collect::<Vec<_>>().join("\n")
    }

    /// Its texts as one: what a reply says in pieces.
    pub fn said(&self) -> String {
        self.texts().collect()
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
    }
}

/// Who says a message. What a tool answered is a part of a user message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator or developer.
    System,
    /// The person, or the program for him.
    User,
    /// The model.
    Assistant,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// A picture.
    Image(Image),
    /// A document, for models that read them.
    Document(Document),
    /// What the model thought; `signature` proves to the provider that made it that nobody changed it.
    Thinking {
        /// The thought; empty where only the signature was given.
        text: String,
        /// The provider's proof, opaque.
        signature: Option<String>,
    },
    /// A thought that only its provider can read.
    RedactedThinking(String),
    /// The model calls a tool.
    ToolUse {
        /// Pairs the call with its result.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments: one JSON object, as the model wrote it.
        input: Raw,
    },
    /// What the tool answered.
    ToolResult {
        /// The call it answers.
        id: String,
        /// The answer: texts, images, documents.
        parts: Vec<Part>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// A part this vocabulary has no word for, as the dialect `dialect` wrote it. Other dialects leave it out. Without a
    /// `type`, it holds further fields of the part before it (or of the message, where it is the first).
    Other {
        /// The dialect's name.
        dialect: &'static str,
        /// The part.
        raw: Raw,
    },
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// In the message, as base64.
    Inline {
        /// `image/png` and the like.
        media_type: String,
        /// The base64 text.
        data: String,
    },
    /// Somewhere else.
    Url(String),
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its title or file name.
    pub title: Option<String>,
    /// `application/pdf`, `text/plain`.
    pub media_type: String,
    /// Base64, or the text itself for `text/plain`.
    pub data: String,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON Schema of its input.
    pub schema: Raw,
    /// Whether the model must keep to the schema.
    pub strict: Option<bool>,
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// One of them.
    Any,
    /// None of them.
    None,
    /// This one.
    Tool(String),
}

/// Whether, and how hard, to think first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// Off, on, or as the model likes.
    pub mode: Option<ThinkingMode>,
    /// The most tokens to spend on it.
    pub budget: Option<u64>,
    /// `low` to `max`, or another word the provider knows.
    pub effort: Option<String>,
}

/// Whether to think first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    /// Do not.
    Off,
    /// Do.
    On,
    /// As the model likes.
    Adaptive,
}

/// The shape the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON that keeps to a schema.
    JsonSchema {
        /// The schema's name, where the dialect wants one.
        name: Option<String>,
        /// JSON Schema.
        schema: Raw,
        /// Whether the model must keep to it.
        strict: Option<bool>,
    },
}
