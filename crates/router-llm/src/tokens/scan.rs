//! One pass over the bytes of a question, in any dialect, that weighs what its model will read.
//!
//! Nothing is decoded: the bytes were seen to be JSON when they came in, and the places of texts, tools and pictures are
//! told by their keys, which the dialects share.

use memchr::memchr2;
use smallvec::SmallVec;

use super::{
    picture::{Payload, payload},
    text::Reader,
    weight::Weight,
};

/// What a member of the question's envelope holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    /// The conversation.
    Said,
    /// The tools: the model reads them as the JSON they are.
    Offered,
    /// The shape of the answer, which it reads as well.
    Shape,
    /// Settings that the model does not read.
    #[default]
    Settings,
}

impl Section {
    fn of(key: &[u8]) -> Self {
        match key {
            b"messages" | b"input" | b"system" | b"instructions" | b"prompt" | b"suffix" => Self::Said,
            b"tools" | b"functions" => Self::Offered,
            b"response_format" | b"format" | b"output_config" | b"text" => Self::Shape,
            _ => Self::Settings,
        }
    }
}

/// Keys of the conversation that are not read by the model, or whose words are counted with their message.
const BESIDE: [&[u8]; 14] = [
    b"type",
    b"role",
    b"content",
    b"text",
    b"id",
    b"tool_use_id",
    b"tool_call_id",
    b"call_id",
    b"media_type",
    b"cache_control",
    b"source",
    b"status",
    b"detail",
    b"function",
];

/// Keys of proofs and secrets that only their provider reads.
const SEALED: [&[u8]; 2] = [b"signature", b"encrypted_content"];

/// Keys under which pictures and documents stand.
const PAYLOADS: [&[u8]; 6] = [b"data", b"url", b"image_url", b"file_data", b"images", b"image"];

/// Weighs a question as it came in. What is no JSON weighs as much as was understood of it.
pub(super) fn weigh(json: &[u8]) -> Weight {
    let mut walk =
        Walk { json, at: 0, keys: SmallVec::new(), key: &[], section: Section::default(), told: Told::default() };
    while walk.step().is_some() {}
    let Told { reader, mut weight } = walk.told;
    weight.text = reader.text;
    weight
}

struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    /// The keys of the containers that are open, the outermost first.
    keys: SmallVec<[&'a [u8]; 16]>,
    /// The last key.
    key: &'a [u8],
    section: Section,
    told: Told,
}

#[derive(Default)]
struct Told {
    reader: Reader,
    weight: Weight,
}

impl<'a> Walk<'a> {
    /// Over the next token; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let byte = *self.json.get(self.at)?;
        match byte {
            b'"' => self.string()?,
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => {
                self.at += 1;
                self.key = self.keys.pop().unwrap_or_default();
                self.sign(byte);
            }
            b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
            b',' | b':' => {
                self.at += 1;
                self.sign(byte);
            }
            _ => self.scalar(),
        }
        Some(())
    }

    fn open(&mut self, bracket: u8) {
        // An element of a list of the envelope is a message, or a tool.
        if bracket == b'{' && self.keys.len() == 2 {
            match self.section {
                Section::Said => self.told.weight.messages += 1,
                Section::Offered => self.told.weight.tools += 1,
                Section::Shape | Section::Settings => {}
            }
        }
        self.at += 1;
        self.keys.push(self.key);
        self.sign(bracket);
    }

    /// A sign of JSON, where the model reads JSON.
    fn sign(&mut self, sign: u8) {
        if matches!(self.section, Section::Offered | Section::Shape) {
            self.told.reader.read(&[sign]);
        }
    }

    /// A number, or a word such as `true`.
    fn scalar(&mut self) {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| b",]} \n\r\t".contains(byte)).unwrap_or(rest.len()).max(1);
        let scalar = rest.get(..length).unwrap_or(rest);
        self.at += length;
        match self.section {
            Section::Said | Section::Offered | Section::Shape => self.told.reader.read(scalar),
            Section::Settings => self.setting(scalar),
        }
    }

    /// The limit that the client sets, and the window that a client of Ollama does.
    fn setting(&mut self, scalar: &[u8]) {
        let Some(number) = std::str::from_utf8(scalar).ok().and_then(|digits| digits.parse().ok()) else { return };
        match (self.keys.as_slice(), self.key) {
            ([_], b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens")
            | ([_, b"options"], b"num_predict") => {
                self.told.weight.max_tokens = Some(number);
            }
            ([_, b"options"] | [_], b"num_ctx") => self.told.weight.window = Some(number),
            _ => {}
        }
    }

    /// A key or a text.
    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            end += memchr2(b'"', b'\\', self.json.get(end..)?)?;
            if self.json.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        let string = self.json.get(start..end)?;
        self.at = end + 1;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.json.get(self.at) {
            self.at += 1;
        }
        if self.json.get(self.at) == Some(&b':') {
            self.key(string);
        } else {
            self.value(string);
        }
        Some(())
    }

    fn key(&mut self, key: &'a [u8]) {
        if self.keys.len() == 1 {
            self.section = Section::of(key);
            self.told.reader.pause();
        } else if self.section == Section::Said {
            if !BESIDE.contains(&key) && !SEALED.contains(&key) {
                self.told.reader.read_escaped(key);
            }
        } else {
            self.quoted(key);
        }
        self.key = key;
    }

    /// A string where the model reads JSON, with its quotes.
    fn quoted(&mut self, string: &[u8]) {
        if self.section != Section::Settings {
            self.told.reader.read(b"\"");
            self.told.reader.read(string);
            self.told.reader.read(b"\"");
        }
    }

    fn value(&mut self, string: &[u8]) {
        if self.section != Section::Said {
            return self.quoted(string);
        }
        let is_text = matches!(self.key, b"content" | b"text");
        if !is_text && (SEALED.contains(&self.key) || (BESIDE.contains(&self.key) && self.keys.len() > 1)) {
            return;
        }
        if PAYLOADS.contains(&self.key) {
            match payload(string) {
                Some(Payload::Picture(size)) => return self.told.weight.pictures.push(size),
                Some(Payload::Pdf(bytes)) => {
                    self.told.weight.documents += 1;
                    self.told.weight.document_bytes += bytes;
                    return;
                }
                None if self.is_address(string) => return self.told.weight.pictures.push(None),
                None => {}
            }
        }
        self.told.reader.pause();
        self.told.reader.read_escaped(string);
    }

    /// Whether this is where a picture is, which the provider fetches.
    fn is_address(&self, string: &[u8]) -> bool {
        let of_picture = match self.key {
            b"image_url" => true,
            b"url" => self.keys.last().is_some_and(|parent| matches!(*parent, b"image_url" | b"source")),
            _ => false,
        };
        of_picture && string.starts_with(b"http")
    }
}
