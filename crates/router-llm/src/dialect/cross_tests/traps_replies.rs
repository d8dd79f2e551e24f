//! What translations are known to get wrong, one test for each known trap by its number: replies and errors.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use router_core::{
    Error, Kind,
    chat::{Block, ChatReply, Dialect as _, Event, Meta, Part, Shape, StopReason, Usage, fold},
};
use serde_json::{Value, json};

use super::{disorder, read, write};
use crate::dialect::{
    Amend, Ask, Language, Quirks,
    anthropic::ANTHROPIC,
    ollama::OLLAMA,
    openai_chat::OPENAI_CHAT,
    proof::{self, Borne},
};

/// A stream of OpenAI's: these deltas, why it stopped, and what it used.
fn openais(deltas: &[Value], finish: &str) -> String {
    let chunk = |delta: &Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "id": "c1", "model": "gpt", "choices": [choice] }))
    };
    let said: String = deltas.iter().map(|delta| chunk(delta, None)).collect();
    said + &chunk(&json!({}), Some(finish)) + "data: [DONE]\n\n"
}

/// The events of such a stream, which are in order.
fn events(deltas: &[Value], finish: &str) -> Vec<Event> {
    let events = read(&OPENAI_CHAT, Shape::Stream, [openais(deltas, finish).as_bytes()]).unwrap();
    assert_eq!(disorder(&events), None);
    events
}

/// The blocks that a client of Anthropic's sees: kind and content, in order, with indices that count up.
fn blocks(events: &[Event]) -> Vec<(String, String)> {
    let stream = write(&ANTHROPIC, Shape::Stream, events).unwrap();
    let mut blocks: Vec<(String, String)> = Vec::new();
    for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        let index = || usize::try_from(event["index"].as_u64().unwrap()).unwrap();
        if event["type"] == "content_block_start" {
            assert_eq!(index(), blocks.len());
            blocks.push((event["content_block"]["type"].as_str().unwrap().to_owned(), String::new()));
        } else if event["type"] == "content_block_delta" {
            let delta = ["text", "thinking", "partial_json"].iter().find_map(|name| event["delta"][*name].as_str());
            blocks[index()].1.push_str(delta.unwrap_or_default());
        }
    }
    blocks
}

fn block(kind: &str, said: &str) -> (String, String) {
    (kind.to_owned(), said.to_owned())
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }] })
}

fn more(index: u64, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
}

#[test]
fn trap_27_a_thought_is_a_block_of_its_own_wherever_it_was_written() {
    let thought = [block("thinking", "hm"), block("text", "a")];
    let cases = [
        vec![json!({ "reasoning_content": "hm" }), json!({ "content": "a" })],
        vec![json!({ "reasoning": "hm" }), json!({ "content": "a" })],
        vec![json!({ "reasoning_details": [{ "type": "reasoning.text", "text": "hm" }] }), json!({ "content": "a" })],
        vec![
            json!({ "reasoning_content": "h", "reasoning": "h" }),
            json!({ "reasoning_content": "m" }),
            json!({ "content": "a" }),
        ],
        vec![json!({ "content": "<th" }), json!({ "content": "ink>hm</thi" }), json!({ "content": "nk>a" })],
        vec![
            json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }, { "type": "text", "text": "a" }] }),
        ],
    ];
    for deltas in cases {
        let events = events(&deltas, "stop");
        assert_eq!(blocks(&events), thought, "{deltas:?}");
        let stream = write(&ANTHROPIC, Shape::Stream, &events).unwrap();
        let signed = stream.find("\"signature_delta\",\"signature\":\"mcp-router:unsigned").unwrap();
        assert!(signed < stream.find("content_block_stop").unwrap(), "{stream}");
    }
}

/// The family of trap 27: what OpenRouter wants to see again is kept in the thought's signature.
#[test]
fn trap_27_reasoning_details_are_kept_as_they_came() {
    let told = json!([{ "type": "reasoning.text", "text": "hm", "signature": "EqQB", "index": 0 }]);
    let hidden = json!([{ "type": "reasoning.encrypted", "data": "x", "id": "call_1", "index": 0 }]);
    let pieces = [
        json!({ "reasoning": "h", "reasoning_details": [{ "type": "reasoning.text", "text": "h", "index": 0 }] }),
        json!({ "reasoning": "m", "reasoning_details": [{ "type": "reasoning.text", "text": "m", "index": 0 }] }),
        json!({ "reasoning_details": [{ "type": "reasoning.text", "signature": "EqQB", "index": 0 }] }),
        json!({ "content": "a" }),
    ];
    let late = [call(0, "call_1", "x", "{}"), json!({ "reasoning_details": hidden })];
    let first = [json!({ "reasoning_details": hidden }), json!({ "content": "a" })];
    for (deltas, text, details) in [(&pieces[..], "hm", &told), (&late, "", &hidden), (&first, "", &hidden)] {
        let folded = fold(events(deltas, "stop"));
        let thought = |part: &Part| {
            let Part::Thinking { text, signature } = part else { return None };
            Some((text.clone(), signature.clone().unwrap()))
        };
        let thoughts: Vec<(String, String)> = folded.message.parts.iter().filter_map(thought).collect();
        let [(said, signature)] = thoughts.as_slice() else { panic!("{thoughts:?}") };
        let borne: Value = serde_json::from_slice(&proof::borne(signature, Borne::Details).unwrap()).unwrap();
        assert_eq!((said.as_str(), &borne), (text, details));
    }
}

/// What a client sees of `events` that asked in Anthropic's words with these fields.
fn amended(fields: &Value, quirks: &Quirks, events: Vec<Event>) -> Vec<Event> {
    let mut body = super::asked(&json!([{ "role": "user", "content": "u" }]));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let prompt = ANTHROPIC.decode(&Bytes::from(body.to_string())).unwrap();
    let ask = Ask { quirks, ..Ask::of(&prompt, "m") };
    let reply = ChatReply::events(Shape::Stream, stream::iter(events.into_iter().map(Ok)));
    let reply = Amend::of(&OPENAI_CHAT, &ask).apply(reply).into_events().map(Result::unwrap);
    reply.collect::<Vec<_>>().now_or_never().unwrap()
}

#[test]
fn trap_27_a_thought_that_is_not_to_be_shown_is_carried_in_its_signature() {
    let thinks =
        vec![json!({ "reasoning_content": "hm " }), json!({ "reasoning_content": "é" }), json!({ "content": "a" })];
    let omitted = json!({ "thinking": { "type": "adaptive", "display": "omitted" } });
    let hidden = amended(&omitted, &Quirks::NONE, events(&thinks, "stop"));
    assert_eq!(disorder(&hidden), None);
    assert_eq!(blocks(&hidden), [block("thinking", ""), block("text", "a")]);
    let whole: Value = serde_json::from_str(&write(&ANTHROPIC, Shape::Whole, &hidden).unwrap()).unwrap();
    let signature = whole["content"][0]["signature"].as_str().unwrap();
    assert_eq!(proof::borne(signature, Borne::Text).as_deref(), Some("hm é".as_bytes()));
    for shown in [json!({}), json!({ "thinking": { "type": "adaptive", "display": "summarized" } })] {
        let shown = amended(&shown, &Quirks::NONE, events(&thinks, "stop"));
        assert_eq!(blocks(&shown)[0], block("thinking", "hm é"));
    }
    let detailed =
        vec![json!({ "reasoning_details": [{ "type": "reasoning.text", "text": "hm" }] }), json!({ "content": "a" })];
    let folded = fold(amended(&omitted, &Quirks::NONE, events(&detailed, "stop")));
    let Part::Thinking { text, signature } = &folded.message.parts[0] else { panic!("{folded:?}") };
    assert_eq!((text.as_str(), proof::borne(signature.as_deref().unwrap(), Borne::Details).is_some()), ("", true));
}

#[test]
fn trap_28_blocks_follow_one_another() {
    let deltas = [json!({ "content": "a" }), json!({ "reasoning": "b" }), json!({ "content": "c" })];
    let expected = [block("text", "a"), block("thinking", "b"), block("text", "c")];
    assert_eq!(blocks(&events(&deltas, "stop")), expected);
}

#[test]
fn trap_29_a_reply_that_begins_with_a_call_has_no_empty_text_before_it() {
    let first = json!({ "role": "assistant", "content": null, "tool_calls": call(0, "c", "x", "{}")["tool_calls"] });
    let empty = json!({ "role": "assistant", "content": "", "tool_calls": call(0, "c", "x", "{}")["tool_calls"] });
    for delta in [first, empty] {
        let events = events(&[delta], "tool_calls");
        assert_eq!(blocks(&events), [block("tool_use", "{}")]);
        assert!(write(&ANTHROPIC, Shape::Stream, &events).unwrap().starts_with("event: message_start\n"));
    }
}

#[test]
fn trap_30_a_call_in_any_pieces_is_one_call() {
    let cases = [
        vec![call(0, "c", "x", ""), more(0, "{\"a\""), more(0, ":1}")],
        vec![call(0, "c", "x", "{\"a\":1}")],
        vec![more(0, "{\"a\""), call(0, "c", "x", ":1}")],
        vec![call(0, "c", "x", ""), more(0, "{\"a\""), more(0, "{\"a\":1"), more(0, "{\"a\":1}")],
        vec![call(0, "c", "x", "{\"a\""), call(0, "c", "x", ":1}")],
    ];
    for deltas in cases {
        assert_eq!(blocks(&events(&deltas, "tool_calls")), [block("tool_use", "{\"a\":1}")], "{deltas:?}");
    }
}

#[test]
fn trap_32_interleaved_calls_follow_one_another() {
    let deltas = [
        call(0, "c0", "x", ""),
        call(1, "c1", "y", ""),
        more(0, "{\"a\""),
        more(1, "{\"b\""),
        more(0, ":1}"),
        more(1, ":2}"),
    ];
    let events = events(&deltas, "tool_calls");
    assert_eq!(blocks(&events), [block("tool_use", "{\"a\":1}"), block("tool_use", "{\"b\":2}")]);
}

#[test]
fn trap_34_arguments_of_any_form_are_an_object_and_nonsense_is_an_error() {
    let written = |arguments: &Value| json!({ "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "x", "arguments": arguments } }] });
    let cases = [
        (json!(""), Some(json!({}))),
        (json!(null), Some(json!({}))),
        (json!("null"), Some(json!({}))),
        (json!("{}"), Some(json!({}))),
        (json!({ "a": 1 }), Some(json!({ "a": 1 }))),
        (json!("{\"a\":"), None),
    ];
    for (arguments, expected) in cases {
        let stream = openais(&[written(&arguments)], "tool_calls");
        let read = read(&OPENAI_CHAT, Shape::Stream, [stream.as_bytes()]);
        let whole = read.and_then(|events| write(&ANTHROPIC, Shape::Whole, &events));
        let input = whole.ok().map(|body| serde_json::from_str::<Value>(&body).unwrap()["content"][0]["input"].clone());
        assert_eq!(input, expected, "{arguments}");
    }
    let missing = json!({ "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "x" } }] });
    let empty = events(&[missing], "tool_calls");
    assert_eq!(blocks(&empty), [block("tool_use", "")], "the SDKs read no arguments as an empty object");
    let openais = write(&OPENAI_CHAT, Shape::Stream, &empty).unwrap();
    assert!(openais.contains("\"arguments\":\"{}\""), "clients of OpenAI's parse what they are given: {openais}");
}

#[test]
fn trap_35_a_reply_with_calls_waits_for_its_tools() {
    let calls = [json!({ "content": "a" }), call(0, "c", "x", "{}")];
    let text = [json!({ "content": "a" })];
    let cases = [
        (&calls[..], "stop", StopReason::ToolUse),
        (&calls, "tool_calls", StopReason::ToolUse),
        (&calls, "length", StopReason::MaxTokens),
        (&text, "tool_calls", StopReason::EndTurn),
        (&text, "function_call", StopReason::EndTurn),
        (&text, "content_filter", StopReason::Refusal),
        (&text, "eos", StopReason::EndTurn),
    ];
    for (deltas, finish, expected) in cases {
        assert_eq!(fold(events(deltas, finish)).stop, expected, "{finish}");
    }
}

#[test]
fn trap_37_usage_is_told_once_wherever_it_stood() {
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 5 });
    let chunk = |fields: &Value| {
        let mut chunk = json!({ "id": "c1", "choices": [{ "index": 0, "delta": { "content": "a" } }] });
        chunk.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        format!("data: {chunk}\n\n")
    };
    let end = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
    let (said, done) = (chunk(&json!({})), "data: [DONE]\n\n");
    let streams = [
        [&said, &*chunk(&json!({ "choices": end })), &*chunk(&json!({ "choices": [], "usage": usage })), done].concat(),
        [&said, &*chunk(&json!({ "choices": end, "usage": usage })), done].concat(),
        [&*chunk(&json!({ "usage": usage })), &*chunk(&json!({ "choices": end, "usage": usage })), done].concat(),
    ];
    for stream in streams {
        let events = read(&OPENAI_CHAT, Shape::Stream, [stream.as_bytes()]).unwrap();
        let told = write(&ANTHROPIC, Shape::Stream, &events).unwrap();
        let deltas: Vec<&str> = told.lines().filter(|line| line.contains("\"type\":\"message_delta\"")).collect();
        let [delta] = deltas.as_slice() else { panic!("{told}") };
        assert!(delta.contains("\"input_tokens\":10") && delta.contains("\"output_tokens\":5"), "{delta}");
    }
}

#[test]
fn trap_38_what_came_from_the_cache_is_counted_once_in_every_dialect() {
    let usage = Usage { input: 200, output: 20, cache_read: 800, cache_write: 0, thinking: 0 };
    let reply = [
        Event::Start { id: None, model: None },
        Event::Open(Block::Text),
        Event::Text("a".into()),
        Event::Close,
        Event::Usage(usage),
        Event::Stop { reason: StopReason::EndTurn, sequence: None },
    ];
    let told = |language: &dyn Language| -> Value {
        serde_json::from_str(&write(language, Shape::Whole, &reply).unwrap()).unwrap()
    };
    let anthropic = told(&ANTHROPIC);
    let counts = ["input_tokens", "cache_read_input_tokens", "output_tokens"]
        .map(|name| anthropic["usage"][name].as_u64().unwrap());
    assert_eq!(counts, [200, 800, 20]);
    let openai = told(&OPENAI_CHAT);
    assert_eq!(
        (&openai["usage"]["prompt_tokens"], &openai["usage"]["prompt_tokens_details"]["cached_tokens"]),
        (&json!(1000), &json!(800))
    );
    assert_eq!(told(&OLLAMA)["prompt_eval_count"], 1000);
    for language in [&ANTHROPIC as &dyn Language, &OPENAI_CHAT] {
        for shape in [Shape::Whole, Shape::Stream] {
            let written = write(language, shape, &reply).unwrap();
            assert_eq!(fold(read(language, shape, [written.as_bytes()]).unwrap()).usage, usage, "{}", language.name());
        }
    }
}

#[test]
fn trap_40_an_error_in_a_stream_is_an_error() {
    let cases = [
        (r#"{"error":{"message":"m","code":429},"choices":[]}"#, Kind::Limited, "rate_limit_error"),
        (r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, Kind::TooLong, "invalid_request_error"),
        (r#"{"error":"m"}"#, Kind::Unavailable, "api_error"),
        (r#"{"error":{"message":"m","type":"overloaded_error"}}"#, Kind::Unavailable, "api_error"),
    ];
    for (data, kind, named) in cases {
        let stream = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a\"}}}}]}}\n\ndata: {data}\n\ndata: [DONE]\n\n"
        );
        let error = read(&OPENAI_CHAT, Shape::Stream, [stream.as_bytes()]).unwrap_err().at(&"u".into());
        assert_eq!(error.kind(), kind, "{data}");
        let event = ANTHROPIC.error_event(&error, "req_1");
        assert!(std::str::from_utf8(&event).unwrap().contains(&format!("\"type\":\"{named}\"")), "{event:?}");
    }
}

#[test]
fn trap_43_a_question_too_long_is_told_in_the_words_that_clients_act_on() {
    let complaints = [
        (
            r#"{"error":{"message":"This model's maximum context length is 1000 tokens. However, your messages resulted in 1200 tokens.","code":"context_length_exceeded"}}"#,
            Some("prompt is too long: 1200 tokens > 1000 maximum"),
        ),
        (
            r#"{"error":{"message":"Requested token count exceeds the model's maximum context length of 1000 tokens."}}"#,
            None,
        ),
        (
            r#"{"error":{"message":"The input (1200 tokens) is longer than the model's context length (1000 tokens)."}}"#,
            Some("prompt is too long: 1200 tokens > 1000 maximum"),
        ),
        (r#"{"error":"prompt too long; exceeded max context length by 200 tokens"}"#, None),
        (
            r#"{"error":{"message":"Trying to keep the first 1200 tokens when context the overflows. However, the model is loaded with context length of only 1000 tokens"}}"#,
            Some("prompt is too long: 1200 tokens > 1000 maximum"),
        ),
        (
            r#"{"error":{"message":"This endpoint's maximum context length is 1000 tokens. However, you requested about 1200 tokens."}}"#,
            Some("prompt is too long: 1200 tokens > 1000 maximum"),
        ),
    ];
    for (body, words) in complaints {
        let error: Error =
            OPENAI_CHAT.failure(400, &Meta::default(), Bytes::from_static(body.as_bytes())).at(&"u".into());
        assert_eq!(error.kind(), Kind::TooLong, "{body}");
        let (status, told) = ANTHROPIC.error(&error, "req_1");
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status, &told["error"]["type"]), (400, &json!("invalid_request_error")));
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("prompt is too long"), "{message}");
        assert!(words.is_none_or(|words| message.starts_with(words)), "{message}");
    }
}

#[test]
fn trap_55_a_reply_names_the_model_that_was_asked_for() {
    for language in super::ALL {
        for shape in [Shape::Whole, Shape::Stream] {
            let told = write(language, shape, &events(&[json!({ "content": "a" })], "stop")).unwrap();
            assert!(told.contains("\"model\":\"alias\"") && !told.contains("\"gpt\""), "{told}");
        }
    }
}

/// Texts that end an answer, and that the upstream was not told of.
#[test]
fn stops_beyond_what_the_upstream_takes_are_enforced() {
    let said = vec![json!({ "content": "one E" }), json!({ "content": "ND two" }), json!({ "content": " three" })];
    let five = json!({ "stop_sequences": ["a", "b", "c", "d", "END"] });
    let one = json!({ "stop_sequences": ["END"] });
    let thinks = Quirks { reasoning_model: true, ..Quirks::NONE };
    let cases = [(&five, Quirks::NONE, true), (&one, thinks, true), (&one, Quirks::NONE, false)];
    for (fields, quirks, cut) in cases {
        let events = amended(fields, &quirks, events(&said, "stop"));
        assert_eq!(disorder(&events), None);
        let folded = fold(events);
        let text = if cut { "one " } else { "one END two three" };
        assert_eq!(folded.message.joined_text(), text);
        let expected =
            if cut { (StopReason::StopSequence, Some("END".to_owned())) } else { (StopReason::EndTurn, None) };
        assert_eq!((folded.stop, folded.sequence), expected);
    }
}
