//! The layer at work: what a model that keeps to no schema is told, and what becomes of what it says.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use router_core::{
    Caller, Raw,
    chat::{Block, Event, Folded, Losses, Message, Meta, Part, Prompt, Role, Shape, StopReason, Wire, fold},
};

use super::*;
use crate::dialect::{Ask, Language, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT};

const SCHEMA: &str = r#"{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}"#;

/// A provider that gives the answers of the test in their order, and notes what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Vec<Event>>>>,
    asked: Arc<Mutex<Vec<Chat>>>,
}

impl Upstream<Chat> for Scripted {
    async fn call(&self, _: &Cx, chat: Chat) -> Result<ChatReply> {
        let shape = chat.shape;
        self.asked.lock().push(chat);
        let Some(events) = self.answers.lock().pop_front() else {
            return Err(Error::new(Kind::Unavailable, "there is no more"));
        };
        let mut reply = ChatReply::events(shape, stream::iter(events.into_iter().map(Ok)));
        router_core::Reply::provenance_mut(&mut reply).upstream = Some("scripted".into());
        Ok(reply)
    }
}

impl Scripted {
    fn saying<const N: usize>(texts: [&str; N]) -> Self {
        Self::giving(texts.map(|text| says(text, StopReason::EndTurn)))
    }

    fn giving<const N: usize>(answers: [Vec<Event>; N]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into())), asked: Arc::default() }
    }

    /// What it answers through the layer, whose models are `weak` and `strong`, with `retries`.
    async fn ask(&self, chat: Chat, retries: u32) -> Result<Folded> {
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_mins(1));
        let layer = Structured::new(self.clone(), retries, |model| model == "weak");
        Ok(fold(layer.call(&cx, chat).await?.into_events().try_collect::<Vec<_>>().await?))
    }

    fn asked(&self) -> Vec<Chat> {
        std::mem::take(&mut *self.asked.lock())
    }
}

/// An answer in two pieces that costs 10 tokens, and 3 more to write.
fn says(text: &str, stop: StopReason) -> Vec<Event> {
    let (start, end) = text.split_at(text.floor_char_boundary(text.len() / 2));
    vec![
        Event::Start { id: None, model: Some("m".into()) },
        Event::Open(Block::Text),
        Event::Text(start.into()),
        Event::Text(end.into()),
        Event::Close,
        Event::Usage(Usage { input: 10, output: 3, ..Usage::default() }),
        Event::Stop { reason: stop, sequence: None },
    ]
}

fn chat(model: &str, shape: Shape) -> Chat {
    let format = Format::JsonSchema { name: None, schema: Raw::trusted(SCHEMA), strict: None };
    let messages = vec![Message::text(Role::System, "Be brief."), Message::text(Role::User, "How old?")];
    Chat::of(Prompt { messages, format: Some(format), ..Prompt::default() }, model, shape)
}

fn texts(chat: &Chat) -> Vec<(Role, String)> {
    chat.prompt().unwrap().messages.iter().map(|message| (message.role, message.joined_text())).collect()
}

fn text(folded: &Folded) -> String {
    folded.message.joined_text()
}

fn wire(language: &'static dyn Language, body: &str) -> Chat {
    let body = Bytes::from(body.to_owned());
    let head = language.head(&body).unwrap();
    let wire = Wire { dialect: language, body, model: head.model_at, limit: head.limit_at, needs: head.needs };
    Chat::arrived(wire, Meta::default(), head.model, head.shape)
}

#[tokio::test]
async fn whoever_keeps_to_schemas_and_whoever_asks_for_none_passes_untouched() {
    let openai = |rest: &str| wire(&OPENAI_CHAT, &format!(r#"{{"model":"weak","messages":[]{rest}}}"#));
    let mut strong = openai(&format!(
        r#","response_format":{{"type":"json_schema","json_schema":{{"name":"a","schema":{SCHEMA}}}}}"#
    ));
    strong.model = "strong".into();
    for chat in [strong, openai(""), openai(r#","response_format":{"type":"json_object"}"#)] {
        let before = chat.wire().unwrap().body.clone();
        let provider = Scripted::saying(["Whatever."]);
        assert_eq!(text(&provider.ask(chat, 1).await.unwrap()), "Whatever.");
        let asked = provider.asked();
        assert_eq!(asked[0].wire().unwrap().body.as_ptr(), before.as_ptr(), "the same bytes");
    }
}

#[tokio::test]
async fn the_schema_is_told_in_words_in_every_dialect() {
    let table: [(&'static dyn Language, String); 3] = [
        (
            &OPENAI_CHAT,
            format!(r#""response_format":{{"type":"json_schema","json_schema":{{"name":"a","schema":{SCHEMA}}}}}"#),
        ),
        (
            &ANTHROPIC,
            format!(r#""max_tokens":9,"output_config":{{"format":{{"type":"json_schema","schema":{SCHEMA}}}}}"#),
        ),
        (&OLLAMA, format!(r#""stream":false,"format":{SCHEMA}"#)),
    ];
    for (language, format) in table {
        let body = format!(r#"{{"model":"weak","messages":[{{"role":"user","content":"How old?"}}],{format}}}"#);
        let provider = Scripted::saying(["It is ```json\n{\"age\": 7}\n```"]);
        assert_eq!(text(&provider.ask(wire(language, &body), 1).await.unwrap()), r#"{"age": 7}"#);
        let prompt = provider.asked()[0].prompt().unwrap();
        let sent = language.encode(&Ask::of(&prompt, "weak"), &mut Losses::default()).unwrap();
        let sent = String::from_utf8_lossy(&sent).into_owned();
        assert!(sent.contains("JSON Schema below") && !sent.contains("format\":{"), "{sent}");
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_once_more_with_what_is_wrong_with_it() {
    for shape in [Shape::Whole, Shape::Stream] {
        let provider = Scripted::saying([r#"{"age": "seven"}"#, "Sorry. {\"age\": 7}"]);
        let folded = provider.ask(chat("weak", shape), 1).await.unwrap();
        assert_eq!(text(&folded), r#"{"age": 7}"#);
        assert_eq!((folded.usage.input, folded.usage.output), (20, 6));
        let asked = provider.asked();
        let told = format!("{}\n\n{SCHEMA}", instruct::INSTRUCTION);
        let first =
            vec![(Role::System, "Be brief.".to_owned()), (Role::System, told), (Role::User, "How old?".to_owned())];
        let complaint = "That answer does not keep to the JSON Schema: at /age: \"seven\" is not of type \"integer\"\n\
                         Answer again with the JSON alone.";
        let more = [(Role::Assistant, r#"{"age": "seven"}"#.to_owned()), (Role::User, complaint.to_owned())];
        assert_eq!(texts(&asked[0]), first);
        assert_eq!(texts(&asked[1]), [first, more.to_vec()].concat());
        assert!(asked.iter().all(|chat| chat.shape == shape && chat.prompt().unwrap().format.is_none()));
    }
}

#[tokio::test]
async fn the_limit_is_kept_and_the_error_says_why() {
    let table = [
        (0, "weak was asked once and its answer does not keep to the schema: at /age: 0.5 is not of type \"integer\""),
        (1, "weak was asked 2 times and its answer does not keep to the schema: it is empty"),
        (
            2,
            "weak was asked 3 times and its answer does not keep to the schema: at the top: \"age\" is a required property",
        ),
    ];
    for (retries, expect) in table {
        let provider = Scripted::saying([r#"{"age": 0.5}"#, " ", "{}"]);
        let error = provider.ask(chat("weak", Shape::Whole), retries).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome(), error.message()), (Kind::Protocol, Outcome::Failed, expect));
        assert_eq!(error.upstream().map(|name| &**name), Some("scripted"));
        assert_eq!(provider.asked().len(), retries as usize + 1);
    }
}

#[tokio::test]
async fn what_the_upstream_fails_with_is_told_as_it_is() {
    let error = Scripted::saying(["no"]).ask(chat("weak", Shape::Whole), 1).await.unwrap_err();
    assert_eq!(error.message(), "there is no more");
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_before_anybody_is_asked() {
    let format = Format::JsonSchema { name: None, schema: Raw::trusted(r#"{"type":"objekt"}"#), strict: None };
    let provider = Scripted::saying([]);
    let prompt = Prompt { format: Some(format), ..Prompt::ask("x") };
    let error = provider.ask(Chat::of(prompt, "weak", Shape::Whole), 1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.message().contains("at /type: \"objekt\""), "{error}");
    assert!(provider.asked().is_empty());
}

#[tokio::test]
async fn calls_of_tools_and_answers_that_were_cut_pass_as_they_are() {
    let call = vec![
        Event::Open(Block::Text),
        Event::Text("Let me look.".into()),
        Event::Close,
        Event::Open(Block::ToolUse { id: "1".into(), name: "look".into() }),
        Event::Arguments("{}".into()),
        Event::Close,
        Event::Stop { reason: StopReason::ToolUse, sequence: None },
    ];
    let cut = |stop| says("{\"age\": ", stop);
    for events in [call, cut(StopReason::MaxTokens), cut(StopReason::ContextWindow), cut(StopReason::Refusal)] {
        let provider = Scripted::giving([events.clone()]);
        assert_eq!(provider.ask(chat("weak", Shape::Whole), 1).await.unwrap(), fold(events));
        assert_eq!(provider.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_tells_the_json_alone_and_the_thoughts_before_it() {
    let thought = [Event::Open(Block::Thinking), Event::Thinking("hm".into()), Event::Close];
    let mut events = says("Here: {\"age\": 7}", StopReason::EndTurn);
    events.splice(1..1, thought.clone());
    events.splice(8..8, [Event::Open(Block::Text), Event::Text(" Good?".into()), Event::Close]);
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_mins(1));
    let layer = Structured::new(Scripted::giving([events]), 1, |_| true);
    let reply = layer.call(&cx, chat("weak", Shape::Stream)).await.unwrap();
    assert_eq!(
        (reply.shape, router_core::Reply::provenance(&reply).upstream.as_deref()),
        (Shape::Stream, Some("scripted"))
    );
    let told: Vec<Event> = reply.into_events().map(Result::unwrap).collect().await;
    let expect: Vec<Event> = [Event::Start { id: None, model: Some("m".into()) }]
        .into_iter()
        .chain(thought)
        .chain([Event::Open(Block::Text), Event::Text("{\"age\": 7}".into()), Event::Close])
        .chain([Event::Usage(Usage { input: 10, output: 3, ..Usage::default() })])
        .chain([Event::Stop { reason: StopReason::EndTurn, sequence: None }])
        .collect();
    assert_eq!(told, expect);
}

#[tokio::test]
async fn several_texts_are_one_answer() {
    let pieces = ["{\"age\"", ": 7}"].map(|piece| [Event::Open(Block::Text), Event::Text(piece.into()), Event::Close]);
    let provider = Scripted::giving([pieces.concat()]);
    let folded = provider.ask(chat("weak", Shape::Whole), 0).await.unwrap();
    assert_eq!(folded.message.parts, [Part::Text("{\"age\": 7}".into())]);
}
