//! OpenAI's responses against the other dialects, in both directions.

use bytes::Bytes;
use proptest::prelude::*;
use router_core::{
    Kind,
    chat::{Dialect as _, Event, Folded, Losses, Part, Shape, StopReason, fold},
};
use serde_json::{Value, json};

use super::{
    disorder,
    properties::{as_told, reply},
    read,
    replies::{ANTHROPICS, OPENAIS},
    requests::translated,
    told, write,
};
use crate::{
    dialect::{
        Ask, Framing, Language, Told, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT,
        openai_responses::OPENAI_RESPONSES,
    },
    sse,
};

/// A stream with a thought that only its provider can read, a text and two calls, as OpenAI sends it.
pub(super) const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_9","object":"response","status":"in_progress","model":"gpt","output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_9","object":"response","status":"in_progress","model":"gpt","output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","sequence_number":3,"item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"hm é"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm é"}],"encrypted_content":"gAAA:B="}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":6,"output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"I look ","obfuscation":"xyz"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":8,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"🔍.\n"}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":9,"item_id":"msg_1","output_index":1,"content_index":0,"text":"I look 🔍.\n"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":10,"output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"I look 🔍.\n"}]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":11,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"look"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":12,"item_id":"fc_1","output_index":2,"delta":"{\"at\":"}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":13,"output_index":3,"item":{"id":"fc_2","type":"function_call","status":"in_progress","arguments":"","call_id":"call_2","name":"list"}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":14,"output_index":3,"item":{"id":"fc_2","type":"function_call","status":"completed","arguments":"{}","call_id":"call_2","name":"list"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":15,"item_id":"fc_1","output_index":2,"delta":" 1}"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":16,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"at\": 1}","call_id":"call_1","name":"look"}}

event: response.completed
data: {"type":"response.completed","sequence_number":17,"response":{"id":"resp_9","object":"response","status":"completed","model":"gpt","output":[],"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":800},"output_tokens":25,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":1025}}}

"#;

#[test]
fn streams_in_the_others_words() {
    let pairs: [(&str, &dyn Language, &str, &dyn Language); 4] = [
        ("responses_stream_for_anthropics_client", &OPENAI_RESPONSES, RESPONSES, &ANTHROPIC),
        ("responses_stream_for_openais_client", &OPENAI_RESPONSES, RESPONSES, &OPENAI_CHAT),
        ("anthropics_stream_for_a_client_of_responses", &ANTHROPIC, ANTHROPICS, &OPENAI_RESPONSES),
        ("openais_stream_for_a_client_of_responses", &OPENAI_CHAT, OPENAIS, &OPENAI_RESPONSES),
    ];
    for (name, from, stream, to) in pairs {
        let events = read(from, Shape::Stream, [stream.as_bytes()]).unwrap();
        assert_eq!(disorder(&events), None, "{name}");
        insta::assert_snapshot!(name, write(to, Shape::Stream, &events).unwrap());
    }
}

#[test]
fn messages_in_the_others_words() {
    let events = read(&OPENAI_RESPONSES, Shape::Stream, [RESPONSES.as_bytes()]).unwrap();
    for (name, to) in [
        ("a_reply_of_responses_for_anthropics_client", &ANTHROPIC as &dyn Language),
        ("a_reply_of_responses_for_openais_client", &OPENAI_CHAT),
        ("a_reply_of_responses_for_its_own_client", &OPENAI_RESPONSES),
    ] {
        insta::assert_snapshot!(name, write(to, Shape::Whole, &events).unwrap());
    }
    let ollamas = write(&OLLAMA, Shape::Whole, &events).unwrap();
    let mut ollamas: Value = serde_json::from_str(&ollamas).unwrap();
    // How long it took differs from one time to the next.
    assert!(ollamas.as_object_mut().unwrap().shift_remove("total_duration").is_some());
    insta::assert_snapshot!("a_reply_of_responses_for_ollamas_client", ollamas);
}

#[test]
fn a_stream_that_ends_too_soon_is_no_clean_success() {
    let finished = RESPONSES.find("event: response.completed").unwrap();
    for cut in RESPONSES.match_indices("\n\n").map(|(at, _)| at + 2).filter(|at| *at <= finished) {
        let error = read(&OPENAI_RESPONSES, Shape::Stream, [&RESPONSES.as_bytes()[..cut]]).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "ended at {cut}");
    }
}

/// What of a reply there are words for.
fn as_responses(events: &[Event]) -> Folded {
    let mut folded = as_told(events, "");
    folded.id = Some("resp_1".into());
    folded.message.parts.retain(|part| match part {
        Part::Text(text) => !text.is_empty(),
        Part::Thinking { text, signature } => !text.is_empty() || signature.is_some(),
        Part::Image(_)
        | Part::Document(_)
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::ToolResult { .. }
        | Part::Other { .. } => true,
    });
    let called = folded.message.parts.iter().any(|part| matches!(part, Part::ToolUse { .. }));
    folded.stop = match folded.stop {
        StopReason::MaxTokens | StopReason::ContextWindow => StopReason::MaxTokens,
        StopReason::Refusal => StopReason::Refusal,
        _ if called => StopReason::ToolUse,
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse | StopReason::Pause => StopReason::EndTurn,
    };
    folded.sequence = None;
    folded
}

/// Follows a stream as OpenAI's SDK does, and says where it breaks the protocol.
fn broken_protocol(stream: &str) -> Option<String> {
    let mut open: Option<(Value, String)> = None;
    let (mut items, mut number, mut ended) = (0, 0, false);
    for said in sse::events(stream.as_bytes(), Framing::Sse).filter_map(sse::read) {
        let event: Value = serde_json::from_slice(&said.data).unwrap();
        let kind = said.name.strip_prefix("response.").unwrap_or_default();
        let verb = kind.rsplit('.').next().unwrap_or_default();
        let of_open =
            |field: &str| open.as_ref().is_some_and(|(id, _)| event[field] == *id) && event["output_index"] == items;
        let fits = match kind {
            "created" => number == 0,
            "in_progress" => number == 1,
            "output_item.added" => {
                let fits = open.is_none() && event["output_index"] == items;
                open = Some((event["item"]["id"].clone(), String::new()));
                fits
            }
            "output_item.done" => {
                let item = &event["item"];
                let (id, text) = open.take().unwrap_or_default();
                let whole =
                    [&item["content"][0]["text"], &item["summary"][0]["text"], &item["arguments"], &item["input"]];
                let whole = whole.into_iter().find_map(Value::as_str).unwrap_or_default();
                items += 1;
                item["id"] == id && whole == text && event["output_index"] == items - 1
            }
            "completed" | "incomplete" => {
                ended = true;
                open.is_none() && event["response"]["output"].as_array().map(Vec::len) == Some(items)
            }
            _ if verb == "delta" => {
                let fits = of_open("item_id");
                if let Some((_, text)) = &mut open {
                    text.push_str(event["delta"].as_str().unwrap());
                }
                fits
            }
            _ if verb == "done" || verb == "added" => of_open("item_id"),
            _ => false,
        };
        if !fits || event["type"] != said.name || event["sequence_number"] != number {
            return Some(format!("{event} in {stream}"));
        }
        number += 1;
    }
    (!ended).then(|| format!("no end in {stream}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_valid_and_says_all_that_there_are_words_for(reply in reply()) {
        let stream = write(&OPENAI_RESPONSES, Shape::Stream, &reply).unwrap();
        prop_assert_eq!(broken_protocol(&stream), None);
        let events = read(&OPENAI_RESPONSES, Shape::Stream, [stream.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events), as_responses(&reply));
    }

    #[test]
    fn so_is_a_reply_that_comes_whole(reply in reply()) {
        let body = write(&OPENAI_RESPONSES, Shape::Whole, &reply).unwrap();
        let events = read(&OPENAI_RESPONSES, Shape::Whole, [body.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events), as_responses(&reply));
    }

    #[test]
    fn every_event_is_marked_and_renamed(reply in reply(), name in "[a-z\"é]{1,8}") {
        let stream = write(&OPENAI_RESPONSES, Shape::Stream, &reply).unwrap();
        let marks: Vec<_> = sse::events(stream.as_bytes(), Framing::Sse).map(|event| OPENAI_RESPONSES.scan(event, Shape::Stream)).collect();
        prop_assert!(marks.last().is_some_and(|mark| mark.last && mark.end));
        prop_assert_eq!(marks.iter().filter(|mark| mark.last || mark.error).count(), 1);
        let usage = marks.iter().find_map(|mark| mark.usage).unwrap_or_default();
        prop_assert_eq!(usage, fold(reply.clone()).usage);
        let renamed = OPENAI_RESPONSES.rename(&stream.clone().into(), &name).unwrap();
        let renamed = String::from_utf8(renamed.to_vec()).unwrap();
        prop_assert_eq!(renamed, stream.replace("\"model\":\"alias\"", &format!("\"model\":{}", Value::from(name.as_str()))));
    }

    #[test]
    fn no_bytes_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
        for body in [&noise[..], text.as_bytes()] {
            let framed = [b"data: ", body, b"\n\n"].concat();
            let frame = Bytes::copy_from_slice(body);
            prop_assert!(read(&OPENAI_RESPONSES, Shape::Whole, [body]).is_err());
            prop_assert!(read(&OPENAI_RESPONSES, Shape::Stream, [&framed[..]]).is_err());
            OPENAI_RESPONSES.decode(&frame).ok();
            OPENAI_RESPONSES.scan(body, Shape::Stream);
            OPENAI_RESPONSES.scan(body, Shape::Whole);
            OPENAI_RESPONSES.rename(&frame, "m");
            OPENAI_RESPONSES.finished(body);
        }
    }
}

#[test]
fn the_protocol_check_can_fail() {
    let valid =
        write(&OPENAI_RESPONSES, Shape::Stream, &read(&ANTHROPIC, Shape::Stream, [ANTHROPICS.as_bytes()]).unwrap())
            .unwrap();
    assert_eq!(broken_protocol(&valid), None);
    for (from, to) in [
        ("\"sequence_number\":3", "\"sequence_number\":4"),
        ("event: response.completed", "event: response.ended"),
        ("\"output_index\":1", "\"output_index\":7"),
        ("\"delta\":\"hm é\"", "\"delta\":\"\""),
    ] {
        assert!(broken_protocol(&valid.replacen(from, to, 1)).is_some(), "{from}");
    }
}

/// What Codex 0.169 asks, in the shape in which it was seen.
fn codex() -> Value {
    json!({
        "model": "gpt-x", "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
        "parallel_tool_calls": true, "reasoning": { "summary": "auto" }, "prompt_cache_key": "thread-1",
        "client_metadata": { "x-codex-installation-id": "i" }, "tool_choice": "auto",
        "input": [
            { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "You are Codex." }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "<environment_context/>" }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "list the files" }] },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "**Listing**" }], "content": null, "encrypted_content": "gAAA" },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look." }] },
            { "type": "function_call", "name": "exec_command", "arguments": "{\"cmd\":\"ls\"}", "call_id": "call_1" },
            { "type": "function_call", "name": "search", "namespace": "mcp__docs__", "arguments": "{}", "call_id": "call_2" },
            { "type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin\n\"x\"", "call_id": "call_3" },
            { "type": "function_call_output", "call_id": "call_1", "output": "a.rs\nb.rs" },
            { "type": "function_call_output", "call_id": "call_2", "output": [
                { "type": "input_text", "text": "found" }, { "type": "input_image", "image_url": "data:image/png;base64,iVBO" },
            ] },
            { "type": "custom_tool_call_output", "call_id": "call_3", "output": "done" },
            { "type": "web_search_call", "id": "ws_1", "status": "completed", "action": { "type": "search", "query": "q" } },
        ],
        "tools": [
            { "type": "function", "name": "exec_command", "description": "Runs", "strict": false, "parameters": { "type": "object", "properties": { "cmd": { "type": "string" } }, "required": ["cmd"] } },
            { "type": "custom", "name": "apply_patch", "description": "Patches", "format": { "type": "grammar", "syntax": "lark", "definition": "start: \"x\"" } },
            { "type": "namespace", "name": "mcp__docs__", "description": "Docs", "tools": [
                { "type": "function", "name": "search", "description": "Searches", "strict": false, "parameters": { "type": "object", "properties": {} } },
            ] },
            { "type": "web_search", "external_web_access": true },
        ],
    })
}

#[test]
fn what_codex_asks_in_the_others_words() {
    for (name, to) in [
        ("codex_asks_anthropic", &ANTHROPIC as &dyn Language),
        ("codex_asks_openai", &OPENAI_CHAT),
        ("codex_asks_ollama", &OLLAMA),
    ] {
        insta::assert_json_snapshot!(name, translated(&OPENAI_RESPONSES, to, &codex(), "m"));
        let prompt = OPENAI_RESPONSES.decode(&Bytes::from(codex().to_string())).unwrap();
        let mut losses = Losses::default();
        to.encode(&Ask::of(&prompt, "m"), &mut losses).unwrap();
        assert!(losses.iter().any(|loss| loss == "tools.web_search"), "{name}: {losses}");
    }
}

#[test]
fn what_codex_asks_is_said_again_as_it_was() {
    let mut expected = codex();
    expected["model"] = "m".into();
    // What is null says nothing.
    expected["input"][3].as_object_mut().unwrap().shift_remove("content");
    assert_eq!(translated(&OPENAI_RESPONSES, &OPENAI_RESPONSES, &expected, "m"), expected);
}

#[test]
fn a_tool_of_a_namespace_and_a_custom_tool_are_called_by_their_own_names() {
    let events = read(
        &ANTHROPIC,
        Shape::Stream,
        [ANTHROPICS
            .replace("\"name\":\"look\"", "\"name\":\"mcp__docs__search\"")
            .replace("\"name\":\"list\"", "\"name\":\"apply_patch\"")
            .as_bytes()],
    )
    .unwrap();
    let repeated = OPENAI_RESPONSES.repeated(&codex().to_string().into());
    let mut writer = OPENAI_RESPONSES.writer(Told { repeated, ..told() }, Shape::Whole);
    let mut out = Vec::new();
    writer.write(events, &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    let reply: Value = serde_json::from_slice(&out).unwrap();
    let call = json!({ "type": "function_call", "id": "fc_1_2", "call_id": "toolu_1", "name": "search",
        "arguments": "{\"at\": 1}", "status": "completed", "namespace": "mcp__docs__" });
    let custom = json!({ "type": "custom_tool_call", "id": "ctc_1_3", "call_id": "toolu_2", "name": "apply_patch",
        "input": "", "status": "completed" });
    assert_eq!((&reply["output"][2], &reply["output"][3]), (&call, &custom));
    assert_eq!((&reply["tools"], &reply["store"]), (&codex()["tools"], &json!(false)));
}

/// Trap 53: what proves a thought goes back to whoever made it, whichever dialects the client and the others speak.
#[test]
fn a_proof_goes_back_to_its_maker_alone() {
    let anthropics = read(&ANTHROPIC, Shape::Stream, [ANTHROPICS.as_bytes()]).unwrap();
    let responses = read(&OPENAI_RESPONSES, Shape::Stream, [RESPONSES.as_bytes()]).unwrap();
    let openais = read(&OPENAI_CHAT, Shape::Stream, [OPENAIS.as_bytes()]).unwrap();
    let cases = [(&anthropics, Some("EqQB"), None), (&responses, None, Some("gAAA:B=")), (&openais, None, None)];
    for (events, to_anthropic, to_responses) in cases {
        let reply: Value = serde_json::from_str(&write(&OPENAI_RESPONSES, Shape::Whole, events).unwrap()).unwrap();
        let by_responses = json!({ "model": "m", "input": [{ "role": "user", "content": "hi" }, reply["output"][0], reply["output"][1]] });
        let reply: Value = serde_json::from_str(&write(&ANTHROPIC, Shape::Whole, events).unwrap()).unwrap();
        let by_anthropic = json!({ "model": "m", "max_tokens": 9, "messages": [
            { "role": "user", "content": "hi" }, { "role": "assistant", "content": reply["content"].as_array().unwrap()[..2] },
        ] });
        for (client, body) in [(&OPENAI_RESPONSES as &dyn Language, by_responses), (&ANTHROPIC, by_anthropic)] {
            let sent = translated(client, &ANTHROPIC, &body, "claude-opus-5-5");
            assert_eq!(sent["messages"][1]["content"][0]["signature"].as_str(), to_anthropic, "{body}");
            let sent = translated(client, &OPENAI_RESPONSES, &body, "m");
            assert_eq!(sent["input"][1]["encrypted_content"].as_str(), to_responses, "{body}");
            assert_eq!(
                sent["input"][1]["id"].as_str(),
                to_responses
                    .filter(|_| client.name() == "anthropic")
                    .map(|_| "rs_1")
                    .or(sent["input"][1]["id"].as_str())
            );
            let own = body.to_string().contains("mcp-router:");
            assert_eq!(client.carries(body.to_string().as_bytes()), !own, "{body}");
        }
    }
}
