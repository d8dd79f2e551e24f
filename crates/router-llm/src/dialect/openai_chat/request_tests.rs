//! Requests, from outside: decoded and encoded, golden.

use bytes::Bytes;
use insta::{assert_json_snapshot, assert_snapshot};
use router_core::{
    Kind, Raw,
    chat::{
        Dialect, Document, Image, Losses, Message, Part, Prompt, Role, Shape, Thinking, ThinkingMode, ToolChoice,
        ToolSpec,
    },
};
use serde_json::{Value, json};

use super::*;
use crate::dialect::Quirks;

fn prompt(body: &Value) -> Prompt {
    OPENAI_CHAT.decode(&Bytes::from(body.to_string())).unwrap()
}

fn refused(body: &Value) -> String {
    let error = OPENAI_CHAT.decode(&Bytes::from(body.to_string())).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    error.to_string()
}

fn encoded_with(prompt: &Prompt, quirks: Quirks) -> Value {
    let ask = Ask { quirks: &quirks, ..Ask::of(prompt, "m") };
    serde_json::from_slice(&OPENAI_CHAT.encode(&ask, &mut Losses::default()).unwrap()).unwrap()
}

fn encoded(prompt: &Prompt) -> Value {
    encoded_with(prompt, Quirks::NONE)
}

fn says(role: Role, parts: impl Into<Vec<Part>>) -> Message {
    Message { role, parts: parts.into() }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn tool_use(id: &str) -> Part {
    Part::ToolUse { id: id.into(), name: "t".into(), input: Raw::trusted("{\"a\": 1}") }
}

fn tool_result(id: &str, parts: impl Into<Vec<Part>>) -> Part {
    Part::ToolResult { id: id.into(), parts: parts.into(), is_error: false }
}

fn of(messages: impl Into<Vec<Message>>) -> Prompt {
    Prompt { messages: messages.into(), ..Prompt::default() }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: None, schema: Raw::trusted("{\"type\":\"object\"}"), strict: None }
}

#[test]
fn the_head_is_found_in_one_scan() {
    let body = Bytes::from_static(
        br#"{"messages":[{"model":"no"}],"model":"gp\u0074","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let head = OPENAI_CHAT.head(&body).unwrap();
    assert_eq!((head.model.as_str(), head.shape, head.usage), ("gpt", Shape::Stream, true));
    assert_eq!(&body[head.model_at], br#""gp\u0074""#);
    let table = [
        (r#"{"messages":[]}"#, "model: a string is required"),
        (r#"{"model":3}"#, "model: a string is required"),
        (r#"{"model":"m","stream":"yes"}"#, "stream: must be true or false"),
    ];
    for (body, message) in table {
        assert!(OPENAI_CHAT.head(&Bytes::from(body)).unwrap_err().to_string().starts_with(message), "{body}");
    }
}

#[test]
fn a_request_is_read_whole() {
    let body = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "n": 1,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
                {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "wav"}},
            ]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"b\": 2, \"a\": 1.0}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}},
                {"id": "c3", "type": "function", "function": {"name": "look", "arguments": "{oops"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": "and?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "look", "description": "Looks.", "strict": true,
             "parameters": {"type": "object", "properties": {"z": {}, "a": {"maximum": null}}}}},
            {"type": "function", "function": {"name": "bare"}},
            {"type": "function", "function": {"name": "typeless", "parameters": {"properties": {}}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": false, "max_tokens": 5, "max_completion_tokens": 7, "temperature": 0.5,
        "top_p": 0.9, "stop": "END", "seed": 3, "reasoning_effort": "high", "user": "ann",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
        "logit_bias": {"50256": -100}, "verbosity": "low",
    });
    let body = body.to_string().replace("\"maximum\":null", "\"maximum\":1e400");
    let prompt = OPENAI_CHAT.decode(&Bytes::from(body)).unwrap();
    assert_snapshot!(format!("{prompt:#?}"));
}

#[test]
fn what_cannot_be_carried_is_refused_by_name() {
    let table = [
        (json!({"messages": [], "n": 2}), "n: only one answer"),
        (json!({"messages": [], "functions": []}), "functions: is out of use; write `tools`"),
        (json!({"messages": [{"role": "wizard", "content": ""}]}), "messages.0.role: `wizard` is none of"),
        (json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}), "messages.0.content.0.text:"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages.0.tool_call_id:"),
        (json!({"messages": [], "tools": [{"type": "custom", "custom": {}}]}), "tools.0.custom.name"),
        (json!({"messages": [], "tool_choice": "maybe"}), "tool_choice: must be"),
        (json!({"messages": [], "temperature": "hot"}), "temperature: invalid type"),
        (json!({}), "messages:"),
    ];
    for (body, message) in table {
        let told = refused(&body);
        assert!(told.starts_with(message), "{told}\nis not about {message}");
    }
}

#[test]
fn a_request_that_only_passes_through_the_types_says_the_same() {
    let body = json!({
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "wav"}},
            ]},
            {"role": "assistant", "content": "b", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"b\": 2, \"a\": 1.0}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{oops"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "$schema": "kept"}}}],
        "tool_choice": "required", "max_tokens": 7, "stop": ["END"], "reasoning_effort": "max", "user": "ann",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "logit_bias": {"50256": -100}, "model": "m",
    });
    let (mut written, mut expected) = (encoded(&prompt(&body)), body);
    written.sort_all_objects();
    expected.sort_all_objects();
    assert_eq!(written, expected);
}

#[test]
fn answers_of_tools_come_first_and_pictures_after_them() {
    let picture = Part::Image(Image::Inline { media_type: "image/png".into(), data: "AAAA".into() });
    let pdf = Document { title: Some("a.pdf".into()), media_type: "application/pdf".into(), data: "BBBB".into() };
    let prompt = of([
        says(Role::User, [text("go")]),
        says(Role::Assistant, [text(""), tool_use("a"), tool_use("b")]),
        says(
            Role::User,
            [
                text("first"),
                tool_result("a", [text("seen"), picture]),
                text("then"),
                tool_result("b", [Part::Document(pdf)]),
                Part::ToolResult { id: "c".into(), parts: vec![text("no file")], is_error: true },
            ],
        ),
        says(Role::Assistant, [text("")]),
    ]);
    assert_json_snapshot!(encoded(&prompt)["messages"]);
}

#[test]
fn system_messages_stay_where_they_stood_unless_only_one_may_be() {
    let prompt = of([
        says(
            Role::System,
            [text("x-anthropic-billing-header: cc_version=1.abc;"), text("You are."), text("Be brief.")],
        ),
        says(Role::User, [text("hello")]),
        says(Role::System, [text("Env")]),
        says(Role::System, []),
        says(Role::Assistant, [text("hi")]),
    ]);
    assert_eq!(
        encoded(&prompt)["messages"],
        json!([
            {"role": "system", "content": "You are.\n\nBe brief."},
            {"role": "user", "content": "hello"},
            {"role": "system", "content": "Env"},
            {"role": "assistant", "content": "hi"},
        ])
    );
    assert_eq!(
        encoded_with(&prompt, Quirks { one_system_message: true, ..Quirks::NONE })["messages"],
        json!([
            {"role": "system", "content": "You are.\n\nBe brief."},
            {"role": "user", "content": "hello\n\n<system-reminder>\nEnv\n</system-reminder>"},
            {"role": "assistant", "content": "hi"},
        ])
    );
}

#[test]
fn fields_are_written_as_the_model_takes_them() {
    let asked = Prompt {
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        stop: ["1", "2", "3", "4", "5"].map(String::from).into(),
        thinking: Some(Thinking { mode: Some(ThinkingMode::On), budget: Some(32_768), effort: None }),
        user: Some("u".repeat(170)),
        ..Prompt::ask("hi")
    };
    let mut plain = encoded_with(&asked, Quirks { no_top_k: true, ..Quirks::NONE });
    let user = plain["safety_identifier"].take();
    assert_eq!(user.as_str().unwrap().len(), 64);
    assert_eq!(
        plain,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "temperature": 0.5,
            "top_p": 0.9, "stop": ["1", "2", "3", "4"], "reasoning_effort": "high", "safety_identifier": null,
        })
    );
    let reasoning = encoded_with(&Prompt { user: None, ..asked }, Quirks { reasoning_model: true, ..Quirks::NONE });
    assert_eq!(
        reasoning,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 9,
            "reasoning_effort": "high",
        })
    );
    let prompt = Prompt::ask("hi");
    let ask = Ask { shape: Shape::Stream, ..Ask::of(&prompt, "m") };
    let streamed: Value = serde_json::from_slice(&OPENAI_CHAT.encode(&ask, &mut Losses::default()).unwrap()).unwrap();
    assert_eq!((&streamed["stream"], &streamed["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[test]
fn the_choice_of_tools_is_told_only_where_there_are_tools() {
    let long = "mcp__a_server_with_a_long_name__a_tool_with_an_even_longer_name_than_it";
    let table = [
        (ToolChoice::Auto, json!("auto")),
        (ToolChoice::Any, json!("required")),
        (ToolChoice::None, json!("none")),
        (ToolChoice::Tool("t".into()), json!({"type": "function", "function": {"name": "t"}})),
    ];
    for (choice, expected) in table {
        let none = Prompt { tool_choice: Some(choice), parallel_tools: Some(false), ..Prompt::ask("hi") };
        let some = Prompt { tools: vec![tool("t")], ..none.clone() };
        let (none, some) = (encoded(&none), encoded(&some));
        assert_eq!((none.get("tool_choice"), none.get("parallel_tool_calls")), (None, None));
        assert_eq!((&some["tool_choice"], &some["parallel_tool_calls"]), (&expected, &json!(false)));
    }
    let choice = Some(ToolChoice::Tool(long.into()));
    let prompt = Prompt { tools: vec![tool("t"), tool(long)], tool_choice: choice, ..Prompt::ask("hi") };
    let written = encoded(&prompt);
    let spelled = written["tools"][1]["function"]["name"].as_str().unwrap();
    assert_eq!(written["tool_choice"]["function"]["name"], spelled);
    assert_eq!(OPENAI_CHAT.respelled(&prompt), [(spelled.to_owned(), long.to_owned())]);
}

#[test]
fn thoughts_go_back_only_to_those_who_want_them() {
    let thought = Part::Thinking { text: "hm".into(), signature: Some("s".into()) };
    let prompt = of([
        says(Role::User, [text("go")]),
        says(Role::Assistant, [thought, tool_use("a")]),
        says(Role::Assistant, [tool_use("b")]),
        says(Role::Assistant, [Part::Thinking { text: "alone".into(), signature: None }]),
    ]);
    let replayed = encoded_with(&prompt, Quirks { replays_thinking: true, ..Quirks::NONE });
    let thoughts = |body: &Value| {
        let messages = body["messages"].as_array().unwrap();
        messages.iter().map(|message| message.get("reasoning_content").cloned()).collect::<Vec<_>>()
    };
    assert_eq!(thoughts(&replayed), [None, Some(json!("hm")), Some(json!(""))]);
    assert_eq!(thoughts(&encoded(&prompt)), [None, None, None]);
    assert_eq!(OPENAI_CHAT.encode(&Ask::of(&of([]), "m"), &mut Losses::default()).unwrap_err().kind(), Kind::Invalid);
}
