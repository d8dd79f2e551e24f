//! `POST /enhance`: a prompt as its client's rule makes it, and nothing else.

use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, Response};
use router_llm::enhance::Enhanced;
use serde_json::{Value, json};

use super::{
    ASK_BYTES, Gate,
    ask::{Problem, Reader, json_response, unprocessable},
    read_body,
    reject::{self, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// What is to be made better, for whom.
#[derive(Debug, PartialEq)]
struct Draft {
    prompt: String,
    client: Option<String>,
}

impl Draft {
    fn read(body: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(body, "a `prompt`")?;
        let draft = Self { prompt: reader.needed("prompt", "the text to make better"), client: reader.text("client") };
        // Here nothing is kept that could be passed by.
        let _bypass = reader.flag("bypass_cache");
        reader.done("/enhance: prompt, client")?;
        Ok(draft)
    }
}

/// In our words.
pub async fn ours(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    answer(&gateway, visit, (headers, body), |_, made| {
        json!({
            "prompt": made.prompt,
            "client": made.client,
            "model": made.model,
            "enhanced": made.unchanged.is_none(),
            "reason": made.unchanged,
        })
    })
    .await
}

/// In the words of the routers that this one descends from, at their paths.
pub async fn theirs(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    answer(&gateway, visit, (headers, body), |original, made| {
        json!({
            "original": original,
            "enhanced": made.prompt,
            "model": made.model,
            "cached": false,
            "was_enhanced": made.unchanged.is_none(),
            "error": made.unchanged,
        })
    })
    .await
}

async fn answer(
    gateway: &Gateway,
    mut visit: Visit,
    (headers, body): (HeaderMap, Body),
    tell: impl FnOnce(&str, &Enhanced) -> Value,
) -> Response<Body> {
    let draft = match read_body(&headers, body, ASK_BYTES).await {
        Ok(body) => Draft::read(&body),
        Err(error) => return reject(&error, reject::Shape::Plain, &visit),
    };
    let draft = match draft {
        Ok(draft) => draft,
        Err(problems) => return unprocessable(&problems, &visit),
    };
    visit.name_client(draft.client.as_deref(), &gateway.models.rules);
    let made = gateway.models.rules.enhance(&visit.cx, &draft.prompt).await;
    json_response(&tell(&draft.prompt, &made), &visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_a_prompt_and_perhaps_a_client() {
        let draft =
            |prompt: &str, client: Option<&str>| Draft { prompt: prompt.into(), client: client.map(Into::into) };
        let table = [
            (r#"{"prompt": "hi"}"#, Ok(draft("hi", None))),
            (r#"{"prompt": "hi", "client": "raycast", "bypass_cache": true}"#, Ok(draft("hi", Some("raycast")))),
            (
                r#"{"client": 3}"#,
                Err("/prompt is missing: the text to make better; /client must be a text that is not empty"),
            ),
            (r#"{"prompt": "hi", "prmopt": 1}"#, Err("/prmopt is not a field of /enhance: prompt, client")),
            ("[]", Err(" the body must be a JSON object with a `prompt`")),
        ];
        for (body, expected) in table {
            let read = Draft::read(body.as_bytes());
            let told = read.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            assert_eq!(told, expected.map_err(str::to_owned), "{body}");
        }
    }
}
