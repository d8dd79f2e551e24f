//! Replies of this dialect: read, written, looked at, and refused.

use std::time::Duration;

use bytes::Bytes;
use router_core::{
    Error, Excess, Kind, Result,
    chat::{Block, Dialect, Event, Meta, Shape, StopReason, Usage},
};
use serde_json::{Value, json};

use super::ANTHROPIC;
use crate::dialect::{Language, Mark, Told, proof::UNSIGNED};

/// A stream of the events, as the provider writes them.
fn stream(events: &[Value]) -> String {
    let written = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(written).collect::<Vec<_>>().concat()
}

fn decode(body: impl Into<Bytes>, shape: Shape) -> Result<Vec<Event>> {
    let mut decoder = ANTHROPIC.frames(shape);
    let mut events = Vec::new();
    decoder.decode(&body.into(), &mut events)?;
    decoder.finish(&mut events)?;
    Ok(events)
}

fn write(events: Vec<Event>, shape: Shape) -> String {
    let told = Told { usage: true, ..Told::of("req_1", "alias", 0) };
    let mut writer = ANTHROPIC.writer(told, shape);
    let mut out = Vec::new();
    writer.write(events, &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn start() -> Event {
    Event::Start { id: Some("msg_1".into()), model: Some("claude".into()) }
}

fn stop(reason: StopReason) -> Event {
    Event::Stop { reason, sequence: None }
}

fn message_start() -> Value {
    json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null,
        "stop_sequence": null,
        "usage": { "input_tokens": 10, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 30, "output_tokens": 1 },
    } })
}

fn opens(index: u64, block: &Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn closes(index: u64) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

fn ends(reason: &str) -> Value {
    json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
            "usage": { "output_tokens": 25, "output_tokens_details": { "thinking_tokens": 5 } } })
}

const BEFORE: Usage = Usage { input: 10, output: 1, cache_read: 30, cache_write: 2, thinking: 0 };
const AFTER: Usage = Usage { input: 10, output: 25, cache_read: 30, cache_write: 2, thinking: 5 };

#[test]
fn a_stream_with_everything_is_read() {
    let text = stream(&[
        message_start(),
        json!({ "type": "ping" }),
        opens(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, &json!({ "type": "signature_delta", "signature": "EqQB" })),
        closes(0),
        opens(1, &json!({ "type": "redacted_thinking", "data": "zz" })),
        closes(1),
        opens(2, &json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} })),
        delta(2, &json!({ "type": "input_json_delta", "partial_json": "{}" })),
        closes(2),
        opens(3, &json!({ "type": "text", "text": "" })),
        delta(3, &json!({ "type": "text_delta", "text": "a" })),
        delta(3, &json!({ "type": "citations_delta", "citation": {} })),
        delta(3, &json!({ "type": "text_delta", "text": "b" })),
        closes(3),
        opens(4, &json!({ "type": "tool_use", "id": "t", "name": "x", "input": {} })),
        delta(4, &json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(4, &json!({ "type": "input_json_delta", "partial_json": "{\"a\":" })),
        delta(4, &json!({ "type": "input_json_delta", "partial_json": "1}" })),
        closes(4),
        ends("tool_use"),
        json!({ "type": "message_stop" }),
    ]);
    assert_eq!(
        decode(text, Shape::Stream).unwrap(),
        [
            start(),
            Event::Usage(BEFORE),
            Event::Open(Block::Thinking),
            Event::Thinking("hm".into()),
            Event::Signature("EqQB".into()),
            Event::Close,
            Event::Open(Block::RedactedThinking("zz".into())),
            Event::Close,
            Event::Open(Block::Text),
            Event::Text("a".into()),
            Event::Text("b".into()),
            Event::Close,
            Event::Open(Block::ToolUse { id: "t".into(), name: "x".into() }),
            Event::Arguments("{\"a\":".into()),
            Event::Arguments("1}".into()),
            Event::Close,
            Event::Usage(AFTER),
            stop(StopReason::ToolUse),
        ]
    );
}

#[test]
fn what_a_server_forgets_is_put_right() {
    let text_block = json!({ "type": "text", "text": "" });
    let said = delta(0, &json!({ "type": "text_delta", "text": "a" }));
    let call = json!({ "type": "tool_use", "id": "t", "name": "x", "input": { "a": 1 } });
    let fragment = delta(0, &json!({ "type": "input_json_delta", "partial_json": "{\"b\":2}" }));
    let text = |said: &str| [Event::Open(Block::Text), Event::Text(said.into()), Event::Close];
    let tool = |said: &str| {
        [Event::Open(Block::ToolUse { id: "t".into(), name: "x".into() }), Event::Arguments(said.into()), Event::Close]
    };
    let cases = [
        ("no content_block_start", vec![said.clone(), closes(0)], text("a").to_vec()),
        ("no content_block_stop", vec![opens(0, &text_block), said.clone()], text("a").to_vec()),
        (
            "none between two blocks",
            vec![opens(0, &text_block), said, opens(1, &call), closes(1)],
            [text("a"), tool("{\"a\":1}")].concat(),
        ),
        ("text in the start", vec![opens(0, &json!({ "type": "text", "text": "a" })), closes(0)], text("a").to_vec()),
        ("arguments in the start", vec![opens(0, &call), closes(0)], tool("{\"a\":1}").to_vec()),
        ("and again as deltas", vec![opens(0, &call), fragment, closes(0)], tool("{\"b\":2}").to_vec()),
    ];
    for (case, blocks, expected) in cases {
        let ending = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } });
        let bare = json!({ "type": "message_start", "message": { "id": "msg_1", "model": "claude" } });
        let text = stream(&[vec![bare], blocks, vec![ending]].concat());
        let expected = [vec![start()], expected, vec![stop(StopReason::EndTurn)]].concat();
        assert_eq!(decode(text, Shape::Stream).unwrap(), expected, "{case}");
    }
}

#[test]
fn a_broken_stream_is_an_error() {
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let call = opens(0, &json!({ "type": "tool_use", "id": "t", "name": "x", "input": {} }));
    let cut = delta(0, &json!({ "type": "input_json_delta", "partial_json": "{\"b\":" }));
    let text = json!({ "type": "text", "text": "" });
    let cases = [
        (stream(&[message_start()]), Kind::Protocol, "the stream ended before the reply did"),
        (stream(&[message_start(), overloaded]), Kind::Unavailable, "Overloaded"),
        ("data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n".to_owned(), Kind::Limited, "slow down"),
        ("data: nonsense\n\n".to_owned(), Kind::Protocol, "the reply is no message of the dialect"),
        (
            stream(&[message_start(), call.clone(), cut.clone(), opens(1, &text)]),
            Kind::Protocol,
            "the arguments of the call of `x` are not JSON",
        ),
        (
            stream(&[message_start(), call, cut, ends("tool_use")]),
            Kind::Protocol,
            "the arguments of the call of `x` are not JSON",
        ),
    ];
    for (text, kind, message) in cases {
        let error = decode(text.clone(), Shape::Stream).unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message), "{text}");
    }
}

#[test]
fn a_whole_reply_is_read() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": UNSIGNED },
            { "type": "web_search_tool_result", "tool_use_id": "s", "content": [] },
            { "type": "text", "text": "a", "citations": null },
            { "type": "tool_use", "id": "t", "name": "x", "input": { "a": 1 } },
            { "type": "tool_use", "id": "u", "name": "y", "input": {} },
        ],
        "stop_reason": "stop_sequence", "stop_sequence": "END",
        "usage": { "input_tokens": 10, "output_tokens": 25, "cache_read_input_tokens": 30,
                   "cache_creation_input_tokens": 2, "output_tokens_details": { "thinking_tokens": 5 } },
    });
    assert_eq!(
        decode(body.to_string(), Shape::Whole).unwrap(),
        [
            start(),
            Event::Open(Block::Thinking),
            Event::Thinking("hm".into()),
            Event::Close,
            Event::Open(Block::Text),
            Event::Text("a".into()),
            Event::Close,
            Event::Open(Block::ToolUse { id: "t".into(), name: "x".into() }),
            Event::Arguments("{\"a\":1}".into()),
            Event::Close,
            Event::Open(Block::ToolUse { id: "u".into(), name: "y".into() }),
            Event::Close,
            Event::Usage(AFTER),
            Event::Stop { reason: StopReason::StopSequence, sequence: Some("END".into()) },
        ]
    );
    let refused = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#;
    assert_eq!(decode(refused, Shape::Whole).unwrap_err().kind(), Kind::Limited);
    assert_eq!(decode("{}", Shape::Whole).unwrap_err().kind(), Kind::Protocol, "nothing is no reply");
}

fn reply() -> Vec<Event> {
    vec![
        start(),
        Event::Usage(BEFORE),
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("a\n".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: "t".into(), name: "x".into() }),
        Event::Arguments("{\"a\":1}".into()),
        Event::Close,
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
        Event::Usage(AFTER),
    ]
}

#[test]
fn a_stream_is_written_as_clients_read_it() {
    insta::assert_snapshot!(write(reply(), Shape::Stream));
}

#[test]
fn a_message_is_written_as_clients_read_it() {
    insta::assert_snapshot!(write(reply(), Shape::Whole));
}

#[test]
fn a_reply_of_nothing_is_a_message_all_the_same() {
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix("event: ").map(str::to_owned)).collect()
    };
    assert_eq!(names(&write(vec![], Shape::Stream)), ["message_start", "message_delta", "message_stop"]);
    let body: Value = serde_json::from_str(&write(vec![], Shape::Whole)).unwrap();
    assert_eq!(
        (&body["id"], &body["content"], &body["stop_reason"]),
        (&json!("msg_1"), &json!([]), &json!("end_turn"))
    );
}

#[test]
fn arguments_that_are_not_json_are_never_silently_an_object() {
    let told = Told { usage: true, ..Told::of("r", "m", 0) };
    let written = |arguments: &str, reason| {
        let mut writer = ANTHROPIC.writer(told.clone(), Shape::Whole);
        let open = Event::Open(Block::ToolUse { id: "t".into(), name: "x".into() });
        let events = vec![start(), open, Event::Arguments(arguments.into()), Event::Close, stop(reason)];
        let mut out = Vec::new();
        writer.write(events, &mut Vec::new())?;
        writer.finish(&mut out)?;
        let body: Value = serde_json::from_slice(&out).unwrap();
        Ok::<_, Error>(body["content"][0]["input"].clone())
    };
    assert_eq!(written("{\"a\":[1", StopReason::ToolUse).unwrap_err().kind(), Kind::Protocol);
    assert_eq!(written("{\"a\":[1", StopReason::MaxTokens).unwrap(), json!({ "a": [1] }), "the limit cut them off");
    assert_eq!(written("nonsense", StopReason::MaxTokens).unwrap_err().kind(), Kind::Protocol);
}

#[test]
fn a_glance_tells_what_layers_need() {
    let mark = Mark::default;
    let seen = |event: &Value| ANTHROPIC.scan(stream(std::slice::from_ref(event)).as_bytes(), Shape::Stream);
    let told = Usage { output: 25, thinking: 5, ..Usage::default() };
    let cases = [
        (message_start(), Mark { usage: Some(BEFORE), ..mark() }),
        (json!({ "type": "ping" }), Mark { idle: true, ..mark() }),
        (opens(0, &json!({ "type": "text", "text": "" })), mark()),
        (opens(0, &json!({ "type": "thinking", "thinking": "" })), mark()),
        (
            opens(0, &json!({ "type": "tool_use", "id": "t", "name": "x", "input": {} })),
            Mark { content: true, ..mark() },
        ),
        (delta(0, &json!({ "type": "text_delta", "text": "a" })), Mark { content: true, ..mark() }),
        (closes(0), mark()),
        (ends("end_turn"), Mark { content: true, last: true, usage: Some(told), ..mark() }),
        (json!({ "type": "message_stop" }), Mark { content: true, last: true, end: true, ..mark() }),
        (json!({ "type": "error", "error": { "type": "api_error" } }), Mark { error: true, ..mark() }),
        (json!({ "type": "something_new" }), mark()),
    ];
    for (event, expected) in cases {
        assert_eq!(seen(&event), expected, "{event}");
    }
    let bare = |text: &str| ANTHROPIC.scan(text.as_bytes(), Shape::Stream);
    assert_eq!(bare(": comment\n\n"), Mark { idle: true, ..mark() });
    assert_eq!(
        bare("data: {\"type\": \"message_stop\"}\r\n\r\n"),
        Mark { content: true, last: true, end: true, ..mark() }
    );
    let whole = |text: &str| ANTHROPIC.scan(text.as_bytes(), Shape::Whole);
    let usage = Usage { input: 1, output: 2, ..Usage::default() };
    assert_eq!(
        whole(r#"{"type":"message","content":[{"type":"error"}],"usage":{"input_tokens":1,"output_tokens":2}}"#),
        Mark { content: true, last: true, usage: Some(usage), ..mark() }
    );
    assert_eq!(whole(r#"{"type":"error","error":{}}"#), Mark { last: true, error: true, ..mark() });
}

#[test]
fn only_the_replys_own_name_is_changed() {
    let cases = [
        (
            r#"{"content":[{"model":"x"}],"model":"claude","id":1}"#,
            Some(r#"{"content":[{"model":"x"}],"model":"a\"b","id":1}"#),
        ),
        (r#"{"model":"a\"b"}"#, None),
        (r#"{"type":"error"}"#, None),
        (
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"content\":[]}}\n\nevent: ping\ndata: {}\n\n",
            Some(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"a\\\"b\",\"content\":[]}}\n\nevent: ping\ndata: {}\n\n",
            ),
        ),
        (
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"message_start\"}}\n\n",
            None,
        ),
        ("event: ping\ndata: {\"type\": \"ping\"}\n\n", None),
    ];
    for (frame, expected) in cases {
        let renamed = ANTHROPIC.rename(&Bytes::from_static(frame.as_bytes()), "a\"b");
        assert_eq!(renamed, expected.map(Bytes::from), "{frame}");
    }
}

fn refusal(kind: &str, message: &str) -> Bytes {
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "r" }).to_string().into()
}

#[test]
fn a_refusal_is_understood() {
    let cases = [
        (400, refusal("invalid_request_error", "messages: bad"), Kind::Refused, "messages: bad"),
        (
            400,
            refusal("invalid_request_error", "prompt is too long: 5 tokens > 4 maximum"),
            Kind::TooLong,
            "prompt is too long: 5 tokens > 4 maximum",
        ),
        (404, refusal("not_found_error", "model: x"), Kind::NotFound, "model: x"),
        (408, Bytes::new(), Kind::Timeout, "the provider answered with status 408 and no reason"),
        (413, refusal("request_too_large", "big"), Kind::TooLong, "big"),
        (429, refusal("rate_limit_error", "slow down"), Kind::Limited, "slow down"),
        (500, refusal("api_error", "oops"), Kind::Unavailable, "oops"),
        (502, Bytes::from_static(b"<html>"), Kind::Unavailable, "the provider answered with status 502 and no reason"),
        (504, refusal("timeout_error", "late"), Kind::Timeout, "late"),
        (529, refusal("overloaded_error", "Overloaded"), Kind::Unavailable, "Overloaded"),
    ];
    for (status, body, kind, message) in cases {
        let error = ANTHROPIC.failure(status, &Meta::default(), body.clone());
        assert_eq!((error.kind(), error.message()), (kind, message), "{status}");
        let handed_on = error.words().map(|words| (words.status, words.body.clone()));
        let readable = body.starts_with(b"{");
        assert_eq!(handed_on, readable.then_some((status, body)), "{status}");
    }
    for (name, value, wait) in
        [("retry-after", "3", 3000), ("retry-after-ms", "250", 250), ("retry-after", "1.5", 1500)]
    {
        let meta = Meta::from_iter([(name, value)]);
        let error = ANTHROPIC.failure(529, &meta, refusal("overloaded_error", "Overloaded"));
        assert_eq!(error.wait(), Some(Duration::from_millis(wait)));
    }
}

#[test]
fn our_credentials_trouble_is_told_without_the_providers_text() {
    let low = refusal("invalid_request_error", "Your credit balance is too low to access the Anthropic API.");
    let wrong = refusal("authentication_error", "invalid x-api-key sk-ant-canary");
    for (status, body) in [(400, low), (401, wrong.clone()), (402, wrong.clone()), (403, wrong)] {
        let error = ANTHROPIC.failure(status, &Meta::default(), body).at(&"anthropic".into());
        assert_eq!(error.kind(), Kind::Credential, "{status}");
        let (told, body) = ANTHROPIC.error(&error, "r");
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(told, 502);
        assert!(
            body.contains(&format!("status {status}")) && !body.contains("canary") && !body.contains("credit balance"),
            "{body}"
        );
    }
}

#[test]
fn every_kind_has_its_status_and_type() {
    let told = Kind::ALL.map(|kind| {
        let (status, body) = ANTHROPIC.error(&Error::new(kind, "why").hint("do"), "r");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!((&body["error"]["message"], &body["request_id"]), (&json!("why (do)"), &json!("r")));
        format!("{} {status} {}", kind.as_str(), body["error"]["type"].as_str().unwrap())
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_providers_own_words_are_handed_on() {
    let body = refusal("rate_limit_error", "slow\ndown");
    let error = ANTHROPIC.failure(429, &Meta::default(), body.clone());
    assert_eq!(ANTHROPIC.error(&error, "mine"), (429, body.clone()));
    let event = ANTHROPIC.error_event(&error, "mine");
    assert_eq!(event, [&b"event: error\ndata: "[..], &body, b"\n\n"].concat());
}

#[test]
fn a_question_too_long_for_another_provider_is_told_so_that_clients_shorten_it() {
    let error = Error::new(Kind::TooLong, "This model's maximum context length is 8192 tokens, you sent 9001.");
    let told = |error: &Error| {
        let (status, body) = ANTHROPIC.error(error, "r");
        let body: Value = serde_json::from_slice(&body).unwrap();
        (
            status,
            body["error"]["type"].as_str().unwrap().to_owned(),
            body["error"]["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(told(&error).0, 413, "ours, not a model's: {error}");
    let error = error.at(&"local".into());
    let (status, kind, message) = told(&error);
    assert_eq!((status, kind.as_str()), (400, "invalid_request_error"));
    assert_eq!(message, "prompt is too long: 9001 tokens > 8192 maximum");
    let excess = Excess { question: 90, answer: Some(20), window: 100 };
    assert_eq!(
        told(&error.by(excess)).2,
        "input length and `max_tokens` exceed context limit: 90 + 20 > 100, decrease input length or `max_tokens` and try \
         again"
    );
}

#[test]
fn a_ping_is_one_event() {
    assert_eq!(ANTHROPIC.ping(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    assert!(ANTHROPIC.scan(&ANTHROPIC.ping(), Shape::Stream).idle);
}
