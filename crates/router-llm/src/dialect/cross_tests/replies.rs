//! Replies of one dialect, written in the other, and the same however the network cuts them.

use router_core::{Kind, chat::Shape};

use super::{FRONTS, disorder, read, write};
use crate::dialect::{anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT};

/// A stream of Anthropic's with a thought, a text and two calls.
pub(super) const ANTHROPICS: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":800,"cache_creation_input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm é"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I look 🔍.\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" 1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"list","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":25}}

event: message_stop
data: {"type":"message_stop"}

"#;

/// A stream of OpenAI's with the same in it, as an aggregator sends it: comments, a thought under its own name, calls
/// that begin before their arguments, usage at the very end.
pub(super) const OPENAIS: &str = r#": OPENROUTER PROCESSING

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hm é"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"I look "},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"🔍.\n"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":""}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"list","arguments":"{}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" 1}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":25,"total_tokens":1025,"prompt_tokens_details":{"cached_tokens":800}}}

data: [DONE]

"#;

#[test]
fn streams_in_the_others_words() {
    let events = read(&ANTHROPIC, Shape::Stream, [ANTHROPICS.as_bytes()]).unwrap();
    insta::assert_snapshot!(
        "anthropics_stream_for_openais_client",
        write(&OPENAI_CHAT, Shape::Stream, &events).unwrap()
    );
    let events = read(&OPENAI_CHAT, Shape::Stream, [OPENAIS.as_bytes()]).unwrap();
    insta::assert_snapshot!("openais_stream_for_anthropics_client", write(&ANTHROPIC, Shape::Stream, &events).unwrap());
}

#[test]
fn messages_in_the_others_words() {
    let anthropics = read(&ANTHROPIC, Shape::Stream, [ANTHROPICS.as_bytes()]).unwrap();
    let body = write(&ANTHROPIC, Shape::Whole, &anthropics).unwrap();
    let events = read(&ANTHROPIC, Shape::Whole, [body.as_bytes()]).unwrap();
    insta::assert_snapshot!(
        "anthropics_message_for_openais_client",
        write(&OPENAI_CHAT, Shape::Whole, &events).unwrap()
    );
    let openais = read(&OPENAI_CHAT, Shape::Stream, [OPENAIS.as_bytes()]).unwrap();
    let body = write(&OPENAI_CHAT, Shape::Whole, &openais).unwrap();
    let events = read(&OPENAI_CHAT, Shape::Whole, [body.as_bytes()]).unwrap();
    insta::assert_snapshot!("openais_message_for_anthropics_client", write(&ANTHROPIC, Shape::Whole, &events).unwrap());
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    for (language, stream) in [(FRONTS[0], ANTHROPICS), (FRONTS[1], OPENAIS)] {
        for stream in [stream.to_owned(), stream.replace('\n', "\r\n"), format!("\u{feff}{stream}")] {
            let bytes = stream.as_bytes();
            let whole = read(language, Shape::Stream, [bytes]).unwrap();
            assert_eq!(disorder(&whole), None, "{}", language.name());
            for cut in 0..=bytes.len() {
                let (one, two) = bytes.split_at(cut);
                let events = read(language, Shape::Stream, [one, two]).unwrap();
                assert_eq!(events, whole, "{} cut at {cut}", language.name());
            }
            assert_eq!(read(language, Shape::Stream, bytes.chunks(1)).unwrap(), whole, "{} in bytes", language.name());
        }
    }
}

#[test]
fn a_stream_that_ends_too_soon_is_no_clean_success() {
    for (language, stream, end) in
        [(FRONTS[0], ANTHROPICS, "event: message_delta"), (FRONTS[1], OPENAIS, "\"finish_reason\":\"stop\"")]
    {
        let finished = stream.find(end).unwrap();
        let ends = stream.match_indices("\n\n").map(|(at, _)| at + 2).filter(|at| *at <= finished);
        for cut in ends {
            let error = read(language, Shape::Stream, [&stream.as_bytes()[..cut]]).unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol, "{} ended at {cut}", language.name());
        }
    }
}

#[test]
fn an_error_in_the_middle_is_told_in_the_clients_words() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let limited = "data: {\"error\":{\"message\":\"slow down\",\"code\":429},\"choices\":[]}\n\n";
    let cases = [
        (FRONTS[0], ANTHROPICS, overloaded, Kind::Unavailable, FRONTS[1], "Overloaded"),
        (FRONTS[1], OPENAIS, limited, Kind::Limited, FRONTS[0], "\"type\":\"rate_limit_error\""),
    ];
    for (language, stream, error, kind, client, told) in cases {
        let begun = stream.find("I look").and_then(|at| Some(at + stream[at..].find("\n\n")? + 2)).unwrap();
        let broken = [&stream.as_bytes()[..begun], error.as_bytes()];
        let error = read(language, Shape::Stream, broken).unwrap_err();
        assert_eq!(error.kind(), kind);
        let event = client.error_event(&error, "req_1");
        let event = std::str::from_utf8(&event).unwrap();
        assert!(event.contains(told) && event.ends_with("\n\n"), "{event}");
        assert!(client.scan(event.as_bytes(), Shape::Stream).error, "{event}");
    }
}
