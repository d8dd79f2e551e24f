//! Replies and errors, from outside.

use router_core::chat::{Block, Event, StopReason, fold};
use serde_json::{Value, json};

use super::*;
use crate::sse;

fn read(frames: &[Value]) -> Result<Vec<Event>> {
    let mut decoder = OPENAI_RESPONSES.frames(Shape::Stream);
    let mut events = Vec::new();
    for frame in frames {
        // Some servers name no event.
        decoder.decode(&Bytes::from(format!("data: {frame}\n\n")), &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

fn ends(status: &str, output: &Value) -> Value {
    let reason = (status == "incomplete").then(|| json!({ "reason": "max_output_tokens" }));
    json!({ "type": format!("response.{status}"), "response": { "id": "resp_1", "status": status, "incomplete_details": reason, "output": output } })
}

fn call(arguments: &str, status: &str) -> Value {
    json!({ "type": "function_call", "call_id": "c", "name": "t", "arguments": arguments, "status": status })
}

#[test]
fn a_reply_is_read_however_little_of_it_is_told() {
    let message = json!({ "type": "message", "content": [{ "type": "output_text", "text": "hi" }] });
    let at_the_end = vec![ends("completed", &json!([message]))];
    let by_items = vec![
        json!({ "type": "response.output_item.done", "output_index": 0, "item": message }),
        ends("completed", &json!([])),
    ];
    let by_deltas = vec![
        json!({ "type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi" }),
        ends("completed", &json!([message])),
    ];
    for frames in [at_the_end, by_items, by_deltas] {
        let folded = fold(read(&frames).unwrap());
        assert_eq!((folded.message.joined_text().as_str(), folded.stop), ("hi", StopReason::EndTurn), "{frames:?}");
    }
}

#[test]
fn arguments_are_json_or_were_cut_off() {
    let told = |arguments: &str, status: &str, end: &str| {
        let frames = [
            json!({ "type": "response.output_item.done", "output_index": 0, "item": call(arguments, status) }),
            ends(end, &json!([])),
        ];
        let arguments = |event| if let Event::Arguments(more) = event { Some(more) } else { None };
        read(&frames).map(|events| events.into_iter().filter_map(arguments).collect::<String>()).ok()
    };
    let cases = [
        ("{\"a\":1}", "completed", "completed", Some("{\"a\":1}")),
        ("", "completed", "completed", Some("")),
        ("{\"a\":", "incomplete", "incomplete", Some("{\"a\":null}")),
        ("{\"a\":", "completed", "incomplete", Some("{\"a\":null}")),
        ("{\"a\":", "completed", "completed", None),
    ];
    for (arguments, status, end, expected) in cases {
        assert_eq!(told(arguments, status, end).as_deref(), expected, "{arguments} {status} {end}");
    }
}

#[test]
fn an_item_is_one_thing_and_over_when_it_says_so() {
    let item = |verb: &str, item: Value| json!({ "type": format!("response.output_item.{verb}"), "output_index": 1, "item": item });
    let more = |kind: &str, delta: &str| json!({ "type": format!("response.{kind}.delta"), "output_index": 1, "delta": delta });
    let waits =
        json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "reasoning", "id": "r" } });
    let (whole, end) = (call("{}", "completed"), ends("completed", &json!([])));
    let late = [waits, item("done", whole.clone()), more("function_call_arguments", "{}"), end.clone()];
    let arguments = |event: Event| if let Event::Arguments(more) = event { Some(more) } else { None };
    assert_eq!(
        read(&late).unwrap().into_iter().find_map(arguments).as_deref(),
        Some("{}"),
        "behind one that is not over"
    );
    let after = [item("done", whole.clone()), end.clone(), item("done", call("{}", "completed")), end.clone()];
    assert!(matches!(read(&after).unwrap().last(), Some(Event::Stop { .. })), "after the end");
    for other in [more("output_text", "a"), item("done", json!({ "type": "message", "content": [] }))] {
        let error = read(&[item("added", call("", "in_progress")), other, end.clone()]).unwrap_err();
        assert_eq!(error.message(), "the call of `t` went on as something else");
    }
}

/// Codex makes a call as soon as its item is done.
#[test]
fn a_call_that_was_cut_off_says_so() {
    let events = [
        Event::Open(Block::ToolUse { id: "c".into(), name: "t".into() }),
        Event::Arguments("{\"a\":".into()),
        Event::Close,
        Event::Stop { reason: StopReason::MaxTokens, sequence: None },
    ];
    let mut writer = OPENAI_RESPONSES.writer(Told::of("req_1", "alias", 0), Shape::Stream);
    let mut out = Vec::new();
    writer.write(events[..3].to_vec(), &mut out).unwrap();
    assert!(!String::from_utf8_lossy(&out).contains("output_item.done"), "it is not known yet");
    writer.write(events[3..].to_vec(), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let data: Vec<Value> =
        out.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let done = data.iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    assert_eq!((&done["item"]["status"], &done["item"]["arguments"]), (&json!("incomplete"), &json!("{\"a\":")));
    assert_eq!(data.last().unwrap()["type"], "response.incomplete");
}

#[test]
fn a_custom_tools_input_becomes_one_argument() {
    let delta =
        |text: &str| json!({ "type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": text });
    let item = json!({ "type": "custom_tool_call", "call_id": "c", "name": "t", "namespace": "n", "input": "" });
    let frames = [
        json!({ "type": "response.output_item.added", "output_index": 0, "item": item }),
        delta("a\"é\n"),
        delta("b"),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": { "type": "custom_tool_call", "call_id": "c", "name": "t", "namespace": "n", "input": "a\"é\nb" } }),
        ends("completed", &json!([])),
    ];
    let events = read(&frames).unwrap();
    assert_eq!(events[1], Event::Open(Block::ToolUse { id: "c".into(), name: "n__t".into() }));
    let folded = fold(events);
    let router_core::chat::Part::ToolUse { input, .. } = &folded.message.parts[0] else { panic!("{folded:?}") };
    assert_eq!(input.decode::<Value>().unwrap(), json!({ "input": "a\"é\nb" }));
    assert_eq!(folded.stop, StopReason::ToolUse);
}

#[test]
fn an_error_within_a_reply_is_told_in_both_ways_that_clients_wait_for() {
    let error = json!({ "code": "rate_limit_exceeded", "message": "slow down" });
    let cases = [
        json!({ "type": "response.failed", "response": { "id": "r", "status": "failed", "error": error } }),
        json!({ "type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": null }),
        json!({ "type": "error", "error": { "type": "requests", "code": "rate_limit_exceeded", "message": "slow down" } }),
    ];
    for frame in cases {
        let event = format!("data: {frame}\n\n");
        assert!(OPENAI_RESPONSES.scan(event.as_bytes(), Shape::Stream).error, "{frame}");
        let error = read(&[frame]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Limited, "slow down"));
        let told = OPENAI_RESPONSES.error_event(&error, "req_7");
        let told = std::str::from_utf8(&told).unwrap();
        let events: Vec<Value> =
            told.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        assert_eq!((&events[0]["type"], &events[0]["error"]["code"]), (&json!("error"), &json!("rate_limit_exceeded")));
        assert_eq!(
            (&events[1]["type"], &events[1]["response"]["error"]["code"]),
            (&json!("response.failed"), &json!("rate_limit_exceeded"))
        );
        assert_eq!(events[1]["response"]["id"], "resp_7");
    }
    let error = Error::new(Kind::Timeout, "slow");
    let numbered = |before: &str| {
        let told = OPENAI_RESPONSES.error_event_after(before.as_bytes(), &error, "req_7");
        let numbers = sse::events(&told, Framing::Sse).filter_map(sse::read).map(|said| {
            let event: Value = serde_json::from_slice(&said.data).unwrap();
            event["sequence_number"].as_u64().unwrap()
        });
        numbers.collect::<Vec<_>>()
    };
    let events = "data: {\"type\":\"a\",\"sequence_number\":6}\n\ndata: {\"type\":\"b\",\"sequence_number\":7}\n\n";
    for (before, expected) in [("", [0, 1]), (": ping\n\n", [0, 1]), (events, [8, 9])] {
        assert_eq!(numbered(before), expected, "{before}");
    }
    let whole =
        json!({ "id": "r", "status": "failed", "error": { "code": "server_error", "message": "oops" }, "output": [] });
    let mark = OPENAI_RESPONSES.scan(whole.to_string().as_bytes(), Shape::Whole);
    assert_eq!((mark.error, mark.content), (true, false));
}
