//! What providers are asked: place, key, headers and body.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use router_core::{
    Caller, Cx, Kind, Outcome, Raw, Reply, Secret, Upstream,
    chat::{Chat, Part, Prompt, Reference, Shape, ToolSpec, fold},
};
use router_http::HttpClient;

use super::{
    super::{
        Api, Provider,
        ProviderKind::{self, Anthropic, Azure, Compatible, LmStudio, Ollama, OpenAi, OpenRouter},
    },
    arrived, ask,
    mock::Mock,
    provider, spec,
};

const JSON: &str = "content-type: application/json\r\n";

/// One reply that every dialect takes for an error, so that it does not matter which one is asked.
async fn indifferent() -> Mock {
    Mock::answering("400 Bad Request", JSON, r#"{"error":{"message":"no"}}"#).await
}

#[tokio::test]
async fn every_kind_is_asked_in_its_own_place_with_its_own_key() {
    let bearer = ("authorization", "Bearer sk-ours");
    let table = [
        (OpenAi, None, "/v1/chat/completions", bearer),
        (LmStudio, None, "/v1/chat/completions", bearer),
        (OpenRouter, None, "/api/v1/chat/completions", bearer),
        (Ollama, None, "/api/chat", bearer),
        (Anthropic, None, "/v1/messages", ("x-api-key", "sk-ours")),
        (Azure, None, "/openai/v1/chat/completions", ("api-key", "sk-ours")),
        (LmStudio, Some(Api::Anthropic), "/v1/messages", bearer),
        (OpenRouter, Some(Api::Anthropic), "/api/v1/messages", bearer),
        (Ollama, Some(Api::OpenAi), "/v1/chat/completions", bearer),
        (Ollama, Some(Api::Anthropic), "/v1/messages", bearer),
        (Compatible, Some(Api::Ollama), "/api/chat", bearer),
    ];
    for (kind, dialect, path, (header, key)) in table {
        let mut mock = indifferent().await;
        let provider = provider(kind, dialect, &mock.url);
        let refused = ask(&provider, Chat::of(Prompt::ask("hi"), "m", Shape::Whole)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.outcome()), (Kind::Refused, Outcome::Failed), "{kind:?}");
        let seen = mock.seen().await;
        assert_eq!(seen.line, format!("POST {path} HTTP/1.1"), "{kind:?}");
        assert_eq!(seen.headers_named(header), [key], "{kind:?}");
        let keys = ["authorization", "x-api-key", "api-key"].map(|name| seen.header(name)).into_iter().flatten();
        assert_eq!(keys.count(), 1, "{kind:?} is told its key once");
        assert_eq!(seen.header("anthropic-version"), (provider.preset.api == Api::Anthropic).then_some("2023-06-01"));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!((&body["model"], body["messages"][0]["role"].as_str()), (&"m".into(), Some("user")), "{kind:?}");
    }
}

#[tokio::test]
async fn an_older_azure_is_asked_by_deployment() {
    let mut mock = indifferent().await;
    let provider = provider(Azure, None, &format!("{}?api-version=2024-10-21", mock.url));
    ask(&provider, Chat::of(Prompt::ask("hi"), "my gpt", Shape::Whole)).await.unwrap_err();
    let path = "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
    assert_eq!(mock.seen().await.line, format!("POST {path} HTTP/1.1"));
}

/// Spaces, an unknown field, an escape and an order of keys that no encoder of ours would write.
const ODD: &str = r#"{ "x_unknown":[1, 2.50,1e3], "messages":[ {"content":"h\u00e9 \/","role":"user"} ],"stream":false, "model" : "big" ,"max_tokens":9}"#;

#[tokio::test]
async fn a_question_in_the_providers_dialect_is_spliced() {
    let kinds = [
        (OpenAi, None),
        (Anthropic, None),
        (Ollama, None),
        (Azure, None),
        (LmStudio, None),
        (OpenRouter, None),
        (OpenAi, Some(Api::Responses)),
    ];
    for (kind, dialect) in kinds {
        for (model, written) in [("big", "\"big\""), ("org/gpt \"4\"", "\"org/gpt \\\"4\\\"\"")] {
            let mut mock = indifferent().await;
            let provider = provider(kind, dialect, &mock.url);
            ask(&provider, arrived(provider.language(), ODD, &[], model)).await.unwrap_err();
            let seen = mock.seen().await;
            assert_eq!(seen.body, ODD.replace("\"big\"", written), "{kind:?}");
            assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_refers_to_a_kept_reply_is_written_out_for_everybody_but_who_keeps_it() {
    const ASKED: &str = r#"{"model":"m","previous_response_id":"resp_1","input":"and?"}"#;
    const WHOLE: &str = r#"{"model":"m","input":[{"role":"user","content":"first"},{"role":"user","content":"and?"}]}"#;
    let cases = [
        (OpenAi, Some("openai"), true),
        (OpenAi, Some("other"), false),
        (OpenAi, None, false),
        (Ollama, Some("ollama"), false),
    ];
    for (kind, kept_by, as_it_came) in cases {
        let mut mock = indifferent().await;
        let provider = provider(kind, Some(Api::Responses), &mock.url);
        let reference = Reference { kept_by: kept_by.map(Into::into), whole: WHOLE.into() };
        ask(&provider, arrived(provider.language(), ASKED, &[], "m").referring(reference)).await.unwrap_err();
        let body: serde_json::Value = serde_json::from_slice(&mock.seen().await.body).unwrap();
        assert_eq!(body.get("previous_response_id").is_some(), as_it_came, "{kind:?} {kept_by:?}");
        assert_eq!(body["input"][0]["content"][0]["text"] == "first", !as_it_came, "{kind:?} {kept_by:?}");
    }
}

#[tokio::test]
async fn what_the_client_says_of_himself_goes_on_and_his_key_does_not() {
    let meta = [
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "a,b"),
        ("user-agent", "claude-cli/2.1"),
        ("x-stainless-lang", "js"),
        ("authorization", "Bearer canary"),
        ("x-api-key", "canary"),
        ("api-key", "canary"),
        ("cookie", "canary=1"),
        ("proxy-authorization", "canary"),
        ("host", "canary"),
        ("content-length", "1"),
        ("accept-encoding", "gzip"),
    ];
    let mut mock = indifferent().await;
    let provider = provider(Anthropic, None, &mock.url);
    ask(&provider, arrived(provider.language(), ODD, &meta, "m")).await.unwrap_err();
    let seen = mock.seen().await;
    for (name, value) in &meta[..4] {
        assert_eq!(seen.headers_named(name), [*value]);
    }
    assert_eq!((seen.header("x-api-key"), seen.header("accept-encoding")), (Some("sk-ours"), Some("identity")));
    assert!(!seen.mentions("canary"), "{seen:?}");
}

#[tokio::test]
async fn a_question_in_another_dialect_is_translated_without_the_clients_headers() {
    let mut mock = indifferent().await;
    let openai = Api::OpenAi.language();
    let provider = provider(Anthropic, None, &mock.url);
    let chat = arrived(openai, ODD, &[("user-agent", "canary"), ("openai-beta", "canary")], "claude");
    ask(&provider, chat).await.unwrap_err();
    let seen = mock.seen().await;
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&body["model"], &body["max_tokens"]), (&"claude".into(), &9.into()), "{body}");
    assert!(!seen.mentions("canary") && seen.header("user-agent").unwrap().starts_with("mcp-router/"), "{seen:?}");
}

#[tokio::test]
async fn a_thought_goes_back_to_the_account_that_had_it_and_to_nobody_else() {
    const SAID: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"KNOWN"},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"yes"}]}]}"#;
    const KNOWN: &str = r#"{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"KNOWN"},{"role":"user","content":"more"}]}"#;
    const GUESSED: &str = r#"{"model":"m","input":[{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"GUESSED"},{"role":"user","content":"more"}]}"#;
    const KEPT: &str =
        r#"{"model":"m","input":[{"type":"reasoning","id":"rs_3","summary":[]},{"role":"user","content":"more"}]}"#;
    const NONE: &str = r#"{"model":"m", "input":"more"}"#;
    let responses = Api::Responses.language();
    let stream = format!(
        "event: response.output_item.done\ndata: {{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{}}}\n\nevent: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{SAID}}}\n\n",
        r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"KNOWN"}"#
    );
    for shape in [Shape::Whole, Shape::Stream] {
        let mock = match shape {
            Shape::Whole => Mock::answering("200 OK", JSON, SAID).await,
            Shape::Stream => Mock::streaming("text/event-stream", [&stream]).await,
        };
        let openai = provider(OpenAi, Some(Api::Responses), &mock.url);
        let mut first = arrived(responses, NONE, &[], "m");
        first.shape = shape;
        let reply = ask(&openai, first).await.unwrap();
        assert!(reply.map(|frame| frame.is_ok()).all(|fine| async move { fine }).await);
        // The question, who is asked first by its name, who is asked: whether it goes as it came.
        let table = [
            (KNOWN, None, OpenAi, true),
            (KNOWN, Some("azure"), OpenAi, true),
            (KNOWN, None, Azure, false),
            (KNOWN, Some("azure"), Azure, false),
            (GUESSED, None, Azure, true),
            (GUESSED, Some("azure"), Azure, true),
            (GUESSED, Some("openai"), Azure, false),
            (KEPT, Some("openai"), OpenAi, true),
            (KEPT, Some("openai"), Azure, false),
            (NONE, Some("openai"), Azure, true),
        ];
        for (body, home, kind, as_it_came) in table {
            let mut mock = indifferent().await;
            let asked = provider(kind, Some(Api::Responses), &mock.url).sharing(openai.shared.clone());
            let mut chat = arrived(responses, body, &[], "m");
            chat.home = home.map(Into::into);
            let cx = Cx::new(Arc::new(Caller::anonymous("r1")), Duration::from_secs(5));
            asked.call(&cx, chat).await.unwrap_err();
            let seen = mock.seen().await.body;
            assert_eq!(seen == body, as_it_came, "{body} {home:?} {kind:?}");
            assert_eq!(memchr::memmem::find(&seen, b"reasoning").is_some(), as_it_came && body != NONE);
            let lost = if as_it_came { "" } else { "reasoning.encrypted_content" };
            assert_eq!(cx.trail().dropped().to_string(), lost, "{body} {home:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn openrouters_fields_do_not_follow_a_question_to_who_refuses_them() {
    const BODY: &str = r#"{"model":"m", "messages":[{"role":"user","content":"hi"}],"provider":{"order":["a"]},"plugins":[],"transforms":["middle-out"],"seed":1,"zeta":1.0}"#;
    let openai = Api::OpenAi.language();
    for (home, kind, as_it_came) in [
        (Some("openrouter"), OpenAi, false),
        (Some("openrouter"), Azure, false),
        (Some("openai"), OpenAi, true),
        (None, OpenAi, true),
        (Some("openrouter"), OpenRouter, true),
        (Some("openrouter"), LmStudio, true),
    ] {
        let mut mock = indifferent().await;
        let mut chat = arrived(openai, BODY, &[], "m");
        chat.home = home.map(Into::into);
        let cx = Cx::new(Arc::new(Caller::anonymous("r1")), Duration::from_secs(5));
        provider(kind, Some(Api::OpenAi), &mock.url).call(&cx, chat).await.unwrap_err();
        let seen = mock.seen().await.body;
        assert_eq!(seen == BODY, as_it_came, "{home:?} {kind:?}");
        let body: serde_json::Value = serde_json::from_slice(&seen).unwrap();
        let fields = ["provider", "plugins", "transforms", "seed", "zeta"].map(|field| body.get(field).is_some());
        assert_eq!(fields, [as_it_came, as_it_came, as_it_came, true, true], "{home:?} {kind:?}");
        let lost = if as_it_came { "" } else { "provider, transforms, plugins" };
        assert_eq!(cx.trail().dropped().to_string(), lost, "{home:?} {kind:?}");
    }
}

#[tokio::test]
async fn lm_studio_is_given_a_schema_where_any_json_will_do() {
    let said = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"format":"json","stream":false}"#;
    for (kind, expected) in [
        (LmStudio, r#"{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}}"#),
        (Compatible, r#"{"type":"json_object"}"#),
    ] {
        let mut mock = indifferent().await;
        ask(&provider(kind, Some(Api::OpenAi), &mock.url), arrived(Api::Ollama.language(), said, &[], "m"))
            .await
            .unwrap_err();
        let body: serde_json::Value = serde_json::from_slice(&mock.seen().await.body).unwrap();
        assert_eq!(body["response_format"].to_string(), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn openrouter_is_told_which_program_asks_and_nobody_else_is() {
    let meta = [("http-referer", "https://app.example"), ("x-title", "App")];
    for (kind, dialect, expected) in [
        (OpenRouter, Api::OpenAi, true),
        (OpenRouter, Api::Anthropic, true),
        (OpenAi, Api::OpenAi, false),
        (LmStudio, Api::Anthropic, false),
    ] {
        let mut mock = indifferent().await;
        let provider = provider(kind, Some(dialect), &mock.url);
        // In its own dialect or another's: who asks is the same.
        ask(&provider, arrived(Api::OpenAi.language(), ODD, &meta, "m")).await.unwrap_err();
        let seen = mock.seen().await;
        let told = meta.map(|(name, value)| seen.header(name) == Some(value));
        assert_eq!(told, [expected; 2], "{kind:?} {dialect:?} {seen:?}");
    }
}

#[tokio::test]
async fn foundrys_models_are_told_to_look_at_every_field() {
    for (place, expected) in [
        ("/models?api-version=2024-05-01-preview", Some("pass-through")),
        ("?api-version=2024-10-21", None),
        ("", None),
    ] {
        let mut mock = indifferent().await;
        let provider = provider(Azure, None, &format!("{}{place}", mock.url));
        ask(&provider, Chat::of(Prompt::ask("hi"), "m", Shape::Whole)).await.unwrap_err();
        assert_eq!(mock.seen().await.header("extra-parameters"), expected, "{place:?}");
    }
}

#[tokio::test]
async fn the_operators_headers_beat_every_other() {
    let mut mock = indifferent().await;
    let mut spec = spec(OpenAi, None, &mock.url);
    spec.api_key = None;
    spec.headers =
        ["authorization", "user-agent"].map(|name| (name.to_owned(), Secret::new("theirs".to_owned()))).into();
    let provider = Provider::new(spec, HttpClient::new(std::time::Duration::from_secs(3))).unwrap();
    ask(&provider, arrived(provider.language(), ODD, &[("user-agent", "client")], "m")).await.unwrap_err();
    let seen = mock.seen().await;
    assert_eq!((seen.header("authorization"), seen.headers_named("user-agent")), (Some("theirs"), vec!["theirs"]));
}

#[test]
fn a_description_that_cannot_work_is_refused() {
    let build = |kind: ProviderKind, dialect, url: Option<&str>, key: Option<&str>, header: Option<(&str, &str)>| {
        let mut spec = spec(kind, dialect, "");
        spec.base_url = url.map(str::to_owned);
        spec.api_key = key.map(|key| Secret::new(key.to_owned()));
        spec.headers =
            header.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).into_iter().collect();
        Provider::new(spec, HttpClient::new(std::time::Duration::from_secs(3))).map(|_| ()).map_err(|e| e.to_string())
    };
    let table = [
        (build(OpenAi, None, None, None, None), "it answers nobody without a key (set `api_key` of provider openai)"),
        (
            build(Azure, None, None, Some("k"), None),
            "its base_url is missing (Azure: `https://RESOURCE.openai.azure.com`; other servers: where they listen)",
        ),
        (
            build(Anthropic, Some(Api::OpenAi), None, Some("k"), None),
            "a provider of kind anthropic does not speak \"openai\" (it speaks anthropic)",
        ),
        (build(OpenAi, None, None, Some("can\nary"), None), "the value of api_key holds what no header may hold"),
        (build(Ollama, None, None, None, Some(("a b", "c"))), "\"a b\" is no name of a header"),
    ];
    for (outcome, expect) in table {
        assert_eq!(outcome, Err(expect.to_owned()));
    }
    assert_eq!(build(Ollama, None, None, None, None), Ok(()));
    assert_eq!(build(OpenAi, None, Some("http://localhost:1"), None, None), Ok(()));
}

#[tokio::test]
async fn a_tool_that_was_spelled_otherwise_gets_its_name_back() {
    let name = "a_tool_with_a_name_".repeat(5);
    let prompt = Prompt {
        tools: vec![ToolSpec {
            name: name.clone(),
            description: None,
            schema: Raw::trusted("{\"type\":\"object\"}"),
            strict: None,
        }],
        ..Prompt::ask("hi")
    };
    let provider = provider(OpenAi, None, "http://localhost:1");
    let spelled = provider.language().respelled(&prompt).remove(0).0;
    let call = serde_json::json!({
        "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": { "role": "assistant", "content": null,
            "tool_calls": [{ "id": "t1", "type": "function", "function": { "name": &spelled, "arguments": "{}" } }] } }],
    });
    let mut mock = Mock::answering("200 OK", JSON, call.to_string()).await;
    let provider = super::provider(OpenAi, None, &mock.url);
    let reply = ask(&provider, Chat::of(prompt, "gpt-4o", Shape::Whole)).await.unwrap();
    assert_eq!(reply.provenance().model.as_deref(), Some("gpt-4o"));
    let events = reply.into_events().map(Result::unwrap).collect::<Vec<_>>().await;
    assert_eq!(fold(events).message.parts, [Part::ToolUse { id: "t1".into(), name, input: Raw::trusted("{}") }]);
    assert!(mock.seen().await.body.windows(spelled.len()).any(|window| window == spelled.as_bytes()));
}
