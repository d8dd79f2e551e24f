//! A reply, written for a client: one object, or the events that build it up.

use std::collections::BTreeMap;

use bytes::Bytes;
use router_core::{
    Error, Kind, Result,
    chat::{Block, Event, Shape, StopReason, Usage},
    scan,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    NAME,
    items::{ANTHROPIC, REDACTED},
    tools::{Named, own_names, text_input},
    words::{self, Tokens},
};
use crate::dialect::{ReplyWriter, Told, proof};

/// What of a question its reply says again, and what it says where the question does not.
const ECHOED: [(&str, &str); 17] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
];

/// The fields of a question that its reply says again, as they stand there.
pub(super) fn repeated(question: &[u8]) -> Bytes {
    let mut out = vec![b'{'];
    for (key, value) in scan::members(question) {
        if ECHOED.iter().any(|(name, _)| name.as_bytes() == key) {
            let comma: &[u8] = if out.len() > 1 { b"," } else { b"" };
            out.extend_from_slice(&[comma, b"\"", key, b"\":", value].concat());
        }
    }
    out.push(b'}');
    out.into()
}

/// Writes one reply. Whole or streamed it is built up alike; only what is said on the way differs.
pub(super) struct Writer {
    told: Told,
    shape: Shape,
    /// The fields of the reply that do not change while it is written.
    repeated: Map<String, Value>,
    /// The tools that are called otherwise than by the names that we have for them.
    names: BTreeMap<String, Named>,
    id: Option<String>,
    sequence: u64,
    /// The items that are over.
    output: Vec<Value>,
    open: Open,
    usage: Option<Usage>,
    stop: Option<StopReason>,
}

/// The block that is being written; an item is begun when there is something in it.
enum Open {
    Nothing,
    Text { text: String, begun: bool },
    Thought { text: String, proof: Option<String>, begun: bool },
    Hidden(String),
    Call { id: String, name: String, named: Option<Named>, arguments: String },
}

impl Open {
    /// Whether it is a call whose arguments are no JSON, because something cut them off.
    fn is_cut(&self) -> bool {
        matches!(self, Self::Call { arguments, .. } if !arguments.is_empty() && !scan::is_json(arguments.as_bytes()))
    }
}

impl Writer {
    pub(super) fn new(told: Told, shape: Shape) -> Self {
        let mut echoed: Map<String, Value> = serde_json::from_slice(&told.repeated).unwrap_or_default();
        let of = |(name, usual): (&str, &str)| {
            let value = echoed.shift_remove(name).filter(|value| !value.is_null());
            (name.to_owned(), value.unwrap_or_else(|| serde_json::from_str(usual).unwrap_or_default()))
        };
        let repeated: Map<String, Value> = ECHOED.into_iter().map(of).collect();
        let names = own_names(repeated.get("tools"));
        let told = Told { repeated: Bytes::new(), ..told };
        let (output, open) = (Vec::new(), Open::Nothing);
        Self { told, shape, repeated, names, id: None, sequence: 0, output, open, usage: None, stop: None }
    }

    /// The reply as far as it is known.
    fn response(&self, status: &str) -> Value {
        let incomplete = self.stop.and_then(words::incomplete);
        let head = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.told.created,
            "status": status,
            "error": null,
            "incomplete_details": incomplete.map(|reason| json!({ "reason": reason })),
            "model": self.told.model,
            "output": self.output,
            "usage": self.usage.map(Tokens::from),
        });
        let fields = [head, Value::Object(self.repeated.clone())];
        fields
            .into_iter()
            .filter_map(|value| if let Value::Object(map) = value { Some(map) } else { None })
            .flatten()
            .collect()
    }

    fn say(&mut self, kind: &str, fields: &impl Serialize, out: &mut Vec<u8>) -> Result<()> {
        if self.shape == Shape::Whole {
            return Ok(());
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        put(out, &Said { r#type: kind, sequence_number: self.sequence, fields })?;
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
        Ok(())
    }

    /// Begins the reply, once. Clients name it when they go on, so its id is the upstream's own only where that can be
    /// the id of a reply.
    fn start(&mut self, upstreams: Option<String>, out: &mut Vec<u8>) -> Result<()> {
        if self.id.is_some() {
            return Ok(());
        }
        let upstreams = upstreams.filter(|id| id.starts_with("resp_"));
        self.id = Some(upstreams.unwrap_or_else(|| self.told.reply_id("resp_")));
        if self.shape == Shape::Whole {
            return Ok(());
        }
        let response = json!({ "response": self.response("in_progress") });
        self.say("response.created", &response, out)?;
        self.say("response.in_progress", &response, out)
    }

    /// The id of the item that is being written.
    fn item_id(&self, prefix: &str) -> String {
        format!("{}_{}", self.told.reply_id(prefix), self.output.len())
    }

    fn begin(&mut self, item: &Value, out: &mut Vec<u8>) -> Result<()> {
        let index = self.output.len();
        self.say("response.output_item.added", &json!({ "output_index": index, "item": item }), out)
    }

    fn end(&mut self, item: Value, out: &mut Vec<u8>) -> Result<()> {
        let index = self.output.len();
        self.say("response.output_item.done", &json!({ "output_index": index, "item": &item }), out)?;
        self.output.push(item);
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<()> {
        if let Event::Start { id, .. } = event {
            return self.start(id, out);
        }
        self.start(None, out)?;
        match event {
            Event::Open(block) => self.open(block, out),
            Event::Text(text) => self.text(&text, out),
            Event::Thinking(text) => self.think(&text, out),
            Event::Signature(more) => {
                if let Open::Thought { proof, .. } = &mut self.open {
                    proof.get_or_insert_default().push_str(&more);
                }
                Ok(())
            }
            Event::Arguments(json) => self.arguments(&json, out),
            Event::Close => self.close(out),
            Event::Usage(usage) => {
                self.usage = Some(self.usage.unwrap_or_default().and(usage));
                Ok(())
            }
            Event::Stop { reason, .. } => {
                self.stop = Some(reason);
                self.close_cut(out)
            }
            Event::Start { .. } => Ok(()),
        }
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) -> Result<()> {
        self.open = match block {
            Block::Text => Open::Text { text: String::new(), begun: false },
            Block::Thinking => Open::Thought { text: String::new(), proof: None, begun: false },
            Block::RedactedThinking(data) => Open::Hidden(data),
            Block::ToolUse { id, name } => {
                let named = self.names.get(&name).cloned();
                self.begin(&self.call(&id, &name, (named.as_ref(), ""), "in_progress"), out)?;
                Open::Call { id, name, named, arguments: String::new() }
            }
        };
        Ok(())
    }

    fn text(&mut self, more: &str, out: &mut Vec<u8>) -> Result<()> {
        let id = self.item_id("msg_");
        let Open::Text { text, begun } = &mut self.open else { return Ok(()) };
        text.push_str(more);
        if !std::mem::replace(begun, true) {
            self.begin(&message(&id, "in_progress", &[]), out)?;
            self.say(
                "response.content_part.added",
                &self.within(&id, "content_index", ("part", output_text(""))),
                out,
            )?;
        }
        let place =
            Place { item_id: &id, output_index: self.output.len(), content_index: Some(0), summary_index: None };
        self.say("response.output_text.delta", &TextDelta { place, delta: more, logprobs: [] }, out)
    }

    fn think(&mut self, more: &str, out: &mut Vec<u8>) -> Result<()> {
        let id = self.item_id("rs_");
        let Open::Thought { text, begun, .. } = &mut self.open else { return Ok(()) };
        text.push_str(more);
        if !std::mem::replace(begun, true) {
            self.begin(&json!({ "type": "reasoning", "id": id, "summary": [] }), out)?;
            let part = self.within(&id, "summary_index", ("part", summary_text("")));
            self.say("response.reasoning_summary_part.added", &part, out)?;
        }
        let place =
            Place { item_id: &id, output_index: self.output.len(), content_index: None, summary_index: Some(0) };
        self.say("response.reasoning_summary_text.delta", &PlacedDelta { place, delta: more }, out)
    }

    /// The input of a custom tool is known when its arguments are: it is told at their end.
    fn arguments(&mut self, more: &str, out: &mut Vec<u8>) -> Result<()> {
        let id = self.item_id("fc_");
        let Open::Call { named, arguments, .. } = &mut self.open else { return Ok(()) };
        arguments.push_str(more);
        if named.as_ref().is_some_and(|named| named.custom) {
            return Ok(());
        }
        let place = Place { item_id: &id, output_index: self.output.len(), content_index: None, summary_index: None };
        self.say("response.function_call_arguments.delta", &PlacedDelta { place, delta: more }, out)
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Text { text, begun: true } => self.close_text(&text, out),
            Open::Thought { text, proof, begun } => self.close_thought(&text, proof, begun, out),
            Open::Hidden(data) => self.close_thought("", Some(proof::marked(REDACTED, &data)), false, out),
            call @ Open::Call { .. } if call.is_cut() => {
                self.open = call;
                Ok(())
            }
            Open::Call { id, name, named, arguments } => {
                self.close_call(&id, &name, ("completed", named.as_ref(), arguments), out)
            }
            Open::Nothing | Open::Text { begun: false, .. } => Ok(()),
        }
    }

    /// A call whose arguments were cut off is over when the reply is: clients make a call as soon as its item is done, so
    /// that this one has to say that it is not whole.
    fn close_cut(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Call { id, name, named, arguments } => {
                self.close_call(&id, &name, ("incomplete", named.as_ref(), arguments), out)
            }
            Open::Nothing | Open::Text { .. } | Open::Thought { .. } | Open::Hidden(_) => Ok(()),
        }
    }

    fn close_text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<()> {
        let id = self.item_id("msg_");
        let mut done = self.within(&id, "content_index", ("text", text.into()));
        done.insert("logprobs".to_owned(), json!([]));
        self.say("response.output_text.done", &done, out)?;
        let part = self.within(&id, "content_index", ("part", output_text(text)));
        self.say("response.content_part.done", &part, out)?;
        self.end(message(&id, "completed", &[output_text(text)]), out)
    }

    fn close_thought(&mut self, text: &str, proof: Option<String>, begun: bool, out: &mut Vec<u8>) -> Result<()> {
        if text.is_empty() && proof.is_none() {
            return Ok(());
        }
        let own_id = self.item_id("rs_");
        if begun {
            let done = self.within(&own_id, "summary_index", ("text", text.into()));
            self.say("response.reasoning_summary_text.done", &done, out)?;
            let part = self.within(&own_id, "summary_index", ("part", summary_text(text)));
            self.say("response.reasoning_summary_part.done", &part, out)?;
        } else {
            self.begin(&json!({ "type": "reasoning", "id": own_id, "summary": [] }), out)?;
        }
        let summary: Vec<Value> = begun.then(|| summary_text(text)).into_iter().collect();
        let encrypted = encrypted(proof);
        self.end(json!({ "type": "reasoning", "id": own_id, "summary": summary, "encrypted_content": encrypted }), out)
    }

    fn close_call(
        &mut self,
        id: &str,
        name: &str,
        (status, named, mut arguments): (&str, Option<&Named>, String),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let custom = named.is_some_and(|named| named.custom);
        let (item_id, index) = (self.item_id(call_prefix(custom)), self.output.len());
        let with = |key: &str, value: &str| json!({ "item_id": item_id, "output_index": index, key: value });
        if custom {
            let input = if arguments.is_empty() { String::new() } else { text_input(&arguments) };
            let (delta, done) = (with("delta", &input), with("input", &input));
            self.say("response.custom_tool_call_input.delta", &delta, out)?;
            self.say("response.custom_tool_call_input.done", &done, out)?;
            return self.end(self.call(id, name, (named, &input), status), out);
        }
        if arguments.is_empty() {
            // A client parses what it was given, and nothing is no JSON.
            "{}".clone_into(&mut arguments);
            let delta = with("delta", "{}");
            self.say("response.function_call_arguments.delta", &delta, out)?;
        }
        let done = with("arguments", &arguments);
        self.say("response.function_call_arguments.done", &done, out)?;
        self.end(self.call(id, name, (named, &arguments), status), out)
    }

    fn call(&self, id: &str, name: &str, (named, input): (Option<&Named>, &str), status: &str) -> Value {
        let custom = named.is_some_and(|named| named.custom);
        let (kind, field) = if custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        let mut item = json!({
            "type": kind, "id": self.item_id(call_prefix(custom)), "call_id": id, "name": named.map_or(name, |named| &named.name),
            field: input, "status": status,
        });
        if let (Some(space), Some(item)) = (named.and_then(|named| named.namespace.as_ref()), item.as_object_mut()) {
            item.insert("namespace".to_owned(), space.as_str().into());
        }
        item
    }

    /// The fields of an event within the first part of the open item.
    fn within(&self, id: &str, index: &str, (name, value): (&str, Value)) -> Map<String, Value> {
        let fields = [("item_id", id.into()), ("output_index", self.output.len().into()), (index, 0.into())];
        fields.into_iter().chain([(name, value)]).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How the id of a call's item begins.
const fn call_prefix(custom: bool) -> &'static str {
    if custom { "ctc_" } else { "fc_" }
}

/// An event.
#[derive(Serialize)]
struct Said<'a, F> {
    r#type: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    fields: F,
}

/// Where a delta belongs.
#[derive(Serialize)]
struct Place<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u32>,
}

#[derive(Serialize)]
struct PlacedDelta<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    delta: &'a str,
}

#[derive(Serialize)]
struct TextDelta<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    delta: &'a str,
    logprobs: [(); 0],
}

fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({ "type": "message", "id": id, "status": status, "role": "assistant", "content": content })
}

fn output_text(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn summary_text(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

/// The proof of a thought as it goes out: this dialect's own bare, every other under our mark.
fn encrypted(proof: Option<String>) -> String {
    match proof {
        None => proof::UNSIGNED.to_owned(),
        Some(proof) => match proof::made_by(NAME, &proof).and_then(|own| own.split_once(':')) {
            Some((_, own)) => own.to_owned(),
            None if proof::is_marked(&proof) => proof,
            None => proof::marked(ANTHROPIC, &proof),
        },
    }
}

impl ReplyWriter for Writer {
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()> {
        events.into_iter().try_for_each(|event| self.event(event, out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.start(None, out)?;
        let whole = self.stop.and_then(words::incomplete).is_none();
        let (status, event) =
            if whole { ("completed", "response.completed") } else { ("incomplete", "response.incomplete") };
        let response = self.response(status);
        match self.shape {
            Shape::Whole => put(out, &response),
            Shape::Stream => self.say(event, &json!({ "response": response }), out),
        }
    }
}

fn put(out: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, value)
        .map_err(|error| Error::new(Kind::Internal, "a reply could not be written as JSON").because(error))
}
