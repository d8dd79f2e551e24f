//! The rules at work: what reaches the models, and what a prompt becomes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use router_core::{
    Caller, Error, Kind,
    chat::{Event, Meta, Part, Prompt, Shape, StopReason, Wire, fold},
};

use super::*;
use crate::dialect::{Language, anthropic::ANTHROPIC, openai_chat::OPENAI_CHAT};

/// What reached the models: the model, whether the call had to stay here, and the bytes or the texts of the question.
type Asked = Arc<Mutex<Vec<String>>>;

/// Small models that answer by their names; everybody else says what he was asked.
struct Scripted(Asked);

impl Upstream<Chat> for Scripted {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let said = match chat.wire() {
            Some(wire) => String::from_utf8_lossy(&wire.body).into_owned(),
            None => {
                let prompt = chat.prompt()?;
                let texts: Vec<_> = prompt.messages.iter().map(router_core::chat::Message::joined_text).collect();
                format!("{} t={:?} m={:?}", texts.join(" | "), prompt.temperature, prompt.max_tokens)
            }
        };
        let place = if cx.is_local() { "local " } else { "" };
        self.0.lock().push(format!("{place}{}: {said}", chat.model));
        match &*chat.model {
            "broken" => Err(Error::new(Kind::Unavailable, "it is not there")),
            "silent" => std::future::pending().await,
            "mute" => Ok(ChatReply::say("  ")),
            "cut" => {
                let stop = Event::Stop { reason: StopReason::MaxTokens, sequence: None };
                let events =
                    [Event::Open(router_core::chat::Block::Text), Event::Text("Half".into()), Event::Close, stop];
                Ok(ChatReply::events(Shape::Whole, futures_util::stream::iter(events.map(Ok))))
            }
            "good" => Ok(ChatReply::say(" A better prompt.\n")),
            _ => Ok(ChatReply::say("answered")),
        }
    }
}

struct Bench {
    rules: ClientRules,
    asked: Asked,
}

impl Bench {
    fn with(rule: ClientRule) -> Self {
        let asked = Asked::default();
        let rules = [("Raycast".into(), rule)];
        Self { rules: ClientRules::new(rules, || "2026-11-21".into(), Scripted(Arc::clone(&asked)).boxed()), asked }
    }

    /// What the models were asked on behalf of `client`.
    async fn ask(&self, client: Option<&str>, chat: Chat) -> Vec<String> {
        let reply = self.rules.call(&cx(client), chat).await.expect("an answer");
        let events: Vec<_> = reply.into_events().map(|event| event.expect("an event")).collect().await;
        assert_eq!(fold(events).message.parts, [Part::Text("answered".into())]);
        std::mem::take(&mut *self.asked.lock())
    }
}

fn cx(client: Option<&str>) -> Cx {
    let caller = Caller { client: client.map(Arc::from), ..Caller::anonymous("r") };
    Cx::new(Arc::new(caller), Duration::from_mins(1))
}

fn typed() -> Chat {
    Chat::of(Prompt::ask("Why?"), "big", Shape::Whole)
}

fn wire(language: &'static dyn Language, body: &str) -> Chat {
    let body = Bytes::from(body.to_owned());
    let head = language.head(&body).expect("a head");
    let wire = Wire { dialect: language, body, model: head.model_at, limit: head.limit_at, needs: head.needs };
    Chat::arrived(wire, Meta::default(), head.model, head.shape)
}

fn template(source: &str) -> Template {
    Template::parse(source).expect("a template")
}

fn rewriting(models: &[&str]) -> Manner {
    let models = models.iter().map(|model| Arc::from(*model)).collect();
    Manner::Rewrite(Rewriting { models, input_cap: 4, time: Duration::from_secs(15) })
}

#[tokio::test]
async fn only_the_named_client_is_treated_so() {
    let rule = ClientRule { model: Some("fast".into()), prompt: Some(template("Be short.")), ..ClientRule::default() };
    let bench = Bench::with(rule);
    let plain = "Why? t=None m=None";
    for (client, expected) in [
        (Some("raycast"), format!("fast: Be short. | {plain}")),
        (Some("cursor"), format!("big: {plain}")),
        (None, format!("big: {plain}")),
    ] {
        assert_eq!(bench.ask(client, typed()).await, [expected], "{client:?}");
    }
}

#[tokio::test]
async fn what_reaches_the_model() {
    let question = r#"{"model":"big","messages":[{"role":"user","content":"Why?"}],"z":1.0}"#;
    let warm = r#"{"model":"big","temperature":1,"max_tokens":9,"messages":[{"role":"user","content":"Why?"}]}"#;
    let short = || ClientRule { prompt: Some(template("Be short.")), ..ClientRule::default() };
    let sampled = || ClientRule { temperature: Some(0.2), max_tokens: Some(50), ..ClientRule::default() };
    let table = [
        (ClientRule::default(), wire(&OPENAI_CHAT, question), format!("big: {question}")),
        (ClientRule { local: true, ..ClientRule::default() }, wire(&OPENAI_CHAT, question), format!("local big: {question}")),
        (
            short(),
            wire(&OPENAI_CHAT, question),
            r#"big: {"model":"big","messages":[{"content":"Be short.","role":"system"},{"role":"user","content":"Why?"}],"z":1.0}"#.into(),
        ),
        (
            short(),
            wire(&ANTHROPIC, question),
            r#"big: {"system":"Be short.","model":"big","messages":[{"role":"user","content":"Why?"}],"z":1.0}"#.into(),
        ),
        (sampled(), wire(&OPENAI_CHAT, warm), format!("big: {warm}")),
        (sampled(), typed(), "big: Why? t=Some(0.2) m=Some(50)".into()),
        (
            ClientRule { temperature: Some(0.2), ..short() },
            wire(&OPENAI_CHAT, question),
            "big: Be short. | Why? t=Some(0.2) m=None".into(),
        ),
        (
            ClientRule { prompt: Some(template("{{ caller }} of {{ client }} asked {{ model }} on {{ date }}: {{ prompt }}")), ..ClientRule::default() },
            typed(),
            "big: anonymous of Raycast asked big on 2026-11-21: Why? | Why? t=None m=None".into(),
        ),
    ];
    for (rule, chat, expected) in table {
        let bench = Bench::with(rule.clone());
        let order = |text: &str| {
            text.replace(r#"{"content":"Be short.","role":"system"}"#, r#"{"role":"system","content":"Be short."}"#)
        };
        let asked: Vec<_> = bench.ask(Some("raycast"), chat).await.iter().map(|text| order(text)).collect();
        assert_eq!(asked, [order(&expected)], "{rule:?}");
    }
}

#[tokio::test]
async fn the_bytes_of_questions_with_tools_are_nobodys_to_touch() {
    let body = r#"{"model":"big", "tools":[{"name":"a"}],"messages":[{"role":"user","content":"Why?"}]}"#;
    let full = ClientRule {
        model: Some("fast".into()),
        prompt: Some(template("Be short.")),
        temperature: Some(0.1),
        ..ClientRule::default()
    };
    let rewrites = ClientRule { manner: rewriting(&["good"]), ..full.clone() };
    for rule in [full.clone(), rewrites] {
        assert_eq!(Bench::with(rule).ask(Some("raycast"), wire(&ANTHROPIC, body)).await, [format!("fast: {body}")]);
    }
    let told = ClientRule { temperature: None, touches_tools: true, ..full };
    let asked = Bench::with(told).ask(Some("raycast"), wire(&ANTHROPIC, body)).await;
    assert_eq!(asked, [format!(r#"fast: {{"system":"Be short.",{}"#, &body[1..])]);
}

#[tokio::test(start_paused = true)]
async fn a_small_model_rewrites_what_the_user_said() {
    let told = "Improve it. | Why? t=Some(0.3) m=Some(60)";
    let table: [(&[&str], &[&str], &str); 6] = [
        (&["good"], &["good"], "A better prompt."),
        (&["broken", "good"], &["broken", "good"], "A better prompt."),
        (&["mute", "cut", "good"], &["mute", "cut", "good"], "A better prompt."),
        (&["broken"], &["broken"], "Why?"),
        (&["silent", "good"], &["silent"], "Why?"),
        (&[], &[], "Why?"),
    ];
    for (models, asked, said) in table {
        let rule = ClientRule {
            prompt: Some(template("Improve it.")),
            manner: rewriting(models),
            temperature: Some(0.3),
            max_tokens: Some(60),
            local: true,
            ..ClientRule::default()
        };
        let expected: Vec<_> = asked
            .iter()
            .map(|model| format!("local {model}: {told}"))
            .chain([format!("local big: {said} t=None m=None")])
            .collect();
        assert_eq!(Bench::with(rule).ask(Some("raycast"), typed()).await, expected, "{models:?}");
    }
}

#[tokio::test]
async fn what_is_too_long_to_rewrite_passes_as_it_came() {
    let rule =
        ClientRule { prompt: Some(template("Improve it.")), manner: rewriting(&["good"]), ..ClientRule::default() };
    let body = r#"{"model":"big","messages":[{"role":"user","content":"More than four tokens."}]}"#;
    assert_eq!(Bench::with(rule).ask(Some("raycast"), wire(&OPENAI_CHAT, body)).await, [format!("big: {body}")]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_by_itself() {
    let rule = |words, manner| ClientRule { prompt: Some(template(words)), manner, ..ClientRule::default() };
    let improve = |models: &[&str]| rule("Improve it.", rewriting(models));
    let plain = |words| rule(words, Manner::default());
    let none = ClientRule::default;
    let table = [
        (Some("cursor"), none(), "Why?", None, Some("client \"cursor\" has no rule")),
        (None, none(), "Why?", None, Some("the request names no client")),
        (Some("raycast"), none(), "Why?", None, Some("the rule of client \"Raycast\" has no prompt")),
        (Some("raycast"), plain("Be short."), "Be short.\n\nWhy?", None, None),
        (Some("raycast"), plain("Asked: {{ prompt }}"), "Asked: Why?", None, None),
        (Some("raycast"), improve(&["mute", "good"]), "A better prompt.", Some("good"), None),
        (Some("raycast"), improve(&["broken"]), "Why?", None, Some("broken: it is not there")),
        (Some("raycast"), improve(&["cut"]), "Why?", None, Some("cut: its answer was cut short")),
        (Some("raycast"), improve(&["silent"]), "Why?", None, Some("silent: it took too long")),
    ];
    for (client, rule, prompt, model, unchanged) in table {
        let found = Bench::with(rule.clone()).rules.enhance(&cx(client), "Why?").await;
        let known = client == Some("raycast");
        let expected = Enhanced {
            client: known.then(|| "Raycast".into()),
            prompt: prompt.into(),
            model: model.map(Arc::from),
            unchanged: unchanged.map(str::to_owned),
        };
        assert_eq!(found, expected, "{rule:?}");
    }
}

#[tokio::test]
async fn a_template_may_say_where_the_users_words_stand() {
    let rule = ClientRule {
        prompt: Some(template("Improve: {{ prompt }}")),
        manner: rewriting(&["good"]),
        ..ClientRule::default()
    };
    let bench = Bench::with(rule);
    bench.rules.enhance(&cx(Some("raycast")), "Why?").await;
    assert_eq!(*bench.asked.lock(), ["good: Improve: Why? t=None m=None"]);
}
