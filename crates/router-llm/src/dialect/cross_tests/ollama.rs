//! Ollama's clients onto the other dialects.

use bytes::Bytes;
use proptest::prelude::*;
use router_core::chat::{Folded, Losses, Part, Shape, StopReason, Usage, fold};
use serde_json::{Value, json};

use super::{
    disorder,
    properties::{as_openai, reply},
    read,
    replies::{ANTHROPICS, OPENAIS},
    write,
};
use crate::{
    dialect::{
        Ask, Framing, Language, anthropic::ANTHROPIC, ollama::OLLAMA, ollama::generate::GENERATE,
        openai_chat::OPENAI_CHAT,
    },
    sse,
};

fn translated(from: &dyn Language, to: &dyn Language, body: &Value, model: &str) -> Value {
    let prompt = from.decode(&Bytes::from(body.to_string())).unwrap();
    let ask = Ask { shape: Shape::Stream, ..Ask::of(&prompt, model) };
    serde_json::from_slice(&to.encode(&ask, &mut Losses::default()).unwrap()).unwrap()
}

#[test]
fn what_an_agent_asks_in_ollamas_words() {
    let body = json!({
        "model": "llama3", "keep_alive": "5m", "think": "high",
        "options": { "num_ctx": 8192, "num_predict": 99, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": ["END"] },
        "messages": [
            { "role": "system", "content": "You are an agent." },
            { "role": "user", "content": "what is in these?", "images": ["iVBORw0KGgo", "/9j/4AAQ"] },
            { "role": "assistant", "content": "", "thinking": "two calls", "tool_calls": [
                { "function": { "name": "look", "arguments": { "zeta": 1, "alpha": 12_345_678_901_234_567_890_u64 } } },
                { "function": { "name": "list", "arguments": {} } },
            ] },
            { "role": "tool", "tool_name": "list", "content": "empty" },
            { "role": "tool", "tool_name": "look", "content": "a cat" },
            { "role": "user", "content": "go on" },
        ],
        "tools": [
            { "type": "function", "function": { "name": "look", "description": "Looks.", "parameters": {
                "type": "object", "properties": { "zeta": { "type": "integer" }, "alpha": { "type": "integer" } } } } },
            { "type": "function", "function": { "name": "list" } },
        ],
        "format": { "type": "object", "properties": { "answer": { "type": "string" } }, "required": ["answer"] },
    });
    insta::assert_json_snapshot!("ollamas_question_for_openai", translated(&OLLAMA, &OPENAI_CHAT, &body, "gpt-5"));
    insta::assert_json_snapshot!(
        "ollamas_question_for_anthropic",
        translated(&OLLAMA, &ANTHROPIC, &body, "claude-sonnet-4-5")
    );
    let generation = json!({ "prompt": "hi", "system": "s", "images": ["iVBO"], "options": { "num_predict": 9 } });
    insta::assert_json_snapshot!(
        "ollamas_generation_for_openai",
        translated(&GENERATE, &OPENAI_CHAT, &generation, "m")
    );
}

#[tokio::test(start_paused = true)]
async fn the_others_streams_in_ollamas_words() {
    for (name, language, stream) in
        [("anthropics", &ANTHROPIC as &dyn Language, ANTHROPICS), ("openais", &OPENAI_CHAT, OPENAIS)]
    {
        let events = read(language, Shape::Stream, [stream.as_bytes()]).unwrap();
        let written = write(&OLLAMA, Shape::Stream, &events).unwrap();
        insta::assert_snapshot!(format!("{name}_stream_for_ollamas_client"), written);
    }
}

/// What of a reply Ollama has words for.
fn as_ollama(folded: Folded, usage: Usage) -> Folded {
    let calls = folded.message.parts.iter().any(|part| matches!(part, Part::ToolUse { .. }));
    let refused = if calls { StopReason::ToolUse } else { StopReason::EndTurn };
    let stop = if folded.stop == StopReason::Refusal { refused } else { folded.stop };
    let usage = Usage { input: usage.total_input(), output: usage.output, ..Usage::default() };
    Folded { id: None, stop, usage, ..folded }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn ollamas_reply_says_all_that_it_has_words_for(reply in reply()) {
        let usage = fold(reply.clone()).usage;
        for shape in [Shape::Whole, Shape::Stream] {
            let written = write(&OLLAMA, shape, &reply).unwrap();
            let events = read(&OLLAMA, shape, [written.as_bytes()]).unwrap();
            prop_assert_eq!(disorder(&events), None);
            prop_assert_eq!(fold(events), as_ollama(as_openai(&reply, shape), usage));
        }
    }

    #[test]
    fn every_line_is_marked_and_the_last_one_ends(reply in reply()) {
        let stream = write(&OLLAMA, Shape::Stream, &reply).unwrap();
        let marks: Vec<_> =
            sse::events(stream.as_bytes(), Framing::Ndjson).map(|event| OLLAMA.scan(event, Shape::Stream)).collect();
        prop_assert!(!marks.iter().any(|mark| mark.error), "{}", stream);
        let ends: Vec<bool> = marks.iter().map(|mark| mark.end).collect();
        prop_assert_eq!(ends.iter().position(|end| *end), Some(ends.len() - 1), "{}", stream);
    }
}
