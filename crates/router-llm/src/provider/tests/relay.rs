//! What is handed on as it is, and the versions of Anthropic's interface.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Method;
use router_core::{Caller, Cx, Kind, Reply, Upstream, chat::Meta};
use router_http::HttpClient;

use super::{
    super::{
        Api, Provider,
        ProviderKind::{Anthropic, OpenAi},
    },
    arrived, ask,
    mock::{Act, Mock, chunk, end, stream_head},
    provider, spec,
};
use crate::{
    dialect::anthropic::ANTHROPIC,
    relay::{Relay, Relayed},
};

const JSON: &str = "content-type: application/json\r\n";
const NEW: (&str, &str) = ("anthropic-version", "2026-10-21");

async fn hand_on(url: &str, method: Method, path: &str, body: &'static str) -> router_core::Result<Relayed> {
    let meta: Meta = [NEW, ("content-type", "multipart/form-data; boundary=x"), ("cookie", "c")].into_iter().collect();
    let relay =
        Relay { method, path: path.into(), area: "batches".into(), meta, body: Bytes::from_static(body.as_bytes()) };
    let cx = Cx::new(Arc::new(Caller::anonymous("r1")), Duration::from_secs(5));
    provider(Anthropic, None, url).call(&cx, relay).await
}

#[tokio::test]
async fn goes_out_under_our_credential_and_comes_back_as_it_is() {
    let head = "content-type: application/x-jsonl\r\nrequest-id: req_up\r\nset-cookie: s\r\n";
    for (method, path, body) in [
        (Method::GET, "/messages/batches?limit=2", ""),
        (Method::POST, "/files", "--x\r\n\0"),
        (Method::DELETE, "/messages/batches/b_1", ""),
    ] {
        let mut mock = Mock::answering("201 Created", head, "{ \"odd\" :1}\n{}").await;
        let relayed = hand_on(&mock.url, method.clone(), path, body).await.unwrap();
        let seen = mock.seen().await;
        assert_eq!((&seen.line, &*seen.body), (&format!("{method} /v1{path} HTTP/1.1"), body.as_bytes()));
        let sent = |name| seen.headers_named(name);
        assert_eq!(sent("x-api-key"), ["sk-ours"]);
        assert_eq!(sent("anthropic-version"), ["2026-10-21"]);
        assert_eq!(sent("content-type"), ["multipart/form-data; boundary=x"]);
        assert_eq!(sent("cookie"), [""; 0]);
        assert_eq!((relayed.status.as_u16(), relayed.provenance().upstream.as_deref()), (201, Some("anthropic")));
        let meta = Meta::from_iter([("request-id", "req_up"), ("content-type", "application/x-jsonl")]);
        assert_eq!(relayed.meta(), &meta);
        let pieces: Vec<Bytes> = relayed.into_body().map(|piece| piece.unwrap()).collect().await;
        assert_eq!(pieces.concat(), b"{ \"odd\" :1}\n{}");
    }
}

#[tokio::test]
async fn a_long_answer_streams_and_a_cut_one_is_no_end() {
    let writes = ["{}\n", "{}\n"].map(|line| chunk(line.as_bytes()));
    for (last, whole) in [(end(), true), (Act::Reset, false)] {
        let acts = [stream_head("application/x-jsonl")].into_iter().chain(writes.clone()).chain([last]);
        let mock = Mock::acting(acts).await;
        let relayed = hand_on(&mock.url, Method::GET, "/messages/batches/b/results", "").await.unwrap();
        let pieces: Vec<_> = relayed.into_body().collect().await;
        let broken = pieces.last().and_then(|last| last.as_ref().err()).map(router_core::Error::kind);
        assert_eq!(broken, (!whole).then_some(Kind::Protocol));
    }
}

#[tokio::test]
async fn a_refusal_is_the_providers_own_but_for_what_it_says_of_our_credential() {
    let told = r#"{"type":"error","error":{"type":"not_found_error","message":"no batch"}}"#;
    for (status, kind, words) in
        [("404 Not Found", Kind::NotFound, true), ("401 Unauthorized", Kind::Credential, false)]
    {
        let mock = Mock::answering(status, JSON, told).await;
        let error = hand_on(&mock.url, Method::GET, "/messages/batches/b", "").await.unwrap_err();
        assert_eq!((error.kind(), error.words().map(|words| &*words.body)), (kind, words.then_some(told.as_bytes())));
    }
}

#[tokio::test]
async fn a_query_string_goes_to_providers_of_the_same_dialect() {
    for (kind, address, line) in [
        (Anthropic, "", "POST /v1/messages?beta=true&x=%20 HTTP/1.1"),
        (Anthropic, "/v1/messages?tenant=1", "POST /v1/messages?tenant=1&beta=true&x=%20 HTTP/1.1"),
        (OpenAi, "", "POST /v1/chat/completions HTTP/1.1"),
    ] {
        let mut mock = Mock::answering("400 Bad Request", JSON, r#"{"error":{"message":"no"}}"#).await;
        let provider = provider(kind, None, &format!("{}{address}", mock.url));
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
        let chat = arrived(&ANTHROPIC, body, &[(crate::provider::QUERY, "beta=true&x=%20")], "m");
        ask(&provider, chat).await.unwrap_err();
        assert_eq!(mock.seen().await.line, line);
    }
}

/// A question with `fields`, and what becomes of it at another vendor's provider.
async fn refused(fields: &str, version: Option<&'static str>, strict_version: bool) -> Option<String> {
    let mock = Mock::answering("400 Bad Request", JSON, r#"{"error":{"message":"it arrived"}}"#).await;
    let spec = super::super::ProviderSpec { strict_version, ..spec(OpenAi, Some(Api::OpenAi), &mock.url) };
    let provider = Provider::new(spec, HttpClient::new(Duration::from_secs(3))).unwrap();
    let body: &str = Box::leak(format!(r#"{{"model":"m","max_tokens":9,{fields}}}"#).into_boxed_str());
    let meta: Vec<_> = version.into_iter().map(|version| ("anthropic-version", version)).collect();
    let error = ask(&provider, arrived(&ANTHROPIC, body, &meta, "m")).await.unwrap_err();
    (error.kind() == Kind::Invalid).then(|| error.to_string())
}

#[tokio::test]
async fn trap_50_what_a_version_no_longer_takes_is_refused_elsewhere_too() {
    let document = r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}"#;
    let remote = r#"{"type":"document","source":{"type":"url","url":"http://h/d.pdf"}}"#;
    let plain = r#""messages":[{"role":"user","content":"hi"}]"#;
    let said = |role: &str, blocks: &str| {
        format!(r#""system":"s","messages":[{{"role":"user","content":"q"}},{{"role":"{role}","content":[{blocks}]}}]"#)
    };
    let cited = |citations: &str| {
        format!(r#"{{"type":"text","text":"t"}},{{"type":"text","text":"t","citations":{citations}}}"#)
    };
    let unknown = "Input tag 'document' found using 'type' does not match any of the expected tags";
    let table = [
        (format!(r#""temperature":1.0,{plain}"#), Some("temperature: Extra inputs are not permitted".to_owned())),
        (format!(r#""top_p":0.9,{plain}"#), Some("top_p: Extra inputs are not permitted".to_owned())),
        (format!(r#""top_k":5,{plain}"#), Some("top_k: Extra inputs are not permitted".to_owned())),
        (said("assistant", document), Some(format!("messages.1.content.0: {unknown}"))),
        (said("assistant", remote), Some(format!("messages.1.content.0: {unknown}"))),
        (said("user", document), None),
        (
            said("user", &cited(r#"[{"type":"char_location"}]"#)),
            Some("messages.1.content.1.citations: Extra inputs are not permitted".to_owned()),
        ),
        (said("user", &cited("[]")), None),
        (said("user", &cited("null")), None),
        (plain.to_owned(), None),
    ];
    for (fields, expected) in table {
        assert_eq!(refused(&fields, Some("2026-10-21"), true).await, expected, "{fields}");
        let sampling = fields.contains("top_") || fields.contains("temperature");
        if sampling {
            for (version, strict) in [(Some("2023-06-01"), true), (None, true), (Some("2026-10-21"), false)] {
                assert_eq!(refused(&fields, version, strict).await, None, "{fields} {version:?} {strict}");
            }
        }
    }
}

#[tokio::test]
async fn its_own_provider_decides_what_a_version_takes() {
    let mut mock = Mock::answering("400 Bad Request", JSON, r#"{"error":{"message":"no"}}"#).await;
    let body = r#"{"model":"m","max_tokens":9,"temperature":1.0,"messages":[{"role":"user","content":"hi"}]}"#;
    let error = ask(&provider(Anthropic, None, &mock.url), arrived(&ANTHROPIC, body, &[NEW], "m")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    let seen = mock.seen().await;
    assert_eq!((seen.header("anthropic-version"), &*seen.body), (Some("2026-10-21"), body.as_bytes()));
}
