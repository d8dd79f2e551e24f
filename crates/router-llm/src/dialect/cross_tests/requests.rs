//! Requests of one dialect, written in the other: a corpus of what agents send, and what becomes of it.

use bytes::Bytes;
use router_core::chat::Shape;
use serde_json::{Value, json};

use crate::dialect::{Ask, Language, Quirks, anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT};

fn translated(from: &dyn Language, to: &dyn Language, body: &Value, model: &str) -> Value {
    let prompt = from.decode(&Bytes::from(body.to_string())).unwrap();
    let ask = Ask { prompt: &prompt, model, shape: Shape::Stream, quirks: &Quirks::NONE };
    serde_json::from_slice(&to.encode(&ask).unwrap()).unwrap()
}

#[test]
fn what_a_coding_agent_asks_in_anthropics_words() {
    let body = json!({
        "model": "claude-opus-5-5", "max_tokens": 32000, "stream": true,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329.abc; cc_entrypoint=cli;" },
            { "type": "text", "text": "You are an agent.", "cache_control": { "type": "ephemeral" } },
            { "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } },
        ],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>today</system-reminder>" },
                { "type": "text", "text": "fix it", "cache_control": { "type": "ephemeral" } },
            ] },
            { "role": "system", "content": "Environment: linux", "output_config": { "effort": "high" } },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "two files", "signature": "EqQB" },
                { "type": "text", "text": "" },
                { "type": "text", "text": "I read both." },
                { "type": "tool_use", "id": "toolu_1", "name": "Read", "input": { "path": "/a", "limit": 10 } },
                { "type": "tool_use", "id": "toolu_2", "name": "Read", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "text", "text": "meanwhile" },
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    { "type": "text", "text": "1: a" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO" } },
                ] },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": true },
            ] },
        ],
        "tools": [
            { "name": "Read", "description": "Reads a file", "cache_control": { "type": "ephemeral" }, "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
                "properties": { "path": { "type": "string" }, "limit": { "type": "integer" } }, "required": ["path"],
                "additionalProperties": false,
            } },
        ],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "stop_sequences": ["</done>"],
        "thinking": { "type": "adaptive", "display": "omitted" },
        "output_config": { "effort": "medium" },
        "metadata": { "user_id": format!("{{\"device_id\":\"{}\"}}", "d".repeat(160)) },
        "context_management": { "edits": [] },
    });
    insta::assert_json_snapshot!(translated(&ANTHROPIC, &OPENAI_CHAT, &body, "gpt-x"));
}

#[test]
fn what_a_coding_agent_asks_in_openais_words() {
    let body = json!({
        "model": "gpt-x", "stream": true, "stream_options": { "include_usage": true },
        "messages": [
            { "role": "developer", "content": "You are an agent." },
            { "role": "user", "content": [
                { "type": "text", "text": "what is in these?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO", "detail": "high" } },
                { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE" } },
            ] },
            { "role": "assistant", "content": null, "reasoning_content": "two calls", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\": 1}" } },
                { "id": "call_2", "type": "function", "function": { "name": "look", "arguments": "" } },
                { "id": "functions.look:3", "type": "function", "function": { "name": "look", "arguments": "{\"at\":" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "a cat" },
            { "role": "tool", "tool_call_id": "call_2", "content": [{ "type": "text", "text": "a dog" }] },
            { "role": "tool", "tool_call_id": "functions.look:3", "content": "" },
            { "role": "system", "content": "Answer in French." },
            { "role": "user", "content": "" },
            { "role": "user", "content": "so?" },
        ],
        "tools": [{ "type": "function", "function": {
            "name": "look", "description": "Looks", "strict": true,
            "parameters": { "properties": { "at": { "type": "integer" } } },
        } }],
        "tool_choice": "required", "parallel_tool_calls": false,
        "max_completion_tokens": 2000, "temperature": 1.4, "top_p": 0.9, "seed": 7, "presence_penalty": 0.5,
        "stop": ["END", "\n"],
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } },
        "user": "u1",
    });
    insta::assert_json_snapshot!(translated(&OPENAI_CHAT, &ANTHROPIC, &body, "claude-opus-5-5"));
}

/// One matter at a time: what is asked in one dialect, and the field that says it in the other.
#[test]
fn one_matter_at_a_time() {
    let a = |fields: Value| with(json!({ "max_tokens": 9 }), fields);
    let o = |fields: Value| with(json!({}), fields);
    let tool_a = json!([{ "name": "x", "input_schema": { "type": "object" } }]);
    let tool_o = json!([{ "type": "function", "function": { "name": "x" } }]);
    let forced = json!({ "type": "function", "function": { "name": "x" } });
    let to_openai = [
        ("/max_tokens", a(json!({})), json!(9)),
        ("/tool_choice", a(json!({ "tools": tool_a, "tool_choice": { "type": "any" } })), json!("required")),
        ("/tool_choice", a(json!({ "tools": tool_a, "tool_choice": { "type": "none" } })), json!("none")),
        ("/tool_choice", a(json!({ "tools": tool_a, "tool_choice": { "type": "tool", "name": "x" } })), forced.clone()),
        ("/tool_choice", a(json!({ "tool_choice": { "type": "auto" } })), Value::Null),
        ("/reasoning_effort", a(json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } })), json!("low")),
        ("/reasoning_effort", a(json!({ "thinking": { "type": "enabled", "budget_tokens": 8192 } })), json!("medium")),
        ("/reasoning_effort", a(json!({ "thinking": { "type": "enabled", "budget_tokens": 32768 } })), json!("high")),
        (
            "/reasoning_effort",
            a(json!({ "thinking": { "type": "disabled" }, "output_config": { "effort": "max" } })),
            json!("none"),
        ),
        (
            "/response_format/json_schema/schema",
            a(json!({ "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } } })),
            json!({ "type": "object" }),
        ),
        ("/metadata", a(json!({ "metadata": { "user_id": "u" } })), Value::Null),
        ("/user", a(json!({ "metadata": { "user_id": "u" } })), json!("u")),
        ("/top_k", a(json!({ "top_k": 3 })), json!(3)),
        ("/container", a(json!({ "container": "c" })), Value::Null),
    ];
    for (at, body, expected) in to_openai {
        let written = translated(&ANTHROPIC, &OPENAI_CHAT, &body, "m");
        assert_eq!(written.pointer(at).unwrap_or(&Value::Null), &expected, "{at} of {body}");
    }
    let to_anthropic = [
        ("/max_tokens", o(json!({})), json!(32_000)),
        ("/max_tokens", o(json!({ "max_tokens": 5 })), json!(5)),
        ("/temperature", o(json!({ "temperature": 2 })), json!(1.0)),
        ("/tool_choice", o(json!({ "tools": tool_o, "tool_choice": forced })), json!({ "type": "tool", "name": "x" })),
        (
            "/tool_choice",
            o(json!({ "tools": tool_o, "parallel_tool_calls": false })),
            json!({ "type": "auto", "disable_parallel_tool_use": true }),
        ),
        ("/tools/0/input_schema", o(json!({ "tools": tool_o })), json!({ "type": "object" })),
        ("/output_config/effort", o(json!({ "reasoning_effort": "high" })), json!("high")),
        ("/thinking/type", o(json!({ "reasoning_effort": "high" })), json!("adaptive")),
        ("/thinking", o(json!({ "reasoning_effort": "none" })), Value::Null),
        ("/stop_sequences", o(json!({ "stop": "END" })), json!(["END"])),
        ("/metadata", o(json!({ "safety_identifier": "u" })), json!({ "user_id": "u" })),
        (
            "/system/0/text",
            o(json!({ "response_format": { "type": "json_object" } })),
            json!("Answer with one JSON object and nothing else."),
        ),
        ("/logit_bias", o(json!({ "logit_bias": { "1": 1 } })), Value::Null),
        ("/service_tier", o(json!({ "service_tier": "flex" })), Value::Null),
    ];
    for (at, body, expected) in to_anthropic {
        let written = translated(&OPENAI_CHAT, &ANTHROPIC, &body, "claude-opus-5-5");
        assert_eq!(written.pointer(at).unwrap_or(&Value::Null), &expected, "{at} of {body}");
    }
}

fn with(mut body: Value, fields: Value) -> Value {
    body["model"] = "m".into();
    body["messages"] = json!([{ "role": "user", "content": "hi" }]);
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn a_conversation_survives_the_way_there_and_back() {
    let body = with(
        json!({ "max_tokens": 9 }),
        json!({
            "system": [{ "type": "text", "text": "s" }],
            "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "u" }] },
                { "role": "assistant", "content": [
                    { "type": "text", "text": "a" },
                    { "type": "tool_use", "id": "t1", "name": "x", "input": { "n": 1.0, "big": 9_007_199_254_740_993_u64 } },
                    { "type": "tool_use", "id": "t2", "name": "x", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "r1" }] },
                    { "type": "tool_result", "tool_use_id": "t2", "content": [{ "type": "text", "text": "r2" }] },
                    { "type": "text", "text": "go on" },
                ] },
            ],
            "tools": [{ "name": "x", "description": "d", "input_schema": { "type": "object", "properties": {} } }],
            "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
        }),
    );
    let there = translated(&ANTHROPIC, &OPENAI_CHAT, &body, "m");
    let mut back = translated(&OPENAI_CHAT, &ANTHROPIC, &there, "m");
    assert_eq!(back.as_object_mut().unwrap().shift_remove("stream"), Some(json!(true)));
    assert_eq!(back, body);
}
