//! What a question weighs, whichever model it goes to.

use router_core::{
    Raw,
    chat::{Chat, Document, Image, Message, Part, Prompt, ToolSpec},
};
use smallvec::SmallVec;

use super::{
    family::Family,
    picture::{Payload, Size, payload},
    scan,
    text::{Reader, Text},
};
use crate::models::Tokenizer;

/// What a question weighs: its texts, tools, pictures and documents, found in one pass over its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weight {
    /// What makes tokens of its texts and tools.
    pub(super) text: Text,
    /// Messages.
    pub(super) messages: u64,
    /// Tools on offer.
    pub(super) tools: u64,
    /// Pictures, each with its size where that could be read.
    pub(super) pictures: SmallVec<[Option<Size>; 2]>,
    /// Documents (PDF).
    pub(super) documents: u64,
    /// What the documents weigh.
    pub(super) document_bytes: u64,
    /// The limit of the answer that the client set.
    pub(super) max_tokens: Option<u64>,
    /// The window that the client asks for (Ollama's `num_ctx`).
    pub(super) window: Option<u64>,
}

impl Weight {
    /// Weighs a question: by its bytes where they still speak for it.
    pub fn of(chat: &Chat) -> Self {
        match chat.wire() {
            Some(wire) => Self::of_bytes(&wire.body),
            None => chat.prompt().map(|prompt| Self::of_prompt(&prompt)).unwrap_or_default(),
        }
    }

    /// Weighs a question by its bytes, which may be in any dialect.
    pub fn of_bytes(json: &[u8]) -> Self {
        scan::weigh(json)
    }

    /// Weighs a question that is decoded.
    pub fn of_prompt(prompt: &Prompt) -> Self {
        let mut scale = Scale::default();
        prompt.messages.iter().for_each(|message| scale.message(message));
        prompt.tools.iter().for_each(|tool| scale.tool(tool));
        Self { text: scale.reader.text, max_tokens: prompt.max_tokens, ..scale.weight }
    }

    /// How many tokens it takes of a model whose tokenizer is of this family, before anything was learnt of it.
    pub fn tokens(&self, tokenizer: Tokenizer) -> u64 {
        Family::of(tokenizer).tokens(self)
    }

    /// What its pictures and documents take of that.
    pub(super) fn payload_tokens(&self, tokenizer: Tokenizer) -> u64 {
        Family::of(tokenizer).payload_tokens(self)
    }

    /// The limit of the answer that the client set.
    pub fn max_tokens(&self) -> Option<u64> {
        self.max_tokens
    }

    /// The window that the client asks for (Ollama's `num_ctx`).
    pub fn window(&self) -> Option<u64> {
        self.window
    }

    /// Whether there are pictures in it.
    pub fn has_pictures(&self) -> bool {
        !self.pictures.is_empty()
    }

    /// Whether there are documents in it.
    pub fn has_documents(&self) -> bool {
        self.documents > 0
    }

    /// Whether it offers tools.
    pub fn has_tools(&self) -> bool {
        self.tools > 0
    }
}

/// Weighs what is decoded, part by part.
#[derive(Default)]
struct Scale {
    reader: Reader,
    weight: Weight,
}

impl Scale {
    fn message(&mut self, message: &Message) {
        self.weight.messages += 1;
        message.parts.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) | Part::Thinking { text, .. } => self.read(text.as_bytes()),
            Part::Image(Image::Url(_)) => self.weight.pictures.push(None),
            Part::Image(Image::Inline { data, .. }) | Part::Document(Document { data, .. }) => self.payload(data),
            Part::ToolUse { name, input, .. } => {
                self.read(name.as_bytes());
                self.raw(input);
            }
            Part::ToolResult { parts, .. } => parts.iter().for_each(|part| self.part(part)),
            Part::Other { raw, .. } => self.raw(raw),
            Part::RedactedThinking(_) => {}
        }
    }

    fn tool(&mut self, tool: &ToolSpec) {
        self.weight.tools += 1;
        self.read(tool.name.as_bytes());
        self.read(tool.description.as_deref().unwrap_or_default().as_bytes());
        self.raw(&tool.schema);
    }

    fn raw(&mut self, raw: &Raw) {
        self.read(raw.bytes());
    }

    fn read(&mut self, text: &[u8]) {
        self.reader.pause();
        self.reader.read(text);
    }

    fn payload(&mut self, data: &str) {
        match payload(data.as_bytes()) {
            Some(Payload::Picture(size)) => self.weight.pictures.push(size),
            Some(Payload::Pdf(bytes)) => {
                self.weight.documents += 1;
                self.weight.document_bytes += bytes;
            }
            None => self.read(data.as_bytes()),
        }
    }
}
