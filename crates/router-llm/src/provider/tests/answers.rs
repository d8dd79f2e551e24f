//! Every way to answer with one message, or not at all.

use std::time::Duration;

use router_core::{
    Error, Kind, Outcome, Reply,
    chat::{Chat, Dialect, Prompt, Shape},
};
use tokio::net::TcpListener;

use super::{
    super::ProviderKind::{Anthropic, LmStudio, Ollama, OpenAi},
    arrived, ask,
    mock::{Act, Mock, whole},
    provider, read,
};

const JSON: &str = "content-type: application/json\r\n";

/// Odd in its spaces, so that an encoder would be noticed.
const MESSAGE: &str = r#"{"id":"c1", "object":"chat.completion","created":1,"model":"gpt-4o-2024","choices":[{"index":0,"message":{"role":"assistant","content":"hé"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}, "x":1}"#;

fn question() -> Chat {
    Chat::of(Prompt::ask("hi"), "gpt-4o", Shape::Whole)
}

async fn failure(mock: &Mock) -> Error {
    ask(&provider(OpenAi, None, &mock.url), question()).await.unwrap_err()
}

#[tokio::test]
async fn one_message_comes_as_it_was_sent() {
    let lines =
        format!("{JSON}x-request-id: r9\r\nx-ratelimit-remaining-requests: 7\r\nset-cookie: a=b\r\nserver: x\r\n");
    let mock = Mock::answering("200 OK", &lines, MESSAGE).await;
    let reply = ask(&provider(OpenAi, None, &mock.url), question()).await.unwrap();
    assert_eq!((reply.shape, reply.dialect.map(Dialect::name)), (Shape::Whole, Some("openai")));
    let expect = [("x-request-id", "r9"), ("x-ratelimit-remaining-requests", "7")].into_iter().collect();
    assert_eq!(reply.meta, expect);
    assert_eq!(reply.provenance().upstream.as_deref(), Some("openai"));
    assert_eq!(reply.provenance().model.as_deref(), Some("gpt-4o"));
    let (frames, usage, error) = read(reply).await;
    assert_eq!((frames.concat(), usage.input, usage.output), (MESSAGE.as_bytes().to_vec(), 3, 2));
    assert!(error.is_none());
}

#[tokio::test]
async fn a_stream_that_was_asked_for_may_come_as_one_message() {
    let mock = Mock::answering("200 OK", JSON, MESSAGE).await;
    let streamed = Chat::of(Prompt::ask("hi"), "gpt-4o", Shape::Stream);
    let reply = ask(&provider(OpenAi, None, &mock.url), streamed).await.unwrap();
    assert_eq!(reply.shape, Shape::Whole);
    assert_eq!(read(reply).await.0.concat(), MESSAGE.as_bytes());
}

#[tokio::test]
async fn nobody_there_is_told_with_what_to_do() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = format!("no connection to {address}: Connection refused (os error 111)");
    let table = [
        (Ollama, "start it with `ollama serve`, or set `base_url` of provider ollama to where it listens"),
        (
            LmStudio,
            "start its server with `lms server start` or on the Developer page, or set `base_url` of provider lmstudio to where it listens",
        ),
        (OpenAi, "set `base_url` of provider openai to where it listens"),
    ];
    for (kind, hint) in table {
        let error = ask(&provider(kind, None, &format!("http://{address}")), question()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent));
        assert_eq!(error.to_string(), format!("{}: {refused} ({hint})", kind.as_str()));
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_providers_words() {
    let body = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;
    let mock = Mock::answering("429 Too Many Requests", &format!("{JSON}retry-after: 7\r\nserver: x\r\n"), body).await;
    let error = failure(&mock).await;
    assert_eq!((error.kind(), error.outcome()), (Kind::Limited, Outcome::Failed));
    assert_eq!(error.wait(), Some(Duration::from_secs(7)));
    assert_eq!(error.upstream().map(|name| &**name), Some("openai"));
    let words = error.words().unwrap();
    assert_eq!((words.status, &words.body[..], words.meta.len()), (429, body.as_bytes(), 1));
}

#[tokio::test]
async fn a_refused_key_is_told_without_the_providers_words() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let mock = Mock::answering(status, JSON, r#"{"error":{"message":"bad key sk-ours"}}"#).await;
        let error = failure(&mock).await;
        assert_eq!(error.kind(), Kind::Credential);
        assert!(error.words().is_none() && !error.to_string().contains("sk-ours"), "{error}");
        assert!(error.remedy().is_some());
    }
}

#[tokio::test]
async fn what_is_no_reply_is_a_fault_of_the_provider() {
    let whole_of = |lines: &'static str, body: &'static str| whole("200 OK", lines, body);
    let cut = Act::Send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"choices\":[".into());
    let table = [
        (whole_of(JSON, ""), "the answer was empty"),
        (whole_of(JSON, "\n \n"), "the answer was empty"),
        (whole_of(JSON, r#"{"choices":["#), "the answer is not JSON"),
        (whole_of(JSON, "\u{1}\u{2}garbage"), "the answer is not JSON"),
        (
            whole_of("content-type: text/html\r\n", "<html>"),
            "answered 200 with text/html where one message was asked for",
        ),
        (cut, "the answer was cut before its end"),
    ];
    for (act, expect) in table {
        let error = failure(&Mock::acting([act]).await).await;
        assert_eq!((error.kind(), error.message()), (Kind::Protocol, expect));
    }
}

#[tokio::test]
async fn an_error_under_a_status_of_success_is_a_failure() {
    let body = r#"{"error":{"message":"Provider returned error","code":503}}"#;
    let error = failure(&Mock::answering("200 OK", JSON, body).await).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    let words = error.words().unwrap();
    assert_eq!((words.status, &words.body[..]), (503, body.as_bytes()));

    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let mock = Mock::answering("200 OK", JSON, body).await;
    let error = ask(&provider(Anthropic, None, &mock.url), question()).await.unwrap_err();
    assert_eq!((error.kind(), error.words().map(|words| words.status)), (Kind::Unavailable, Some(529)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mock = Mock::answering("308 Permanent Redirect", "location: http://127.0.0.1:1/steal\r\n", "").await;
    let error = failure(&mock).await;
    assert_eq!(error.kind(), Kind::Protocol, "the configuration is at fault, not the question");
    assert_eq!(error.message(), "answered 308 and pointed to http://127.0.0.1:1/steal");
}

#[tokio::test]
async fn a_reset_after_sending_leaves_everything_open() {
    let error = failure(&Mock::acting([Act::Reset]).await).await;
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Unknown), "{error:?}");
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_request() {
    let mut mock = Mock::acting([Act::Hang]).await;
    let provider = provider(OpenAi, None, &mock.url);
    let chat = arrived(provider.language(), r#"{"model":"m","messages":[]}"#, &[], "m");
    let call = tokio::time::timeout(Duration::from_millis(50), ask(&provider, chat));
    assert!(call.await.is_err(), "the upstream hangs");
    mock.gone().await;
}

#[tokio::test]
async fn an_answer_that_is_dropped_half_way_closes_its_request() {
    let head = Act::Send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into());
    let mut mock = Mock::acting([head, Act::Hang]).await;
    let provider = provider(OpenAi, None, &mock.url);
    let call = tokio::time::timeout(Duration::from_millis(100), ask(&provider, question()));
    assert!(call.await.is_err(), "the rest never comes");
    mock.gone().await;
}
