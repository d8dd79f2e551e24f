//! Providers that are asked for vectors: where, in which words, and what becomes of their answers.

use router_core::{
    Kind, Reply,
    chat::OnLoss,
    embed::{Embed, Texts, Vectors, Wire},
};

use super::{
    super::ProviderKind::{Anthropic, Azure, Ollama, OpenAi},
    mock::Mock,
    *,
};
use crate::dialect::embeddings::{Language as EmbedLanguage, OLLAMA, OPENAI};

const JSON: &str = "content-type: application/json\r\n";
const TWO: &str = r#"{"object":"list", "data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}],"model":"own","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
const TWO_OF_OLLAMA: &str = r#"{"model":"own","embeddings":[[1,2],[3,4]],"prompt_eval_count":7}"#;

fn at_the_door(language: &'static dyn EmbedLanguage, body: &'static str, model: &str) -> Embed {
    let body = Bytes::from_static(body.as_bytes());
    let head = language.head(&body).unwrap();
    let wire = Wire { dialect: language, body, model: head.model_at, count: head.count };
    Embed::arrived(wire, [("openai-beta", "x"), ("authorization", "theirs")].into_iter().collect(), model)
}

fn own(model: &str) -> Embed {
    Embed::of(vec!["a".to_owned(), "b".to_owned()], model)
}

async fn embed(provider: &Provider, query: Embed) -> Result<Vectors> {
    provider.call(&Cx::new(Arc::new(Caller::anonymous("r1")), Duration::from_secs(5)), query).await
}

#[tokio::test]
async fn the_same_dialect_passes_in_its_own_bytes() {
    let mut mock = Mock::answering("200 OK", &format!("{JSON}x-request-id: r9\r\n"), TWO).await;
    let provider = provider(OpenAi, None, &mock.url);
    let question = r#"{"input" : [[1,2],[3]], "model":"alias", "user":"u","encoding_format":"base64"}"#;
    let vectors = embed(&provider, at_the_door(&OPENAI, question, "own")).await.unwrap();
    let seen = mock.seen().await;
    assert_eq!(seen.line, "POST /v1/embeddings HTTP/1.1");
    assert_eq!(seen.body, question.replace("alias", "own"));
    assert_eq!((seen.header("authorization"), seen.header("openai-beta")), (Some("Bearer sk-ours"), Some("x")));
    assert_eq!(vectors.bytes("openai").map(|bytes| &bytes[..]), Some(TWO.as_bytes()));
    assert_eq!((vectors.usage().input, vectors.meta.get("x-request-id")), (7, Some("r9")));
    assert_eq!(vectors.matrix().unwrap().values(), [1.0, 2.0, 3.0, 4.0], "decoded where somebody needs it");
    assert_eq!(vectors.provenance().model.as_deref(), Some("own"));
}

#[tokio::test]
async fn every_other_question_is_put_into_the_providers_words() {
    let ollama = r#"{"model":"alias","input":["a","b"],"keep_alive":1}"#;
    let openai = r#"{"model":"alias","input":["a","b"],"user":"u"}"#;
    let plain = r#"{"model":"own","input":["a","b"]}"#;
    let table = [
        (OpenAi, "", own("own"), TWO, "POST /v1/embeddings HTTP/1.1", ""),
        (OpenAi, "", at_the_door(&OLLAMA, ollama, "own"), TWO, "POST /v1/embeddings HTTP/1.1", "keep_alive"),
        (Ollama, "", at_the_door(&OPENAI, openai, "own"), TWO_OF_OLLAMA, "POST /api/embed HTTP/1.1", "user"),
        (
            Azure,
            "?api-version=2024-10-21",
            own("own"),
            TWO,
            "POST /openai/deployments/own/embeddings?api-version=2024-10-21 HTTP/1.1",
            "",
        ),
    ];
    for (kind, query, question, answer, line, lost) in table {
        let mut mock = Mock::answering("200 OK", JSON, answer).await;
        let provider = provider(kind, None, &format!("{}{query}", mock.url));
        let vectors = embed(&provider, question).await.unwrap();
        let seen = mock.seen().await;
        assert_eq!((seen.line.as_str(), &seen.body[..]), (line, plain.as_bytes()));
        assert!(!seen.mentions("theirs"));
        assert_eq!((vectors.bytes("openai"), vectors.bytes("ollama"), vectors.usage().input), (None, None, 7));
        assert_eq!(vectors.matrix().unwrap().values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(vectors.provenance().dropped.to_string(), lost);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let one = r#"{"data":[{"index":0,"embedding":[1]}]}"#;
    let inside = r#"{"error":{"message":"slow down","code":429}}"#;
    let twice = r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#;
    let table = [
        ("200 OK", one, Kind::Protocol, "answered with 1 vectors where 2 were asked for"),
        ("200 OK", r#"{"choices":[]}"#, Kind::Protocol, "the answer is no embeddings of openai"),
        ("200 OK", "", Kind::Protocol, "the answer was empty"),
        ("200 OK", inside, Kind::Limited, "slow down"),
        (
            "200 OK",
            twice,
            Kind::Protocol,
            "the answer's vectors cannot be read: one is numbered 0 where 1 should stand",
        ),
        ("429 Too Many Requests", r#"{"error":{"message":"later"}}"#, Kind::Limited, "later"),
        ("404 Not Found", r#"{"error":{"message":"no such model"}}"#, Kind::NotFound, "no such model"),
        ("500 Oops", "", Kind::Unavailable, "the provider answered with status 500 and no reason"),
    ];
    for (status, answer, kind, message) in table {
        let mock = Mock::answering(status, JSON, answer).await;
        let error = embed(&provider(OpenAi, None, &mock.url), own("m")).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message), "{status} {answer}");
        assert_eq!(error.upstream().map(|name| &**name), Some("openai"));
    }
    let mock = Mock::answering("200 OK", JSON, one).await;
    let passing = at_the_door(&OPENAI, r#"{"model":"m","input":["a","b"]}"#, "m");
    let error = embed(&provider(OpenAi, None, &mock.url), passing).await.unwrap_err();
    assert_eq!(error.message(), "answered with 1 vectors where 2 were asked for", "also where bytes pass");
}

#[tokio::test]
async fn what_has_no_words_there_is_refused_where_that_is_wished() {
    let mock = Mock::answering("200 OK", JSON, TWO).await;
    let texts = Texts { truncate: Some(true), ..Texts::clone(&own("m").texts().unwrap()) };
    let mut query = Embed::asking(texts, "m");
    query.on_loss = OnLoss::Reject;
    let error = embed(&provider(OpenAi, None, &mock.url), query).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Refused, "m cannot be told truncate"));
}

#[tokio::test]
async fn a_dialect_without_embeddings_says_so() {
    let error = embed(&provider(Anthropic, None, "http://127.0.0.1:1"), own("m")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "another candidate of an alias may have them");
    assert_eq!(
        error.to_string(),
        "anthropic: it is asked in the dialect \"anthropic\", which has no embeddings (ask a model of another provider: \
         `models: { embed: [ollama/nomic-embed-text] }`)"
    );
}
