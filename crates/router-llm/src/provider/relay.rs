//! Hands on what only the provider understands: under our credential, its bytes untouched both ways.

use std::sync::Arc;

use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt;
use router_core::{
    Cx, Error, Kind, Outcome, Reply, Result, Upstream,
    chat::{ChatReply, Frame, Meta, Shape},
};
use router_http::{Answer, Pieces};

use super::{Provider, answer, question};
use crate::relay::{Relay, Relayed};

/// What a body is said to be, by whoever wrote it.
const OF_A_BODY: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_DISPOSITION];

impl Upstream<Relay> for Provider {
    async fn call(&self, _: &Cx, relay: Relay) -> Result<Relayed> {
        let mut relayed = self.hand_on(relay).await.map_err(|error| self.told(error))?;
        relayed.provenance_mut().upstream = Some(Arc::clone(&self.name));
        Ok(relayed)
    }
}

impl Provider {
    async fn hand_on(&self, relay: Relay) -> Result<Relayed> {
        let (head, body) = self.client.send(self.relayed(relay)?).await?.into_parts();
        if !head.status.is_success() {
            let meta = answer::worth_keeping(&head.headers);
            return Err(answer::refusal(self.language, &head, &meta, body).await);
        }
        let told = OF_A_BODY.iter().filter_map(|name| Some((name.as_str(), head.headers.get(name)?.to_str().ok()?)));
        let kept = answer::worth_keeping(&head.headers);
        let meta: Meta = kept.iter().chain(told).collect();
        Ok(Relayed::new(head.status, ChatReply::wire(self.language, Shape::Stream, meta, frames(body))))
    }

    fn relayed(&self, relay: Relay) -> Result<Request<Pieces>> {
        let unsaid = |error| Error::new(Kind::Invalid, "the question cannot be put to the provider").because(error);
        let address = self.endpoint.beside(&relay.path)?.address("")?;
        let mut headers = question::headers(self, Some(&relay.meta), Shape::Whole);
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        for name in [header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(Ok(value)) = relay.meta.get(name.as_str()).map(HeaderValue::from_str) {
                headers.insert(name, value);
            }
        }
        let mut request =
            Request::builder().method(relay.method).uri(address).body(Pieces::from(relay.body)).map_err(unsaid)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn frames(body: Answer) -> impl futures_util::Stream<Item = Result<Frame>> + Send + 'static {
    body.into_data_stream().map(|piece| match piece {
        Ok(bytes) => Ok(Frame::Wire { bytes, usage: None }),
        Err(error) => Err(Error::new(Kind::Protocol, "the answer was cut before its end")
            .outcome_is(Outcome::Unknown)
            .because(error)),
    })
}
