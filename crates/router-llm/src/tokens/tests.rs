//! The count of whole questions: against OpenAI's own tokenizer, and as it must grow.

use proptest::prelude::*;
use router_core::chat::Dialect as _;
use serde_json::{Value, json};
use tiktoken_rs::o200k_base_singleton;

use super::Weight;
use crate::{
    dialect::{anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT},
    models::Tokenizer,
};

/// A PNG of 1024 x 768 pixels, as far as its head goes, and more than that in bytes.
fn png() -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode([&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0"[..], &vec![7; 90_000]].concat())
}

fn weight(question: &Value) -> Weight {
    Weight::of_bytes(question.to_string().as_bytes())
}

fn tokens(question: &Value) -> u64 {
    weight(question).tokens(Tokenizer::O200k)
}

/// Texts of many kinds, among them our own.
const TEXTS: [(&str, &str, f64); 7] = [
    ("prose", include_str!("../../../../SECURITY.md"), 0.15),
    ("markdown", include_str!("../../../../ARCHITECTURE.md"), 0.15),
    ("rust", include_str!("../sse.rs"), 0.15),
    ("table", include_str!("../models/table.rs"), 0.25),
    ("json", include_str!("../../../../docs/config.schema.json"), 0.2),
    ("python", include_str!("../../../../tests/router.py"), 0.15),
    ("chinese", "今天天气很好，我们一起去公园散步吧。机器学习模型的上下文窗口是有限的，超过之后就会被截断。", 0.35),
];

#[test]
fn the_count_is_near_openais_own() {
    for (name, text, bound) in TEXTS {
        let counted = weight(&json!({ "messages": [{ "role": "user", "content": text }] }));
        // Seven are written around one message.
        let exact = o200k_base_singleton().count_ordinary(text) + 7;
        let estimate = counted.tokens(Tokenizer::O200k);
        #[expect(clippy::cast_precision_loss, reason = "these texts are short")]
        let off = estimate as f64 / exact as f64 - 1.0;
        println!("{name}: {estimate} for {exact}, {off:+.3} {:?}", counted.text);
        assert!(off.abs() < bound, "{name}: {estimate} for {exact}");
    }
}

#[test]
fn a_small_question_is_a_few_tokens() {
    let foo = tokens(&json!({ "model": "m", "messages": [{ "role": "user", "content": "foo" }], "tools": [] }));
    assert!((5..15).contains(&foo), "{foo}");
}

#[test]
fn a_picture_counts_by_its_size_wherever_it_stands() {
    let (png, url) = (png(), format!("data:image/png;base64,{}", png()));
    let source = json!({ "type": "base64", "media_type": "image/png", "data": png });
    let said = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let table = [
        said(json!([{ "type": "image", "source": source }])),
        said(
            json!([{ "type": "tool_result", "tool_use_id": "t", "content": [{ "type": "image", "source": source }] }]),
        ),
        said(json!([{ "type": "image_url", "image_url": { "url": url, "detail": "high" } }])),
        json!({ "messages": [{ "role": "user", "content": "", "images": [png] }] }),
        json!({ "input": [{ "role": "user", "content": [{ "type": "input_image", "image_url": url }] }] }),
    ];
    for question in table {
        let counted = tokens(&question);
        assert!((765..820).contains(&counted), "{counted}: {}", &question.to_string()[..80]);
    }
    let address = said(json!([{ "type": "image_url", "image_url": { "url": "https://e.com/a.png" } }]));
    assert!(weight(&address).has_pictures());
    let pdf = said(json!([{ "type": "document", "source": { "type": "base64", "data": "JVBERi0xLjcK" } }]));
    assert!(weight(&pdf).has_documents() && tokens(&pdf) > 1000);
}

#[test]
fn settings_and_proofs_are_not_read_by_the_model() {
    let foo = json!({ "messages": [{ "role": "user", "content": "foo" }] });
    let noise = "x ".repeat(500);
    let more = json!({
        "model": noise, "metadata": { "user_id": noise }, "stop": [noise], "max_tokens": 99,
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "foo", "id": noise, "signature": noise }] }],
    });
    assert_eq!(tokens(&more), tokens(&foo));
    assert_eq!(weight(&more).max_tokens(), Some(99));
    let ollama = json!({ "options": { "num_predict": 7, "num_ctx": 8192 }, "messages": [] });
    assert_eq!((weight(&ollama).max_tokens(), weight(&ollama).window()), (Some(7), Some(8192)));
}

#[test]
fn bytes_and_prompts_weigh_nearly_the_same() {
    let tool = json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] });
    let anthropic = json!({
        "model": "m", "max_tokens": 9, "system": "Be brief, and answer in English.",
        "tools": [{ "name": "read", "description": "Reads a file.", "input_schema": tool }],
        "messages": [
            { "role": "user", "content": TEXTS[0].1 },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "read", "input": { "path": "a" } }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": TEXTS[2].1 }] },
        ],
    });
    let function = json!({ "name": "read", "description": "Reads a file.", "parameters": tool });
    let openai = json!({
        "model": "m", "max_tokens": 9, "tools": [{ "type": "function", "function": function }],
        "messages": [
            { "role": "system", "content": "Be brief, and answer in English." },
            { "role": "user", "content": TEXTS[0].1 },
            { "role": "assistant", "tool_calls": [
                { "id": "t1", "type": "function", "function": { "name": "read", "arguments": "{\"path\":\"a\"}" } },
            ] },
            { "role": "tool", "tool_call_id": "t1", "content": TEXTS[2].1 },
        ],
    });
    let bytes = |question: &Value| bytes::Bytes::from(question.to_string());
    let decoded = [
        (&anthropic, ANTHROPIC.decode(&bytes(&anthropic)).unwrap()),
        (&openai, OPENAI_CHAT.decode(&bytes(&openai)).unwrap()),
    ];
    for (question, prompt) in decoded {
        let (one, other) = (weight(question), Weight::of_prompt(&prompt));
        let (one, other) = (one.tokens(Tokenizer::O200k), other.tokens(Tokenizer::O200k));
        assert!(one.abs_diff(other) * 50 < one, "{one} by bytes, {other} decoded");
    }
}

/// A figure to look at, not a bound: machines differ.
#[test]
fn a_hundred_kilobytes_are_weighed_in_no_time() {
    let text: String = TEXTS[2].1.chars().cycle().take(100_000).collect();
    let question = json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
    let started = tokio::time::Instant::now();
    let counted = (0..20).map(|_| Weight::of_bytes(question.as_bytes()).tokens(Tokenizer::Claude5)).sum::<u64>() / 20;
    let took = started.elapsed() / 20;
    println!("{} KB, {counted} tokens: {took:?}", question.len() / 1000);
}

proptest! {
    #[test]
    fn more_text_is_never_fewer_tokens(text in ".{0,200}", more in ".{0,60}") {
        let one = tokens(&json!({ "messages": [{ "role": "user", "content": text }] }));
        let two = tokens(&json!({ "messages": [{ "role": "user", "content": format!("{text}{more}") }] }));
        prop_assert!(one <= two, "{one} > {two}");
    }

    #[test]
    fn more_tools_and_messages_are_more_tokens(text in ".{0,80}", name in "[a-z_]{1,20}") {
        let message = json!({ "role": "user", "content": text });
        let tool = json!({ "name": name, "input_schema": { "type": "object" } });
        let count = |messages: usize, tools: usize| {
            tokens(&json!({ "messages": vec![&message; messages], "tools": vec![&tool; tools] }))
        };
        prop_assert!(count(1, 0) < count(2, 0) && count(1, 0) < count(1, 1) && count(1, 1) < count(1, 2));
    }

    #[test]
    fn no_bytes_break_the_scan(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        Weight::of_bytes(&bytes);
    }
}
