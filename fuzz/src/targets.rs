//! What is fed, and what must be true of it whatever the input.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use router_core::{
    Error, Kind,
    chat::{Event, Losses, Meta, Shape},
    scan,
};
use router_llm::{
    dialect::{
        Ask, Framing, Language, Told, anthropic::ANTHROPIC, embeddings, ollama::OLLAMA, ollama::generate::GENERATE,
        openai_chat::OPENAI_CHAT, openai_completions::OPENAI_COMPLETIONS, openai_responses::OPENAI_RESPONSES,
    },
    sse::{self, Splitter},
};
use serde_json::{Map, Value, value::RawValue};

use crate::grammar;

/// Every target, by the name of its corpus.
pub const ALL: &[(&str, fn(&[u8]))] = &[
    ("requests", requests),
    ("anthropic_replies", |input| replies(&ANTHROPIC, input)),
    ("openai_replies", |input| replies(&OPENAI_CHAT, input)),
    ("responses_replies", |input| replies(&OPENAI_RESPONSES, input)),
    ("ollama_replies", |input| replies(&OLLAMA, input)),
    ("embeddings", embeddings),
    ("refusals", refusals),
    ("frames", frames),
    ("json", json),
];

/// The dialects that clients speak.
const CLIENTS: [&dyn Language; 6] =
    [&ANTHROPIC, &OPENAI_CHAT, &OPENAI_RESPONSES, &OLLAMA, &GENERATE, &OPENAI_COMPLETIONS];

/// The dialects that upstreams speak.
const UPSTREAMS: [&dyn Language; 4] = [&ANTHROPIC, &OPENAI_CHAT, &OPENAI_RESPONSES, &OLLAMA];

/// The dialects in which vectors are asked for.
const EMBEDDINGS: [&dyn embeddings::Language; 3] =
    [&embeddings::OPENAI, &embeddings::OLLAMA, &embeddings::OLLAMA_PROMPT];

/// A question of every dialect: what can be read can be written in every other one or is refused in words, and what is
/// written would be taken at that one's door.
fn requests(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    for client in CLIENTS {
        let head = client.head(&body);
        assert!(head.is_err() || scan::is_json(input), "{} takes what is no JSON", client.name());
        let (Ok(_), Ok(prompt)) = (head, client.decode(&body)) else { continue };
        for upstream in UPSTREAMS {
            let Ok(body) = upstream.encode(&Ask::of(&prompt, "m"), &mut Losses::default()) else { continue };
            let told = format!("{} -> {}: {}", client.name(), upstream.name(), String::from_utf8_lossy(&body));
            assert!(serde_json::from_slice::<&RawValue>(&body).is_ok(), "no JSON: {told}");
            // The head refuses keys that come twice: none must be read in one way here, and in another there. Another
            // dialect may need a level more than the depth that is left.
            let is_taken = upstream.head(&body).is_ok() || !scan::is_json(&body);
            assert!(is_taken, "not taken at its own door: {told}");
        }
    }
}

/// A reply, whole and as a stream: the same however it is cut, and what each client gets of it is in his dialect. The first
/// byte says where it is cut.
fn replies(upstream: &dyn Language, input: &[u8]) {
    let Some((cut, input)) = input.split_first() else { return };
    let size = usize::from(*cut) + 1;
    let (events, ended) = heard(upstream, Shape::Stream, &[input]);
    let chunks: Vec<&[u8]> = input.chunks(size).collect();
    let (others, differently) = heard(upstream, Shape::Stream, &chunks);
    assert_eq!((&events, ended.is_ok()), (&others, differently.is_ok()), "cut into {size}");
    told(Shape::Stream, &events, &ended);
    let (events, ended) = heard(upstream, Shape::Whole, &[input]);
    told(Shape::Whole, &events, &ended);
    for event in sse::events(input, upstream.framing()) {
        upstream.scan(event, Shape::Stream);
    }
    upstream.scan(input, Shape::Whole);
    upstream.rename(&Bytes::copy_from_slice(input), "m");
}

fn heard(upstream: &dyn Language, shape: Shape, chunks: &[&[u8]]) -> (Vec<Event>, Result<(), Error>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut split = Ok(());
    match shape {
        Shape::Whole => frames.push(chunks.concat().into()),
        Shape::Stream => {
            let mut splitter = Splitter::new(upstream.framing());
            split = chunks.iter().try_for_each(|chunk| splitter.push(Bytes::copy_from_slice(chunk), &mut frames));
            frames.extend(splitter.finish());
        }
    }
    let mut decoder = upstream.frames(shape);
    let read = frames.iter().try_for_each(|frame| decoder.decode(frame, &mut events));
    let ended = split.and(read).and_then(|()| decoder.finish(&mut events));
    (events, ended)
}

fn told(shape: Shape, events: &[Event], ended: &Result<(), Error>) {
    if !are_held(events) {
        return;
    }
    for client in CLIENTS {
        let told = Told { usage: true, ..Told::of("req_1", "alias", 1_700_000_000) };
        let mut writer = client.writer(told, shape);
        let mut out = Vec::new();
        let written = writer.write(events.to_vec(), &mut out);
        let verdict = match (ended.clone().and(written).and_then(|()| writer.finish(&mut out)), shape) {
            (Ok(()), Shape::Whole) => grammar::of_whole(client.name(), &out),
            (Err(_), Shape::Whole) => continue,
            (Ok(()), Shape::Stream) => grammar::of_stream(client.name(), &out),
            (Err(error), Shape::Stream) => {
                out.extend_from_slice(&client.error_event(&error, "req_1"));
                grammar::of_stream(client.name(), &out)
            }
        };
        assert_eq!(verdict, Ok(()), "for {}: {}", client.name(), String::from_utf8_lossy(&out));
    }
}

/// Whether `serde_json`, which the grammars read by, holds the arguments that it knows for JSON: half of a surrogate pair, a
/// number beyond a double and any depth are handed on as they came, to clients whose parsers take them.
fn are_held(events: &[Event]) -> bool {
    let mut calls = vec![String::new()];
    for event in events {
        match (event, calls.last_mut()) {
            (Event::Open(_), _) => calls.push(String::new()),
            (Event::Arguments(more), Some(call)) => call.push_str(more),
            _ => {}
        }
    }
    let is_odd = |call: &&String| serde_json::from_str::<&RawValue>(call).is_ok() && parsed(call.as_bytes()).is_err();
    !calls.iter().any(|call| is_odd(&call))
}

/// A question for vectors, and an answer with some, in every dialect: what can be read can be written in the others, where
/// it says the same; and what a glance tells is what there is.
fn embeddings(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    for dialect in EMBEDDINGS {
        let head = dialect.head(input);
        if let (Ok(head), Ok(texts)) = (head, dialect.decode(&body)) {
            assert_eq!(head.count, texts.inputs.len(), "{}", dialect.name());
            assert_eq!(scan::text(&input[head.model_at]).as_deref(), Some(&*head.model));
            for other in [&embeddings::OPENAI as &dyn embeddings::Language, &embeddings::OLLAMA] {
                let asked = other.encode(&texts, "m", &mut Losses::default());
                // Ollama's clients may ask for none, to have a model loaded.
                let same = other.decode(&asked).map_or(texts.inputs.is_empty(), |again| again.inputs == texts.inputs);
                assert!(same, "{}", other.name());
            }
        }
        let glance = dialect.glance(input);
        let Ok(matrix) = dialect.matrix(&body) else { continue };
        if let Some(count) = glance.count.filter(|_| scan::is_json(input)) {
            assert_eq!(count, matrix.len(), "{}", dialect.name());
        }
        for numbers in [embeddings::Numbers::Floats, embeddings::Numbers::Base64] {
            let told = embeddings::Told { model: "m", usage: glance.usage, numbers, took: Duration::ZERO };
            for client in EMBEDDINGS {
                let written = client.write(&matrix, &told);
                assert!(scan::is_json(&written), "{}", String::from_utf8_lossy(&written));
                let read = client.matrix(&written);
                let whole = client.name() == "openai" || client.name() == "ollama";
                assert!(!whole || read.is_ok_and(|read| read.len() == matrix.len()), "{}", client.name());
            }
        }
    }
}

/// An upstream's refusal (the first byte says under which status), where the numbers of a context error are read: every
/// client is told in JSON.
fn refusals(input: &[u8]) {
    const STATUS: [u16; 8] = [200, 400, 401, 404, 413, 429, 500, 529];
    let Some((first, body)) = input.split_first() else { return };
    let status = STATUS[usize::from(*first) % STATUS.len()];
    for upstream in UPSTREAMS {
        let error = upstream.failure(status, &Meta::default(), Bytes::copy_from_slice(body)).at(&"u".into());
        for client in CLIENTS {
            let (_, told) = client.error(&error, "req_1");
            let own_words = error.words().is_some_and(|words| words.body == told);
            assert!(own_words || scan::is_json(&told), "{}", String::from_utf8_lossy(&told));
            let event = client.error_event(&error, "req_1");
            let mut splitter = Splitter::new(client.framing());
            let mut frames = Vec::new();
            assert!(splitter.push(event, &mut frames).is_ok() && frames.len() == 1 && splitter.finish().is_none());
        }
    }
    let _ = Error::new(Kind::Protocol, String::from_utf8_lossy(body)).to_string();
}

/// The splitters: the events are the same however they are cut, and nothing is lost or added but a missing end.
fn frames(input: &[u8]) {
    let Some((cut, input)) = input.split_first() else { return };
    for framing in [Framing::Sse, Framing::Ndjson] {
        let split = |size: usize| {
            let (mut splitter, mut frames) = (Splitter::new(framing), Vec::new());
            let outcome =
                input.chunks(size).try_for_each(|chunk| splitter.push(Bytes::copy_from_slice(chunk), &mut frames));
            assert!(outcome.is_ok(), "none of these is too long");
            frames.extend(splitter.finish());
            frames.iter().flat_map(|frame| sse::events(frame, framing)).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let whole = split(input.len().max(1));
        assert_eq!(said(&split(usize::from(*cut) + 1)), said(&whole), "{framing:?}");
        let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        let joined = whole.concat();
        let common = joined.len().min(input.len());
        assert_eq!(joined[..common], input[..common], "{framing:?}");
        assert!(input[common..].trim_ascii().is_empty(), "{framing:?} lost something");
        for event in &whole {
            sse::read(event);
        }
    }
}

/// The events that say something, without the blank lines before them: those may also be an event of their own.
fn said(events: &[Vec<u8>]) -> Vec<&[u8]> {
    let blank = |event: &&[u8]| event.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let told = events.iter().map(Vec::as_slice).filter_map(|event| event.get(blank(&event)..));
    told.filter(|event| !event.is_empty()).collect()
}

/// The scanner against `serde_json`: it takes what that takes (up to its depth), finds the same, and cuts and closes well.
fn json(input: &[u8]) {
    let ours = scan::is_json(input);
    let theirs = serde_json::from_slice::<&RawValue>(input);
    if depth(input) < scan::MAX_DEPTH as usize {
        assert_eq!(ours, theirs.is_ok(), "{theirs:?}");
    }
    if !ours {
        if scan::is_beginning(input)
            && let Some(end) = scan::closing(input)
        {
            let closed = [input, end.as_bytes()].concat();
            assert!(scan::is_json(&closed), "{}", String::from_utf8_lossy(&closed));
        }
        return;
    }
    assert!(scan::is_beginning(input), "what is whole has begun");
    let Ok(value) = parsed(input) else { return };
    if let Some(items) = value.as_array() {
        let found: Result<Vec<Value>, _> = scan::items(input).map(parsed).collect();
        assert_eq!(found.ok().as_ref(), Some(items));
    }
    if let Some(text) = value.as_str() {
        assert_eq!(scan::text(input.trim_ascii()).as_deref(), Some(text));
    }
    if let Some(fields) = value.as_object() {
        let name = |key: &[u8]| scan::text(&[b"\"", key, b"\""].concat()).map(Cow::into_owned);
        let found = scan::members(input).map(|(key, value)| name(key).zip(parsed(value).ok()));
        // Of a key that comes twice the last counts in both.
        assert_eq!(found.collect::<Option<Map<String, Value>>>().as_ref(), Some(fields));
        is_found(input, fields);
    }
}

/// Keys are found as they are written, and of two the first, which `serde_json` does not tell.
fn is_found(input: &[u8], fields: &Map<String, Value>) {
    let is_plain = scan::members(input).count() == fields.len() && !input.contains(&b'\\');
    if let Some(first) = fields.get("a").and_then(|list| list.get(0)).filter(|_| is_plain) {
        assert_eq!(scan::find(input, "/a/0").and_then(|json| parsed(json).ok()).as_ref(), Some(first));
    }
}

fn parsed(json: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(json)
}

/// How deep it nests at most.
fn depth(input: &[u8]) -> usize {
    input.iter().filter(|byte| matches!(byte, b'[' | b'{')).count()
}
