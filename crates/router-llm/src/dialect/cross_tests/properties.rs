//! Whatever a model says: written in a dialect it is valid there, and read back it is what was said.

use proptest::prelude::*;
use router_core::{
    Raw,
    chat::{Block, Event, Folded, Message, Part, Role, Shape, StopReason, Usage, fold},
};
use serde_json::Value;

use super::{disorder, read, told, write};
use crate::{
    dialect::{Framing, Language, anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT},
    sse,
};

/// Texts with everything that is hard to frame or to escape. No `<`, which begins the tags that some models think in, and
/// no white space first, which is held back until it is known whether such a tag follows.
fn text() -> impl Strategy<Value = String> {
    "[a-cé🔍{\"][a-c é🔍\n\r\t\"\\\\{}:\u{2028}\u{0}]{0,8}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..4)
}

/// A JSON object, cut into fragments anywhere.
fn arguments() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)];
    let object = prop::collection::hash_map(word(), value, 0..4);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (object, cuts).prop_map(|(object, cuts)| {
        let json: Vec<char> = Value::from_iter(object).to_string().chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(json.len())).chain([0, json.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|ends| json[ends[0]..ends[1]].iter().collect()).collect()
    })
}

fn block() -> impl Strategy<Value = Vec<Event>> {
    let filled = |block: Block, events: Vec<Event>| [vec![Event::Open(block)], events, vec![Event::Close]].concat();
    let told = |pieces: Vec<String>, event: fn(String) -> Event| pieces.into_iter().map(event).collect::<Vec<_>>();
    prop_oneof![
        pieces().prop_map(move |pieces| filled(Block::Text, told(pieces, Event::Text))),
        (pieces(), prop::option::of(word())).prop_map(move |(pieces, signature)| {
            let mut events = told(pieces, Event::Thinking);
            events.extend(signature.map(Event::Signature));
            filled(Block::Thinking, events)
        }),
        word().prop_map(move |hidden| filled(Block::RedactedThinking(hidden), vec![])),
        (word(), prop::option::of(arguments())).prop_map(move |(name, arguments)| {
            let id = String::new();
            filled(Block::ToolUse { id, name }, told(arguments.unwrap_or_default(), Event::Arguments))
        }),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = 0..1_000_000_u64;
    (count.clone(), count.clone(), count.clone(), count.clone(), count).prop_map(
        |(input, output, cache_read, cache_write, thinking)| Usage { input, output, cache_read, cache_write, thinking },
    )
}

fn stop() -> impl Strategy<Value = Event> {
    let reason = prop::sample::select(vec![
        StopReason::EndTurn,
        StopReason::MaxTokens,
        StopReason::StopSequence,
        StopReason::ToolUse,
        StopReason::Refusal,
        StopReason::ContextWindow,
        StopReason::Pause,
    ]);
    (reason, prop::option::of(text())).prop_map(|(reason, sequence)| Event::Stop { reason, sequence })
}

/// A reply in the order that every decoder promises.
pub(super) fn reply() -> impl Strategy<Value = Vec<Event>> {
    let start = prop::option::of(word()).prop_map(|id| Event::Start { id, model: Some("upstreams".into()) });
    let blocks = prop::collection::vec(block(), 0..5);
    (start, blocks, stop(), prop::option::of(usage()), any::<bool>()).prop_map(
        |(start, mut blocks, stop, usage, early)| {
            for (at, block) in blocks.iter_mut().enumerate() {
                if let Some(Event::Open(Block::ToolUse { id, .. })) = block.first_mut() {
                    *id = format!("call_{at}");
                }
            }
            let usage: Vec<Event> = usage.map(Event::Usage).into_iter().collect();
            let (before, after) = if early { (usage, vec![]) } else { (vec![], usage) };
            [vec![start], before, blocks.concat(), vec![stop], after].concat()
        },
    )
}

/// The reply as a client is told of it: under the name that it asked for, with an id in any case.
pub(super) fn as_told(events: &[Event], id: &str) -> Folded {
    let mut folded = fold(events.iter().cloned());
    folded.model = Some(told().model);
    folded.id.get_or_insert_with(|| id.to_owned());
    let calls = folded.message.parts.iter().any(|part| matches!(part, Part::ToolUse { .. }));
    if folded.stop == StopReason::ToolUse && !calls {
        folded.stop = StopReason::EndTurn;
    }
    folded
}

/// What of a reply OpenAI has words for. A whole message holds one thought, one text and the calls, in this order.
pub(super) fn as_openai(events: &[Event], shape: Shape) -> Folded {
    let mut folded = as_told(events, "chatcmpl-1");
    let mut parts: Vec<Part> = Vec::new();
    for part in folded.message.parts {
        match (part, parts.last_mut()) {
            (Part::RedactedThinking(_), _) => {}
            (Part::Text(more), _) if more.is_empty() => {}
            (Part::Thinking { text, .. }, _) if text.is_empty() => {}
            (Part::Text(more), Some(Part::Text(text)))
            | (Part::Thinking { text: more, .. }, Some(Part::Thinking { text, .. })) => text.push_str(&more),
            (Part::Thinking { text, .. }, _) => parts.push(Part::Thinking { text, signature: None }),
            (part, _) => parts.push(part),
        }
    }
    if shape == Shape::Whole {
        parts = in_one_message(parts);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolUse { .. }));
    folded.stop = match folded.stop {
        StopReason::MaxTokens | StopReason::ContextWindow => StopReason::MaxTokens,
        StopReason::Refusal => StopReason::Refusal,
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::ToolUse if calls => {
            StopReason::ToolUse
        }
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::ToolUse => StopReason::EndTurn,
    };
    folded.sequence = None;
    folded.message.parts = parts;
    folded
}

fn in_one_message(parts: Vec<Part>) -> Vec<Part> {
    let (mut thought, mut said, mut calls) = (String::new(), String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Thinking { text, .. } => thought.push_str(&text),
            Part::Text(text) => said.push_str(&text),
            call @ Part::ToolUse { .. } => calls.push(call),
            Part::Image(_)
            | Part::Document(_)
            | Part::RedactedThinking(_)
            | Part::ToolResult { .. }
            | Part::Other { .. } => {}
        }
    }
    let thought = (!thought.is_empty()).then_some(Part::Thinking { text: thought, signature: None });
    let said = (!said.is_empty()).then_some(Part::Text(said));
    thought.into_iter().chain(said).chain(calls).collect()
}

/// Follows a stream of Anthropic's as its clients do, and says where it breaks the protocol.
fn broken_protocol(stream: &str) -> Option<String> {
    let (mut index, mut open, mut begun, mut ended) = (0, None::<String>, false, 0);
    for said in sse::events(stream.as_bytes(), Framing::Sse).filter_map(sse::read) {
        let event: Value = serde_json::from_slice(&said.data).unwrap();
        let at_index = event["index"] == index;
        let fits = event["type"] == said.name
            && match (said.name, open.as_deref()) {
                ("message_start", None) => {
                    !std::mem::replace(&mut begun, true) && event["message"]["usage"].is_object()
                }
                ("content_block_start", None) => {
                    open = event["content_block"]["type"].as_str().map(str::to_owned);
                    begun && at_index && ended == 0
                }
                ("content_block_delta", Some(block)) => {
                    let expected: &[&str] = match block {
                        "text" => &["text_delta"],
                        "thinking" => &["thinking_delta", "signature_delta"],
                        "tool_use" => &["input_json_delta"],
                        _ => &[],
                    };
                    at_index && event["delta"]["type"].as_str().is_some_and(|kind| expected.contains(&kind))
                }
                ("content_block_stop", Some(_)) => {
                    open = None;
                    index += 1;
                    event["index"] == index - 1
                }
                ("message_delta", None) => std::mem::replace(&mut ended, 1) == 0 && event["usage"].is_object(),
                ("message_stop", None) => std::mem::replace(&mut ended, 2) == 1,
                _ => false,
            };
        if !fits {
            return Some(format!("{event} in {stream}"));
        }
    }
    (ended != 2).then(|| format!("no end in {stream}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn anthropics_stream_is_valid_and_says_it_all(reply in reply()) {
        let stream = write(&ANTHROPIC, Shape::Stream, &reply).unwrap();
        prop_assert_eq!(broken_protocol(&stream), None);
        let events = read(&ANTHROPIC, Shape::Stream, [stream.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events.clone()), as_told(&reply, "msg_1"));
        let content = |events: &[Event]| -> Vec<Event> {
            let told = |event: &&Event| !matches!(event, Event::Usage(_) | Event::Start { .. } | Event::Stop { .. });
            events.iter().filter(told).cloned().collect()
        };
        prop_assert_eq!(content(&events), content(&reply), "piece by piece");
    }

    #[test]
    fn anthropics_message_says_it_all(reply in reply()) {
        let body = write(&ANTHROPIC, Shape::Whole, &reply).unwrap();
        let events = read(&ANTHROPIC, Shape::Whole, [body.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events), as_told(&reply, "msg_1"));
    }

    #[test]
    fn openais_stream_says_all_that_it_has_words_for(reply in reply()) {
        let stream = write(&OPENAI_CHAT, Shape::Stream, &reply).unwrap();
        prop_assert!(stream.ends_with("data: [DONE]\n\n"));
        let events = read(&OPENAI_CHAT, Shape::Stream, [stream.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events), as_openai(&reply, Shape::Stream));
    }

    #[test]
    fn openais_message_says_all_that_it_has_words_for(reply in reply()) {
        let body = write(&OPENAI_CHAT, Shape::Whole, &reply).unwrap();
        let events = read(&OPENAI_CHAT, Shape::Whole, [body.as_bytes()]).unwrap();
        prop_assert_eq!(disorder(&events), None);
        prop_assert_eq!(fold(events), as_openai(&reply, Shape::Whole));
    }

    #[test]
    fn every_event_of_a_valid_stream_is_marked(reply in reply()) {
        for language in [&ANTHROPIC as &dyn Language, &OPENAI_CHAT] {
            let stream = write(language, Shape::Stream, &reply).unwrap();
            let marks: Vec<_> = sse::events(stream.as_bytes(), Framing::Sse).map(|event| language.scan(event, Shape::Stream)).collect();
            prop_assert!(marks.iter().any(|mark| mark.last), "{}", stream);
            prop_assert!(!marks.iter().any(|mark| mark.error), "{}", stream);
            let usage = marks.iter().filter_map(|mark| mark.usage).fold(Usage::default(), Usage::and);
            prop_assert_eq!(usage, fold(reply.clone()).usage, "{}", stream);
        }
    }

    #[test]
    fn a_stream_in_pieces_is_renamed_once(reply in reply(), name in text()) {
        let stream = write(&ANTHROPIC, Shape::Stream, &reply).unwrap();
        let renamed = ANTHROPIC.rename(&stream.into(), &name).unwrap();
        let events = read(&ANTHROPIC, Shape::Stream, [&renamed[..]]).unwrap();
        let mut expected = as_told(&reply, "msg_1");
        expected.model = Some(name);
        prop_assert_eq!(fold(events), expected);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(noise in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
        for language in [&ANTHROPIC as &dyn Language, &OPENAI_CHAT] {
            for body in [&noise[..], text.as_bytes()] {
                let framed = [b"data: ", body, b"\n\n"].concat();
                let frame = bytes::Bytes::copy_from_slice(body);
                let decoded = [
                    read(language, Shape::Whole, [body]).is_ok(),
                    read(language, Shape::Stream, [&framed[..]]).is_ok(),
                    language.decode(&frame).is_ok(),
                ];
                prop_assert_eq!(decoded, [false; 3], "{:?}", body);
                language.scan(body, Shape::Stream);
                language.scan(body, Shape::Whole);
                language.rename(&frame, "m");
            }
        }
    }
}

#[test]
fn the_checks_above_can_fail() {
    let text = |text: &str| Event::Text(text.into());
    let start = Event::Start { id: None, model: None };
    let stop = Event::Stop { reason: StopReason::EndTurn, sequence: None };
    let open = Event::Open(Block::Text);
    let disorders = [
        vec![],
        vec![stop.clone()],
        vec![start.clone()],
        vec![start.clone(), text("a"), stop.clone()],
        vec![start.clone(), open.clone(), stop.clone()],
        vec![start.clone(), open.clone(), open.clone(), Event::Close, stop.clone()],
        vec![start.clone(), open.clone(), text(""), Event::Close, stop.clone()],
        vec![start.clone(), open.clone(), Event::Thinking("a".into()), Event::Close, stop.clone()],
        vec![start.clone(), stop.clone(), open.clone(), Event::Close],
        vec![start.clone(), stop.clone(), stop.clone()],
    ];
    for events in disorders {
        assert!(disorder(&events).is_some(), "{events:?}");
    }
    assert_eq!(disorder(&[start, open, text("a"), Event::Close, stop]), None);
    let call = Part::ToolUse { id: "i".into(), name: "n".into(), input: Raw::trusted("{}") };
    let message = Message { role: Role::Assistant, parts: vec![call, Part::Text("t".into())] };
    assert!(matches!(in_one_message(message.parts).as_slice(), [Part::Text(_), Part::ToolUse { .. }]));
    let valid = write(&ANTHROPIC, Shape::Stream, &[]).unwrap();
    assert_eq!(broken_protocol(&valid), None);
    for wrong in
        [valid.replace("message_stop", "message_end"), valid.replacen("event: message_start", "event: ping", 1)]
    {
        assert!(broken_protocol(&wrong).is_some(), "{wrong}");
    }
}
