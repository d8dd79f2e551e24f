//! Asks a provider for vectors: at the same address and with the same key as for chats, in the dialect's own words.

use std::sync::Arc;

use http::Request;
use router_core::{
    Cx, Error, Kind, Reply, Result, Upstream,
    chat::{Losses, Shape},
    embed::{Embed, Vectors},
};
use router_http::Pieces;

use super::{Api, Provider, answer, portions, question};
use crate::dialect::embeddings::{Language, OLLAMA, OPENAI};

/// The most inputs of one question, by OpenAI's API reference ("Create embeddings").
const MOST_INPUTS: usize = 2048;

/// How a provider is asked for vectors.
#[derive(Clone, Copy)]
struct Way {
    language: &'static dyn Language,
    /// Where, beside the interface for chats.
    place: &'static str,
    /// How many inputs one question may have.
    most: Option<usize>,
}

impl Way {
    /// The way of an interface; `None` where its dialect has no embeddings.
    fn of(api: Api) -> Option<Self> {
        match api {
            Api::OpenAi | Api::Responses => {
                Some(Self { language: &OPENAI, place: "/embeddings", most: Some(MOST_INPUTS) })
            }
            Api::Ollama => Some(Self { language: &OLLAMA, place: "/embed", most: None }),
            Api::Anthropic => None,
        }
    }
}

impl Provider {
    async fn vectors(&self, query: &Embed) -> Result<Vectors> {
        let Some(way) = Way::of(self.preset.api) else {
            let message = format!("it is asked in the dialect {:?}, which has no embeddings", self.preset.api.as_str());
            return Err(Error::new(Kind::NotFound, message)
                .hint("ask a model of another provider: `models: { embed: [ollama/nomic-embed-text] }`"));
        };
        match way.most {
            Some(most) if portions::count(query)? > most => {
                portions::asked(query, (way.language, most), |portion| self.ask_for_vectors(way, portion)).await
            }
            Some(_) | None => self.ask_for_vectors(way, query.clone()).await,
        }
    }

    async fn ask_for_vectors(&self, Way { language, place, .. }: Way, query: Embed) -> Result<Vectors> {
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
        let address = self.endpoint.beside(place)?.address(&query.model)?;
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
