//! Providers against upstreams on real sockets: what they are asked, and what becomes of every way to answer.

mod answers;
mod embeddings;
mod mock;
mod questions;
mod relay;
mod streams;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use router_core::{
    Caller, Cx, Error, Result, Secret, Upstream,
    chat::{Chat, ChatReply, Frame, Meta, Usage, Wire},
};
use router_http::HttpClient;

use super::{Api, Provider, ProviderKind, ProviderSpec};
use crate::dialect::Language;

/// A provider of `kind` at `url`, with a key.
fn spec(kind: ProviderKind, dialect: Option<Api>, url: &str) -> ProviderSpec {
    ProviderSpec {
        name: kind.as_str().into(),
        kind,
        dialect,
        base_url: Some(url.to_owned()),
        api_key: Some(Secret::new("sk-ours".to_owned())),
        headers: Vec::new(),
        strict_version: true,
    }
}

fn provider(kind: ProviderKind, dialect: Option<Api>, url: &str) -> Provider {
    Provider::new(spec(kind, dialect, url), HttpClient::new(Duration::from_secs(3))).unwrap()
}

/// A question as it came in, already routed to `model`.
fn arrived(language: &'static dyn Language, body: &'static str, meta: &[(&str, &str)], model: &str) -> Chat {
    let body = Bytes::from_static(body.as_bytes());
    let head = language.head(&body).unwrap();
    let wire = Wire { dialect: language, body, model: head.model_at, limit: head.limit_at, needs: head.needs };
    Chat::arrived(wire, meta.iter().copied().collect::<Meta>(), model, head.shape)
}

async fn ask(provider: &Provider, chat: Chat) -> Result<ChatReply> {
    provider.call(&Cx::new(Arc::new(Caller::anonymous("r1")), Duration::from_secs(5)), chat).await
}

/// All that came: the bytes, each frame for itself, and how it ended.
async fn read(reply: ChatReply) -> (Vec<Bytes>, Usage, Option<Error>) {
    let (mut reply, mut frames) = (reply, Vec::new());
    while let Some(frame) = reply.next().await {
        match frame {
            Ok(Frame::Wire { bytes, .. }) => frames.push(bytes),
            Ok(Frame::Events(events)) => panic!("decoded: {events:?}"),
            Err(error) => return (frames, reply.usage(), Some(error)),
        }
    }
    (frames, reply.usage(), None)
}
