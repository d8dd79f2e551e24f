//! Requests of this dialect: read, written, and put in order.

use bytes::Bytes;
use router_core::{
    Kind, Raw,
    chat::{
        Dialect, Document, Format, Image, Losses, Message, Part, Prompt, Role, Shape, Thinking, ThinkingMode,
        ToolChoice, ToolSpec,
    },
};
use serde_json::{Value, json};

use super::{ANTHROPIC, NAME};
use crate::{
    dialect::{Ask, Language, Quirks, proof::UNSIGNED},
    models::Known,
    provider::ProviderKind,
};

fn decode(body: &Value) -> Prompt {
    ANTHROPIC.decode(&Bytes::from(body.to_string())).unwrap()
}

fn encode(prompt: &Prompt) -> Value {
    encode_for(prompt, "claude-opus-5-5", &Quirks::NONE)
}

fn encode_for(prompt: &Prompt, model: &str, quirks: &Quirks) -> Value {
    let quirks = Known::of(ProviderKind::Anthropic, model).quirks.and(*quirks);
    let ask = Ask { quirks: &quirks, ..Ask::of(prompt, model) };
    serde_json::from_slice(&ANTHROPIC.encode(&ask, &mut Losses::default()).unwrap()).unwrap()
}

/// What a coding agent sends, with everything in it that the vocabulary has no word for.
fn agents_request() -> Value {
    json!({
        "model": "claude-opus-5-5",
        "max_tokens": 32000,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli;" },
            { "type": "text", "text": "You are an agent.", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look", "cache_control": { "type": "ephemeral" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO" } },
                { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } },
                { "type": "image", "source": { "type": "file", "file_id": "f1" } },
                { "type": "document", "title": "t", "context": "c",
                  "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBE" } },
                { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "plain" } },
            ] },
            { "role": "system", "content": [{ "type": "text", "text": "Env" }], "output_config": { "effort": "high" } },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm \u{e9}", "signature": "EqQB" },
                { "type": "redacted_thinking", "data": "xyz" },
                { "type": "server_tool_use", "id": "srv1", "name": "web_search", "input": { "query": "q" } },
                { "type": "text", "text": "I call", "citations": [{ "type": "char_location" }] },
                { "type": "tool_use", "id": "t1", "name": "Read", "input": { "path": "/a", "n": 1.5 } },
                { "type": "tool_use", "id": "t2", "name": "Bash", "input": {}, "caller": { "type": "direct" } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1", "content": [
                    { "type": "text", "text": "found" },
                    { "type": "tool_reference", "tool_name": "WebSearch" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
                ], "cache_control": { "type": "ephemeral" } },
                { "type": "tool_result", "tool_use_id": "t2", "content": [{ "type": "text", "text": "no" }],
                  "is_error": true },
                { "type": "text", "text": "go on" },
            ] },
            { "role": "system", "content": [], "clear_at": "next" },
        ],
        "tools": [
            { "name": "Read", "description": "Reads", "input_schema": { "type": "object", "$schema": "x" } },
            { "type": "web_search_20250305", "name": "web_search", "max_uses": 8 },
            { "name": "Bash", "input_schema": { "type": "object" }, "strict": true, "defer_loading": true },
        ],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "temperature": 0.5, "top_p": 0.9, "top_k": 40,
        "stop_sequences": ["END"],
        "thinking": { "type": "adaptive", "display": "omitted" },
        "output_config": { "effort": "high", "format": { "type": "json_schema", "schema": { "type": "object" } },
                           "task_budget": { "total": 9 } },
        "metadata": { "user_id": "u1", "other": 1 },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "service_tier": "auto",
    })
}

#[test]
fn what_this_dialect_said_is_said_again_whole() {
    let body = agents_request();
    assert_eq!(encode(&decode(&body)), body);
}

#[test]
fn an_agents_request_is_understood() {
    let prompt = decode(&agents_request());
    let roles: Vec<Role> = prompt.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System, Role::Assistant, Role::User, Role::System]);
    let understood = |message: &Message| -> Vec<Part> {
        message.parts.iter().filter(|part| !matches!(part, Part::Other { .. })).cloned().collect()
    };
    assert_eq!(understood(&prompt.messages[0]), [Part::Text("You are an agent.".into())]);
    assert_eq!(
        understood(&prompt.messages[1]),
        [
            Part::Text("look".into()),
            Part::Image(Image::Inline { media_type: "image/png".into(), data: "iVBO".into() }),
            Part::Image(Image::Url("https://example.com/a.png".into())),
            Part::Document(Document {
                title: Some("t".into()),
                media_type: "application/pdf".into(),
                data: "JVBE".into()
            }),
            Part::Document(Document { title: None, media_type: "text/plain".into(), data: "plain".into() }),
        ]
    );
    assert_eq!(
        understood(&prompt.messages[3]),
        [
            Part::Thinking { text: "hm é".into(), signature: Some("EqQB".into()) },
            Part::RedactedThinking("xyz".into()),
            Part::Text("I call".into()),
            Part::ToolUse { id: "t1".into(), name: "Read".into(), input: Raw::trusted(r#"{"path":"/a","n":1.5}"#) },
            Part::ToolUse { id: "t2".into(), name: "Bash".into(), input: Raw::trusted("{}") },
        ]
    );
    let names: Vec<&str> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["Read", "Bash"]);
    assert_eq!((&prompt.tool_choice, prompt.parallel_tools), (&Some(ToolChoice::Auto), Some(false)));
    let thinking = Thinking { mode: Some(ThinkingMode::Adaptive), budget: None, effort: Some("high".into()) };
    assert_eq!(prompt.thinking, Some(thinking));
    let schema = Raw::trusted(r#"{"type":"object"}"#);
    assert_eq!(prompt.format, Some(Format::JsonSchema { name: None, schema, strict: None }));
    assert_eq!((prompt.user.as_deref(), prompt.stop.as_slice()), (Some("u1"), &["END".to_owned()][..]));
    assert_eq!((prompt.max_tokens, prompt.temperature, prompt.top_k), (Some(32000), Some(0.5), Some(40)));
}

#[test]
fn short_forms_mean_the_same() {
    let prompt = decode(&json!({
        "model": "m", "stream": true, "system": "s",
        "messages": [
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": "t", "signature": UNSIGNED }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "said" }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "u" }] },
        ],
        "thinking": { "type": "enabled", "budget_tokens": 2048 },
        "tool_choice": { "type": "tool", "name": "x" },
        "temperature": null,
    }));
    let result = |id: &str, parts| Part::ToolResult { id: id.into(), parts, is_error: false };
    let user = |part| Message { role: Role::User, parts: vec![part] };
    assert_eq!(
        prompt,
        Prompt {
            messages: vec![
                Message::text(Role::System, "s"),
                Message::text(Role::User, "hi"),
                Message { role: Role::Assistant, parts: vec![Part::Thinking { text: "t".into(), signature: None }] },
                user(result("t", vec![Part::Text("said".into())])),
                user(result("u", vec![])),
            ],
            thinking: Some(Thinking { mode: Some(ThinkingMode::On), budget: Some(2048), effort: None }),
            tool_choice: Some(ToolChoice::Tool("x".into())),
            origin: Some(NAME),
            ..Prompt::default()
        }
    );
}

#[test]
fn effort_is_that_of_the_last_system_message() {
    let prompt = decode(&json!({
        "model": "m", "output_config": { "effort": "low" },
        "messages": [
            { "role": "user", "content": "hi" },
            { "role": "system", "content": [], "output_config": { "effort": "max" } },
        ],
    }));
    assert_eq!(prompt.thinking.unwrap().effort.as_deref(), Some("max"));
}

#[test]
fn says_what_is_wrong_and_where() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let cases = [
        (json!({}), "messages: Field required"),
        (json!({ "messages": "hi" }), "messages: invalid type: string \"hi\", expected a sequence"),
        (
            json!({ "messages": [{ "role": "tool", "content": "" }] }),
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        (user(json!([{ "text": "x" }])), "messages.0.content.0.type: Field required"),
        (user(json!([{ "type": "text" }])), "messages.0.content.0.text: Field required"),
        (
            user(json!([{ "type": "text", "text": 1 }])),
            "messages.0.content.0.text: invalid type: integer `1`, expected a string",
        ),
        (user(json!([{ "type": "image", "source": {} }])), "messages.0.content.0.type: Field required"),
        (user(json!([{ "type": "tool_use", "id": "x", "name": "y" }])), "messages.0.content.0.input: Field required"),
        (json!({ "messages": [], "tools": [{ "name": "x" }] }), "tools.0.input_schema: Field required"),
        (
            json!({ "messages": [], "tool_choice": { "type": "most" } }),
            "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
        ),
        (json!({ "messages": [], "max_tokens": "many" }), "max_tokens: invalid type: string \"many\", expected u64"),
    ];
    for (body, expected) in cases {
        let error = ANTHROPIC.decode(&Bytes::from(body.to_string())).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Invalid, expected), "{body}");
    }
}

fn conversation(messages: Vec<Message>) -> Prompt {
    Prompt { messages, max_tokens: Some(100), ..Prompt::default() }
}

#[test]
fn anothers_conversation_is_put_in_order() {
    let call = |id: &str| Part::ToolUse { id: id.into(), name: "x".into(), input: Raw::trusted("{}") };
    let result =
        |id: &str| Part::ToolResult { id: id.into(), parts: vec![Part::Text(format!("of {id}"))], is_error: false };
    let message = |role, parts| Message { role, parts };
    let prompt = conversation(vec![
        Message::text(Role::System, "one"),
        Message::text(Role::System, "two"),
        Message::text(Role::Assistant, "hello"),
        message(Role::Assistant, vec![Part::Text(" ".into()), call("call.1"), call("b")]),
        message(Role::User, vec![Part::Text("meanwhile".into()), result("call.1")]),
        Message::text(Role::System, "late"),
        message(Role::User, vec![result("b")]),
        Message::text(Role::Assistant, ""),
        message(Role::User, vec![Part::Thinking { text: "t".into(), signature: None }]),
        Message::text(Role::Assistant, "so \n"),
    ]);
    let text = |text: &str| json!({ "type": "text", "text": text });
    let answer = |id: &str, said: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": [text(said)] });
    let tool = |id: &str| json!({ "type": "tool_use", "id": id, "name": "x", "input": {} });
    assert_eq!(
        encode(&prompt),
        json!({
            "model": "claude-opus-5-5",
            "max_tokens": 100,
            "system": [text("one"), text("two")],
            "messages": [
                { "role": "user", "content": [text("(The assistant speaks first.)")] },
                { "role": "assistant", "content": [text("hello"), tool("call_1"), tool("b")] },
                { "role": "user", "content": [
                    answer("call_1", "of call.1"), answer("b", "of b"), text("meanwhile"),
                    text("<system-reminder>\nlate\n</system-reminder>"),
                ] },
                { "role": "assistant", "content": [text("so")] },
            ],
        })
    );
}

#[test]
fn a_conversation_of_system_text_alone_becomes_the_users() {
    let body = encode(&conversation(vec![Message::text(Role::System, "only")]));
    assert_eq!(body["messages"], json!([{ "role": "user", "content": [{ "type": "text", "text": "only" }] }]));
    assert_eq!(body.get("system"), None);
}

#[test]
fn late_system_text_keeps_its_role_only_where_the_provider_takes_it() {
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "hi" },
        { "role": "system", "content": [{ "type": "text", "text": "Env" }] },
    ] });
    let prompt = decode(&body);
    let roles = |body: Value| -> Vec<String> {
        body["messages"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(encode(&prompt)), ["user", "system"]);
    let strict = Quirks { one_system_message: true, ..Quirks::NONE };
    let body = encode_for(&prompt, "m", &strict);
    assert_eq!(
        body["messages"][0]["content"][1]["text"],
        json!("<system-reminder>\nEnv\n</system-reminder>"),
        "{body}"
    );
}

#[test]
fn arguments_that_are_no_object_are_shown_to_the_model() {
    let call = |input: &str| Part::ToolUse { id: "i".into(), name: "x".into(), input: Raw::trusted(input.to_owned()) };
    for (input, expected) in [
        ("{\"a\":12345678901234567890123}", "{\"a\":12345678901234567890123}"),
        ("{\"a\":", "{\"INVALID_JSON\":\"{\\\"a\\\":\"}"),
        ("[1]", "{\"INVALID_JSON\":\"[1]\"}"),
        ("\"a\\\"b\"", "{\"INVALID_JSON\":\"a\\\"b\"}"),
    ] {
        let parts = vec![call(input)];
        let prompt = conversation(vec![Message::text(Role::User, "u"), Message { role: Role::Assistant, parts }]);
        let ask = Ask::of(&prompt, "m");
        let body = ANTHROPIC.encode(&ask, &mut Losses::default()).unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains(&format!("\"input\":{expected}")), "{body}");
    }
}

#[test]
fn tools_and_choices_of_another_dialect() {
    let tool = |schema: &str| ToolSpec {
        name: "x".into(),
        description: None,
        schema: Raw::trusted(schema.to_owned()),
        strict: Some(true),
    };
    let cases = [
        (None, None, None),
        (None, Some(true), None),
        (None, Some(false), Some(json!({ "type": "auto", "disable_parallel_tool_use": true }))),
        (Some(ToolChoice::Any), None, Some(json!({ "type": "any" }))),
        (Some(ToolChoice::Any), Some(true), Some(json!({ "type": "any", "disable_parallel_tool_use": false }))),
        (Some(ToolChoice::None), Some(false), Some(json!({ "type": "none" }))),
        (Some(ToolChoice::Tool("x".into())), None, Some(json!({ "type": "tool", "name": "x" }))),
    ];
    for (tool_choice, parallel_tools, expected) in cases {
        let mut prompt = Prompt { tool_choice, parallel_tools, tools: vec![tool("{}")], ..Prompt::ask("hi") };
        assert_eq!(encode(&prompt).get("tool_choice"), expected.as_ref(), "{prompt:?}");
        prompt.tools.clear();
        assert_eq!(encode(&prompt).get("tool_choice"), None, "a choice without tools: {prompt:?}");
    }
    for (schema, expected) in [
        (r#"{"properties":{}}"#, json!({ "type": "object", "properties": {} })),
        (r#"{"type":"object","a":1}"#, json!({ "type": "object", "a": 1 })),
        ("null", json!({ "type": "object" })),
    ] {
        let prompt = Prompt { tools: vec![tool(schema)], ..Prompt::ask("hi") };
        assert_eq!(encode(&prompt)["tools"], json!([{ "name": "x", "input_schema": expected }]));
    }
}

#[test]
fn effort_in_the_fields_that_the_model_takes() {
    let asked = |mode, budget, effort: Option<&str>| Thinking { mode, budget, effort: effort.map(str::to_owned) };
    let cases = [
        (
            "claude-opus-5-5",
            None,
            asked(None, None, Some("high")),
            json!({ "type": "adaptive" }),
            json!("high"),
            32_000,
        ),
        (
            "claude-opus-5-5",
            None,
            asked(None, None, Some("minimal")),
            json!({ "type": "adaptive" }),
            json!("low"),
            32_000,
        ),
        ("claude-opus-5-5", None, asked(None, None, Some("none")), Value::Null, Value::Null, 32_000),
        ("claude-opus-5-5", None, asked(Some(ThinkingMode::Off), None, Some("high")), Value::Null, Value::Null, 32_000),
        (
            "claude-sonnet-4-5",
            Some(4000),
            asked(None, None, Some("high")),
            json!({ "type": "enabled", "budget_tokens": 3000 }),
            Value::Null,
            4000,
        ),
        ("claude-sonnet-4-5", Some(500), asked(None, None, Some("high")), Value::Null, Value::Null, 500),
        (
            "qwen3",
            None,
            asked(Some(ThinkingMode::On), Some(9000), None),
            json!({ "type": "enabled", "budget_tokens": 9000 }),
            Value::Null,
            13_096,
        ),
    ];
    for (model, max_tokens, thinking, expected, effort, most) in cases {
        let prompt = Prompt { thinking: Some(thinking), max_tokens, temperature: Some(1.5), ..Prompt::ask("hi") };
        let body = encode_for(&prompt, model, &Quirks::NONE);
        assert_eq!(body["thinking"], expected, "{model} {prompt:?}");
        assert_eq!(body["output_config"]["effort"], effort, "{model} {prompt:?}");
        assert_eq!(body["max_tokens"], most, "{model} {prompt:?}");
        let sampled = if expected.is_null() { json!(1.0) } else { Value::Null };
        assert_eq!(body["temperature"], sampled, "thinking models refuse it: {model} {prompt:?}");
    }
}

#[test]
fn a_budget_is_left_out_where_the_provider_would_refuse_it() {
    let asked = Thinking { mode: Some(ThinkingMode::On), budget: Some(2000), effort: None };
    let call = Part::ToolUse { id: "i".into(), name: "x".into(), input: Raw::trusted("{}") };
    let thought =
        |signature: Option<&str>| Part::Thinking { text: "t".into(), signature: signature.map(str::to_owned) };
    let result = Part::ToolResult { id: "i".into(), parts: vec![], is_error: false };
    for (parts, expected) in [
        (vec![call.clone()], Value::Null),
        (vec![thought(None), call.clone()], Value::Null),
        (vec![thought(Some("EqQB")), call.clone()], json!({ "type": "enabled", "budget_tokens": 2000 })),
    ] {
        let messages = vec![
            Message::text(Role::User, "u"),
            Message { role: Role::Assistant, parts },
            Message { role: Role::User, parts: vec![result.clone()] },
        ];
        let prompt = Prompt { messages, thinking: Some(asked.clone()), ..Prompt::default() };
        assert_eq!(encode_for(&prompt, "claude-sonnet-4-5", &Quirks::NONE)["thinking"], expected, "{prompt:?}");
    }
}

#[test]
fn a_layers_change_keeps_what_the_client_told_of_his_tools() {
    let mut prompt = decode(&agents_request());
    prompt.tools.remove(0);
    let added =
        ToolSpec { name: "New".into(), description: None, schema: Raw::trusted(r#"{"type":"object"}"#), strict: None };
    prompt.tools.push(added);
    assert_eq!(
        encode(&prompt)["tools"],
        json!([
            { "type": "web_search_20250305", "name": "web_search", "max_uses": 8 },
            { "name": "Bash", "input_schema": { "type": "object" }, "strict": true, "defer_loading": true },
            { "name": "New", "input_schema": { "type": "object" } },
        ])
    );
}

#[test]
fn finds_the_head_without_decoding() {
    let head = |body: &'static str| ANTHROPIC.head(&Bytes::from_static(body.as_bytes()));
    let found = head(r#"{"messages":[{"model":"no"}],"stream":true,"model": "a\u0062" }"#).unwrap();
    assert_eq!((found.model.as_str(), found.model_at, found.shape), ("ab", 52..61, Shape::Stream));
    assert_eq!(head(r#"{"model":"m"}"#).unwrap().shape, Shape::Whole);
    for (body, expected) in [
        ("{}", "model: Field required"),
        (r#"{"model":1}"#, "model: Input should be a valid string"),
        (r#"{"model":"m","stream":"yes"}"#, "stream: Input should be a valid boolean"),
    ] {
        assert_eq!(head(body).unwrap_err().message(), expected);
    }
}
