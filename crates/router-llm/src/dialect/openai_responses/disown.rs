//! The encrypted part of a thought, which only the account that had it can read: where it stands, and the question
//! without it.

use router_core::{
    Raw,
    chat::{Losses, Message, Part, Prompt, Role},
    scan,
};
use serde_json::{Map, Value};

use super::{NAME, items::further_of};
use crate::dialect::proof;

/// The field that it stands in.
const FIELD: &[u8] = b"\"encrypted_content\"";

/// How the ids of thoughts begin that their provider keeps himself.
const KEPT: &[u8] = b"\"rs_";

/// All of them in a question, a reply or a frame of one; those of other vendors, which stand under our marks, left out.
pub(crate) fn encrypted(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let values = memchr::memmem::find_iter(json, FIELD).filter_map(|at| {
        let value = json.get(at + FIELD.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let text = value.strip_prefix(b"\"")?;
        text.get(..memchr::memchr(b'"', text)?)
    });
    values.filter(|text| !text.is_empty() && !text.starts_with(b"mcp-router:"))
}

/// Whether a question names thoughts that it does not bring along, because their provider keeps them.
pub(crate) fn names_kept(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, KEPT).count() > encrypted(json).count()
}

/// The prompt without the thoughts that are not its reader's, and without the ids that others gave to what was said
/// around them; `None` where all of them are. A thought of which there is nothing but an id is asked after as "".
pub(crate) fn disowned(prompt: &Prompt, is_own: &dyn Fn(&[u8]) -> bool, losses: &mut Losses) -> Option<Prompt> {
    let foreign = |part: &Part, next: Option<&Part>| proof_of(part, next).is_some_and(|proof| !is_own(proof));
    let any = |message: &Message| {
        let nexts = message.parts.iter().skip(1).map(Some).chain([None]);
        message.parts.iter().zip(nexts).any(|(part, next)| foreign(part, next))
    };
    if !prompt.messages.iter().any(any) {
        return None;
    }
    let mut prompt = prompt.clone();
    for message in prompt.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        let parts = std::mem::take(&mut message.parts);
        let mut parts = parts.into_iter().peekable();
        while let Some(part) = parts.next() {
            if foreign(&part, parts.peek()) {
                losses.note("reasoning.encrypted_content");
                parts.next_if(|next| fields(next).is_some());
            } else {
                message.parts.push(nameless(part));
            }
        }
    }
    Some(prompt)
}

/// The encrypted part of a thought, or of another item that only its provider can read.
fn proof_of<'a>(part: &'a Part, next: Option<&Part>) -> Option<&'a [u8]> {
    match part {
        Part::Thinking { signature: Some(signature), .. } => {
            let (_, proof) = proof::made_by(NAME, signature)?.split_once(':')?;
            Some(proof.as_bytes())
        }
        Part::Thinking { signature: None, .. } => fields(next?)?.contains_key("id").then_some(&b""[..]),
        Part::Other { dialect: NAME, raw } => {
            let proof = scan::find(raw.bytes(), "/encrypted_content").and_then(|_| encrypted(raw.bytes()).next());
            let kept = || scan::find(raw.bytes(), "/type").is_some_and(|kind| kind == b"\"reasoning\"");
            proof.or_else(|| kept().then_some(b""))
        }
        Part::Text(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::ToolResult { .. }
        | Part::Other { .. } => None,
    }
}

/// The fields in a part that only adds to the one before it.
fn fields(part: &Part) -> Option<Map<String, Value>> {
    if let Part::Other { dialect: NAME, raw } = part { further_of(raw) } else { None }
}

/// A provider that is shown the ids of somebody else's items looks for them in vain.
fn nameless(part: Part) -> Part {
    let Some(mut fields) = fields(&part) else { return part };
    fields.shift_remove("id");
    if let Some(Value::Object(message)) = fields.get_mut("message") {
        message.shift_remove("id");
    }
    Part::Other { dialect: NAME, raw: Raw::trusted(Value::Object(fields).to_string()) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use router_core::chat::{Dialect as _, Shape};
    use serde_json::json;

    use super::*;
    use crate::dialect::{Ask, Language as _, openai_responses::OPENAI_RESPONSES};

    #[test]
    fn it_is_found_wherever_it_stands() {
        let table: [(&[u8], &[&[u8]]); 6] = [
            (br#"{"encrypted_content":"gA="}"#, &[b"gA="]),
            (br#"data: {"item":{"encrypted_content" : "gA","x":[{"encrypted_content":"gB"}]}}"#, &[b"gA", b"gB"]),
            (br#"{"encrypted_content":null},{"encrypted_content":""}"#, &[]),
            (br#"{"encrypted_content":"mcp-router:unsigned"}"#, &[]),
            (br#"{"text":"\"encrypted_content\":\"gA\""}"#, &[]),
            (br#"{"encrypted_content":"cut"#, &[]),
        ];
        for (json, expected) in table {
            assert_eq!(encrypted(json).collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(json));
        }
    }

    #[test]
    fn a_question_is_left_without_the_thoughts_of_others() {
        let input = json!([
            { "type": "message", "role": "user", "content": "hi" },
            { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "theirs" },
            { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": "I look.", "annotations": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "call_1", "output": "seen" },
            { "type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ours" },
            { "type": "reasoning", "id": "rs_3", "summary": [] },
            { "type": "compaction", "id": "cmp_1", "encrypted_content": "theirs" },
            { "type": "message", "role": "user", "content": "more" },
        ]);
        let body = json!({ "model": "m", "input": input, "zeta": 1 }).to_string();
        let prompt = OPENAI_RESPONSES.decode(&Bytes::from(body)).unwrap();
        assert_eq!(disowned(&prompt, &|_| true, &mut Losses::default()), None);
        let mut losses = Losses::default();
        let own = disowned(&prompt, &|proof| proof == b"ours", &mut losses).unwrap();
        let ask = Ask { shape: Shape::Whole, ..Ask::of(&own, "m") };
        let written = OPENAI_RESPONSES.encode(&ask, &mut losses).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(losses.to_string(), "reasoning.encrypted_content");
        assert_eq!(written["zeta"], 1);
        let told: Vec<_> = written["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| [&item["type"], &item["id"], &item["encrypted_content"]])
            .collect();
        let none = &Value::Null;
        let kinds =
            ["message", "message", "function_call", "function_call_output", "reasoning", "message"].map(Value::from);
        let [user, assistant, call, answer, thought, more] = &kinds;
        let (id, proof) = (&json!("rs_2"), &json!("ours"));
        assert_eq!(
            told,
            [
                [user, none, none],
                [assistant, none, none],
                [call, none, none],
                [answer, none, none],
                [thought, id, proof],
                [more, none, none]
            ],
            "{written}"
        );
    }
}
