//! A chat at a front door, in any dialect: bytes in, the stack's answer, bytes out.

use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, future::Either, stream};
use http::{HeaderMap, HeaderValue, Response, header};
use router_core::{
    Error, Kind, Name, Provenance, Reply, Result, Upstream,
    chat::{Chat, ChatReply, Frame, Meta, Reference, Shape, Wire},
};
use router_llm::{
    dialect::{Framing, Language, ReplyWriter, Told, openai_completions},
    models::{self, ModelCard},
    provider::QUERY,
};
use tokio::time::timeout;

use super::{
    alive::alive,
    reject::{self, forward, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// When an upstream has said nothing for so long, the client is told that we are still here.
pub const SILENCE: Duration = Duration::from_secs(10);

/// A chat as it stands at the door.
pub struct Asked {
    language: &'static dyn Language,
    told: Told,
    chat: Chat,
    /// Told who answered in the dialect of the question, by who wants to know.
    speaker: Option<Arc<OnceLock<Name>>>,
}

impl Asked {
    /// Reads the head of a question, no more.
    pub fn read(language: &'static dyn Language, headers: &HeaderMap, body: Bytes, visit: &Visit) -> Result<Self> {
        let head = language.head(&body)?;
        let told = Told::of(visit.id(), head.model.as_str(), crate::clock::unix_seconds());
        let told = Told { usage: head.usage, repeated: language.repeated(&body), ..told };
        let wire = Wire { dialect: language, body, model: head.model_at, limit: head.limit_at, needs: head.needs };
        let mut chat = Chat::arrived(wire, worth_forwarding(headers), head.model, head.shape);
        (chat.keep, chat.on_loss) = (visit.keep, visit.on_loss);
        Ok(Self { language, told, chat, speaker: None })
    }

    /// The same question, that goes on from something said before.
    pub fn referring(mut self, reference: Option<Reference>) -> Self {
        if let Some(reference) = reference {
            self.chat = self.chat.referring(reference);
        }
        self
    }

    /// Tells `speaker` who answered, where he did so in the dialect of the question.
    pub fn heard(mut self, speaker: &Arc<OnceLock<Name>>) -> Self {
        self.speaker = Some(Arc::clone(speaker));
        self
    }

    /// Whether the client wants one message or a stream.
    pub fn shape(&self) -> Shape {
        self.chat.shape
    }

    /// The model it asks, by the name that leads to it.
    pub fn model(&self) -> &str {
        &self.chat.model
    }

    /// What the client is told beside the answer.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The same question to the model that it means: `big:latest`, as Ollama's clients have it, is `big`.
    #[must_use]
    pub fn untagged(mut self, cards: &[ModelCard]) -> Self {
        if let Some(name) = models::untagged(cards, &self.chat.model).map(Arc::from) {
            self.chat.model = name;
        }
        self
    }

    /// The same question with the query string it came with, which is for upstreams of the same dialect.
    #[must_use]
    pub fn with_query(mut self, query: Option<&str>) -> Self {
        if let Some(query) = query {
            self.chat.meta = self.chat.meta.iter().chain([(QUERY, query)]).collect();
        }
        self
    }

    /// The same question, understood at the door, where what cannot be carried is refused with nobody else's name to it.
    pub fn understood(self) -> Result<Self> {
        self.chat.prompt()?;
        Ok(self)
    }

    /// The same question, whose answer repeats it where it asks for that (OpenAI's legacy `echo`).
    pub fn repeating(self) -> Result<Self> {
        let mut asked = self.understood()?;
        asked.told.echo = asked.chat.wire().and_then(|wire| openai_completions::echoed(&wire.body));
        Ok(asked)
    }

    /// The question itself.
    pub fn into_chat(self) -> Chat {
        self.chat
    }

    /// The same question, to be answered as a stream whatever it says itself.
    pub fn streamed(mut self) -> Result<Self> {
        if self.chat.shape == Shape::Whole {
            self.chat.shape = Shape::Stream;
            // Its own bytes say otherwise, so they can no longer speak for it.
            self.chat.change(|_| ())?;
        }
        Ok(self)
    }
}

/// Asks the models and answers in the dialect of the question.
pub async fn answer(gateway: &Arc<Gateway>, visit: &Visit, asked: Asked) -> Response<Body> {
    let Asked { language, told, chat, speaker } = asked;
    let shape = chat.shape;
    let call = {
        let (gateway, cx) = (Arc::clone(gateway), visit.cx.clone());
        async move {
            let reply = gateway.models.all.call(&cx, chat).await?;
            if let (Some(speaker), Some(name)) = (speaker, &reply.provenance().upstream)
                && speaks(&reply, language)
            {
                speaker.get_or_init(|| Arc::clone(name));
            }
            Ok(reply)
        }
    };
    if shape == Shape::Whole {
        return match call.await {
            Ok(reply) => whole(language, told, reply, visit).await,
            Err(error) => reject(&error, reject::Shape::Dialect(language), visit),
        };
    }
    let mut call = Box::pin(call);
    match timeout(SILENCE, &mut call).await {
        Ok(Ok(reply)) => streamed(language, told, reply, visit),
        Ok(Err(error)) => reject(&error, reject::Shape::Dialect(language), visit),
        Err(_) => committed(language, told, call, visit),
    }
}

/// One body, however many frames it took.
async fn whole(language: &'static dyn Language, told: Told, reply: ChatReply, visit: &Visit) -> Response<Body> {
    let mut headers = signed(&reply, language, visit);
    match gather(language, told, reply).await {
        Ok(body) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            visit.bill(&mut headers);
            respond(headers, Body::from(body))
        }
        Err(error) => reject(&error, reject::Shape::Dialect(language), visit),
    }
}

async fn gather(language: &'static dyn Language, told: Told, reply: ChatReply) -> Result<Bytes> {
    let pieces: Vec<Bytes> = outgoing(language, told, reply, Shape::Whole).try_collect().await?;
    Ok(match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    })
}

fn streamed(language: &'static dyn Language, told: Told, reply: ChatReply, visit: &Visit) -> Response<Body> {
    let mut headers = signed(&reply, language, visit);
    stream_headers(&mut headers, language);
    let bytes = outgoing(language, told, reply, Shape::Stream);
    respond(headers, stream_body(language, bytes, visit))
}

/// The upstream is silent: the status goes out now, and what becomes of the call is told in the stream.
fn committed(
    language: &'static dyn Language,
    told: Told,
    call: Pin<Box<impl Future<Output = Result<ChatReply>> + Send + 'static>>,
    visit: &Visit,
) -> Response<Body> {
    let mut headers = HeaderMap::new();
    stream_headers(&mut headers, language);
    visit.sign(&mut headers, &Provenance::default());
    let bytes = stream::once(call).flat_map(move |answered| match answered {
        Ok(reply) => Either::Left(outgoing(language, told.clone(), reply, Shape::Stream)),
        Err(error) => Either::Right(stream::iter([Err(error)])),
    });
    let ping = stream::once(ready(Ok(language.ping())));
    respond(headers, stream_body(language, ping.chain(bytes), visit))
}

fn stream_body(
    language: &'static dyn Language,
    bytes: impl Stream<Item = Result<Bytes>> + Send + 'static,
    visit: &Visit,
) -> Body {
    let request_id = visit.id().to_owned();
    let mut last = Bytes::new();
    let told = bytes.map(move |next| {
        let next = next.unwrap_or_else(|error| {
            tracing::debug!(request_id, ?error, "a stream broke");
            language.error_event_after(&last, &error, &request_id)
        });
        // A frame that is held holds the buffer that it was read into.
        if language.numbers_events() {
            last = next.clone();
        }
        next
    });
    Body::from_stream(alive(told, SILENCE, language.ping()).map(Ok::<_, Infallible>))
}

fn signed(reply: &ChatReply, language: &'static dyn Language, visit: &Visit) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    if speaks(reply, language) {
        forward(&mut headers, reply.meta.iter());
    }
    visit.sign(&mut headers, reply.provenance());
    headers
}

fn stream_headers(headers: &mut HeaderMap, language: &'static dyn Language) {
    let content_type = match language.framing() {
        Framing::Sse => "text/event-stream; charset=utf-8",
        Framing::Ndjson => "application/x-ndjson",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

fn respond(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn speaks(reply: &ChatReply, language: &'static dyn Language) -> bool {
    reply.dialect.is_some_and(|dialect| dialect.name() == language.name())
}

/// The reply in the client's dialect: its own frames where it speaks it already, written anew otherwise.
pub fn outgoing(
    language: &'static dyn Language,
    told: Told,
    reply: ChatReply,
    shape: Shape,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    if speaks(&reply, language) && reply.shape == shape {
        let rename = reply.provenance().model.as_deref() != Some(told.model.as_str());
        Either::Left(reply.filter_map(move |frame| {
            let bytes = frame.map(|frame| match frame {
                Frame::Wire { bytes, .. } if rename => Some(language.rename(&bytes, &told.model).unwrap_or(bytes)),
                Frame::Wire { bytes, .. } => Some(bytes),
                Frame::Events(_) => None,
            });
            ready(bytes.transpose())
        }))
    } else {
        let Provenance { upstream, model, .. } = reply.provenance();
        let answered_by =
            upstream.as_deref().zip(model.as_deref()).map(|(upstream, model)| format!("{upstream}/{model}"));
        Either::Right(written(language.writer(Told { answered_by, ..told }, shape), reply))
    }
}

fn written(writer: Box<dyn ReplyWriter>, reply: ChatReply) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let events = Box::pin(reply.into_events().ready_chunks(64));
    let steps = stream::unfold(Some((events, writer)), |state| async move {
        let (mut events, mut writer) = state?;
        let (mut out, batch) = (Vec::new(), events.next().await);
        let over = batch.is_none();
        let outcome = match batch.map(until_error) {
            Some((good, bad)) => {
                let wrote = writer.write(good, &mut out);
                bad.map_or(wrote, Err)
            }
            None => writer.finish(&mut out),
        };
        let next = (!over && outcome.is_ok()).then_some((events, writer));
        // What came before an error is handed out, too.
        let said = Some(Bytes::from(out)).filter(|said| !said.is_empty());
        Some((stream::iter(said.map(Ok).into_iter().chain(outcome.err().map(Err))), next))
    });
    steps.flatten()
}

fn until_error<T>(batch: Vec<Result<T>>) -> (Vec<T>, Option<Error>) {
    let mut good = Vec::with_capacity(batch.len());
    for next in batch {
        match next {
            Ok(next) => good.push(next),
            Err(error) => return (good, Some(error)),
        }
    }
    (good, None)
}

/// The headers of a client that an upstream of the same dialect should see. Never a credential.
pub fn worth_forwarding(headers: &HeaderMap) -> Meta {
    const FAMILIES: [&str; 5] = ["anthropic-", "x-stainless-", "x-claude-code-", "openai-beta", "x-openrouter-"];
    const ALONE: [&str; 4] = ["user-agent", "x-app", "http-referer", "x-title"];
    let forwarded = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let wanted = ALONE.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family));
        wanted.then(|| value.to_str().ok().map(|value| (name, value))).flatten()
    });
    forwarded.collect()
}

/// Refuses a body that comes compressed: what is checked here is what is forwarded.
pub fn refuse_encoding(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding == "identity" => Ok(()),
        Some(encoding) => {
            let message = format!("the body is encoded as {encoding:?}");
            Err(Error::new(Kind::Invalid, message).hint("send it plain"))
        }
    }
}
