//! Writes a question for a provider: the bytes it arrived in where they will do, newly encoded otherwise.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use router_core::{
    Error, Kind, Outcome, Result,
    chat::{Chat, Losses, Meta, OnLoss, Shape, Wire},
};
use router_http::Pieces;

use super::{Api, Provider, ProviderKind, window::Counted};
use crate::dialect::{Amend, Ask, Framing, Quirks, anthropic::strict};

/// The version of Anthropic's interface that a question of our own making is written in.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Who asks, where the client did not say who he is.
const USER_AGENT: (&str, &str) = ("user-agent", concat!("mcp-router/", env!("CARGO_PKG_VERSION")));

/// What of a client's metadata goes on to a provider of his dialect. Credentials never do: they are for us.
const FORWARDED: [&str; 5] = ["anthropic-version", "anthropic-beta", "openai-beta", "user-agent", "x-app"];

/// The name in a chat's metadata of the query string it came with. No header can have it.
pub const QUERY: &str = ":query";

/// How a program tells OpenRouter its name, whichever dialect it speaks.
const TOLD_TO_OPENROUTER: [&str; 4] = ["http-referer", "x-title", "x-openrouter-title", "x-openrouter-categories"];

/// The same, by what the name begins with.
const FORWARDED_PREFIX: &str = "x-stainless-";

/// A question, ready to be sent.
pub(super) struct Question {
    pub(super) request: Request<Pieces>,
    /// What is to be done to the reply because of how it is written.
    pub(super) amend: Amend,
    /// What of it the provider's dialect has no words for.
    pub(super) dropped: Losses,
}

/// The bytes of a question, where they can go to the provider as they are.
pub(super) fn as_it_is<'a>(provider: &Provider, chat: &'a Chat) -> Option<&'a Wire> {
    let own = if provider.preset.kind.keeps_replies() { Some(&provider.name) } else { None };
    let spoken = chat.wire_for(own).filter(|wire| wire.dialect.name() == provider.language.name());
    let takes = |body| provider.takes_all(chat, body) && provider.reads_all(chat, body);
    spoken.filter(|wire| provider.language.carries(&wire.body) && takes(&wire.body))
}

/// Writes `chat` for `provider`.
pub(super) fn write(provider: &Provider, chat: &Chat, counted: Option<Counted>) -> Result<Question> {
    let mut dropped = Losses::default();
    let (body, amend) = match as_it_is(provider, chat) {
        Some(wire) => (question_of(wire, chat)?, Amend::default()),
        None => encode(provider, chat, counted, &mut dropped)?,
    };
    refuse_losses(chat.on_loss, &chat.model, &dropped)?;
    let at_home = chat.origin() == Some(provider.language.name());
    let query = chat.meta.get(QUERY).filter(|_| at_home);
    let mut request = Request::post(provider.endpoint.queried(&chat.model, query)?).body(body).map_err(|error| {
        Error::new(Kind::Internal, "the question for the provider could not be put into words").because(error)
    })?;
    *request.headers_mut() = headers(provider, at_home.then_some(&chat.meta), chat.shape);
    if provider.preset.kind == ProviderKind::OpenRouter {
        introduce(request.headers_mut(), &chat.meta);
    }
    Ok(Question { request, amend, dropped })
}

/// Refuses a question of which something would be lost, where that is not wanted.
pub(super) fn refuse_losses(on_loss: Option<OnLoss>, model: &str, dropped: &Losses) -> Result<()> {
    if on_loss == Some(OnLoss::Reject) && !dropped.is_empty() {
        let error = Error::new(Kind::Refused, format!("{model} cannot be told {dropped}"));
        let hint = "leave it out, or let it be dropped with `on_loss: degrade`";
        return Err(error.outcome_is(Outcome::NotSent).hint(hint));
    }
    Ok(())
}

/// The body of a chat as it came, but for the model's name, and for a limit of the answer that is more than the model has
/// room for. Nothing is copied, unless there is such a limit.
fn question_of(wire: &Wire, chat: &Chat) -> Result<Pieces> {
    match wire.limit.clone().zip(chat.cap) {
        Some((limit, cap)) => {
            let name = Bytes::from(serde_json::Value::from(&*chat.model).to_string());
            lowered(&wire.body, [(wire.model.clone(), name), (limit, cap.to_string().into())])
        }
        None => splice(&wire.body, &wire.model, &chat.model),
    }
}

/// The body as it came, but for the model's name, which stands `at` some place in it; nothing is copied.
pub(super) fn splice(body: &Bytes, at: &Range<usize>, model: &str) -> Result<Pieces> {
    let name = Bytes::from(serde_json::Value::from(model).to_string());
    match body.get(at.clone()) {
        Some(written) if *written == name => Ok(Pieces::from(body.clone())),
        Some(_) => Ok(Pieces::from([body.slice(..at.start), name, body.slice(at.end..)])),
        None => Err(Error::new(Kind::Internal, "the model's name stands outside of its question")),
    }
}

/// The body with two places of it written anew.
fn lowered(body: &Bytes, mut changes: [(Range<usize>, Bytes); 2]) -> Result<Pieces> {
    changes.sort_by_key(|(at, _)| at.start);
    let [(one, first), (two, second)] = changes;
    match (body.get(..one.start), body.get(one.end..two.start), body.get(two.end..)) {
        (Some(before), Some(between), Some(after)) => {
            Ok(Pieces::from(Bytes::from([before, &first, between, &second, after].concat())))
        }
        _ => Err(Error::new(Kind::Internal, "what is to be changed stands outside of its question")),
    }
}

fn encode(provider: &Provider, chat: &Chat, counted: Option<Counted>, losses: &mut Losses) -> Result<(Pieces, Amend)> {
    let prompt = chat.prompt()?;
    // A question that was changed here is ours, and no longer as its client wrote it.
    if provider.strict_version && chat.wire().is_some() && chat.origin() != Some(provider.language.name()) {
        strict::check(&prompt, chat.meta.get("anthropic-version"))?;
    }
    let own = provider
        .without_others_thoughts(chat, &prompt, losses)
        .or_else(|| provider.without_others_fields(chat, &prompt, losses));
    let prompt = own.as_ref().unwrap_or(&prompt);
    let known = provider.shared.known.of(&provider.name, &chat.model);
    let window = counted.map(|counted| counted.window);
    let quirks = Quirks { max_output: known.quirks.max_output.into_iter().chain(chat.cap).min(), ..known.quirks };
    let ask = Ask { shape: chat.shape, quirks: &quirks, window, ..Ask::of(prompt, &chat.model) };
    Ok((Pieces::from(provider.language.encode(&ask, losses)?), Amend::of(provider.language, &ask)))
}

/// The headers of a question that came with `meta`.
pub(super) fn headers(provider: &Provider, meta: Option<&Meta>, shape: Shape) -> HeaderMap {
    let mut headers = provider.headers.clone();
    let said = meta.into_iter().flat_map(Meta::iter).filter(|(name, _)| is_forwarded(name));
    let version = (provider.preset.api == Api::Anthropic).then_some(ANTHROPIC_VERSION);
    for (name, value) in said.chain(version).chain([USER_AGENT]) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.entry(name).or_insert(value);
        }
    }
    let accept = match (shape, provider.language.framing()) {
        (Shape::Stream, Framing::Sse) => "text/event-stream",
        (Shape::Stream, Framing::Ndjson) => "application/x-ndjson",
        (Shape::Whole, _) => "application/json",
    };
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static(accept));
    headers
}

/// Says which program asks; what the configuration says goes before it.
fn introduce(headers: &mut HeaderMap, meta: &Meta) {
    for name in TOLD_TO_OPENROUTER {
        if let Some(Ok(value)) = meta.get(name).map(HeaderValue::try_from) {
            headers.entry(name).or_insert(value);
        }
    }
}

fn is_forwarded(name: &str) -> bool {
    FORWARDED.contains(&name) || name.starts_with(FORWARDED_PREFIX)
}
