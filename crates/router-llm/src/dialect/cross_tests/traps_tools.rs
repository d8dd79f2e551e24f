//! What translations are known to get wrong, one test for each known trap by its number: tools and settings.

use router_core::chat::Dialect as _;
use serde_json::{Value, json};

use super::{asked, carried, refused, sent};
use crate::dialect::{Language, Quirks, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT};

/// A question of Anthropic's with these fields.
fn ask(fields: Value) -> Value {
    let mut body = asked(&json!([{ "role": "user", "content": "u" }]));
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    body.as_object_mut().unwrap().extend(fields);
    body
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "input_schema": { "type": "object", "properties": {} } })
}

fn names(body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = tools.iter().map(|tool| tool.pointer("/function/name").or_else(|| tool.get("name")));
    named.map(|name| name.unwrap().as_str().unwrap()).collect()
}

#[test]
fn trap_13_a_long_user_is_told_by_its_hash() {
    // printf 'd%.0s' $(seq 170) | sha256sum
    let hashed = "d8ba7d766bfdfd00a1d2d16edc204dff41ade6eb65b3d73bbaa8ab329670eb9e";
    let cases = [
        ("u1".to_owned(), "user", "u1".to_owned()),
        ("d".repeat(64), "user", "d".repeat(64)),
        ("d".repeat(170), "safety_identifier", hashed.to_owned()),
    ];
    for (user, field, told) in cases {
        let body = ask(json!({ "metadata": { "user_id": user } }));
        let mut expected = json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }], "max_tokens": 9 });
        expected[field] = told.into();
        assert_eq!(sent(&ANTHROPIC, &OPENAI_CHAT, &body), expected);
    }
}

#[test]
fn trap_14_a_name_that_is_too_long_is_shortened_everywhere_and_given_back() {
    for name in ["n".repeat(77), "mcp.github/create issue".to_owned(), "é".repeat(40)] {
        let body = ask(json!({ "tools": [tool(&name)], "tool_choice": { "type": "tool", "name": name } }));
        let sent = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
        let short = names(&sent)[0].to_owned();
        assert!(short.len() <= 64 && short.is_ascii(), "{short}");
        assert_eq!(sent["tool_choice"]["function"]["name"], short.as_str());
        let prompt = ANTHROPIC.decode(&body.to_string().into()).unwrap();
        assert_eq!(OPENAI_CHAT.respelled(&prompt), [(short, name)]);
    }
}

#[test]
fn trap_15_schemas_are_such_as_the_upstream_takes() {
    let schema = |schema: Value| ask(json!({ "tools": [{ "name": "x", "input_schema": schema, "strict": true }] }));
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string", "format": "uri" } },
                         "required": ["a"], "additionalProperties": false });
    let mut dated = closed.clone();
    dated["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let cases = [
        (dated, closed.clone(), Some(true), ""),
        (
            json!({ "properties": { "a": { "type": "array" } } }),
            json!({ "properties": { "a": { "type": "array", "items": {} } }, "type": "object" }),
            None,
            "tools.strict",
        ),
        (
            json!({ "anyOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }] }),
            json!({ "properties": { "a": {}, "b": {} }, "type": "object" }),
            None,
            "tools.strict",
        ),
    ];
    for (before, after, strict, lost) in cases {
        let carried = carried(&ANTHROPIC, &OPENAI_CHAT, &schema(before), &Quirks::NONE).unwrap();
        let function = &carried.body["tools"][0]["function"];
        assert_eq!((&function["parameters"], function.get("strict")), (&after, strict.map(Value::from).as_ref()));
        assert_eq!(carried.lost, lost);
    }
    let untyped = json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }], "tools": [
        { "type": "function", "function": { "name": "x", "parameters": {} } }, { "type": "function", "function": { "name": "y" } },
    ] });
    for tool in sent(&OPENAI_CHAT, &ANTHROPIC, &untyped)["tools"].as_array().unwrap() {
        assert_eq!(tool["input_schema"], json!({ "type": "object" }));
    }
}

#[test]
fn trap_16_only_loaded_tools_are_offered_to_those_who_cannot_load_them() {
    let waiting = |name: &str| json!({ "name": name, "input_schema": { "type": "object" }, "defer_loading": true });
    let tools = json!([
        tool("Read"),
        waiting("DeferredToolPlaceholder"),
        waiting("WebSearch"),
        waiting("Lsp"),
        waiting("Cron")
    ]);
    let call = |id: &str, name: &str| json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
    let loads = |id: &str, name: &str| {
        json!({ "type": "tool_result", "tool_use_id": id, "content": [
            { "type": "tool_reference", "tool_name": name }, { "type": "text", "text": "Tool loaded." },
        ] })
    };
    let body = json!({ "model": "m", "max_tokens": 9, "tools": tools, "messages": [
        { "role": "user", "content": "u" },
        { "role": "assistant", "content": [call("a", "Read"), call("b", "Read")] },
        { "role": "user", "content": [loads("a", "Cron"), loads("b", "WebSearch")] },
    ] });
    for to in [&OPENAI_CHAT as &dyn Language, &OLLAMA] {
        let carried = carried(&ANTHROPIC, to, &body, &Quirks::NONE).unwrap();
        assert_eq!(names(&carried.body), ["Read", "Cron", "WebSearch"], "in the order of their loading");
        let said = &carried.body["messages"][2]["content"];
        assert_eq!(said, "The tool `Cron` is loaded and can be called.\n\nTool loaded.");
        assert_eq!(carried.lost, "");
    }
    let none = ask(json!({ "tools": [waiting("DeferredToolPlaceholder")], "tool_choice": { "type": "auto" } }));
    let alone = sent(&ANTHROPIC, &OPENAI_CHAT, &none);
    assert_eq!((alone.get("tools"), alone.get("tool_choice")), (None, None));
    let search = json!({ "type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex" });
    let searched = ask(json!({ "tools": [search, tool("Read"), waiting("Lsp"), waiting("DeferredToolPlaceholder")] }));
    let carried = carried(&ANTHROPIC, &OPENAI_CHAT, &searched, &Quirks::NONE).unwrap();
    assert_eq!((names(&carried.body), &*carried.lost), (vec!["Read", "Lsp"], "tools.tool_search_tool_regex_20251119"));
    let own = sent(&ANTHROPIC, &ANTHROPIC, &body);
    assert_eq!(own["tools"], body["tools"], "Anthropic loads them itself");
}

#[test]
fn trap_17_a_tool_that_its_provider_runs_is_refused_by_its_type() {
    for kind in
        ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "computer_20250124", "mcp_toolset"]
    {
        let body =
            ask(json!({ "tools": [tool("Read"), { "type": kind, "name": "n" }], "tool_choice": { "type": "auto" } }));
        for to in [&OPENAI_CHAT as &dyn Language, &OLLAMA] {
            let error = refused(&ANTHROPIC, to, &body, &Quirks::NONE);
            assert_eq!(error.message(), format!("tools: `{kind}` cannot be carried to this model"));
        }
        assert_eq!(sent(&ANTHROPIC, &ANTHROPIC, &body)["tools"], body["tools"]);
    }
}

/// The family of trap 17: tools that the client runs, and whose schema only Anthropic's models know by heart.
#[test]
fn trap_17_a_tool_that_the_client_runs_becomes_a_function() {
    let cases = [
        ("bash_20250124", "bash", vec!["command", "restart"]),
        ("text_editor_20250124", "str_replace_editor", vec!["command", "path"]),
        ("text_editor_20250728", "str_replace_based_edit_tool", vec!["command", "path", "insert_text"]),
        ("memory_20250818", "memory", vec!["command", "old_path", "new_path"]),
    ];
    for (kind, name, fields) in cases {
        let body = ask(json!({
            "tools": [tool("Read"), { "type": kind, "name": name }, tool("Write")],
            "tool_choice": { "type": "tool", "name": name },
        }));
        let carried = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &Quirks::NONE).unwrap();
        assert_eq!((names(&carried.body), &*carried.lost), (vec!["Read", name, "Write"], ""));
        let function = &carried.body["tools"][1]["function"];
        assert!(fields.iter().all(|field| function["parameters"]["properties"][field].is_object()), "{function}");
        assert!(function["description"].is_string());
        assert_eq!(carried.body["tool_choice"]["function"]["name"], name);
    }
}

/// The family of trap 17, the other way: OpenAI's tools that take a text, and choices among a part of the tools.
#[test]
fn trap_17_a_custom_tool_is_a_function_of_one_text() {
    let custom = json!({ "type": "custom", "custom": {
        "name": "patch", "description": "Patches", "format": { "type": "grammar", "grammar": { "syntax": "lark", "definition": "start: X" } },
    } });
    let function = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let call = json!({ "id": "c", "type": "custom", "custom": { "name": "patch", "input": "*** Begin" } });
    let body = json!({
        "model": "m", "tools": [custom, function("a"), function("b")],
        "tool_choice": { "type": "allowed_tools", "allowed_tools": { "mode": "required", "tools": [
            { "type": "function", "function": { "name": "b" } }, { "type": "custom", "custom": { "name": "patch" } },
        ] } },
        "messages": [
            { "role": "user", "content": "u" },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "c", "content": "done" },
        ],
    });
    let carried = carried(&OPENAI_CHAT, &ANTHROPIC, &body, &Quirks::NONE).unwrap();
    assert_eq!((names(&carried.body), &*carried.lost), (vec!["patch", "b"], "tools.custom"));
    assert_eq!(carried.body["tool_choice"], json!({ "type": "any" }));
    assert_eq!(
        carried.body["tools"][0]["description"],
        "Patches\n\nThe input must follow this lark grammar:\nstart: X"
    );
    assert_eq!(carried.body["tools"][0]["input_schema"]["properties"]["input"]["type"], "string");
    assert_eq!(carried.body["messages"][1]["content"][0]["input"], json!({ "input": "*** Begin" }));
    assert_eq!(sent(&OPENAI_CHAT, &OPENAI_CHAT, &body)["tools"], json!([custom, function_of("b")]));
}

fn function_of(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } })
}

#[test]
fn trap_18_the_choice_of_tools_means_the_same() {
    let openais = json!({ "type": "function", "function": { "name": "x" } });
    let cases = [
        (json!({ "type": "any" }), json!("required")),
        (json!({ "type": "auto" }), json!("auto")),
        (json!({ "type": "none" }), json!("none")),
        (json!({ "type": "tool", "name": "x" }), openais),
    ];
    for (anthropics, openais) in cases {
        let there = sent(&ANTHROPIC, &OPENAI_CHAT, &ask(json!({ "tools": [tool("x")], "tool_choice": anthropics })));
        assert_eq!(there["tool_choice"], openais);
        assert_eq!(sent(&OPENAI_CHAT, &ANTHROPIC, &there)["tool_choice"], anthropics);
        let without = sent(&ANTHROPIC, &OPENAI_CHAT, &ask(json!({ "tool_choice": anthropics })));
        assert_eq!(without.get("tool_choice"), None, "without tools");
    }
    let single =
        ask(json!({ "tools": [tool("x")], "tool_choice": { "type": "any", "disable_parallel_tool_use": true } }));
    assert_eq!(sent(&ANTHROPIC, &OPENAI_CHAT, &single)["parallel_tool_calls"], false);
    let ollamas = carried(&ANTHROPIC, &OLLAMA, &single, &Quirks::NONE).unwrap();
    assert_eq!(ollamas.lost, "tool_choice, tool_choice.disable_parallel_tool_use");
    let none = sent(&ANTHROPIC, &OLLAMA, &ask(json!({ "tools": [tool("x")], "tool_choice": { "type": "none" } })));
    assert_eq!(none.get("tools"), None, "Ollama has no choice, but nothing can be called that is not offered");
}

#[test]
fn trap_20_a_reasoning_model_is_asked_in_its_own_fields() {
    let thinks = Quirks { reasoning_model: true, ..Quirks::NONE };
    let body = ask(json!({ "temperature": 0.2, "top_p": 0.5, "top_k": 3, "stop_sequences": ["END"] }));
    let carried = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &thinks).unwrap();
    assert_eq!(
        carried.body,
        json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }], "max_completion_tokens": 9 })
    );
    assert_eq!(carried.lost, "temperature, top_p, top_k", "the text that ends the answer is enforced, not lost");
}

#[test]
fn trap_21_how_hard_to_think_is_told_in_the_upstreams_words() {
    let listed = Quirks { efforts: &["low", "medium", "high"], ..Quirks::NONE };
    let cases = [
        (
            json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "max" } }),
            json!("high"),
            Value::Null,
        ),
        (
            json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "xhigh" } }),
            json!("high"),
            Value::Null,
        ),
        (
            json!({ "thinking": { "type": "disabled" }, "output_config": { "effort": "high" } }),
            json!("low"),
            json!(false),
        ),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }), json!("low"), json!(true)),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 8192 } }), json!("medium"), json!(true)),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 32768 } }), json!("high"), json!(true)),
        (json!({ "thinking": { "type": "adaptive" } }), Value::Null, Value::Null),
        (json!({}), Value::Null, Value::Null),
    ];
    for (fields, openais, ollamas) in cases {
        let there = carried(&ANTHROPIC, &OPENAI_CHAT, &ask(fields.clone()), &listed).unwrap().body;
        assert_eq!(there.get("reasoning_effort").unwrap_or(&Value::Null), &openais, "{fields}");
        let local = sent(&ANTHROPIC, &OLLAMA, &ask(fields.clone()));
        assert_eq!(local.get("think").unwrap_or(&Value::Null), &ollamas, "{fields}");
    }
    let unknown = ask(json!({ "output_config": { "effort": "enormous" } }));
    assert!(refused(&ANTHROPIC, &OPENAI_CHAT, &unknown, &Quirks::NONE).message().contains("`enormous`"));
}

#[test]
fn trap_56_what_has_no_answer_elsewhere_is_refused_by_its_name() {
    let openais = |fields: Value| {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }] });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({ "n": 2 }), Some("n: ")),
        (json!({ "n": 1 }), None),
        (json!({ "logprobs": true }), Some("`logprobs`")),
        (json!({ "logprobs": false, "top_logprobs": 0 }), None),
        (json!({ "top_logprobs": 3 }), Some("`top_logprobs`")),
        (json!({ "modalities": ["text", "audio"], "audio": { "voice": "v", "format": "wav" } }), Some("`audio`")),
        (json!({ "modalities": ["audio"] }), Some("`modalities`")),
        (json!({ "modalities": ["text"] }), None),
        (json!({ "web_search_options": { "search_context_size": "low" } }), Some("`web_search_options`")),
        (json!({ "functions": [] }), Some("functions: ")),
    ];
    for (fields, named) in cases {
        for to in [&ANTHROPIC as &dyn Language, &OLLAMA] {
            let told = carried(&OPENAI_CHAT, to, &openais(fields.clone()), &Quirks::NONE).err();
            let told = told.map(|error| error.message().to_owned());
            assert_eq!(told.is_some(), named.is_some(), "{fields}: {told:?}");
            assert!(told.is_none_or(|told| told.starts_with(named.unwrap())), "{fields}");
        }
    }
    let safe = refused(&ANTHROPIC, &OPENAI_CHAT, &ask(json!({ "safeguards": [{ "type": "x" }] })), &Quirks::NONE);
    assert_eq!(safe.message(), "safeguards: Extra inputs are not permitted");
}
