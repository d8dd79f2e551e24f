//! `POST /v1/messages/count_tokens`: how many tokens a question takes of the model it would go to.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, Response};
use router_core::Result;
use router_llm::{dialect::anthropic::ANTHROPIC, models::Tokenizer, tokens::Weight};
use serde_json::json;

use super::{
    CHAT_BYTES, Gate,
    chat::Asked,
    models, read_body,
    reject::{self, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// Counts a question.
pub async fn count(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let read = read_body(&headers, body, CHAT_BYTES).await;
    let counted = match read.and_then(|body| Asked::read(&ANTHROPIC, &headers, body, &visit)) {
        Ok(asked) => tokens(&gateway, &visit, asked).await,
        Err(error) => Err(error),
    };
    match counted {
        Ok(tokens) => models::json(&json!({ "input_tokens": tokens })),
        Err(error) => reject(&error, reject::Shape::Dialect(&ANTHROPIC), &visit),
    }
}

/// Asks Anthropic, where it is the one who would be asked the question; counts otherwise.
async fn tokens(gateway: &Gateway, visit: &Visit, asked: Asked) -> Result<u64> {
    let models = &gateway.models;
    let mut chat = asked.into_chat();
    let choice = models.names.choice(models.rules.model(&visit.cx, &chat.model))?;
    let Some(target) = choice.targets.first() else { return Ok(Weight::of(&chat).tokens(Tokenizer::default())) };
    chat.model = Arc::clone(&target.model);
    // The question of a client whose words stay on this machine is not sent away to be counted either.
    let may_leave = !models.rules.confined(visit.cx.clone()).is_local();
    if may_leave
        && let Some(provider) = models.vendors.get(&target.provider)
        && let Some(told) = provider.count(&chat).await
    {
        return Ok(told);
    }
    let known = models.known.of(&target.provider, &target.model);
    Ok(models.counter.estimate(&target.provider, &target.model, &known, &Weight::of(&chat)))
}
