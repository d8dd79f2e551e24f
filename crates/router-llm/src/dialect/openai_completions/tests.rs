//! Legacy completions: what is read, what is refused, and what is written.

use bytes::Bytes;
use router_core::{
    Kind,
    chat::{Block, Dialect as _, Event, Prompt, Role, Shape, StopReason, Usage},
};
use serde_json::{Value, json};

use super::OPENAI_COMPLETIONS;
use crate::dialect::{Language as _, Told, infill, openai_completions::echoed};

fn decoded(body: &Value) -> router_core::Result<Prompt> {
    OPENAI_COMPLETIONS.decode(&Bytes::from(body.to_string()))
}

#[test]
fn a_prompt_is_a_chat_of_one_message() {
    let ask = |text: &str| Prompt { origin: Some("openai"), ..Prompt::ask(text) };
    let infilled = {
        let mut prompt = ask(&infill::sides("fn a(", "}"));
        prompt.messages.insert(0, router_core::chat::Message::text(Role::System, infill::ORDER));
        prompt
    };
    let told = Prompt {
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["END".into()],
        seed: Some(1),
        user: Some("u".into()),
        extra: [("presence_penalty".to_owned(), json!(0.1))].into_iter().collect(),
        ..ask("hi")
    };
    let cases = [
        (json!({ "prompt": "hi" }), ask("hi")),
        (json!({ "prompt": ["hi"], "n": 1, "best_of": 1, "logprobs": null, "echo": true, "suffix": "" }), ask("hi")),
        (json!({ "prompt": "hi", "messages": [], "tools": [] }), ask("hi")),
        (json!({ "prompt": "fn a(", "suffix": "}" }), infilled),
        (
            json!({
                "model": "m", "prompt": "hi", "stream": true, "stream_options": {}, "max_tokens": 9, "temperature": 0.5,
                "top_p": 0.9, "stop": "END", "seed": 1, "user": "u", "presence_penalty": 0.1,
            }),
            told,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(decoded(&body).unwrap(), expected, "{body}");
    }
}

#[test]
fn what_no_chat_can_give_is_refused_by_name() {
    let cases = [
        (json!({}), "prompt: Field required"),
        (json!({ "prompt": ["a", "b"] }), "prompt: 2 prompts at once are not taken; send one at a time"),
        (json!({ "prompt": [1, 2] }), "prompt: tokens are not taken, as models differ in them; send a text"),
        (json!({ "prompt": [[1, 2]] }), "prompt: tokens are not taken, as models differ in them; send a text"),
        (json!({ "prompt": [] }), "prompt: the list is empty; send a text"),
        (json!({ "prompt": 7 }), "prompt: invalid type: integer `7`, expected a string"),
        (json!({ "prompt": "a", "n": 2 }), "n: only one answer is given to a prompt; send it again for another"),
        (
            json!({ "prompt": "a", "best_of": 3 }),
            "best_of: only one answer is given to a prompt; send it again for another",
        ),
        (json!({ "prompt": "a", "logprobs": 0 }), "logprobs: are not told here; leave it out"),
        (
            json!({ "prompt": "a", "messages": [{ "role": "user", "content": "b" }] }),
            "messages: belong to a chat; send them to /v1/chat/completions",
        ),
        (json!({ "prompt": "a", "tools": [{}] }), "tools: belong to a chat; send them to /v1/chat/completions"),
        (json!({ "prompt": "a", "echo": true, "suffix": "b" }), "echo: cannot be had with a suffix"),
    ];
    for (body, expected) in cases {
        let error = decoded(&body).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Invalid, expected), "{body}");
    }
}

#[test]
fn the_prompt_is_repeated_only_when_it_should_be() {
    let cases = [
        (json!({ "prompt": "a", "echo": true }), Some("a")),
        (json!({ "prompt": ["a"], "echo": true }), Some("a")),
        (json!({ "prompt": "a", "echo": false }), None),
        (json!({ "prompt": "a" }), None),
    ];
    for (body, expected) in cases {
        assert_eq!(echoed(&Bytes::from(body.to_string())).as_deref(), expected, "{body}");
    }
}

fn written(shape: Shape, echo: Option<&str>) -> String {
    let told = Told {
        usage: true,
        answered_by: Some("echo/echo".into()),
        echo: echo.map(str::to_owned),
        ..Told::of("req_1", "alias", 1_700_000_000)
    };
    let mut writer = OPENAI_COMPLETIONS.writer(told, shape);
    let mut out = Vec::new();
    let events = [
        Event::Start { id: None, model: Some("upstreams".into()) },
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("two ".into()),
        Event::Text("words".into()),
        Event::Close,
        Event::Usage(Usage { input: 5, output: 3, ..Usage::default() }),
        Event::Stop { reason: StopReason::MaxTokens, sequence: None },
    ];
    for event in events {
        writer.write(vec![event], &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reply_is_written_as_clients_read_it() {
    insta::assert_snapshot!("whole", written(Shape::Whole, None));
    insta::assert_snapshot!("stream", written(Shape::Stream, Some("one ")));
    let whole: Value = serde_json::from_str(&written(Shape::Whole, Some("one "))).unwrap();
    assert_eq!(whole["choices"][0]["text"], "one two words");
}
