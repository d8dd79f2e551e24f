//! `POST /ask`: a question in one line, an answer in one object.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    future::{Future, ready},
    sync::Arc,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::Either, stream};
use http::{HeaderValue, Response, StatusCode, header};
use router_core::{
    Cx, Error, Provenance, Reply, Result, Upstream,
    chat::{Chat, ChatReply, Event, Message, Prompt, Role, Shape, Usage, fold},
    scan,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    alive::alive,
    chat::SILENCE,
    models,
    reject::{self, reject},
    response_schema::{self, ResponseSchema},
    visit::Visit,
};
use crate::gateway::{Gateway, Models};

/// What keeps a silent stream alive.
const PING: Bytes = Bytes::from_static(b": ping\n\n");

/// A question, after every field was found good.
#[derive(Debug)]
pub struct Question {
    message: String,
    model: Option<String>,
    provider: Option<String>,
    client: Option<String>,
    user_id: Option<String>,
    context: Option<String>,
    stream: bool,
    max_tokens: Option<u64>,
    schema: Option<ResponseSchema>,
}

/// What is wrong with a question, and where.
#[derive(Debug, PartialEq, Serialize)]
pub struct Problem {
    pointer: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pointer, self.message)
    }
}

#[derive(Serialize)]
struct Answered<'a> {
    answer: &'a str,
    model: &'a str,
    provider: &'a str,
    usage: Value,
    cache: &'static str,
    source: &'static str,
    attempts: u32,
    request_id: &'a str,
}

/// Answers a question.
pub async fn ask(gateway: &Arc<Gateway>, visit: &Visit, body: &Bytes) -> Response<Body> {
    let question = match Question::read(body) {
        Ok(question) => question,
        Err(problems) => return unprocessable(&problems, visit),
    };
    let mut visit = visit.clone();
    visit.name_client(question.client.as_deref(), &gateway.models.rules);
    let model = match question.known_model(&gateway.models, &visit.cx) {
        Ok(model) => model,
        Err(problem) => return unprocessable(&[problem], &visit),
    };
    let (streamed, wanted) = (question.stream, question.schema.clone());
    // A text is no answer to who asked for an object.
    let default = gateway.models.default_text(&visit.cx, &model).filter(|_| wanted.is_none());
    let call = {
        let (gateway, cx) = (Arc::clone(gateway), visit.cx.clone());
        let mut chat = question.into_chat(model);
        (chat.keep, chat.on_loss) = (visit.keep, visit.on_loss);
        async move {
            let answered = gateway.models.all.call(&cx, chat).await;
            answered.or_else(|error| match default {
                Some((alias, text)) if error.is_transient() => Ok(gateway.says(&alias, &text, &error)),
                _ => Err(error),
            })
        }
    };
    if streamed { stream_answer(call, wanted, &visit).await } else { whole_answer(call, wanted, &visit).await }
}

impl Question {
    /// The model by its full name, for which somebody answers.
    fn known_model(&self, models: &Models, cx: &Cx) -> Result<Arc<str>, Problem> {
        let model = match self.model_at(models) {
            // What is asked for does not matter to a client whose rule names the model.
            Err(_) if self.provider.is_none() && models.rules.decides(cx) => "".into(),
            model => model?,
        };
        models.knows(cx, &model).map_err(|error| problem("/model", format!("leads nowhere: {error}")))?;
        Ok(model)
    }

    /// The model by its full name, or what is missing to know it.
    fn model_at(&self, models: &Models) -> Result<Arc<str>, Problem> {
        let (found, named) = match (&self.provider, &self.model) {
            (Some(provider), _) if !models.providers.contains(provider.as_str()) => {
                let known: Vec<_> = models.providers.iter().map(|name| &**name).collect();
                return Err(problem("/provider", format!("names {provider:?}, which is none of {}", known.join(", "))));
            }
            (Some(provider), Some(model)) => return Ok(format!("{provider}/{model}").into()),
            (None, Some(model)) => return Ok(model.as_str().into()),
            (Some(provider), None) => (models.defaults.get(provider.as_str()), format!("provider {provider}")),
            (None, None) => (models.default.as_ref(), "the default provider".to_owned()),
        };
        let missing = || format!("is needed: {named} has no model of its own (set `model` in its section)");
        found.cloned().ok_or_else(|| problem("/model", missing()))
    }

    fn into_chat(self, model: Arc<str>) -> Chat {
        let system = self.context.map(|context| Message::text(Role::System, context));
        let user = Message::text(Role::User, self.message);
        let prompt = Prompt {
            messages: system.into_iter().chain([user]).collect(),
            max_tokens: self.max_tokens,
            user: self.user_id,
            format: self.schema.map(ResponseSchema::format),
            ..Prompt::default()
        };
        Chat::of(prompt, model, if self.stream { Shape::Stream } else { Shape::Whole })
    }

    /// Reads a question and names everything that is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(body, "a `message`")?;
        let question = Self {
            message: reader.needed("message", "the text of the question"),
            model: reader.text("model"),
            provider: reader.text("provider"),
            client: reader.text("client"),
            user_id: reader.text("user_id"),
            context: reader.context(),
            stream: reader.flag("stream"),
            max_tokens: reader.count("max_tokens"),
            schema: reader.schema("response_schema"),
        };
        reader.done("/ask: message, model, provider, client, user_id, context, stream, max_tokens, response_schema")?;
        Ok(question)
    }
}

/// Takes the fields of a question one by one, and remembers what was wrong.
pub(super) struct Reader {
    fields: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Reader {
    /// The fields of a body, which has to be an object with `what`.
    pub(super) fn new(body: &[u8], what: &str) -> Result<Self, Vec<Problem>> {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, problems: doubled(body) }),
            Ok(_) => Err(vec![problem("", format!("the body must be a JSON object with {what}"))]),
            Err(error) => Err(vec![problem("", format!("the body is not JSON: {error}"))]),
        }
    }

    fn take<T>(&mut self, name: &str, want: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.fields.shift_remove(name).filter(|value| !value.is_null())?;
        let found = read(value);
        if found.is_none() {
            self.problems.push(problem(&format!("/{name}"), format!("must be {want}")));
        }
        found
    }

    /// A text that may be missing.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "a text that is not empty", filled)
    }

    /// A text that has to be there.
    pub(super) fn needed(&mut self, name: &str, what: &str) -> String {
        if self.fields.get(name).is_none_or(Value::is_null) {
            self.fields.shift_remove(name);
            self.problems.push(problem(&format!("/{name}"), format!("is missing: {what}")));
        }
        self.text(name).unwrap_or_default()
    }

    /// A text as it is, anything else as the JSON that it is.
    fn context(&mut self) -> Option<String> {
        self.take("context", "a text, an object or a list", |value| match value {
            Value::String(text) => Some(text),
            Value::Object(_) | Value::Array(_) => Some(value.to_string()),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        })
    }

    /// Yes or no; no, where nothing is said.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.take(name, "true or false", |value| value.as_bool()).unwrap_or_default()
    }

    /// A JSON schema, or what is wrong with it.
    fn schema(&mut self, name: &str) -> Option<ResponseSchema> {
        let schema = self.take(name, "a JSON Schema: an object", |value| value.is_object().then_some(value))?;
        let read = ResponseSchema::read(&schema);
        read.map_err(|why| self.problems.push(problem(&format!("/{name}"), format!("is no JSON Schema: {why}")))).ok()
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        self.take(name, "a whole number above 0", |value| value.as_u64().filter(|count| *count > 0))
    }

    /// Ends the reading: everything that was wrong, a field among it that is none of the front's.
    pub(super) fn done(mut self, front: &str) -> Result<(), Vec<Problem>> {
        let strange = self.fields.keys().map(|name| problem(&pointer(name), format!("is not a field of {front}")));
        self.problems.extend(strange);
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}

/// The fields that stand there twice: nobody could tell which one was meant.
fn doubled(body: &[u8]) -> Vec<Problem> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for (name, _) in scan::members(body) {
        let name: String = serde_json::from_slice(&[b"\"", name, b"\""].concat()).unwrap_or_default();
        if !seen.insert(name.clone()) {
            twice.insert(name);
        }
    }
    twice.iter().map(|name| problem(&pointer(name), "stands there a second time")).collect()
}

/// The JSON pointer to a field (RFC 6901).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn filled(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text).filter(|text| !text.trim().is_empty()) } else { None }
}

fn problem(pointer: &str, message: impl Into<String>) -> Problem {
    Problem { pointer: pointer.to_owned(), message: message.into() }
}

/// Everything that is wrong with a question, at once.
pub(super) fn unprocessable(problems: &[Problem], visit: &Visit) -> Response<Body> {
    let summary: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let body = json!({
        "error": { "type": "invalid", "message": summary.join("; ").trim_start(), "problems": problems },
        "request_id": visit.id(),
    });
    let mut response = json_response(&body, visit);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}

async fn whole_answer(
    call: impl Future<Output = Result<ChatReply>>,
    wanted: Option<ResponseSchema>,
    visit: &Visit,
) -> Response<Body> {
    let reply = match call.await {
        Ok(reply) => reply,
        Err(error) => return reject(&error, reject::Shape::Plain, visit),
    };
    let provenance = reply.provenance().clone();
    let events: Vec<Result<Event>> = reply.into_events().collect().await;
    let folded = match events.into_iter().collect::<Result<Vec<_>>>() {
        Ok(events) => fold(events),
        Err(error) => return reject(&error, reject::Shape::Plain, visit),
    };
    let answer = folded.message.said();
    let body = answered(&answer, folded.usage, &provenance, visit);
    let body = match response_schema::put(wanted.as_ref(), body, &provenance) {
        Ok(body) => body,
        Err(error) => return reject(&error, reject::Shape::Plain, visit),
    };
    let mut response = json_response(&body, visit);
    visit.sign(response.headers_mut(), &provenance);
    visit.bill(response.headers_mut());
    response
}

/// Server-sent events: `delta` with each piece of text, then `done` with all that a whole answer says. When the upstream
/// is silent for long, the status goes out before its answer, and what becomes of the call is told in the stream.
async fn stream_answer(
    call: impl Future<Output = Result<ChatReply>> + Send + 'static,
    wanted: Option<ResponseSchema>,
    visit: &Visit,
) -> Response<Body> {
    let mut call = Box::pin(call);
    match timeout(SILENCE, &mut call).await {
        Ok(Ok(reply)) => {
            let provenance = reply.provenance().clone();
            events(lines(reply, wanted, visit.clone()), &provenance, visit)
        }
        Ok(Err(error)) => reject(&error, reject::Shape::Plain, visit),
        Err(_) => {
            let asker = visit.clone();
            let answer = stream::once(call).flat_map(move |answered| match answered {
                Ok(reply) => Either::Left(lines(reply, wanted.clone(), asker.clone())),
                Err(error) => Either::Right(stream::iter([sse("error", &broken(&error, &asker))])),
            });
            events(stream::iter([PING]).chain(answer), &Provenance::default(), visit)
        }
    }
}

fn events(lines: impl Stream<Item = Bytes> + Send + 'static, provenance: &Provenance, visit: &Visit) -> Response<Body> {
    let body = alive(lines, SILENCE, PING).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    visit.sign(headers, provenance);
    response
}

fn lines(reply: ChatReply, wanted: Option<ResponseSchema>, visit: Visit) -> impl Stream<Item = Bytes> + Send {
    let provenance = reply.provenance().clone();
    let (mut answer, mut usage) = (String::new(), Usage::default());
    let ended = stream::once(ready(None));
    let lines = reply.into_events().map(Some).chain(ended).filter_map(move |event| {
        let line = match event {
            Some(Ok(Event::Text(text))) => {
                answer.push_str(&text);
                Some(sse("delta", &json!({ "text": text })))
            }
            Some(Ok(Event::Usage(told))) => {
                usage = told;
                None
            }
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(sse("error", &broken(&error, &visit))),
            None => {
                let done = answered(&answer, usage, &provenance, &visit);
                Some(match response_schema::put(wanted.as_ref(), done, &provenance) {
                    Ok(done) => sse("done", &done),
                    Err(error) => sse("error", &broken(&error, &visit)),
                })
            }
        };
        ready(line)
    });
    until_error(lines)
}

/// Nothing follows an error: least of all a `done`.
fn until_error(lines: impl Stream<Item = Bytes> + Send) -> impl Stream<Item = Bytes> + Send {
    lines.scan(false, |failed, line| {
        let stop = *failed;
        *failed = line.starts_with(b"event: error");
        ready((!stop).then_some(line))
    })
}

fn sse(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    format!("event: {event}\ndata: {data}\n\n").into()
}

fn broken(error: &Error, visit: &Visit) -> Value {
    json!({ "error": { "type": error.kind().as_str(), "message": error.to_string() }, "request_id": visit.id() })
}

fn answered<'a>(answer: &'a str, usage: Usage, provenance: &'a Provenance, visit: &'a Visit) -> Value {
    let told = Answered {
        answer,
        model: provenance.model.as_deref().unwrap_or_default(),
        provider: provenance.upstream.as_deref().unwrap_or_default(),
        usage: json!({
            "input_tokens": usage.total_input(),
            "output_tokens": usage.output,
            "cached_tokens": usage.cache_read,
            "total_tokens": usage.total_input() + usage.output,
        }),
        cache: provenance.cache.as_str(),
        source: provenance.source.as_str(),
        attempts: visit.cx.trail().attempts(),
        request_id: visit.id(),
    };
    serde_json::to_value(told).unwrap_or_default()
}

pub(super) fn json_response(body: &Value, visit: &Visit) -> Response<Body> {
    let mut response = models::json(body);
    visit.sign(response.headers_mut(), &Provenance::default());
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use router_core::{Caller, NoMeter};
    use router_llm::{
        echo::Echo,
        enhance::{ClientRule, ClientRules},
        models::Known,
        route::{Names, Route, RouteSpec},
    };

    use super::*;

    /// Nobody but the echo, which also answers whatever `raycast` asks for.
    fn models() -> Models {
        let names = Arc::new(Names::new(Vec::new(), "echo".into(), ["echo".into()]).expect("names"));
        let route = Route::new(RouteSpec {
            names: Arc::clone(&names),
            providers: [("echo".into(), Echo.boxed())].into(),
            known: Box::new(|_| Known::default().into()),
            stays: Box::new(|_| true),
            label: Box::new(|target| Arc::clone(&target.provider)),
            counter: Arc::default(),
            meter: Arc::new(NoMeter),
        });
        let rule = ClientRule { model: Some("echo/echo".into()), ..ClientRule::default() };
        let rules = Arc::new(ClientRules::new([("raycast".into(), rule)], String::new, route.boxed()));
        Models {
            all: Arc::clone(&rules).boxed(),
            embeddings: Echo.boxed(),
            relay: None,
            rules,
            names,
            default: None,
            providers: ["echo".into()].into(),
            defaults: [].into(),
            texts: [].into(),
            cards: Vec::new(),
            vendors: [].into(),
            known: Arc::default(),
            counter: Arc::default(),
        }
    }

    #[test]
    fn a_model_that_nobody_answers_for_is_a_problem_of_its_field() {
        let nowhere = r#"leads nowhere: there is no model "ecko/m" (did you mean "echo/m"?)"#;
        let nobody = r#"names "nobody", which is none of echo"#;
        let unsaid = "is needed: the default provider has no model of its own (set `model` in its section)";
        let table = [
            (r#"{"message": "hi", "model": "ecko/m"}"#, Err(problem("/model", nowhere))),
            (r#"{"message": "hi", "model": "ecko/m", "client": "raycast"}"#, Ok("ecko/m".into())),
            (r#"{"message": "hi", "model": "m", "provider": "nobody"}"#, Err(problem("/provider", nobody))),
            (r#"{"message": "hi"}"#, Err(problem("/model", unsaid))),
            (r#"{"message": "hi", "client": "raycast"}"#, Ok("".into())),
            (r#"{"message": "hi", "model": "bare"}"#, Ok("bare".into())),
        ];
        for (body, expected) in table {
            let question = Question::read(body.as_bytes()).expect("a question");
            let mut visit = Visit::new(Caller::anonymous("r"), Duration::from_secs(1));
            visit.name_client(question.client.as_deref(), &models().rules);
            assert_eq!(question.known_model(&models(), &visit.cx), expected, "{body}");
        }
    }

    fn pointers(body: &str) -> Vec<String> {
        let problems = Question::read(body.as_bytes()).expect_err("a bad question");
        problems.into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let table: [(&str, &[&str]); 8] = [
            ("", &[""]),
            ("[]", &[""]),
            ("{}", &["/message"]),
            (r#"{"message": ""}"#, &["/message"]),
            (
                r#"{"message": 3, "model": 4, "stream": "yes", "max_tokens": 0}"#,
                &["/message", "/model", "/stream", "/max_tokens"],
            ),
            (r#"{"message": "hi", "max_tokens": -1, "mesage": 1, "a/b": 2}"#, &["/max_tokens", "/mesage", "/a~1b"]),
            (r#"{"message": "hi", "context": 3}"#, &["/context"]),
            (r#"{"message": "hi", "model": "a", "mess\u0061ge": "ho"}"#, &["/message"]),
        ];
        for (body, expected) in table {
            assert_eq!(pointers(body), expected, "{body}");
        }
    }

    #[test]
    fn null_is_the_same_as_nothing() {
        let question = Question::read(br#"{"message": "hi", "model": null, "context": {"a": 1}}"#).expect("a question");
        assert_eq!(question.model, None);
        assert_eq!(question.context.as_deref(), Some(r#"{"a":1}"#));
    }
}
