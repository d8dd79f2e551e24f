//! Ollama as a front: what clients ask, and what they are told.

use std::time::Duration;

use bytes::Bytes;
use router_core::{
    Kind, Raw,
    chat::{
        Block, Dialect as _, Event, Format, Image, Message, Part, Prompt, Role, Shape, StopReason, Thinking,
        ThinkingMode, Usage,
    },
};
use serde_json::{Value, json};
use tokio::time::advance;

use super::{OLLAMA, generate, generate::GENERATE, unspoken};
use crate::dialect::{Language, Told, infill};

fn body(value: &Value) -> Bytes {
    value.to_string().into()
}

fn text(role: Role, text: &str) -> Message {
    Message::text(role, text)
}

#[test]
fn a_result_finds_its_call_by_id_by_name_or_by_order() {
    let calls = |ids: [Option<&str>; 2]| {
        let [one, two] = ids;
        let call = |id: Option<&str>, name| json!({ "id": id, "function": { "name": name, "arguments": {} } });
        json!({ "role": "assistant", "tool_calls": [call(one, "a"), call(two, "b")] })
    };
    let result = |more: Value| {
        let mut message = json!({ "role": "Tool", "content": "r" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let cases = [
        (calls([None, None]), [json!({}), json!({})], ["call_0", "call_1"]),
        (calls([None, None]), [json!({ "tool_name": "b" }), json!({ "tool_name": "a" })], ["call_1", "call_0"]),
        (calls([Some("x"), Some("y")]), [json!({ "tool_call_id": "y" }), json!({ "tool_call_id": "x" })], ["y", "x"]),
        (
            calls([Some("x"), Some("")]),
            [json!({ "tool_name": "b" }), json!({ "tool_call_id": "gone" })],
            ["call_1", "x"],
        ),
    ];
    for (assistant, [one, two], expected) in cases {
        let messages = json!([assistant, result(one), result(two)]);
        let prompt = OLLAMA.decode(&body(&json!({ "messages": messages }))).unwrap();
        let answered: Vec<String> = prompt.messages[1..]
            .iter()
            .map(|message| match message.parts.as_slice() {
                [Part::ToolResult { id, .. }] => id.clone(),
                _ => panic!("{message:?}"),
            })
            .collect();
        assert_eq!(answered, expected, "{messages}");
    }
}

#[test]
fn a_generation_is_a_chat() {
    let ask = |messages: Vec<Message>| Prompt { messages, origin: Some("ollama"), ..Prompt::default() };
    let picture = Part::Image(Image::Inline { media_type: "image/jpeg".into(), data: "/9j/AAAA".into() });
    let schema = Format::JsonSchema { name: None, schema: Raw::trusted("{\"type\":\"object\"}"), strict: None };
    let nothing = json!({ "prompt": "hi", "system": "", "suffix": "", "template": "", "raw": false, "context": [] });
    let gap = json!({ "prompt": "fn a(", "suffix": "}", "system": "Rust." });
    let cases = [
        (json!({ "model": "m", "stream": false, "prompt": "hi" }), ask(vec![text(Role::User, "hi")])),
        (nothing, ask(vec![text(Role::User, "hi")])),
        (
            json!({ "prompt": "hi", "messages": [{ "role": "user", "content": "a chat's" }], "tools": [{}] }),
            ask(vec![text(Role::User, "hi")]),
        ),
        (
            gap,
            ask(vec![
                text(Role::System, "Rust."),
                text(Role::System, infill::ORDER),
                text(Role::User, &infill::sides("fn a(", "}")),
            ]),
        ),
        (
            json!({
                "prompt": "What?", "images": ["/9j/AAAA"], "think": true, "format": { "type": "object" }, "keep_alive": "5m",
                "options": { "num_predict": 9, "top_k": 3, "mirostat": 1 },
            }),
            Prompt {
                thinking: Some(Thinking { mode: Some(ThinkingMode::On), ..Thinking::default() }),
                format: Some(schema),
                max_tokens: Some(9),
                top_k: Some(3),
                extra: [("options", json!({ "mirostat": 1 })), ("keep_alive", json!("5m"))]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into_iter()
                    .collect(),
                ..ask(vec![Message { role: Role::User, parts: vec![picture, Part::Text("What?".into())] }])
            },
        ),
    ];
    for (question, expected) in cases {
        assert_eq!(GENERATE.decode(&body(&question)).unwrap(), expected, "{question}");
    }
}

#[test]
fn what_only_ollama_can_is_refused_by_name() {
    for (field, value) in [("raw", json!(true)), ("template", json!("{{ .Prompt }}")), ("context", json!([1, 2]))] {
        let error = GENERATE.decode(&body(&json!({ "prompt": "hi", field: value }))).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().starts_with(&format!("{field}: ")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_says_nothing_loads() {
    type Unspoken = fn(&[u8], Told) -> Option<router_core::Result<Vec<u8>>>;
    let chat: (Unspoken, &str) = (unspoken, "message");
    let generation: (Unspoken, &str) = (generate::unspoken, "response");
    let table = [
        (chat, json!({}), Some("load")),
        (chat, json!({ "messages": [] }), Some("load")),
        (chat, json!({ "messages": [], "keep_alive": 0 }), Some("unload")),
        (chat, json!({ "messages": [{ "role": "user", "content": "" }] }), None),
        (generation, json!({}), Some("load")),
        (generation, json!({ "prompt": "", "keep_alive": "0s" }), Some("unload")),
        (generation, json!({ "prompt": null, "images": [], "keep_alive": "5m" }), Some("load")),
        (generation, json!({ "prompt": "hi" }), None),
        (generation, json!({ "prompt": "", "images": ["/9j/"] }), None),
    ];
    for ((unspoken, said), question, expected) in table {
        let told = unspoken(question.to_string().as_bytes(), Told::of("r", "big", 0));
        let told: Option<Value> = told.map(|answer| serde_json::from_slice(&answer.unwrap()).unwrap());
        let reason = told.as_ref().map(|answer| answer["done_reason"].as_str().unwrap());
        assert_eq!(reason, expected, "{question}");
        assert!(told.is_none_or(|answer| answer["done"] == true && answer.get(said).is_some()), "{question}");
    }
}

fn reply() -> Vec<Event> {
    let call = |id: &str| Event::Open(Block::ToolUse { id: id.into(), name: "look".into() });
    vec![
        Event::Start { id: None, model: Some("upstreams".into()) },
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("I ".into()),
        Event::Text("look.".into()),
        Event::Close,
        call("a"),
        Event::Arguments("{\"at\": 123456".into()),
        Event::Arguments("78901234567890123}".into()),
        Event::Close,
        call("b"),
        Event::Close,
        Event::Usage(Usage { input: 5, output: 3, cache_read: 2, ..Usage::default() }),
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ]
}

/// A reply whose first piece comes after 2 s, and whose end comes 3 s later.
async fn written(language: &dyn Language, shape: Shape, events: Vec<Event>) -> String {
    let mut writer = language.writer(Told::of("r", "big", 1_709_210_096), shape);
    let mut out = Vec::new();
    advance(Duration::from_secs(2)).await;
    writer.write(events, &mut out).unwrap();
    advance(Duration::from_secs(3)).await;
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_written_as_clients_read_it() {
    insta::assert_snapshot!("chat_stream", written(&OLLAMA, Shape::Stream, reply()).await);
    insta::assert_snapshot!("chat_whole", written(&OLLAMA, Shape::Whole, reply()).await);
    insta::assert_snapshot!("generate_stream", written(&GENERATE, Shape::Stream, reply()).await);
    insta::assert_snapshot!("generate_whole", written(&GENERATE, Shape::Whole, reply()).await);
}

#[tokio::test(start_paused = true)]
async fn arguments_over_several_lines_are_told_in_one() {
    let events = vec![
        Event::Start { id: None, model: None },
        Event::Open(Block::ToolUse { id: "a".into(), name: "look".into() }),
        Event::Arguments("{\n  \"at\":\r\n[1,\n2]}".into()),
        Event::Close,
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ];
    let stream = written(&OLLAMA, Shape::Stream, events).await;
    let pieces: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let arguments = pieces.iter().find_map(|piece| piece.pointer("/message/tool_calls/0/function/arguments"));
    assert_eq!(arguments, Some(&json!({ "at": [1, 2] })));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_counted_is_not_told() {
    let ending = Event::Stop { reason: StopReason::ContextWindow, sequence: None };
    let whole: Value = serde_json::from_str(&written(&OLLAMA, Shape::Whole, vec![ending]).await).unwrap();
    let fields: Vec<&str> = whole.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["model", "created_at", "message", "done", "done_reason", "total_duration"]);
    assert_eq!((&whole["done_reason"], &whole["total_duration"]), (&json!("length"), &json!(5_000_000_000_u64)));
}

/// Clients read every line as a piece: Python's parses each, JavaScript's takes any `error` for one.
#[test]
fn what_keeps_a_stream_alive_is_a_piece_that_says_nothing() {
    for (language, said) in [(&OLLAMA as &dyn Language, "/message/content"), (&GENERATE, "/response")] {
        let ping = language.ping();
        let piece: Value = serde_json::from_slice(ping.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((piece.pointer(said), &piece["done"]), (Some(&json!("")), &json!(false)));
        assert_eq!(piece.get("error"), None);
    }
}
