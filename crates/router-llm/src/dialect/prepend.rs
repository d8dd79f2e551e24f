//! Words before all that the system says, put into a question's own bytes: everything else in them stays as it came.

use std::ops::Range;

use router_core::{
    chat::Wire,
    scan::{Scanner, text as said},
};
use serde_json::{Value, json};

use super::envelope;

/// Where the system has a field of its own: a text, or a list of blocks.
pub(super) fn field(question: &Wire, key: &str, text: &str) -> Option<Wire> {
    let body = &question.body;
    let ([at], _) = envelope::read(body, [key]).ok()?;
    let Some(at) = at else { return first_member(question, &format!("{}:{},", quoted(key), quoted(text))) };
    match body.get(at.start)? {
        b'"' => Some(question.inserted(at.start + 1, &inner(text))),
        b'[' => first_item(question, at, &json!({ "type": "text", "text": text })),
        _ => None,
    }
}

/// Where the system speaks in the list of messages. Its first message is added to where that is a text: some models
/// take only one.
pub(super) fn messages(question: &Wire, text: &str) -> Option<Wire> {
    let body = &question.body;
    let ([Some(list)], _) = envelope::read(body, ["messages"]).ok()? else { return None };
    if let Some(first) = first(body.get(list.clone())?) {
        let first = list.start + first.start..list.start + first.end;
        let message = body.get(first.clone())?;
        let ([role, content], _) = envelope::read(message, ["role", "content"]).ok()?;
        let role = said(message.get(role?)?)?;
        let content = content.filter(|content| message.get(content.start) == Some(&b'"'));
        if let (Some(content), "system" | "developer") = (content, &*role) {
            return Some(question.inserted(first.start + content.start + 1, &inner(text)));
        }
    }
    first_item(question, list, &json!({ "role": "system", "content": text }))
}

fn first_member(question: &Wire, member: &str) -> Option<Wire> {
    let brace = question.body.iter().position(|byte| *byte == b'{')?;
    Some(question.inserted(brace + 1, member))
}

fn first_item(question: &Wire, list: Range<usize>, item: &Value) -> Option<Wire> {
    let comma = if first(question.body.get(list.clone())?).is_some() { "," } else { "" };
    Some(question.inserted(list.start + 1, &format!("{item}{comma}")))
}

/// Where the first element of a list stands in it.
fn first(list: &[u8]) -> Option<Range<usize>> {
    let mut scanner = Scanner::trusted(list);
    let mut place = scanner.array().ok()?;
    if scanner.element(&mut place).ok()? { scanner.value().ok() } else { None }
}

/// The text as it stands within quotes, with a blank line behind it.
fn inner(text: &str) -> String {
    let quoted = quoted(&format!("{text}\n\n"));
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use router_core::chat::{Chat, Meta, Reference, Shape};

    use super::{
        super::{
            Language, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT,
            openai_responses::OPENAI_RESPONSES,
        },
        *,
    };

    fn wire(language: &'static dyn Language, body: &str) -> Wire {
        let body = Bytes::from(body.to_owned());
        let head = language.head(&body).unwrap();
        Wire { dialect: language, body, model: head.model_at, limit: head.limit_at, needs: head.needs }
    }

    #[test]
    fn only_what_is_put_in_changes() {
        let table: [(&'static dyn Language, &str, &str); 10] = [
            (
                &ANTHROPIC,
                r#" {"model":"m","messages":[],"x" : 1.0}"#,
                r#" {"system":"A \"b\"","model":"m","messages":[],"x" : 1.0}"#,
            ),
            (&ANTHROPIC, r#"{"model":"m","system": "Old","z":0}"#, r#"{"model":"m","system": "A \"b\"\n\nOld","z":0}"#),
            (
                &ANTHROPIC,
                r#"{"system":[ {"type":"text","text":"Old","cache_control":{"type":"ephemeral"}}],"model":"m"}"#,
                r#"{"system":[{"text":"A \"b\"","type":"text"}, {"type":"text","text":"Old","cache_control":{"type":"ephemeral"}}],"model":"m"}"#,
            ),
            (
                &ANTHROPIC,
                r#"{"system":[],"model":"m"}"#,
                r#"{"system":[{"text":"A \"b\"","type":"text"}],"model":"m"}"#,
            ),
            (
                &OPENAI_CHAT,
                r#"{"messages":[{"role":"user","content":"Hi"}],"model":"m"}"#,
                r#"{"messages":[{"role":"system","content":"A \"b\""},{"role":"user","content":"Hi"}],"model":"m"}"#,
            ),
            (
                &OPENAI_CHAT,
                r#"{"model":"m","messages":[ {"content":"Old", "role":"developer"},{"role":"user","content":"Hi"}]}"#,
                r#"{"model":"m","messages":[ {"content":"A \"b\"\n\nOld", "role":"developer"},{"role":"user","content":"Hi"}]}"#,
            ),
            (
                &OPENAI_CHAT,
                r#"{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"Old"}]}]}"#,
                r#"{"model":"m","messages":[{"role":"system","content":"A \"b\""},{"role":"system","content":[{"type":"text","text":"Old"}]}]}"#,
            ),
            (
                &OLLAMA,
                r#"{"model":"m","messages":[]}"#,
                r#"{"model":"m","messages":[{"role":"system","content":"A \"b\""}]}"#,
            ),
            (
                &OPENAI_RESPONSES,
                r#"{"model":"m","input":"Hi"}"#,
                r#"{"instructions":"A \"b\"","model":"m","input":"Hi"}"#,
            ),
            (
                &OPENAI_RESPONSES,
                r#"{"model":"m","input":"Hi","instructions":"Old"}"#,
                r#"{"model":"m","input":"Hi","instructions":"A \"b\"\n\nOld"}"#,
            ),
        ];
        for (language, body, expected) in table {
            let found = language.prepend(&wire(language, body), "A \"b\"").expect("it can be put in");
            let (found_value, expected_value): (Value, Value) =
                (serde_json::from_slice(&found.body).unwrap(), serde_json::from_str(expected).unwrap());
            assert_eq!(found_value, expected_value, "{body}");
            assert_eq!(found.body.len(), expected.len(), "{body}");
            assert_eq!(found.body.get(found.model.clone()), Some(&b"\"m\""[..]), "{body}");
        }
    }

    #[test]
    fn what_has_no_such_place_is_decoded() {
        for (language, body) in [
            (&ANTHROPIC as &'static dyn Language, r#"{"model":"m","system":null}"#),
            (&OPENAI_CHAT, r#"{"model":"m","prompt":"Hi"}"#),
            (&OPENAI_CHAT, r#"{"model":"m","messages":["odd"]}"#),
        ] {
            assert!(language.prepend(&wire(language, body), "A").is_none(), "{body}");
        }
    }

    #[test]
    fn the_bytes_go_on_speaking_for_a_question() {
        let wire = wire(&OPENAI_CHAT, r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"zeta":[1.0]}"#);
        let mut chat = Chat::arrived(wire, Meta::default(), "m", Shape::Whole);
        assert_eq!(chat.prompt().unwrap().messages.len(), 1);
        chat.prepend("Be short.").unwrap();
        assert!(chat.wire().is_some());
        let prompt = chat.prompt().unwrap();
        let texts: Vec<_> = prompt.messages.iter().map(router_core::chat::Message::joined_text).collect();
        assert_eq!(texts, ["Be short.", "Hi"]);
    }

    #[test]
    fn what_goes_on_from_a_kept_reply_is_written_out_with_it() {
        let wire = wire(&OPENAI_RESPONSES, r#"{"model":"m","previous_response_id":"resp_1","input":"and?"}"#);
        let whole = r#"{"model":"m","input":[{"role":"user","content":"Hi"},{"role":"user","content":"and?"}]}"#;
        let reference = Reference { kept_by: None, whole: whole.into() };
        let mut chat = Chat::arrived(wire, Meta::default(), "m", Shape::Whole).referring(reference);
        chat.prepend("Be short.").unwrap();
        assert!(chat.wire().is_none());
        let prompt = chat.prompt().unwrap();
        let texts: Vec<_> = prompt.messages.iter().map(router_core::chat::Message::joined_text).collect();
        assert_eq!(texts, ["Be short.", "Hi", "and?"]);
    }
}
