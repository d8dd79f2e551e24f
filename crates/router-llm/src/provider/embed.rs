//! Asks a provider for vectors: at the same address and with the same key as for chats, in the dialect's own words.

use std::sync::Arc;

use http::Request;
use router_core::{
    Cx, Error, Kind, Reply, Result, Upstream,
    chat::{Losses, Shape},
    embed::{Embed, Vectors},
};

use super::{Api, Provider, answer, question};
use crate::{
    client::Pieces,
    dialect::embeddings::{Language, OLLAMA, OPENAI},
};

/// How a provider is asked for vectors.
struct Way {
    language: &'static dyn Language,
    /// The interface for chats, as its address ends.
    chats: &'static str,
    /// The one for embeddings, which stands beside it.
    embeddings: &'static str,
}

impl Way {
    /// The way of an interface; `None` where its dialect has no embeddings.
    fn of(api: Api) -> Option<Self> {
        match api {
            Api::OpenAi => Some(Self { language: &OPENAI, chats: "/chat/completions", embeddings: "/embeddings" }),
            Api::Responses => Some(Self { language: &OPENAI, chats: "/responses", embeddings: "/embeddings" }),
            Api::Ollama => Some(Self { language: &OLLAMA, chats: "/chat", embeddings: "/embed" }),
            Api::Anthropic => None,
        }
    }
}

impl Provider {
    async fn vectors(&self, query: &Embed) -> Result<Vectors> {
        let Some(Way { language, chats, embeddings }) = Way::of(self.preset.api) else {
            let message = format!("it is asked in the dialect {:?}, which has no embeddings", self.preset.api.as_str());
            return Err(Error::new(Kind::NotFound, message)
                .hint("ask a model of another provider: `models: { embed: [ollama/nomic-embed-text] }`"));
        };
        let spoken = query.wire().filter(|wire| wire.dialect.name() == language.name());
        let mut dropped = Losses::default();
        let (body, expected) = match spoken {
            Some(wire) => (question::splice(&wire.body, &wire.model, &query.model)?, wire.count),
            None => {
                let texts = query.texts()?;
                let body = language.encode(&texts, &query.model, &mut dropped);
                (Pieces::from(body), texts.inputs.len())
            }
        };
        question::refuse_losses(Some(query.on_loss), &query.model, &dropped)?;
        let address = self.endpoint.beside(chats, embeddings)?.address(&query.model)?;
        let mut request = Request::post(address).body(body).map_err(|error| {
            Error::new(Kind::Internal, "the question for the provider could not be put into words").because(error)
        })?;
        *request.headers_mut() = question::headers(self, spoken.map(|_| &query.meta), Shape::Whole);
        let (meta, body) = answer::whole_body(self.language, self.client.send(request).await?).await?;
        let glance = language.glance(&body);
        match glance.count {
            Some(count) if count == expected => {}
            Some(count) => {
                let message = format!("answered with {count} vectors where {expected} were asked for");
                return Err(Error::new(Kind::Protocol, message));
            }
            None if glance.error => return Err(self.language.failure(200, &meta, body)),
            None => {
                return Err(Error::new(Kind::Protocol, format!("the answer is no embeddings of {}", language.name())));
            }
        }
        let mut vectors = match spoken {
            Some(_) => Vectors::wire(language, body, glance.usage),
            None => Vectors::of(language.matrix(&body)?, glance.usage),
        };
        vectors.meta = meta;
        vectors.provenance_mut().dropped = dropped;
        Ok(vectors)
    }
}

impl Upstream<Embed> for Provider {
    async fn call(&self, _: &Cx, query: Embed) -> Result<Vectors> {
        let mut vectors = self.vectors(&query).await.map_err(|error| self.told(error))?;
        let provenance = vectors.provenance_mut();
        provenance.upstream = Some(Arc::clone(&self.name));
        provenance.model = Some(query.model);
        Ok(vectors)
    }
}
