//! Requests, from outside: read and written again.

use router_core::{
    Raw,
    chat::{Message, Part, Role, Thinking, ThinkingMode, ToolChoice},
};
use serde_json::{Value, json};

use super::*;
use crate::dialect::Quirks;

fn prompt(body: &Value) -> Prompt {
    OPENAI_RESPONSES.decode(&Bytes::from(body.to_string())).unwrap()
}

fn written(prompt: &Prompt, quirks: Quirks) -> (Value, String) {
    let mut losses = Losses::default();
    let ask = Ask { quirks: &quirks, ..Ask::of(prompt, "m") };
    let body = OPENAI_RESPONSES.encode(&ask, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), losses.to_string())
}

/// A user's question with further fields.
fn asking(fields: &Value) -> Value {
    let mut body = json!({ "model": "m", "input": [
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "hi" }] },
    ] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn what_is_read_is_written_again() {
    let tool =
        |name: &str| json!({ "type": "function", "name": name, "parameters": { "type": "object" }, "strict": true });
    let said = |items: Value| json!({ "input": items });
    let user = json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "hi" }] });
    let cases = [
        json!({ "instructions": "Be brief.", "max_output_tokens": 5, "temperature": 0.5, "top_p": 0.9 }),
        json!({ "reasoning": { "effort": "minimal", "summary": "detailed" } }),
        json!({ "reasoning": { "effort": "none" } }),
        json!({ "text": { "verbosity": "low", "format": { "type": "json_object" } } }),
        json!({ "text": { "format": { "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": true } } }),
        json!({ "user": "ann" }),
        json!({ "safety_identifier": "ann", "prompt_cache_key": "k", "service_tier": "flex", "truncation": "auto" }),
        json!({ "store": false, "include": ["reasoning.encrypted_content"], "metadata": { "a": "b" }, "x_unknown": [1.5] }),
        json!({ "tools": [tool("a"), tool("b")], "tool_choice": { "type": "function", "name": "b" }, "parallel_tool_calls": false }),
        json!({ "tools": [tool("a"), { "type": "web_search" }], "tool_choice": { "type": "web_search" } }),
        json!({ "tools": [tool("a"), tool("b")], "tool_choice": { "type": "allowed_tools", "mode": "auto", "tools": [{ "type": "function", "name": "a" }] } }),
        json!({ "tools": [{ "type": "custom", "name": "c", "description": "d" }], "tool_choice": { "type": "custom", "name": "c" } }),
        json!({ "tools": [{ "type": "function", "name": "a", "parameters": { "type": "object" }, "defer_loading": true }] }),
        said(json!([{ "type": "message", "role": "user", "id": "msg_0", "content": [
            { "type": "input_image", "image_url": "https://x/y.png", "detail": "low" },
            { "type": "input_image", "image_url": "data:image/png;base64,AAAA" },
            { "type": "input_image", "file_id": "file_1" },
            { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB" },
            { "type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aMOp" },
            { "type": "input_file", "file_url": "https://x/y.pdf" },
        ] }])),
        said(
            json!([user, { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "d" }] }, user]),
        ),
        said(json!([user,
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" },
            { "type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "commentary",
              "content": [{ "type": "output_text", "text": "a" }, { "type": "refusal", "refusal": "b" }] },
            { "type": "message", "role": "assistant", "id": "msg_2", "content": [{ "type": "output_text", "text": "c" }] },
            { "type": "function_call", "call_id": "c1", "name": "t", "arguments": "{oops", "id": "fc_1", "status": "completed" },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "x" }, { "type": "summary_text", "text": "y" }],
              "id": "rs_2", "encrypted_content": "gBBB" },
            { "type": "local_shell_call", "call_id": "c2", "id": "l1", "status": "completed", "action": { "type": "exec", "command": ["ls"] } },
            { "type": "function_call_output", "call_id": "c1", "output": "one" },
            { "type": "local_shell_call_output", "id": "c2", "output": "two" },
            user, { "type": "item_reference", "id": "rs_9" }])),
    ];
    for fields in cases {
        let mut body = asking(&fields);
        let (mut again, losses) = written(&prompt(&body), Quirks::NONE);
        // The order of fields says nothing.
        for value in [&mut body, &mut again] {
            value.sort_all_objects();
        }
        assert_eq!(again, body);
        assert_eq!(losses, "", "{body}");
    }
}

#[test]
fn a_text_is_a_message_and_nothing_is_refused_for_its_kind() {
    let text = prompt(&json!({ "model": "m", "input": "hi" }));
    assert_eq!(text.messages, [Message::text(Role::User, "hi")]);
    let odd = json!([{ "role": "assistant", "content": "a" }, { "type": "compaction", "encrypted_content": "x" }, { "type": "new_thing" }]);
    assert_eq!(prompt(&asking(&json!({ "input": odd }))).messages.len(), 1);
    for (body, expected) in [
        (json!({ "input": [{ "type": "function_call", "name": "t" }] }), "input.0.call_id: Field required"),
        (json!({ "input": [{ "role": "ghost", "content": "x" }] }), "input.0.role: `ghost` is none of"),
        (json!({ "tool_choice": "perhaps" }), "tool_choice: must be"),
        (json!({ "tools": [{ "type": "function" }] }), "tools.0.name: Field required"),
        (json!({ "text": { "format": { "type": "xml" } } }), "text.format.type: `xml` is none of"),
    ] {
        let error = OPENAI_RESPONSES.decode(&Bytes::from(asking(&body).to_string())).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn a_prompt_of_another_dialect_is_written_with_its_losses() {
    let thought = Part::Thinking { text: "hm".into(), signature: Some("EqQB".into()) };
    let call = Part::ToolUse { id: "i".repeat(65), name: "a.b".into(), input: Raw::trusted("{}") };
    let result = Part::ToolResult { id: "i".repeat(65), parts: vec![Part::Text("r".into())], is_error: true };
    let prompt = Prompt {
        messages: vec![
            Message::text(Role::System, "s"),
            Message::text(Role::User, "u"),
            Message { role: Role::Assistant, parts: vec![thought, Part::Text("t".into()), call] },
            Message { role: Role::User, parts: vec![Part::Text("more".into()), result] },
            Message::text(Role::System, "late"),
        ],
        max_tokens: Some(3),
        temperature: Some(0.3),
        top_k: Some(4),
        stop: vec!["x".into()],
        thinking: Some(Thinking { mode: Some(ThinkingMode::Adaptive), budget: None, effort: Some("max".into()) }),
        tool_choice: Some(ToolChoice::Any),
        user: Some("u".repeat(65)),
        extra: serde_json::Map::from_iter([("container".to_owned(), "c".into())]),
        origin: Some("anthropic"),
        ..Prompt::default()
    };
    let (body, losses) = written(&prompt, Quirks { reasoning_model: true, ..Quirks::NONE });
    assert_eq!(losses, "thinking.signature, container, thinking, temperature, top_k");
    insta::assert_json_snapshot!(body);
}
