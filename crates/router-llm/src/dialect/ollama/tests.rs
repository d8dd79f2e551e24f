//! The dialect from outside: requests decoded and encoded, replies read and written, golden.

use bytes::Bytes;
use insta::{assert_json_snapshot, assert_snapshot};
use router_core::{
    Kind, Raw,
    chat::{
        Block, Dialect, Event, Format, Image, Losses, Message, Part, Prompt, Role, Shape, StopReason, Thinking,
        ThinkingMode, ToolChoice, ToolSpec, Usage, fold,
    },
};
use serde_json::{Value, json};

use super::*;
use crate::{dialect::blocks::minted, sse::Splitter};

fn encoded(prompt: &Prompt) -> Value {
    let ask = Ask { shape: Shape::Stream, ..Ask::of(prompt, "llama3") };
    serde_json::from_slice(&OLLAMA.encode(&ask, &mut Losses::default()).unwrap()).unwrap()
}

fn refused(prompt: &Prompt) -> Kind {
    let ask = Ask { shape: Shape::Stream, ..Ask::of(prompt, "llama3") };
    OLLAMA.encode(&ask, &mut Losses::default()).unwrap_err().kind()
}

fn conversation() -> Prompt {
    let picture = Part::Image(Image::Inline { media_type: "image/png".into(), data: "AAAA".into() });
    let says = |role, parts: Vec<Part>| Message { role, parts };
    let call = Part::ToolUse { id: "c1".into(), name: "look".into(), input: Raw::trusted("{\"a\":1}") };
    let result =
        Part::ToolResult { id: "c1".into(), parts: vec![Part::Text("seen".into()), picture.clone()], is_error: false };
    let thought = Part::Thinking { text: "hm".into(), signature: None };
    let spec = ToolSpec {
        name: "look".into(),
        description: Some("Looks.".into()),
        schema: Raw::trusted("{\"type\":\"object\"}"),
        strict: Some(true),
    };
    Prompt {
        messages: vec![
            says(Role::System, vec![Part::Text("Be brief.".into())]),
            says(Role::User, vec![Part::Text("What is".into()), picture, Part::Text("this?".into())]),
            says(Role::Assistant, vec![thought, call]),
            says(Role::User, vec![Part::Text("and?".into()), result]),
            says(Role::Assistant, vec![Part::Text(String::new())]),
        ],
        tools: vec![spec],
        max_tokens: Some(9),
        temperature: Some(0.5),
        top_k: Some(40),
        stop: vec!["END".into()],
        thinking: Some(Thinking { mode: Some(ThinkingMode::On), ..Thinking::default() }),
        format: Some(Format::JsonObject),
        extra: [
            ("keep_alive", json!("5m")),
            ("options", json!({"mirostat": 1})),
            ("num_ctx", json!(2048)),
            ("n", json!(1)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect(),
        ..Prompt::default()
    }
}

#[test]
fn a_conversation_is_written_as_ollama_has_it() {
    assert_json_snapshot!(encoded(&conversation()));
}

#[test]
fn what_ollama_cannot_read_is_refused() {
    let of =
        |part: Part| Prompt { messages: vec![Message { role: Role::User, parts: vec![part] }], ..Prompt::default() };
    assert_eq!(refused(&of(Part::Image(Image::Url("https://x/y.png".into())))), Kind::Invalid);
    assert_eq!(refused(&Prompt::default()), Kind::Invalid);
}

#[test]
fn the_window_is_the_one_that_was_chosen_unless_the_client_chose() {
    let plain = Prompt::ask("hi");
    let set = Prompt { extra: [("num_ctx".to_owned(), json!(512))].into_iter().collect(), ..plain.clone() };
    let table = [
        (&plain, None, None),
        (&plain, Some(4096), None),
        (&plain, Some(65_536), Some(65_536)),
        (&set, Some(8192), Some(512)),
    ];
    for (prompt, window, expected) in table {
        let body = OLLAMA.encode(&Ask { window, ..Ask::of(prompt, "llama3") }, &mut Losses::default()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body.pointer("/options/num_ctx").and_then(Value::as_u64), expected, "{window:?}");
    }
}

#[test]
fn fields_of_its_own_clients_stay_when_a_question_is_written_anew() {
    let said = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"keep_alive":0,"truncate":false,"shift":false,"logprobs":true,"options":{"mirostat":1,"num_ctx":512}}"#;
    let own = OLLAMA.decode(&Bytes::from_static(said.as_bytes())).unwrap();
    let others = Prompt { origin: Some("openai"), ..own.clone() };
    let fields = ["keep_alive", "truncate", "shift", "logprobs", "options"];
    let of = |prompt: &Prompt| fields.map(|field| encoded(prompt).get(field).cloned());
    let options = || Some(json!({ "mirostat": 1, "num_ctx": 512 }));
    let off = || Some(json!(false));
    assert_eq!(of(&own), [Some(json!(0)), off(), off(), Some(json!(true)), options()]);
    let no_words =
        Prompt { extra: others.extra.into_iter().filter(|(name, _)| name != "logprobs").collect(), ..others };
    let Ok(body) = OLLAMA.encode(&Ask::of(&no_words, "m"), &mut Losses::default()) else { panic!("refused") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(fields.map(|field| body.get(field).is_some()), [true, false, false, false, true]);
}

#[test]
fn thinking_is_switched_as_the_model_takes_it() {
    let thinking = |mode, effort: Option<&str>| Thinking { mode, budget: None, effort: effort.map(str::to_owned) };
    let table = [
        (thinking(Some(ThinkingMode::Off), Some("high")), Some(json!(false))),
        (thinking(Some(ThinkingMode::On), None), Some(json!(true))),
        (thinking(Some(ThinkingMode::Adaptive), Some("max")), None),
        (thinking(None, Some("max")), Some(json!("high"))),
        (thinking(None, Some("minimal")), Some(json!("low"))),
        (thinking(None, None), None),
    ];
    for (thinking, expected) in table {
        let prompt = Prompt { thinking: Some(thinking.clone()), ..Prompt::ask("hi") };
        assert_eq!(encoded(&prompt).get("think").cloned(), expected, "{thinking:?}");
    }
    let none = Prompt { tool_choice: Some(ToolChoice::None), ..conversation() };
    assert_eq!(encoded(&none).get("tools"), None);
}

fn decode(chunks: &[&[u8]]) -> Result<Vec<Event>> {
    let (mut splitter, mut frames) = (Splitter::new(Framing::Ndjson), Vec::new());
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk), &mut frames)?;
    }
    frames.extend(splitter.finish());
    let (mut decoder, mut events) = (OLLAMA.frames(Shape::Stream), Vec::new());
    for frame in frames {
        decoder.decode(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

const STREAM: &str = concat!(
    "{\"model\":\"llama3\",\"created_at\":\"T\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n",
    "{\"model\":\"llama3\",\"created_at\":\"T2\",\"message\":{\"role\":\"assistant\",\"content\":\"é\"},\"done\":false}\n",
    "{\"model\":\"llama3\",\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"look\",\"arguments\":{\"a\": 1}}},{\"function\":{\"name\":\"bare\"}}]},\"done\":false}\n",
    "{\"model\":\"llama3\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":10,\"eval_count\":4}",
);

#[test]
fn a_stream_is_read_the_same_wherever_it_is_cut() {
    let expected = [
        Event::Start { id: None, model: Some("llama3".into()) },
        Event::Open(Block::Thinking),
        Event::Thinking("hm".into()),
        Event::Close,
        Event::Open(Block::Text),
        Event::Text("é".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: minted("T", 0), name: "look".into() }),
        Event::Arguments("{\"a\": 1}".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: minted("T", 1), name: "bare".into() }),
        Event::Close,
        Event::Usage(Usage { input: 10, output: 4, ..Usage::default() }),
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ];
    for cut in 0..=STREAM.len() {
        let (one, two) = STREAM.as_bytes().split_at(cut);
        assert_eq!(decode(&[one, two]).unwrap(), expected, "cut at {cut}");
    }
}

#[test]
fn a_cut_and_an_error_are_told() {
    let (cut, _) = STREAM.rsplit_once('\n').unwrap();
    assert_eq!(decode(&[cut.as_bytes()]).unwrap_err().kind(), Kind::Protocol);
    let error = decode(&[cut.as_bytes(), b"\n{\"error\":\"out of memory\"}\n"]).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "out of memory"));
    assert_eq!(decode(&[b"{\"done\":1}"]).unwrap_err().kind(), Kind::Protocol);
}

#[test]
fn a_glance_tells_what_a_line_carries() {
    let marks: Vec<Mark> = STREAM.lines().map(|line| OLLAMA.scan(line.as_bytes(), Shape::Stream)).collect();
    let content = Mark { content: true, ..Mark::default() };
    let usage = Some(Usage { input: 10, output: 4, ..Usage::default() });
    let last = Mark { last: true, end: true, usage, ..content.clone() };
    assert_eq!(marks, [content.clone(), content.clone(), content, last]);
    let nothing = OLLAMA.scan(&OLLAMA.ping(), Shape::Stream);
    assert_eq!(nothing, Mark::default());
    assert!(OLLAMA.scan(b"\n", Shape::Stream).idle && OLLAMA.scan(b"{\"error\":\"x\"}", Shape::Whole).error);
    let renamed = OLLAMA.rename(&Bytes::from_static(STREAM.as_bytes()), "big").unwrap();
    assert_eq!(renamed, STREAM.replace("llama3", "big"));
    assert_eq!(OLLAMA.rename(&renamed, "big"), None);
}

#[test]
fn a_request_is_read() {
    let body = json!({
        "model": "llama3", "keep_alive": "5m", "think": "low", "format": {"type": "object"},
        "options": {"num_predict": 9, "temperature": 0.5, "num_ctx": 8192, "stop": ["END"]},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What?", "images": ["/9j/AAAA"]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
                {"function": {"name": "look", "arguments": {"b": 1, "a": 2}}}, {"function": {"name": "bare"}},
            ]},
            {"role": "tool", "content": "one", "tool_name": "look"},
            {"role": "tool", "content": "two", "tool_name": "bare"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    });
    let body = Bytes::from(body.to_string());
    let head = OLLAMA.head(&body).unwrap();
    assert_eq!((head.model.as_str(), head.shape), ("llama3", Shape::Stream));
    assert_snapshot!(format!("{:#?}", OLLAMA.decode(&body).unwrap()));
    let orphan = Bytes::from(json!({"messages": [{"role": "tool", "content": "x"}]}).to_string());
    assert!(OLLAMA.decode(&orphan).unwrap_err().to_string().starts_with("messages.0.role: a tool answers"));
}

#[tokio::test(start_paused = true)]
async fn what_is_written_reads_the_same() {
    let told = Told::of("r", "alias", 1_709_210_096);
    let written = |shape| {
        let (mut writer, mut out) = (OLLAMA.writer(told.clone(), shape), Vec::new());
        writer.write(decode(&[STREAM.as_bytes()]).unwrap(), &mut out).unwrap();
        writer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_snapshot!(written(Shape::Stream));
    let (mut decoder, mut events) = (OLLAMA.frames(Shape::Whole), Vec::new());
    decoder.decode(&Bytes::from(written(Shape::Whole)), &mut events).unwrap();
    let (whole, streamed) = (fold(events), fold(decode(&[written(Shape::Stream).as_bytes()]).unwrap()));
    assert_eq!(whole, streamed);
    assert_eq!((whole.message.parts.len(), whole.usage.input, whole.stop), (4, 10, StopReason::ToolUse));
}

#[test]
fn clients_are_told_in_their_own_shape() {
    let (status, body) = OLLAMA.error(&Error::new(Kind::NotFound, "no model `x`"), "r");
    assert_eq!((status, &*body), (404, &b"{\"error\":\"no model `x`\"}"[..]));
    assert_eq!(OLLAMA.error_event(&Error::new(Kind::Timeout, "slow"), "r"), "{\"error\":\"slow\"}\n");
}
