//! Replies, from outside: read, looked at, renamed and written, golden.

use std::time::Duration;

use bytes::Bytes;
use insta::assert_snapshot;
use router_core::{
    Kind, Raw,
    chat::{Block, Dialect, Event, Meta, Part, Shape, StopReason, Usage, fold},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    dialect::proof::{self, Borne},
    sse,
    sse::Splitter,
};

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

/// Reads a stream from frames as a splitter makes them of chunks.
fn decode(chunks: &[&[u8]]) -> Result<Vec<Event>> {
    let (mut splitter, mut frames) = (Splitter::new(Framing::Sse), Vec::new());
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk), &mut frames)?;
    }
    frames.extend(splitter.finish());
    let (mut decoder, mut events) = (OPENAI_CHAT.frames(Shape::Stream), Vec::new());
    for frame in frames {
        decoder.decode(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

fn stream_of(deltas: &[Value], finish: &str) -> String {
    let chunk = |choices: Value| format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": choices}));
    let deltas = deltas.iter().map(|delta| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}])));
    let last = chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]));
    deltas.chain([last, "data: [DONE]\n\n".to_owned()]).collect()
}

fn read(deltas: &[Value], finish: &str) -> Result<Vec<Event>> {
    decode(&[stream_of(deltas, finish).as_bytes()])
}

fn call(index: u64, fields: &Value) -> Value {
    let mut call = json!({"index": index, "id": fields.get("id"), "function": {}});
    for key in ["name", "arguments"] {
        call["function"][key] = fields.get(key).cloned().unwrap_or_default();
    }
    json!({"tool_calls": [call]})
}

#[test]
fn a_real_stream_is_read_the_same_wherever_it_is_cut() {
    let stream = concat!(
        ": OPENROUTER PROCESSING\r\n\r\n",
        "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é <b>\"}}]}\r\n\r\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"ah\"}}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":8}}}\n\n",
        "data: [DONE]",
    );
    let expected = [
        Event::Start { id: Some("chatcmpl-1".into()), model: Some("gpt".into()) },
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("é <b>".into()),
        Event::Close,
        Event::Open(Block::Thinking),
        Event::Thinking("ah".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: "t1".into(), name: "look".into() }),
        Event::Arguments("{\"a\":".into()),
        Event::Arguments("1}".into()),
        Event::Usage(Usage { input: 2, output: 4, cache_read: 8, ..Usage::default() }),
        Event::Close,
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ];
    for cut in 0..=stream.len() {
        let (one, two) = stream.as_bytes().split_at(cut);
        assert_eq!(decode(&[one, two]).unwrap(), expected, "cut at {cut}");
    }
}

fn part(id: &str, input: &str) -> Part {
    Part::ToolUse { id: id.into(), name: "t".into(), input: Raw::trusted(input.to_owned()) }
}

#[test]
fn tool_calls_are_put_together_however_they_come() {
    let table = [
        (
            "whole",
            vec![call(0, &json!({"id": "a", "name": "t", "arguments": "{\"x\":1}"}))],
            vec![part("a", "{\"x\":1}")],
        ),
        (
            "arguments before the name",
            vec![
                call(0, &json!({"id": "a", "arguments": "{\"x\""})),
                call(0, &json!({"name": "t", "arguments": ":1}"})),
            ],
            vec![part("a", "{\"x\":1}")],
        ),
        (
            "ever longer copies",
            ["{\"x\"", "{\"x\":1", "{\"x\":12", "{\"x\":12}", "{\"x\":12}"]
                .map(|copy| call(0, &json!({"id": "a", "name": "t", "arguments": copy})))
                .into(),
            vec![part("a", "{\"x\":12}")],
        ),
        (
            "a likeness by chance",
            vec![
                call(0, &json!({"id": "a", "name": "t", "arguments": "{\"x\":"})),
                call(0, &json!({"arguments": "{\"x\":1}"})),
                call(0, &json!({"arguments": "}"})),
            ],
            vec![part("a", "{\"x\":{\"x\":1}}")],
        ),
        (
            "interleaved",
            vec![
                call(0, &json!({"id": "a", "name": "t", "arguments": ""})),
                call(1, &json!({"id": "b", "name": "t", "arguments": "{\"y\":"})),
                call(0, &json!({"arguments": "{\"x\":1}"})),
                call(1, &json!({"arguments": "2}"})),
            ],
            vec![part("a", "{\"x\":1}"), part("b", "{\"y\":2}")],
        ),
        (
            "all numbered 0",
            vec![
                call(0, &json!({"id": "a", "name": "t", "arguments": "{}"})),
                call(0, &json!({"id": "b", "name": "t", "arguments": "{\"y\":2}"})),
            ],
            vec![part("a", "{}"), part("b", "{\"y\":2}")],
        ),
    ];
    for (how, deltas, parts) in table {
        let folded = fold(read(&deltas, "tool_calls").unwrap());
        assert_eq!((folded.message.parts, folded.stop), (parts, StopReason::ToolUse), "{how}");
    }
}

#[test]
fn arguments_are_read_in_every_form() {
    let minted = crate::dialect::blocks::minted("c", 0);
    let table = [
        ("empty", vec![call(0, &json!({"id": "a", "name": "t", "arguments": ""}))], vec![part("a", "{}")]),
        ("null", vec![call(0, &json!({"id": "a", "name": "t", "arguments": "null"}))], vec![part("a", "{}")]),
        ("missing", vec![call(0, &json!({"id": "a", "name": "t"}))], vec![part("a", "{}")]),
        (
            "an object",
            vec![call(0, &json!({"id": "a", "name": "t", "arguments": {"x": 1}}))],
            vec![part("a", "{\"x\":1}")],
        ),
        ("no id", vec![call(0, &json!({"name": "t", "arguments": "{}"}))], vec![part(&minted, "{}")]),
    ];
    for (how, deltas, parts) in table {
        let folded = fold(read(&deltas, "tool_calls").unwrap());
        assert_eq!((folded.message.parts, folded.stop), (parts, StopReason::ToolUse), "{how}");
    }
}

#[test]
fn a_call_behind_one_that_is_not_over_waits() {
    let events = read(
        &[
            call(0, &json!({"id": "a", "name": "t", "arguments": "{"})),
            call(1, &json!({"id": "b", "name": "t", "arguments": "{}"})),
            call(0, &json!({"arguments": "}"})),
        ],
        "tool_calls",
    );
    let tool = |id: &str| Event::Open(Block::ToolUse { id: id.into(), name: "t".into() });
    assert_eq!(
        events.unwrap()[1..],
        [
            tool("a"),
            Event::Arguments("{".into()),
            Event::Arguments("}".into()),
            Event::Close,
            tool("b"),
            Event::Arguments("{}".into()),
            Event::Close,
            Event::Stop { reason: StopReason::ToolUse, sequence: None },
        ]
    );
}

#[test]
fn arguments_that_are_no_json_break_the_reply_unless_its_limit_cut_them() {
    let cut = [call(0, &json!({"id": "a", "name": "t", "arguments": "{\"x\":\"never end"}))];
    let error = read(&cut, "tool_calls").unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Protocol, "the arguments of the call of `t` are not JSON"));
    let folded = fold(read(&cut, "length").unwrap());
    let input = Raw::trusted("{\"x\":\"never end\"}");
    assert_eq!(folded.message.parts, [Part::ToolUse { id: "a".into(), name: "t".into(), input }]);
    assert_eq!(folded.stop, StopReason::MaxTokens);
    let copies = ["{\"x\":", "{\"x\":1", "{\"x\":12", "{\"y\":"]
        .map(|copy| call(0, &json!({"id": "a", "name": "t", "arguments": copy})));
    let error = read(&copies, "length").unwrap_err();
    assert_eq!(error.message(), "the arguments of a call went on otherwise than they had begun");
}

#[test]
fn thoughts_are_told_from_text() {
    let part = |text: &str| Part::Thinking { text: text.into(), signature: None };
    let detailed = |text: &str| {
        let details = json!([{"type": "reasoning.text", "text": text}]).to_string();
        let signature = Some(proof::bearing(Borne::Details, details.as_bytes()));
        Part::Thinking { text: text.into(), signature }
    };
    let table = [
        (
            vec![json!({"content": "<th"}), json!({"content": "ink>hm</thi"}), json!({"content": "nk>\n\nyes"})],
            vec![part("hm"), text("yes")],
        ),
        (
            vec![json!({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}), json!({"content": "yes"})],
            vec![detailed("hm"), text("yes")],
        ),
        (
            vec![json!({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]})],
            vec![detailed("hm")],
        ),
        (
            vec![
                json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]}),
            ],
            vec![part("hm"), text("yes")],
        ),
        (
            vec![json!({"content": "a"}), json!({"reasoning_content": "b"}), json!({"content": "c"})],
            vec![text("a"), part("b"), text("c")],
        ),
        (vec![json!({"role": "assistant", "content": null}), json!({"content": "<thi"})], vec![text("<thi")]),
    ];
    for (deltas, parts) in table {
        assert_eq!(fold(read(&deltas, "stop").unwrap()).message.parts, parts, "{deltas:?}");
    }
}

#[test]
fn an_end_is_told_from_a_cut() {
    let table = [
        ("stop", None, StopReason::EndTurn),
        ("length", None, StopReason::MaxTokens),
        ("content_filter", None, StopReason::Refusal),
        ("stop", Some(json!({"refusal": "no"})), StopReason::Refusal),
        ("tool_calls", None, StopReason::EndTurn),
    ];
    for (finish, delta, expected) in table {
        let deltas = [json!({"content": "a"})].into_iter().chain(delta).collect::<Vec<_>>();
        assert_eq!(fold(read(&deltas, finish).unwrap()).stop, expected, "{finish}");
    }
    let whole = stream_of(&[json!({"content": "a"})], "stop");
    let without_done = whole.replace("data: [DONE]\n\n", "");
    assert_eq!(decode(&[without_done.as_bytes()]).unwrap(), decode(&[whole.as_bytes()]).unwrap());
    let cut = whole.split_once("data: {\"choices\":[{\"delta\":{},").map_or(&*whole, |(before, _)| before);
    let cut = decode(&[&cut.as_bytes()[..cut.find("\n\n").unwrap()]]).unwrap_err();
    assert_eq!((cut.kind(), cut.message()), (Kind::Protocol, "the stream was cut before its end"));
}

#[test]
fn an_error_in_the_stream_is_an_error() {
    let stream = concat!(
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"error\":{\"code\":429,\"message\":\"slow down\"},\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
    );
    let within = stream.replace("\"error\":{\"code\":429,\"message\":\"slow down\"},", "");
    let within = within.replace("\"delta\":{}", "\"error\":{\"code\":429,\"message\":\"slow down\"}");
    for stream in [stream, &within] {
        let error = decode(&[stream.as_bytes()]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Limited, "slow down"), "{stream}");
    }
}

const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"yes","reasoning":"hm","tool_calls":[{"id":"t1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":4}}"#;

#[test]
fn a_whole_reply_is_read_like_a_stream() {
    let (mut decoder, mut events) = (OPENAI_CHAT.frames(Shape::Whole), Vec::new());
    decoder.decode(&Bytes::from_static(WHOLE.as_bytes()), &mut events).unwrap();
    decoder.finish(&mut events).unwrap();
    let folded = fold(events);
    let thought = Part::Thinking { text: "hm".into(), signature: None };
    let call = Part::ToolUse { id: "t1".into(), name: "look".into(), input: Raw::trusted("{\"a\":1}") };
    assert_eq!(folded.message.parts, [thought, text("yes"), call]);
    assert_eq!((folded.stop, folded.usage.input, folded.id.as_deref()), (StopReason::ToolUse, 10, Some("chatcmpl-1")));
    for none in ["{}", r#"{"choices":[]}"#, "[]", r#"{"choices":3}"#] {
        let error = OPENAI_CHAT.frames(Shape::Whole).decode(&Bytes::from(none), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{none}");
    }
}

#[test]
fn a_whole_reply_that_is_looked_through_is_seen_to_be_json() {
    let table: [(&[u8], bool); 6] = [
        (WHOLE.as_bytes(), true),
        (br#" {"choices":[{"message":{"content":"x"}}]} "#, true),
        (br#"{"choices":[{"message":{"content":"x"}}]} x"#, false),
        (br#"{"choices":[{"message":{"content":tru}}]}"#, false),
        (b"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", false),
        // It is, but nobody looked.
        (b"[]", false),
    ];
    for (body, json) in table {
        assert_eq!(OPENAI_CHAT.scan(body, Shape::Whole).json, json, "{}", String::from_utf8_lossy(body));
    }
}

fn told(usage: bool) -> Told {
    Told { usage, ..Told::of("r1", "alias", 1_700_000_000) }
}

fn events() -> Vec<Event> {
    vec![
        Event::Start { id: None, model: Some("gpt".into()) },
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Signature("s".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("a \"quoted\"\nline".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: "t1".into(), name: "look".into() }),
        Event::Arguments("{\"a\":".into()),
        Event::Arguments("1}".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: "t2".into(), name: "bare".into() }),
        Event::Close,
        Event::Usage(Usage { input: 200, output: 20, cache_read: 800, cache_write: 0, thinking: 5 }),
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ]
}

fn written(shape: Shape, told: Told, events: Vec<Event>) -> String {
    let (mut writer, mut out) = (OPENAI_CHAT.writer(told, shape), Vec::new());
    for event in events {
        writer.write(vec![event], &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reply_is_written_as_one_message() {
    assert_snapshot!(written(Shape::Whole, told(false), events()));
}

#[test]
fn a_reply_is_written_as_a_stream_with_usage_where_it_is_wanted() {
    assert_snapshot!("stream_with_usage", written(Shape::Stream, told(true), events()));
    let plain = written(Shape::Stream, told(false), events());
    assert!(!plain.contains("usage") && plain.ends_with("data: [DONE]\n\n"));
}

#[test]
fn what_is_written_reads_the_same() {
    let mut expected = fold(events());
    expected.model = Some("alias".into());
    expected.id = Some("chatcmpl-r1".into());
    expected.message.parts[0] = Part::Thinking { text: "hm".into(), signature: None };
    let stream = written(Shape::Stream, told(true), events());
    assert_eq!(fold(decode(&[stream.as_bytes()]).unwrap()), expected);
    let whole = Bytes::from(written(Shape::Whole, told(true), events()));
    let (mut decoder, mut events) = (OPENAI_CHAT.frames(Shape::Whole), Vec::new());
    decoder.decode(&whole, &mut events).unwrap();
    assert_eq!(fold(events), expected);
}

#[test]
fn an_empty_reply_is_still_a_reply() {
    let stream = written(Shape::Stream, told(false), vec![]);
    assert_eq!(fold(decode(&[stream.as_bytes()]).unwrap()).stop, StopReason::EndTurn);
}

#[test]
fn a_glance_tells_what_an_event_carries() {
    let mark = Mark::default();
    let content = Mark { content: true, ..Mark::default() };
    let used = Some(Usage { input: 3, output: 2, ..Usage::default() });
    let table = [
        (": ping\n\n", Mark { idle: true, ..Mark::default() }),
        ("data: [DONE]\n\n", Mark { last: true, end: true, ..Mark::default() }),
        (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, mark.clone()),
        (r#"{"choices":[{"delta":{"content":"a"}}],"usage":null,"error":null}"#, content.clone()),
        (r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0}]}}]}"#, content.clone()),
        (r#"{"choices":[{"delta":{"reasoning":"x"}}]}"#, content),
        (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Mark { content: true, last: true, ..Mark::default() }),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
            Mark { usage: used, ..Mark::default() },
        ),
        (r#"{"error":{"message":"no"},"choices":[]}"#, Mark { error: true, ..Mark::default() }),
        (r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, Mark { error: true, ..Mark::default() }),
        (r#"{"error":{"code":502},"choices":[{"error":null}]}"#, Mark { error: true, ..Mark::default() }),
        (r#"{"choices":[{"error":{"code":502}}],"error":null}"#, Mark { error: true, ..Mark::default() }),
        (r#"{"choices":[{"delta":{},"finish_reason":null,"error":null}]}"#, mark),
    ];
    for (event, expected) in table {
        let event = if event.starts_with('{') { format!("data: {event}\n\n") } else { event.to_owned() };
        assert_eq!(OPENAI_CHAT.scan(event.as_bytes(), Shape::Stream), expected, "{event}");
    }
    let whole = OPENAI_CHAT.scan(WHOLE.as_bytes(), Shape::Whole);
    assert!(whole.content && whole.last && !whole.error && whole.usage.is_some());
    for failed in [r#"{"error":"no"}"#, r#"{"choices":[{"message":{"content":"half"},"finish_reason":"error"}]}"#] {
        assert!(OPENAI_CHAT.scan(failed.as_bytes(), Shape::Whole).error, "{failed}");
    }
}

#[test]
fn only_the_models_name_is_written_anew() {
    let table = [
        (
            "data: {\"id\":\"c\",\"model\":\"gpt-5-2026\",\"choices\":[{\"model\":\"x\"}]}\n\n: hi\n\ndata: {\"model\" : \"gpt-5-2026\"}\n\ndata: [DONE]\n\n",
            Some(
                "data: {\"id\":\"c\",\"model\":\"big\",\"choices\":[{\"model\":\"x\"}]}\n\n: hi\n\ndata: {\"model\" : \"big\"}\n\ndata: [DONE]\n\n",
            ),
        ),
        ("{\"model\":\"gpt\",\"id\":\"c\"}", Some("{\"model\":\"big\",\"id\":\"c\"}")),
        ("{\"model\":\"big\",\"id\":\"c\"}", None),
        ("data: [DONE]\n\n", None),
    ];
    for (frame, expected) in table {
        assert_eq!(OPENAI_CHAT.rename(&Bytes::from(frame), "big"), expected.map(Bytes::from), "{frame}");
    }
}

#[test]
fn clients_are_told_in_their_own_shape() {
    let (status, body) = OPENAI_CHAT.error(&Error::new(Kind::NotFound, "no model `x`").hint("see /v1/models"), "r");
    assert_eq!(status, 404);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({"error": {"message": "no model `x` (see /v1/models)", "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
    );
    let own = Bytes::from_static(b"{\"error\":{\"message\":\"as it came\"}}");
    let error = OPENAI_CHAT.failure(422, &Meta::default(), own.clone());
    assert_eq!(OPENAI_CHAT.error(&error, "r"), (422, own));
    let over_lines = Bytes::from("{\n\"error\":\n{\"message\":\"x\"}}");
    let event = OPENAI_CHAT.error_event(&OPENAI_CHAT.failure(500, &Meta::default(), over_lines), "r");
    assert_eq!(event, "data: {\"error\":{\"message\":\"x\"}}\n\n");
    let meta = Meta::from_iter([("retry-after", "7")]);
    let limited = OPENAI_CHAT.failure(429, &meta, Bytes::from("{}"));
    assert_eq!((limited.kind(), limited.wait()), (Kind::Limited, Some(Duration::from_secs(7))));
    for kind in Kind::ALL {
        let (status, _) = OPENAI_CHAT.error(&Error::new(kind, "x"), "r");
        assert!((400..600).contains(&status), "{kind:?}");
        assert!(sse::read(&OPENAI_CHAT.error_event(&Error::new(kind, "x"), "r")).is_some());
    }
}
