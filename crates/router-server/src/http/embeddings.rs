//! Vectors of texts, at the doors of either dialect.

use std::{sync::Arc, time::Duration};

use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, HeaderValue, Response, header};
use router_core::{
    Reply, Result, Upstream,
    embed::{Embed, Vectors, Wire},
};
use router_llm::{
    dialect::embeddings::{Head, Language, OLLAMA, OLLAMA_PROMPT, OPENAI, Told},
    models::{self, ModelCard},
};
use tokio::time::Instant;

use super::{
    CHAT_BYTES, Gate,
    chat::worth_forwarding,
    read_body,
    reject::{self, forward, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// What every one of these doors is given.
type Visitor = Extension<Visit>;

/// `POST /v1/embeddings`.
pub async fn openai(state: State<Arc<Gateway>>, visit: Visitor, headers: HeaderMap, body: Body) -> Response<Body> {
    answer(state, visit, &OPENAI, (headers, body)).await
}

/// `POST /api/embed`.
pub async fn ollama(state: State<Arc<Gateway>>, visit: Visitor, headers: HeaderMap, body: Body) -> Response<Body> {
    answer(state, visit, &OLLAMA, (headers, body)).await
}

/// `POST /api/embeddings`, the older one.
pub async fn ollama_prompt(state: Gate, visit: Visitor, headers: HeaderMap, body: Body) -> Response<Body> {
    answer(state, visit, &OLLAMA_PROMPT, (headers, body)).await
}

async fn answer(
    State(gateway): Gate,
    Extension(visit): Visitor,
    language: &'static dyn Language,
    (headers, body): (HeaderMap, Body),
) -> Response<Body> {
    let asked = Asked::read(language, headers, body).await.map(|asked| asked.untagged(&gateway.models.cards));
    let started = Instant::now();
    let told = match asked {
        Ok(asked) => {
            let vectors = gateway.models.embeddings.call(&visit.cx, asked.embed.clone()).await;
            vectors.and_then(|vectors| asked.tell(&vectors, started.elapsed(), &visit))
        }
        Err(error) => Err(error),
    };
    told.unwrap_or_else(|error| reject(&error, reject::Shape::Dialect(language.chats()), &visit))
}

/// A question as it stands at the door.
struct Asked {
    language: &'static dyn Language,
    head: Head,
    embed: Embed,
}

impl Asked {
    async fn read(language: &'static dyn Language, headers: HeaderMap, body: Body) -> Result<Self> {
        let body = read_body(&headers, body, CHAT_BYTES).await?;
        let head = language.head(&body)?;
        let wire = Wire { dialect: language, body, model: head.model_at.clone(), count: head.count };
        let embed = Embed::arrived(wire, worth_forwarding(&headers), head.model.as_str());
        Ok(Self { language, head, embed })
    }

    /// The same question to the model that it means, as chats have it: `embed:latest` is `embed`.
    fn untagged(mut self, cards: &[ModelCard]) -> Self {
        if let Some(name) = models::untagged(cards, &self.head.model).map(Arc::from) {
            self.embed.model = name;
        }
        self
    }

    /// The answer in the client's dialect: in its upstream's bytes where those are written in it, but for the model's
    /// name.
    fn tell(&self, vectors: &Vectors, took: Duration, visit: &Visit) -> Result<Response<Body>> {
        let (language, model) = (self.language, self.head.model.as_str());
        let mut headers = HeaderMap::with_capacity(16);
        let body = match vectors.bytes(language.name()) {
            Some(bytes) => {
                forward(&mut headers, vectors.meta.iter());
                language.chats().rename(bytes, model).unwrap_or_else(|| bytes.clone())
            }
            None => {
                let told = Told { model, usage: vectors.usage(), numbers: self.head.numbers, took };
                let matrix = vectors.matrix()?;
                language.write(&matrix, &told)
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        visit.sign(&mut headers, vectors.provenance());
        let mut response = Response::new(Body::from(body));
        *response.headers_mut() = headers;
        Ok(response)
    }
}
