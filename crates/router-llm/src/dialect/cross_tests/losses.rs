//! What cannot be carried is named, in the words of whoever asked; what means nothing elsewhere is not.

use serde_json::{Value, json};

use super::{ALL, carried};
use crate::dialect::{Language, Quirks, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT};

fn with(fields: &Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// A question's fields, and what is lost of them on the way to the two other dialects.
type Row = (&'static str, Quirks, &'static str, &'static str);

const PLAIN: Quirks = Quirks::NONE;
const THINKS: Quirks = Quirks { reasoning_model: true, ..PLAIN };
const OLD: Quirks = Quirks { no_top_k: true, no_effort: true, ..PLAIN };

fn check(from: &dyn Language, to: [&dyn Language; 2], table: &[Row]) {
    for (fields, quirks, first, second) in table {
        for (to, lost) in to.into_iter().zip([first, second]) {
            let body = with(&serde_json::from_str(fields).unwrap());
            let carried = carried(from, to, &body, quirks).unwrap_or_else(|error| panic!("{error}: {fields}"));
            assert_eq!(carried.lost, *lost, "{fields} to {}", to.name());
        }
    }
}

/// To OpenAI's dialect, and to Ollama's.
const ANTHROPICS: &[Row] = &[
    (r#"{"top_k":3}"#, PLAIN, "", ""),
    (r#"{"top_k":3}"#, OLD, "top_k", ""),
    (r#"{"temperature":0.5,"top_p":0.5}"#, PLAIN, "", ""),
    (r#"{"temperature":0.5,"top_p":0.5}"#, THINKS, "temperature, top_p", ""),
    (r#"{"stop_sequences":["a","b","c","d","e"]}"#, PLAIN, "", ""),
    (r#"{"thinking":{"type":"enabled","budget_tokens":2000}}"#, OLD, "thinking", "thinking"),
    (r#"{"thinking":{"type":"disabled"}}"#, OLD, "", ""),
    (r#"{"thinking":{"type":"adaptive","display":"omitted"}}"#, OLD, "", ""),
    (
        r#"{"output_config":{"task_budget":{"tokens":9}}}"#,
        PLAIN,
        "output_config.task_budget",
        "output_config.task_budget",
    ),
    (
        r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"x"}}]}"#,
        PLAIN,
        "cache_control",
        "cache_control",
    ),
    (r#"{"cache_control":{"type":"ephemeral"}}"#, PLAIN, "cache_control", "cache_control"),
    (
        r#"{"tools":[{"name":"x","input_schema":{},"cache_control":{"type":"x"}}]}"#,
        PLAIN,
        "cache_control",
        "cache_control",
    ),
    (r#"{"tools":[{"name":"x","input_schema":{},"strict":true}]}"#, PLAIN, "tools.strict", "tools.strict"),
    (r#"{"tools":[{"name":"x","input_schema":{},"input_examples":[],"eager_input_streaming":true}]}"#, PLAIN, "", ""),
    (
        r#"{"tools":[{"name":"x","input_schema":{},"input_examples":[{"a":1}],"allowed_callers":["direct"]}]}"#,
        PLAIN,
        "tools.input_examples",
        "tools.input_examples",
    ),
    (r#"{"service_tier":"standard_only"}"#, PLAIN, "service_tier", "service_tier"),
    (r#"{"service_tier":"auto"}"#, PLAIN, "", ""),
    (r#"{"metadata":{"user_id":"u","team":"t"}}"#, PLAIN, "metadata", "metadata"),
    (r#"{"container":"c"}"#, PLAIN, "container", "container"),
    (r#"{"context_management":{"edits":[]}}"#, PLAIN, "", ""),
    (r#"{"context_management":{"edits":[{"type":"x"}]}}"#, PLAIN, "context_management", "context_management"),
    (r#"{"mcp_servers":[],"stream":true,"never_heard_of":1}"#, PLAIN, "never_heard_of", "never_heard_of"),
];

#[test]
fn what_is_lost_of_anthropics_words() {
    check(&ANTHROPIC, [&OPENAI_CHAT, &OLLAMA], ANTHROPICS);
}

#[test]
fn what_is_lost_of_anthropics_blocks() {
    let cases = [
        (json!({ "type": "thinking", "thinking": "t", "signature": "EqQB" }), "thinking.signature"),
        (json!({ "type": "thinking", "thinking": "t", "signature": "mcp-router:unsigned" }), ""),
        (json!({ "type": "redacted_thinking", "data": "x" }), "redacted_thinking"),
        (json!({ "type": "text", "text": "b", "citations": [{ "type": "x" }] }), "citations"),
        (json!({ "type": "advisor_tool_use", "id": "x" }), "advisor_tool_use"),
    ];
    for (block, lost) in cases {
        let body = with(&json!({ "messages": [
            { "role": "user", "content": "u" },
            { "role": "assistant", "content": [block, { "type": "text", "text": "a" }] },
            { "role": "user", "content": "v" },
        ] }));
        for to in [&OPENAI_CHAT as &dyn Language, &OLLAMA] {
            assert_eq!(carried(&ANTHROPIC, to, &body, &PLAIN).unwrap().lost, lost, "{block} to {}", to.name());
        }
    }
}

/// To Anthropic's dialect, and to Ollama's.
const OPENAIS: &[Row] = &[
    (r#"{"seed":7}"#, PLAIN, "seed", ""),
    (r#"{"temperature":0.5}"#, PLAIN, "", ""),
    (r#"{"temperature":1.5}"#, PLAIN, "temperature", ""),
    (r#"{"temperature":0.5,"top_p":0.5}"#, PLAIN, "top_p", ""),
    (r#"{"top_k":3}"#, PLAIN, "", ""),
    (r#"{"presence_penalty":0.5,"frequency_penalty":0}"#, PLAIN, "presence_penalty", ""),
    (r#"{"logit_bias":{"1":2}}"#, PLAIN, "logit_bias", "logit_bias"),
    (r#"{"service_tier":"flex","store":true}"#, PLAIN, "service_tier, store", "service_tier, store"),
    (r#"{"store":false,"logprobs":false,"n":1,"prompt_cache_key":"k","stream_options":{}}"#, PLAIN, "", ""),
    (r#"{"metadata":{"a":"b"}}"#, PLAIN, "metadata", "metadata"),
    (r#"{"verbosity":"low","prediction":{"type":"content"}}"#, PLAIN, "verbosity, prediction", "verbosity, prediction"),
    (r#"{"parallel_tool_calls":false}"#, PLAIN, "", "parallel_tool_calls"),
    (r#"{"reasoning_effort":"high","temperature":0.5}"#, PLAIN, "temperature", ""),
    (r#"{"reasoning_effort":"high"}"#, OLD, "reasoning_effort", "reasoning_effort"),
    (r#"{"tools":[{"type":"function","function":{"name":"x","strict":true}}]}"#, PLAIN, "tools.strict", "tools.strict"),
    (r#"{"messages":[{"role":"user","content":"u","name":"bob"}]}"#, PLAIN, "name", "name"),
    (
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"high"}}]}]}"#,
        PLAIN,
        "detail",
        "detail",
    ),
];

#[test]
fn what_is_lost_of_openais_words() {
    check(&OPENAI_CHAT, [&ANTHROPIC, &OLLAMA], OPENAIS);
}

/// To Anthropic's dialect, and to OpenAI's.
const OLLAMAS: &[Row] = &[
    (r#"{"options":{"seed":7,"top_k":3,"num_ctx":8192,"num_gpu":1},"keep_alive":"5m"}"#, PLAIN, "options.seed", ""),
    (r#"{"options":{"mirostat":2}}"#, PLAIN, "options.mirostat", "options.mirostat"),
    (r#"{"options":{"temperature":1.5}}"#, PLAIN, "options.temperature", ""),
    (r#"{"think":true,"options":{"temperature":0.5}}"#, PLAIN, "options.temperature", ""),
    (r#"{"think":true}"#, OLD, "think", "think"),
    (r#"{"template":"t","raw":false}"#, PLAIN, "template", "template"),
];

#[test]
fn what_is_lost_of_ollamas_words() {
    check(&OLLAMA, [&ANTHROPIC, &OPENAI_CHAT], OLLAMAS);
}

#[test]
fn nothing_is_lost_at_home() {
    let fields = json!({
        "top_k": 3, "seed": 7, "service_tier": "flex", "metadata": { "a": "b" }, "cache_control": {}, "logit_bias": { "1": 1 },
        "temperature": 0.5, "top_p": 0.5, "options": { "mirostat": 1 }, "never_heard_of": 1,
    });
    let thinks = Quirks { reasoning_model: true, ..OLD };
    for language in ALL {
        assert_eq!(carried(language, language, &with(&fields), &thinks).unwrap().lost, "", "{}", language.name());
    }
}

/// OpenRouter understands Anthropic's hints in OpenAI's words, and clients of OpenAI's dialect may write them.
#[test]
fn hints_about_caches_are_kept_where_they_are_understood() {
    let keeps = Quirks { keeps_cache_control: true, ..Quirks::NONE };
    let hint = json!({ "type": "ephemeral" });
    let text = |text: &str| json!({ "type": "text", "text": text, "cache_control": hint });
    let plain = |text: &str| json!({ "type": "text", "text": text });
    let body = json!({
        "model": "m", "max_tokens": 9, "system": [plain("one"), text("two")],
        "tools": [{ "name": "x", "input_schema": { "type": "object", "properties": {} }, "cache_control": hint }],
        "messages": [
            { "role": "user", "content": [text("u")] },
            { "role": "assistant", "content": [text("a"), { "type": "tool_use", "id": "t", "name": "x", "input": {} }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t", "content": "r", "cache_control": hint },
            ] },
        ],
    });
    let there = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &keeps).unwrap();
    assert_eq!(there.lost, "");
    let contents: Vec<&Value> =
        there.body["messages"].as_array().unwrap().iter().map(|turn| &turn["content"]).collect();
    assert_eq!(
        contents,
        [&json!([plain("one"), text("two")]), &json!([text("u")]), &json!([text("a")]), &json!([text("r")])]
    );
    let back = carried(&OPENAI_CHAT, &ANTHROPIC, &there.body, &Quirks::NONE).unwrap();
    assert_eq!(back.lost, "");
    assert_eq!(back.body["system"], body["system"]);
    assert_eq!(back.body["messages"][0], body["messages"][0]);
}
