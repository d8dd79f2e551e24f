//! One rich question and one rich reply of each dialect, and what becomes of them in every other one.

use std::fmt::Write as _;

use bytes::Bytes;
use router_core::{
    Error, Kind,
    chat::{Block, Event, Meta, Shape, StopReason},
};
use serde_json::{Value, json};

use super::{
    carried, disorder, grammar, read,
    tongues::{TONGUES, upstreams},
    write,
};
use crate::dialect::Quirks;

#[test]
fn a_question_in_every_other_dialect() {
    for client in &TONGUES {
        for (upstream, _) in upstreams().filter(|(upstream, _)| upstream.name() != client.language.name()) {
            let there = carried(client.language, upstream, &(client.question)(), &Quirks::NONE);
            let told = match there {
                Ok(there) => json!({ "lost": there.lost, "body": there.body }),
                Err(error) => json!({ "refused": error.to_string() }),
            };
            insta::assert_json_snapshot!(format!("{}_asks_{}", client.language.name(), upstream.name()), told);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_every_other_dialect() {
    for (upstream, said) in upstreams() {
        let events = read(upstream, Shape::Stream, [said.stream.as_bytes()]).unwrap();
        assert_eq!(disorder(&events), None, "{}", upstream.name());
        let body = write(upstream, Shape::Whole, &events).unwrap();
        let at_once = read(upstream, Shape::Whole, [body.as_bytes()]).unwrap();
        assert_eq!(disorder(&at_once), None, "{}", upstream.name());
        for client in TONGUES.iter().map(|tongue| tongue.language) {
            let stream = write(client, Shape::Stream, &events).unwrap();
            assert_eq!(grammar::of_stream(client.name(), stream.as_bytes()), Ok(()));
            let whole = write(client, Shape::Whole, &at_once).unwrap();
            assert_eq!(grammar::of_whole(client.name(), whole.as_bytes()), Ok(()));
            let both = format!("{stream}\n-- whole --\n{whole}");
            insta::assert_snapshot!(format!("{}_answers_{}", upstream.name(), client.name()), both);
        }
    }
}

/// A whole reply that stopped for each reason, as the client of each dialect is told of it.
#[test]
fn every_stop_reason_in_every_dialect() {
    let reasons = [
        StopReason::EndTurn,
        StopReason::MaxTokens,
        StopReason::StopSequence,
        StopReason::ToolUse,
        StopReason::Refusal,
        StopReason::ContextWindow,
        StopReason::Pause,
    ];
    let mut table = String::new();
    for reason in reasons {
        let call = Block::ToolUse { id: "c".into(), name: "n".into() };
        let block = if reason == StopReason::ToolUse { call } else { Block::Text };
        let events = [
            Event::Start { id: None, model: None },
            Event::Open(block),
            Event::Close,
            Event::Stop { reason, sequence: (reason == StopReason::StopSequence).then(|| "END".to_owned()) },
        ];
        for client in TONGUES.iter().map(|tongue| tongue.language) {
            let told: Value = serde_json::from_str(&write(client, Shape::Whole, &events).unwrap()).unwrap();
            let places = ["stop_reason", "stop_sequence", "status", "incomplete_details", "done_reason"];
            let mut words: Vec<String> =
                places.iter().filter_map(|place| told.get(*place)).map(Value::to_string).collect();
            words.extend(told.pointer("/choices/0/finish_reason").map(Value::to_string));
            writeln!(table, "{reason:?} -> {}: {}", client.name(), words.join(" ")).unwrap();
        }
    }
    insta::assert_snapshot!("stop_reasons", table);
}

/// What the client of each dialect is told of each kind of failure: at the door, and of an upstream.
#[test]
fn every_failure_in_every_dialect() {
    let mut table = String::new();
    for kind in Kind::ALL {
        let ours = Error::new(kind, "what is wrong").hint("what to do");
        for (whose, error) in [("ours", ours.clone()), ("an upstream's", ours.at(&"u".into()))] {
            for client in TONGUES.iter().map(|tongue| tongue.language) {
                let (status, body) = client.error(&error, "req_1");
                let event = client.error_event(&error, "req_1");
                assert!(client.scan(&event, Shape::Stream).error, "{event:?}");
                assert_eq!(grammar::of_stream(client.name(), &event), Ok(()));
                let body = String::from_utf8(body.to_vec()).unwrap();
                assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
                writeln!(table, "{} ({whose}) -> {}: {status} {body}", kind.as_str(), client.name()).unwrap();
            }
        }
    }
    insta::assert_snapshot!("failures", table);
}

/// A refusal in each upstream's words, as clients of the others are told of it.
#[test]
fn every_refusal_in_every_other_dialect() {
    let mut table = String::new();
    for (upstream, said) in upstreams() {
        for status in [400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529] {
            let refusal = Bytes::from_static(said.refusal.as_bytes());
            let error = upstream.failure(status, &Meta::default(), refusal).at(&"u".into());
            for client in TONGUES.iter().map(|tongue| tongue.language) {
                let (told, body) = client.error(&error, "req_1");
                let body = String::from_utf8(body.to_vec()).unwrap();
                assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
                writeln!(table, "{} {status} -> {}: {told} {body}", upstream.name(), client.name()).unwrap();
            }
        }
    }
    insta::assert_snapshot!("refusals", table);
}
