//! Requests of one dialect, written in the other: a corpus of what agents send, and what becomes of it.

use bytes::Bytes;
use router_core::{
    Kind,
    chat::{Block, Dialect as _, Event, Losses, Shape, StopReason},
};
use serde_json::{Value, json};

use crate::{
    dialect::{Ask, Language, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT},
    models::Known,
    provider::ProviderKind,
};

pub(super) fn translated(from: &dyn Language, to: &dyn Language, body: &Value, model: &str) -> Value {
    let prompt = from.decode(&Bytes::from(body.to_string())).unwrap();
    let quirks = Known::of(ProviderKind::Compatible, model).quirks;
    let ask = Ask { shape: Shape::Stream, quirks: &quirks, ..Ask::of(&prompt, model) };
    serde_json::from_slice(&to.encode(&ask, &mut Losses::default()).unwrap()).unwrap()
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

/// One matter at a time: what is asked in Anthropic's words, and the field that says it in OpenAI's.
#[test]
fn one_matter_at_a_time_from_anthropic() {
    let ask = |fields: Value| with(json!({ "max_tokens": 9 }), &fields);
    let tools = json!([{ "name": "x", "input_schema": { "type": "object" } }]);
    let forced = json!({ "type": "function", "function": { "name": "x" } });
    let cases = [
        ("/max_tokens", ask(json!({})), json!(9)),
        ("/tool_choice", ask(json!({ "tools": tools, "tool_choice": { "type": "any" } })), json!("required")),
        ("/tool_choice", ask(json!({ "tools": tools, "tool_choice": { "type": "none" } })), json!("none")),
        ("/tool_choice", ask(json!({ "tools": tools, "tool_choice": { "type": "tool", "name": "x" } })), forced),
        ("/tool_choice", ask(json!({ "tool_choice": { "type": "auto" } })), Value::Null),
        ("/reasoning_effort", ask(json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } })), json!("low")),
        (
            "/reasoning_effort",
            ask(json!({ "thinking": { "type": "enabled", "budget_tokens": 8192 } })),
            json!("medium"),
        ),
        ("/reasoning_effort", ask(json!({ "thinking": { "type": "enabled", "budget_tokens": 32768 } })), json!("high")),
        (
            "/reasoning_effort",
            ask(json!({ "thinking": { "type": "disabled" }, "output_config": { "effort": "max" } })),
            json!("none"),
        ),
        (
            "/response_format/json_schema/schema",
            ask(json!({ "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } } })),
            json!({ "type": "object" }),
        ),
        ("/metadata", ask(json!({ "metadata": { "user_id": "u" } })), Value::Null),
        ("/user", ask(json!({ "metadata": { "user_id": "u" } })), json!("u")),
        ("/top_k", ask(json!({ "top_k": 3 })), json!(3)),
        ("/container", ask(json!({ "container": "c" })), Value::Null),
    ];
    for (at, body, expected) in cases {
        let written = translated(&ANTHROPIC, &OPENAI_CHAT, &body, "m");
        assert_eq!(written.pointer(at).unwrap_or(&Value::Null), &expected, "{at} of {body}");
    }
}

/// The same the other way.
#[test]
fn one_matter_at_a_time_from_openai() {
    let ask = |fields: Value| with(json!({}), &fields);
    let tools = json!([{ "type": "function", "function": { "name": "x" } }]);
    let forced = json!({ "type": "function", "function": { "name": "x" } });
    let cases = [
        ("/max_tokens", ask(json!({})), json!(32_000)),
        ("/max_tokens", ask(json!({ "max_tokens": 5 })), json!(5)),
        ("/temperature", ask(json!({ "temperature": 2 })), json!(1.0)),
        ("/tool_choice", ask(json!({ "tools": tools, "tool_choice": forced })), json!({ "type": "tool", "name": "x" })),
        (
            "/tool_choice",
            ask(json!({ "tools": tools, "parallel_tool_calls": false })),
            json!({ "type": "auto", "disable_parallel_tool_use": true }),
        ),
        ("/tools/0/input_schema", ask(json!({ "tools": tools })), json!({ "type": "object" })),
        ("/output_config/effort", ask(json!({ "reasoning_effort": "high" })), json!("high")),
        ("/thinking/type", ask(json!({ "reasoning_effort": "high" })), json!("adaptive")),
        ("/thinking", ask(json!({ "reasoning_effort": "none" })), Value::Null),
        ("/stop_sequences", ask(json!({ "stop": "END" })), json!(["END"])),
        ("/metadata", ask(json!({ "safety_identifier": "u" })), json!({ "user_id": "u" })),
        (
            "/system/0/text",
            ask(json!({ "response_format": { "type": "json_object" } })),
            json!("Answer with one JSON object and nothing else."),
        ),
        ("/logit_bias", ask(json!({ "logit_bias": { "1": 1 } })), Value::Null),
        ("/service_tier", ask(json!({ "service_tier": "flex" })), Value::Null),
    ];
    for (at, body, expected) in cases {
        let written = translated(&OPENAI_CHAT, &ANTHROPIC, &body, "claude-opus-5-5");
        assert_eq!(written.pointer(at).unwrap_or(&Value::Null), &expected, "{at} of {body}");
    }
}

#[test]
fn a_tool_that_only_its_provider_can_run_is_refused_by_name() {
    let tools = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
    let body = with(json!({ "max_tokens": 9 }), &json!({ "tools": tools, "tool_choice": { "type": "auto" } }));
    let prompt = ANTHROPIC.decode(&Bytes::from(body.to_string())).unwrap();
    let ask = Ask::of(&prompt, "m");
    for other in [&OPENAI_CHAT as &dyn Language, &OLLAMA] {
        let error = other.encode(&ask, &mut Losses::default()).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (Kind::Invalid, "tools: `web_search_20250305` cannot be carried to this model")
        );
    }
    let again: Value = serde_json::from_slice(&ANTHROPIC.encode(&ask, &mut Losses::default()).unwrap()).unwrap();
    assert_eq!(again["tools"], tools);
}

#[test]
fn so_is_a_field_that_lets_its_provider_search_or_call() {
    let cases = [
        (
            &ANTHROPIC as &dyn Language,
            &OPENAI_CHAT as &dyn Language,
            json!({ "mcp_servers": [{ "name": "a" }] }),
            Some("mcp_servers"),
        ),
        (&ANTHROPIC, &OPENAI_CHAT, json!({ "mcp_servers": [] }), None),
        (&OPENAI_CHAT, &ANTHROPIC, json!({ "web_search_options": {} }), Some("web_search_options")),
        (&OPENAI_CHAT, &OPENAI_CHAT, json!({ "web_search_options": {} }), None),
    ];
    for (from, to, fields, refused) in cases {
        let body = with(json!({ "max_tokens": 9 }), &fields);
        let prompt = from.decode(&Bytes::from(body.to_string())).unwrap();
        let ask = Ask::of(&prompt, "m");
        let told = to.encode(&ask, &mut Losses::default()).err().map(|error| error.message().to_owned());
        assert_eq!(told, refused.map(|field| format!("`{field}` cannot be carried to this model")), "{fields}");
    }
}

#[test]
fn a_thought_of_another_provider_never_reaches_anthropic() {
    let turn = |signature: &str| {
        let thought = json!({ "type": "thinking", "thinking": "t", "signature": signature });
        let content = json!([thought, { "type": "text", "text": "a" }]);
        let question = json!({ "role": "user", "content": [{ "type": "text", "text": "u" }] });
        with(
            json!({ "max_tokens": 9 }),
            &json!({ "messages": [question, { "role": "assistant", "content": content }] }),
        )
    };
    let events = [
        Event::Start { id: None, model: None },
        Event::Open(Block::Thinking),
        Event::Thinking("t".into()),
        Event::Close,
        Event::Stop { reason: StopReason::EndTurn, sequence: None },
    ];
    let told: Value = serde_json::from_str(&super::write(&ANTHROPIC, Shape::Whole, &events).unwrap()).unwrap();
    let marked = turn(told["content"][0]["signature"].as_str().unwrap());
    assert!(!ANTHROPIC.carries(marked.to_string().as_bytes()), "it has to be written anew");
    let mut sent = translated(&ANTHROPIC, &ANTHROPIC, &marked, "m");
    assert_eq!(sent["messages"][1]["content"], json!([{ "type": "text", "text": "a" }]));
    let own = turn("EqQB");
    assert!(ANTHROPIC.carries(own.to_string().as_bytes()));
    sent = translated(&ANTHROPIC, &ANTHROPIC, &own, "m");
    assert_eq!(sent["messages"], own["messages"]);
}

pub(super) fn with(mut body: Value, fields: &Value) -> Value {
    body["model"] = "m".into();
    body["messages"] = json!([{ "role": "user", "content": "hi" }]);
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn a_conversation_survives_the_way_there_and_back() {
    let body = with(
        json!({ "max_tokens": 9 }),
        &json!({
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
