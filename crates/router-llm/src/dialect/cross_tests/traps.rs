//! What translations are known to get wrong, one test for each known trap by its number: the conversation.

use serde_json::{Value, json};

use super::{asked, carried, refused, sent};
use crate::dialect::{
    Quirks,
    anthropic::ANTHROPIC,
    ollama::OLLAMA,
    openai_chat::OPENAI_CHAT,
    proof::{self, Borne},
};

fn roles(body: &Value) -> Vec<&str> {
    body["messages"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect()
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn tool_use(id: &str) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "x", "input": {} })
}

fn tool_result(id: &str, content: &Value) -> Value {
    json!({ "type": "tool_result", "tool_use_id": id, "content": content })
}

fn picture() -> Value {
    json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO" } })
}

/// A conversation in which calls `ids` are answered by `content`.
fn answered(ids: &[&str], content: &Value) -> Value {
    let calls: Vec<Value> = ids.iter().map(|id| tool_use(id)).collect();
    asked(&json!([
        { "role": "user", "content": "u" },
        { "role": "assistant", "content": calls },
        { "role": "user", "content": content },
    ]))
}

#[test]
fn trap_01_a_system_message_in_the_middle_reaches_the_model() {
    let cases = [json!("Env"), json!([text("Env")]), json!([text(""), text("Env")])];
    for content in cases {
        let body = asked(&json!([{ "role": "user", "content": "u" }, { "role": "system", "content": content }]));
        assert_eq!(sent(&ANTHROPIC, &OPENAI_CHAT, &body)["messages"][1], json!({ "role": "system", "content": "Env" }));
        assert_eq!(sent(&ANTHROPIC, &OLLAMA, &body)["messages"][1], json!({ "role": "system", "content": "Env" }));
    }
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "u" }, { "role": "system", "content": "Env" },
    ] });
    for from in [&OPENAI_CHAT as &dyn crate::dialect::Language, &OLLAMA] {
        let last = &sent(from, &ANTHROPIC, &body)["messages"][0]["content"][1]["text"];
        assert_eq!(last, "<system-reminder>\nEnv\n</system-reminder>", "{}", from.name());
    }
}

#[test]
fn trap_02_a_strict_template_gets_one_system_message_first() {
    let strict = Quirks { one_system_message: true, ..Quirks::NONE };
    let body = json!({ "model": "m", "max_tokens": 9, "system": "s", "messages": [
        { "role": "user", "content": "u" },
        { "role": "system", "content": "Env" },
        { "role": "assistant", "content": "a" },
        { "role": "system", "content": "Later" },
        { "role": "user", "content": "v" },
    ] });
    let sent = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &strict).unwrap().body;
    let reminder = |text: &str| format!("<system-reminder>\n{text}\n</system-reminder>");
    assert_eq!(
        sent["messages"],
        json!([
            { "role": "system", "content": "s" },
            { "role": "user", "content": format!("u\n\n{}", reminder("Env")) },
            { "role": "assistant", "content": "a" },
            { "role": "user", "content": format!("{}\n\nv", reminder("Later")) },
        ])
    );
}

#[test]
fn trap_03_a_system_message_of_effort_alone_is_applied_and_not_sent() {
    for content in [json!([]), json!(""), Value::Null] {
        let body = json!({ "model": "m", "max_tokens": 9, "output_config": { "effort": "low" }, "messages": [
            { "role": "user", "content": "u" },
            { "role": "system", "content": content, "output_config": { "effort": "high" } },
        ] });
        let carried = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &Quirks::NONE).unwrap();
        assert_eq!((roles(&carried.body), &carried.body["reasoning_effort"]), (vec!["user"], &json!("high")));
        assert_eq!(carried.lost, "");
    }
}

#[test]
fn trap_04_what_the_developer_says_first_is_the_system_text() {
    for role in ["developer", "system"] {
        let body = json!({ "model": "m", "messages": [
            { "role": role, "content": "one" }, { "role": "system", "content": "two" }, { "role": "user", "content": "u" },
        ] });
        let sent = sent(&OPENAI_CHAT, &ANTHROPIC, &body);
        assert_eq!((&sent["system"], roles(&sent)), (&json!([text("one"), text("two")]), vec!["user"]));
    }
}

#[test]
fn trap_05_a_changing_billing_block_changes_nothing_upstream() {
    let body = |suffix: &str| {
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "u" }], "system": [
            text(&format!("x-anthropic-billing-header: cc_version=2.1.329.{suffix};")), text("You are an agent."),
        ] })
    };
    for to in [&OPENAI_CHAT as &dyn crate::dialect::Language, &OLLAMA] {
        assert_eq!(sent(&ANTHROPIC, to, &body("abc")).to_string(), sent(&ANTHROPIC, to, &body("def")).to_string());
        assert_eq!(roles(&sent(&ANTHROPIC, to, &body("abc"))), ["system", "user"]);
    }
}

#[test]
fn trap_06_answers_of_tools_come_right_after_their_calls() {
    let (one, two) = (json!("1"), json!("2"));
    let mixed = json!([text("t"), tool_result("a", &one), text("s"), tool_result("b", &two)]);
    let calls = json!([tool_use("a"), tool_use("b")]);
    let apart = asked(&json!([
        { "role": "user", "content": "u" },
        { "role": "assistant", "content": calls },
        { "role": "user", "content": "t" },
        { "role": "system", "content": "Env" },
        { "role": "user", "content": [tool_result("a", &one)] },
        { "role": "user", "content": [tool_result("b", &two), text("s")] },
    ]));
    let cases = [
        (answered(&["a", "b"], &mixed), vec!["user", "assistant", "tool", "tool", "user"]),
        (apart, vec!["user", "assistant", "tool", "tool", "user", "system", "user"]),
    ];
    for (body, expected) in cases {
        let sent = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
        assert_eq!(roles(&sent), expected);
        assert_eq!((&sent["messages"][2]["tool_call_id"], &sent["messages"][2]["content"]), (&json!("a"), &one));
        assert_eq!((&sent["messages"][3]["tool_call_id"], &sent["messages"][3]["content"]), (&json!("b"), &two));
    }
}

#[test]
fn trap_07_a_result_keeps_the_id_of_its_call() {
    for id in ["toolu_1", "call_1", "functions.x:0", "é"] {
        let body = answered(&[id], &json!([tool_result(id, &json!("r"))]));
        let there = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
        assert_eq!(there["messages"][1]["tool_calls"][0]["id"], id);
        assert_eq!(there["messages"][2]["tool_call_id"], id);
        let back = sent(&OPENAI_CHAT, &ANTHROPIC, &there);
        let (call, result) =
            (&back["messages"][1]["content"][0]["id"], &back["messages"][2]["content"][0]["tool_use_id"]);
        assert_eq!(call, result, "respelled alike");
    }
}

#[test]
fn trap_08_calls_and_results_that_do_not_match_are_refused_by_id_or_mended() {
    let anthropics = |content: Value, last: Value| {
        asked(&json!([
            { "role": "user", "content": "u" },
            { "role": "assistant", "content": content },
            { "role": "user", "content": last },
        ]))
    };
    let unanswered = anthropics(json!([tool_use("t1"), tool_use("t2")]), json!([tool_result("t1", &json!("r"))]));
    let never = anthropics(json!([tool_use("t9")]), json!("go on"));
    let uncalled = anthropics(json!("a"), json!([tool_result("t3", &json!("r"))]));
    let twice =
        anthropics(json!([tool_use("t1")]), json!([tool_result("t1", &json!("r")), tool_result("t1", &json!("r"))]));
    let missing = "immediately after: ";
    let unexpected = "unexpected `tool_use_id` found in `tool_result` blocks: ";
    let cases = [
        (&unanswered, missing, "t2", vec!["user", "assistant", "tool", "tool"]),
        (&never, missing, "t9", vec!["user", "assistant", "tool", "user"]),
        (&uncalled, unexpected, "t3", vec!["user", "assistant", "user"]),
        (&twice, unexpected, "t1", vec!["user", "assistant", "tool", "user"]),
    ];
    let repairs = Quirks { repairs_calls: true, ..Quirks::NONE };
    for (body, words, id, mended) in cases {
        for to in [&OPENAI_CHAT as &dyn crate::dialect::Language, &OLLAMA] {
            let error = refused(&ANTHROPIC, to, body, &Quirks::NONE);
            let (status, told) = super::super::Language::error(&ANTHROPIC, &error, "req_1");
            let told: Value = serde_json::from_slice(&told).unwrap();
            assert_eq!((status, &told["error"]["type"]), (400, &json!("invalid_request_error")));
            assert!(error.message().contains(&format!("{words}{id}")), "{error}");
        }
        let sent = carried(&ANTHROPIC, &OPENAI_CHAT, body, &repairs).unwrap().body;
        assert_eq!(roles(&sent), mended, "{sent}");
    }
    let openais = json!({ "model": "m", "messages": [
        { "role": "user", "content": "u" },
        { "role": "assistant", "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "x" } }] },
        { "role": "user", "content": "v" },
    ] });
    let error = refused(&OPENAI_CHAT, &ANTHROPIC, &openais, &Quirks::NONE);
    assert!(error.message().ends_with("did not have response messages: call_1"), "{error}");
    let mended = carried(&OPENAI_CHAT, &ANTHROPIC, &openais, &repairs).unwrap().body;
    assert_eq!(mended["messages"][2]["content"][0]["is_error"], true, "{mended}");
}

#[test]
fn trap_10_a_picture_that_a_tool_answered_follows_in_the_users_name() {
    let body = answered(
        &["a", "b"],
        &json!([tool_result("a", &json!([text("1"), picture()])), tool_result("b", &json!([picture()]))]),
    );
    let sent = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
    let follows = "(The picture follows in the next message.)";
    let url = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO" } });
    assert_eq!(
        sent["messages"].as_array().unwrap()[2..],
        [
            json!({ "role": "tool", "tool_call_id": "a", "content": format!("1\n\n{follows}") }),
            json!({ "role": "tool", "tool_call_id": "b", "content": follows }),
            json!({ "role": "user", "content": [url, url] }),
        ]
    );
    let strict = Quirks { no_user_after_tool: true, ..Quirks::NONE };
    let spoken = carried(&ANTHROPIC, &OPENAI_CHAT, &body, &strict).unwrap().body;
    assert_eq!(roles(&spoken), ["user", "assistant", "tool", "tool", "assistant", "user"]);
    let ollamas = super::sent(&ANTHROPIC, &OLLAMA, &body);
    assert_eq!(ollamas["messages"][2]["images"], json!(["iVBO"]));
}

#[test]
fn trap_11_a_document_is_carried_or_refused_and_never_left_out() {
    let document = |source: Value| json!({ "type": "document", "title": "T", "source": source });
    let pdf = document(json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBE" }));
    let plain = document(json!({ "type": "text", "media_type": "text/plain", "data": "words" }));
    let pieces = document(json!({ "type": "content", "content": [text("one"), text("two")] }));
    let file = json!({ "type": "file", "file": { "filename": "T", "file_data": "data:application/pdf;base64,JVBE" } });
    let user = |content: &Value| asked(&json!([{ "role": "user", "content": [text("u"), content] }]));
    let body = answered(&["a"], &json!([tool_result("a", &json!([text("1"), pdf.clone()]))]));
    let sent = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
    assert_eq!(sent["messages"][2]["content"], "1\n\n(The document follows in the next message.)");
    assert_eq!(sent["messages"][3]["content"], json!([file]));
    for (content, openais) in [
        (&pdf, json!([text("u"), file])),
        (&plain, json!("u\n\nT:\n\nwords")),
        (&pieces, json!("u\n\nT:\n\none\n\ntwo")),
    ] {
        assert_eq!(super::sent(&ANTHROPIC, &OPENAI_CHAT, &user(content))["messages"][0]["content"], openais);
    }
    let by_url = document(json!({ "type": "url", "url": "https://example.com/a.pdf" }));
    let by_id = document(json!({ "type": "file", "file_id": "f" }));
    let image_by_id = json!({ "type": "image", "source": { "type": "file", "file_id": "f" } });
    let upload = json!({ "type": "container_upload", "file_id": "f" });
    for (content, named) in [
        (&by_url, "document.source.url"),
        (&by_id, "document.source.file"),
        (&image_by_id, "image.source.file"),
        (&upload, "container_upload"),
    ] {
        let error = refused(&ANTHROPIC, &OPENAI_CHAT, &user(content), &Quirks::NONE);
        assert_eq!(error.message(), format!("messages: `{named}` cannot be carried to this model"));
    }
    assert!(refused(&ANTHROPIC, &OLLAMA, &user(&pdf), &Quirks::NONE).message().contains("application/pdf"));
    let by_address = json!({ "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } });
    let error = refused(&ANTHROPIC, &OLLAMA, &user(&by_address), &Quirks::NONE);
    assert_eq!(error.message(), "Ollama cannot fetch a picture by its address");
}

/// The family of trap 11: blocks that only one dialect has.
#[test]
fn trap_11_what_only_one_dialect_has_is_said_in_words_or_refused() {
    let found = json!({ "type": "search_result", "title": "T", "source": "https://e.com", "content": [text("found")] });
    let search = json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } });
    let hits = json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [
        { "type": "web_search_result", "title": "T", "url": "https://e.com", "encrypted_content": "x" },
    ] });
    let body = asked(&json!([
        { "role": "user", "content": [found] },
        { "role": "assistant", "content": [search, hits, text("a")] },
        { "role": "user", "content": "v" },
    ]));
    let sent = sent(&ANTHROPIC, &OPENAI_CHAT, &body);
    assert_eq!(sent["messages"][0]["content"], "T (https://e.com)\n\nfound");
    let said = r#"(The tool `web_search` was called with {"query":"q"}.)

(It answered: [{"title":"T","url":"https://e.com"}])

a"#;
    assert_eq!(sent["messages"][1]["content"], said);
    let user = |part: Value| json!({ "model": "m", "messages": [{ "role": "user", "content": [part] }] });
    for (part, named) in [
        (json!({ "type": "input_audio", "input_audio": { "data": "x", "format": "wav" } }), "input_audio"),
        (json!({ "type": "file", "file": { "file_id": "f" } }), "file"),
    ] {
        let error = refused(&OPENAI_CHAT, &ANTHROPIC, &user(part), &Quirks::NONE);
        assert_eq!(error.message(), format!("messages: `{named}` cannot be carried to this model"));
    }
}

#[test]
fn trap_23_a_prefill_is_gone_on_with_or_refused() {
    let anthropics = asked(&json!([{ "role": "user", "content": "u" }, { "role": "assistant", "content": "{" }]));
    let openais = json!({ "model": "m", "messages": anthropics["messages"] });
    let refuses = Quirks { no_prefill: true, ..Quirks::NONE };
    for (from, to, body) in super::ALL.iter().flat_map(|from| {
        let body = if from.name() == "anthropic" { &anthropics } else { &openais };
        super::ALL.iter().filter(|to| to.name() != from.name()).map(move |to| (*from, *to, body))
    }) {
        let error = refused(from, to, body, &refuses);
        assert!(error.message().starts_with("prefill not supported"), "{error}");
        let sent = sent(from, to, body);
        assert_eq!(roles(&sent), ["user", "assistant"], "{} to {}", from.name(), to.name());
    }
}

#[test]
fn trap_24_texts_that_say_nothing_are_left_out() {
    let body = asked(&json!([
        { "role": "user", "content": [text(""), text("u")] },
        { "role": "assistant", "content": [text("")] },
        { "role": "user", "content": [text("v"), text("")] },
    ]));
    let expected = json!([{ "role": "user", "content": "u" }, { "role": "user", "content": "v" }]);
    assert_eq!(sent(&ANTHROPIC, &OPENAI_CHAT, &body)["messages"], expected);
    assert_eq!(sent(&ANTHROPIC, &OLLAMA, &body)["messages"], expected);
    let back = sent(&OPENAI_CHAT, &ANTHROPIC, &json!({ "model": "m", "messages": body["messages"] }));
    assert_eq!(back["messages"], json!([{ "role": "user", "content": [text("u"), text("v")] }]));
    let empty = asked(&json!([{ "role": "user", "content": [text("")] }]));
    assert!(refused(&ANTHROPIC, &OPENAI_CHAT, &empty, &Quirks::NONE).message().starts_with("messages: "));
}

fn thought(thinking: &str, signature: &str) -> Value {
    json!({ "type": "thinking", "thinking": thinking, "signature": signature })
}

#[test]
fn trap_25_a_thought_goes_back_to_the_provider_that_had_it_and_to_nobody_else() {
    let ours = [
        proof::UNSIGNED.to_owned(),
        proof::bearing(Borne::Text, b"t"),
        proof::bearing(Borne::Details, b"[{\"type\":\"reasoning.text\",\"text\":\"t\"}]"),
    ];
    let body = |signature: &str| {
        asked(&json!([
            { "role": "user", "content": [text("u")] },
            { "role": "assistant", "content": [thought("t \u{e9}", signature), text("a")] },
            { "role": "user", "content": [text("v")] },
        ]))
    };
    for signature in ours {
        let body = body(&signature);
        assert!(!crate::dialect::Language::carries(&ANTHROPIC, body.to_string().as_bytes()));
        let sent = sent(&ANTHROPIC, &ANTHROPIC, &body);
        assert_eq!(sent["messages"][1]["content"], json!([text("a")]), "{signature}");
    }
    let own = body("EqQB");
    assert!(crate::dialect::Language::carries(&ANTHROPIC, own.to_string().as_bytes()), "byte for byte");
    assert_eq!(sent(&ANTHROPIC, &ANTHROPIC, &own)["messages"], own["messages"]);
    assert_eq!(carried(&ANTHROPIC, &OPENAI_CHAT, &own, &Quirks::NONE).unwrap().lost, "thinking.signature");
}

#[test]
fn trap_26_thoughts_are_replayed_where_they_are_wanted() {
    let body = |block: Option<Value>| {
        let content: Vec<Value> = block.into_iter().chain([tool_use("a")]).collect();
        asked(&json!([
            { "role": "user", "content": "u" },
            { "role": "assistant", "content": content },
            { "role": "user", "content": [tool_result("a", &json!("r"))] },
        ]))
    };
    let details = json!([{ "type": "reasoning.text", "text": "t", "signature": "EqQB", "index": 0 }]);
    let bearing = proof::bearing(Borne::Details, details.to_string().as_bytes());
    let hidden = proof::bearing(Borne::Text, b"t");
    let wants = Quirks { replays_thinking: true, ..Quirks::NONE };
    let wants_details = Quirks { replays_details: true, ..wants };
    let cases = [
        (Some(thought("t", "EqQB")), wants, json!("t"), Value::Null),
        (Some(thought("t", proof::UNSIGNED)), wants, json!("t"), Value::Null),
        (Some(thought("", &hidden)), wants, json!("t"), Value::Null),
        (Some(thought("t", &bearing)), wants, json!("t"), Value::Null),
        (None, wants, json!(""), Value::Null),
        (Some(thought("t", "EqQB")), Quirks::NONE, Value::Null, Value::Null),
        (Some(thought("", &bearing)), wants_details, Value::Null, details),
        (Some(thought("t", "EqQB")), wants_details, json!("t"), Value::Null),
    ];
    for (block, quirks, content, details) in cases {
        let sent = carried(&ANTHROPIC, &OPENAI_CHAT, &body(block.clone()), &quirks).unwrap().body;
        let turn = &sent["messages"][1];
        let field = |name: &str| turn.get(name).unwrap_or(&Value::Null);
        assert_eq!((field("reasoning_content"), field("reasoning_details")), (&content, &details), "{block:?}");
    }
}
