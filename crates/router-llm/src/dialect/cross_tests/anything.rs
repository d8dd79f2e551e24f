//! Whatever an upstream says, in whatever order: what its client gets is a stream of the client's dialect, ended well or by
//! an error.

use bytes::Bytes;
use proptest::prelude::*;
use router_core::{
    Error,
    chat::{Event, Shape},
};

use super::{
    disorder, grammar, told,
    tongues::{TONGUES, Upstream, upstreams},
};
use crate::{
    dialect::{Framing, Language},
    sse::Splitter,
};

/// What came of a reply before it ended, and how it did.
fn heard(language: &dyn Language, stream: &[u8]) -> (Vec<Event>, Result<(), Error>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut splitter = Splitter::new(language.framing());
    let split = splitter.push(Bytes::copy_from_slice(stream), &mut frames);
    frames.extend(splitter.finish());
    let mut decoder = language.frames(Shape::Stream);
    let read = frames.iter().try_for_each(|frame| decoder.decode(frame, &mut events));
    let ended = split.and(read).and_then(|()| decoder.finish(&mut events));
    (events, ended)
}

/// As the client gets it: event by event, and an error in the end where there was one.
fn handed_on(client: &dyn Language, shape: Shape, events: &[Event], ended: &Result<(), Error>) -> Vec<u8> {
    let mut writer = client.writer(told(), shape);
    let mut out = Vec::new();
    let written = events.iter().try_for_each(|event| writer.write(vec![event.clone()], &mut out));
    match ended.clone().and(written).and_then(|()| writer.finish(&mut out)) {
        Ok(()) => {}
        Err(error) if shape == Shape::Stream => out.extend_from_slice(&client.error_event(&error, "req_1")),
        Err(error) => out = client.error(&error, "req_1").1.to_vec(),
    }
    out
}

/// Puts pieces into the frames that the dialect's streams have.
fn framed(framing: Framing, pieces: &[&str]) -> String {
    let (before, after) = match framing {
        Framing::Sse => ("data: ", "\n\n"),
        Framing::Ndjson => ("", "\n"),
    };
    pieces.iter().flat_map(|piece| [before, piece, after]).collect()
}

/// Any of the dialect's pieces in any order; half of them end as they should.
fn stream(language: &'static dyn Language, upstream: Upstream) -> impl Strategy<Value = String> {
    let any = prop::collection::vec(prop::sample::select(upstream.pieces), 0..14);
    (any, prop::bool::ANY).prop_map(move |(pieces, ends)| {
        let ending = if ends { ended(language.framing(), upstream.stream) } else { "" };
        framed(language.framing(), &pieces) + ending
    })
}

/// The last events of a sound stream: those that end it.
fn ended(framing: Framing, stream: &str) -> &str {
    let (end, events) = match framing {
        Framing::Sse => ("\n\n", 2),
        Framing::Ndjson => ("\n", 1),
    };
    let mut starts = stream.rmatch_indices(end).map(|(at, _)| at + end.len());
    stream.split_at(starts.nth(events).unwrap_or(0)).1
}

fn check(upstream: &dyn Language, stream: &str) -> Result<(), TestCaseError> {
    let (events, ended) = heard(upstream, stream.as_bytes());
    if ended.is_ok() {
        prop_assert_eq!(disorder(&events), None, "{}", stream);
    }
    for client in TONGUES.iter().map(|tongue| tongue.language) {
        let written = handed_on(client, Shape::Stream, &events, &ended);
        let verdict = grammar::of_stream(client.name(), &written);
        prop_assert_eq!(
            verdict,
            Ok(()),
            "{}\n-- for {} --\n{}",
            stream,
            client.name(),
            String::from_utf8_lossy(&written)
        );
        if ended.is_ok() {
            let written = handed_on(client, Shape::Whole, &events, &ended);
            let is_error = client.scan(&written, Shape::Whole).error;
            let verdict = if is_error { Ok(()) } else { grammar::of_whole(client.name(), &written) };
            prop_assert_eq!(verdict, Ok(()), "{}\n-- for {} --", stream, client.name());
        }
    }
    Ok(())
}

#[test]
fn whatever_an_upstream_says_its_client_gets_a_valid_stream() {
    for (language, upstream) in upstreams() {
        let config = ProptestConfig { cases: 1000, source_file: Some(file!()), ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let outcome = runner.run(&stream(language, upstream), |stream| check(language, &stream));
        assert!(outcome.is_ok(), "{}: {}", language.name(), outcome.unwrap_err());
    }
}

#[test]
fn a_grammar_that_takes_anything_proves_nothing() {
    for (upstream, said) in upstreams() {
        let (events, ended) = heard(upstream, said.stream.as_bytes());
        let written = handed_on(upstream, Shape::Stream, &events, &ended);
        let written = String::from_utf8(written).unwrap();
        assert_eq!(grammar::of_stream(upstream.name(), written.as_bytes()), Ok(()));
        let end = if upstream.framing() == Framing::Sse { "\n\n" } else { "\n" };
        let parts: Vec<&str> = written.split_inclusive(end).collect();
        // Without its last event, with it twice, and with its first one last, it is none.
        let wrong = [&parts[..parts.len() - 1], &[&parts[..], &parts[parts.len() - 1..]].concat(), &{
            let mut turned = parts.clone();
            turned.rotate_left(1);
            turned
        }]
        .map(<[&str]>::concat);
        for stream in wrong {
            assert!(grammar::of_stream(upstream.name(), stream.as_bytes()).is_err(), "{stream}");
        }
    }
}
