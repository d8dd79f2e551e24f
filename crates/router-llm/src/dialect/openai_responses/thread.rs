//! A conversation that goes on from a reply by its id: what of it is kept, and how it is written out again.

use bytes::Bytes;
use router_core::{Error, Kind, Result, scan};
use serde_json::{Value, json};

use crate::dialect::proof;

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
    let mut out = b"{".to_vec();
    let others = scan::members(body).filter(|(key, _)| !matches!(*key, b"input" | b"previous_response_id"));
    for (key, value) in others.chain([(&b"input"[..], items)]) {
        let comma: &[u8] = if out.len() > 1 { b"," } else { b"" };
        out.extend_from_slice(&[comma, b"\"", key, b"\":", value].concat());
    }
    out.push(b'}');
    out.into()
}

/// What a reply said, as items for whoever is asked next: without ids that only its own provider knows, and without
/// thoughts that only he can read.
pub fn said(response: &[u8]) -> Bytes {
    let own = |item: &Value| match item.get("type").and_then(Value::as_str) {
        Some("reasoning") => item.get("encrypted_content").and_then(Value::as_str).is_some_and(proof::is_marked),
        Some(_) | None => true,
    };
    let output = scan::find(response, "/output").unwrap_or(b"[]");
    let mut items: Vec<Value> = serde_json::from_slice(output).unwrap_or_default();
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
}
