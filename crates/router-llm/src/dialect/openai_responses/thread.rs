//! A conversation that goes on from a reply by its id: what of it is kept, and how it is written out again.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use memchr::memmem;
use router_core::{Error, Kind, Result, scan};
use serde_json::{Value, json};

use crate::dialect::proof;

/// The type of an item that stands for another by its id.
const REFERENCE: &str = "item_reference";

/// What a question says of keeping: the head of it that only this dialect's front reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The reply that it goes on from.
    pub previous: Option<String>,
    /// Whether its own reply is kept, to be gone on from.
    pub store: bool,
}

impl Keeping {
    /// Reads a question that its head was read of. What can only be done by who runs the models is refused.
    pub fn of(body: &[u8]) -> Result<Self> {
        let mut keeping = Self { previous: None, store: true };
        for (key, value) in scan::members(body) {
            match key {
                b"store" => keeping.store = value != b"false",
                b"previous_response_id" if value != b"null" => {
                    let wrong = || Error::new(Kind::Invalid, "previous_response_id: a string is required");
                    keeping.previous = Some(scan::text(value).ok_or_else(wrong)?.into_owned());
                }
                b"background" if value == b"true" => {
                    return Err(Error::new(Kind::Invalid, "background: replies are not made in the background here")
                        .hint("ask with `stream: true` and wait"));
                }
                b"conversation" if value != b"null" => {
                    return Err(Error::new(Kind::Invalid, "conversation: conversations are not kept here")
                        .hint("go on with `previous_response_id`, or send all items"));
                }
                _ => {}
            }
        }
        Ok(keeping)
    }
}

/// The items that a question brings along, as a JSON array: a text alone is a message of the user's.
pub fn items(body: &[u8]) -> Bytes {
    match scan::find(body, "/input") {
        Some(list) if list.starts_with(b"[") => Bytes::copy_from_slice(list),
        Some(text) if text.starts_with(b"\"") => {
            let before = br#"[{"type":"message","role":"user","content":[{"type":"input_text","text":"#;
            [&before[..], text, b"}]}]"].concat().into()
        }
        Some(_) | None => Bytes::from_static(b"[]"),
    }
}

/// Two arrays as one.
pub fn joined(one: &[u8], other: &[u8]) -> Bytes {
    let items: Vec<&[u8]> = scan::items(one).chain(scan::items(other)).collect();
    [b"[", &*items.join(&b','), b"]"].concat().into()
}

/// The question with `items` for its input, and without the reply that it goes on from.
pub fn written_out(body: &[u8], items: &[u8]) -> Bytes {
    with_input(scan::members(body).filter(|(key, _)| *key != b"previous_response_id"), items)
}

fn with_input<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, items: &'a [u8]) -> Bytes {
    let mut out = b"{".to_vec();
    for (key, value) in fields.filter(|(key, _)| *key != b"input").chain([(&b"input"[..], items)]) {
        let comma: &[u8] = if out.len() > 1 { b"," } else { b"" };
        out.extend_from_slice(&[comma, b"\"", key, b"\":", value].concat());
    }
    out.push(b'}');
    out.into()
}

/// The replies that a question names items of, told by the ids that this front gives to items. Vercel's SDK names what
/// it was answered, unless told not to store it.
pub fn named_replies(body: &[u8]) -> BTreeSet<String> {
    if memmem::find(body, REFERENCE.as_bytes()).is_none() {
        return BTreeSet::new();
    }
    let named = scan::items(scan::find(body, "/input").unwrap_or(b"[]")).filter_map(referred);
    named.filter_map(|id| Some(format!("resp_{}", id.split_once('_')?.1.rsplit_once('_')?.0))).collect()
}

/// The question with each item that it names in its place, where it is one of `said`: no model can look it up.
pub fn with_named(body: &[u8], said: &BTreeMap<String, Bytes>) -> Bytes {
    let input = scan::find(body, "/input").unwrap_or(b"[]");
    let items: Vec<&[u8]> = scan::items(input)
        .filter_map(|item| match referred(item).and_then(|id| said.get(&*id)) {
            Some(list) => scan::items(list).next(),
            None => Some(item),
        })
        .collect();
    let items = [b"[", &*items.join(&b','), b"]"].concat();
    with_input(scan::members(body), &items)
}

/// The id of the item that this one stands for.
fn referred(item: &[u8]) -> Option<Cow<'_, str>> {
    let is_reference = scan::find(item, "/type").and_then(scan::text)? == REFERENCE;
    is_reference.then(|| scan::find(item, "/id").and_then(scan::text)).flatten()
}

/// What a reply said, as items for whoever is asked next: without ids that only its own provider knows, and without
/// thoughts that only he can read.
pub fn said(response: &[u8]) -> Bytes {
    sayable(output(response))
}

/// What it said likewise, by the ids of its items: a list of one, or of none.
pub fn said_by_id(response: &[u8]) -> impl Iterator<Item = (String, Bytes)> {
    let with_id = |item: Value| Some((item.get("id")?.as_str()?.to_owned(), sayable(vec![item])));
    output(response).into_iter().filter_map(with_id)
}

fn output(response: &[u8]) -> Vec<Value> {
    serde_json::from_slice(scan::find(response, "/output").unwrap_or(b"[]")).unwrap_or_default()
}

fn sayable(mut items: Vec<Value>) -> Bytes {
    let own = |item: &Value| match item.get("type").and_then(Value::as_str) {
        Some("reasoning") => item.get("encrypted_content").and_then(Value::as_str).is_some_and(proof::is_marked),
        Some(_) | None => true,
    };
    items.retain(own);
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.shift_remove("id");
    }
    Value::Array(items).to_string().into()
}

/// Items as a client lists them: each with an id, which depends on nothing but its place.
pub fn listed(items: &[u8], response_id: &str) -> Vec<Value> {
    let items: Vec<Value> = serde_json::from_slice(items).unwrap_or_default();
    let with_id = |(at, mut item): (usize, Value)| {
        if let Some(fields) = item.as_object_mut() {
            let kind = fields.entry("type").or_insert_with(|| "message".into()).as_str().unwrap_or_default();
            let prefix = if kind == "message" { "msg" } else { "item" };
            let id = format!("{prefix}_{}_{at}", response_id.trim_start_matches("resp_"));
            fields.entry("id").or_insert_with(|| id.into());
            if let Some(Value::String(text)) = fields.get("content") {
                let kind = if fields.get("role").is_some_and(|role| role == "assistant") {
                    "output_text"
                } else {
                    "input_text"
                };
                let content = json!([{ "type": kind, "text": text }]);
                fields.insert("content".to_owned(), content);
            }
        }
        item
    };
    items.into_iter().enumerate().map(with_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_keeping() {
        let keeping = |previous: Option<&str>, store| Keeping { previous: previous.map(str::to_owned), store };
        let cases = [
            (r#"{"input":"x"}"#, Ok(keeping(None, true))),
            (r#"{"store":false,"previous_response_id":null,"background":false}"#, Ok(keeping(None, false))),
            (r#"{"store":null,"previous_response_id":"resp_1"}"#, Ok(keeping(Some("resp_1"), true))),
            (r#"{"background":true}"#, Err("background: ")),
            (r#"{"conversation":"conv_1"}"#, Err("conversation: ")),
            (r#"{"previous_response_id":7}"#, Err("previous_response_id: ")),
        ];
        for (body, expected) in cases {
            let read = Keeping::of(body.as_bytes()).map_err(|error| error.to_string());
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{body}"),
                (Err(error), Err(begins)) => assert!(error.starts_with(begins), "{error}"),
                (read, _) => panic!("{body}: {read:?}"),
            }
        }
    }

    #[test]
    fn a_conversation_is_written_out() {
        let first = items(br#"{"input":"h\u00e9 \"x\""}"#);
        let reply = br#"{"id":"resp_1","output":[
            {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},
            {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"mcp-router:unsigned"},
            {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"yes"}]}]}"#;
        let body =
            br#"{"model":"m", "previous_response_id":"resp_1","input":[{"role":"user","content":"and?"}],"x":1.0}"#;
        let before = joined(&first, &said(reply));
        let whole = written_out(body, &joined(&before, &items(body)));
        insta::assert_snapshot!(std::str::from_utf8(&whole).unwrap(), @r#"{"model":"m","x":1.0,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"h\u00e9 \"x\""}]},{"type":"reasoning","summary":[],"encrypted_content":"mcp-router:unsigned"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]},{"role":"user","content":"and?"}]}"#);
        let ids: Vec<_> = listed(&before, "resp_1").into_iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, ["msg_1_0", "item_1_1", "msg_1_2"]);
    }

    #[test]
    fn items_that_are_named_are_written_out() {
        let reply = br#"{"id":"resp_7_a","output":[
            {"type":"reasoning","id":"rs_7_a_0","summary":[],"encrypted_content":"gAAA"},
            {"type":"message","id":"msg_7_a_1","role":"assistant","content":[{"type":"output_text","text":"yes"}]}]}"#;
        let said = said_by_id(reply).collect();
        let body = br#"{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"rs_7_a_0"},
            {"type":"item_reference","id":"msg_7_a_1"},{"type":"item_reference","id":"msg_6"},
            {"type":"item_reference","id":"msg_8_0"}],"n":1.0,"previous_response_id":"resp_1"}"#;
        assert_eq!(named_replies(body), ["resp_7_a".to_owned(), "resp_8".to_owned()].into());
        insta::assert_snapshot!(std::str::from_utf8(&with_named(body, &said)).unwrap(), @r#"{"n":1.0,"previous_response_id":"resp_1","input":[{"role":"user","content":"x"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]},{"type":"item_reference","id":"msg_6"},{"type":"item_reference","id":"msg_8_0"}]}"#);
        for body in
            [&br#"{"input":"item_reference"}"#[..], br#"{"input":[{"type":"message","id":"msg_7_a_1"}]}"#, b"{}"]
        {
            assert_eq!(named_replies(body), BTreeSet::new());
        }
    }
}
