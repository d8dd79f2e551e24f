//! The front: clients of every revision of the protocol speak to it, over HTTP or a pipe, and see the catalog.

mod batch;
mod body;
mod consent;
mod failure;
mod headers;
mod http;
mod kept;
mod listen;
mod meta;
mod origin;
mod park;
mod parts;
mod peer;
mod pieces;
mod pipe;
mod rounds;
mod session;
mod shape;
mod sse;
mod state;
mod stdio;
mod tasks;
#[cfg(test)]
mod tests;
mod version;
mod watches;

use std::{
    pin::pin,
    sync::{Arc, atomic::AtomicUsize},
};

use bytes::Bytes;
use router_core::{
    BoxUpstream, Cx, Provenance, Raw, Upstream,
    tool::{Answer, Errand, Lookup, ToolCall, What},
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{body::Body, stdio::serve_stdio};
use self::{
    meta::{Level, META, Meta},
    park::Lot,
    parts::Parts,
    peer::{Present, Requester, Way},
    pieces::reply,
    session::{Hello, Session, Sessions},
    shape::Shape,
    sse::Pipes,
    state::State,
    tasks::Talks,
    version::Version,
};
use crate::{
    catalog::{Catalog, List, Page, TASKS_EXTENSION},
    fields,
    rpc::{self, Id, RpcError, code},
    seal::Seal,
};

/// What an endpoint is made of.
#[derive(Clone)]
pub struct Setup {
    /// What clients are told that there is.
    pub catalog: Catalog,
    /// Where tool calls go: the catalog, in its stack.
    pub tools: BoxUpstream<ToolCall>,
    /// Where everything else goes: the catalog, in its stack.
    pub lookups: BoxUpstream<Lookup>,
    /// The name we give ourselves.
    pub name: String,
    /// Our version.
    pub version: String,
    /// Runs the calls of legacy clients, which go on when the client goes away.
    pub tasks: TaskTracker,
    /// Cancelled when we close: ends the streams that would last for ever.
    pub closing: CancellationToken,
    /// Seals what clients bring back.
    pub seal: Arc<Seal>,
}

/// One endpoint (`/mcp`, `/mcp/{server}`, or a pipe). Cloning it shares its sessions.
#[derive(Clone)]
pub struct Front(Arc<Endpoint>);

struct Endpoint {
    setup: Setup,
    /// Our name and version, as the protocol writes them.
    server: Raw,
    shape: Shape,
    sessions: Sessions,
    /// Calls that wait for answers of modern clients.
    lot: Lot,
    /// Tasks that wait for them.
    talks: Talks,
    /// How much is kept of streams whose clients may come back, in bytes.
    kept: Arc<AtomicUsize>,
    /// The clients of HTTP+SSE, by their sessions.
    pipes: Pipes,
}

/// A request, and who asks in which revision.
struct Question {
    id: Id,
    method: Arc<str>,
    params: Option<Raw>,
    parts: Parts,
    meta: Meta,
    version: Version,
    session: Option<Arc<Session>>,
}

/// The result of a request.
struct Told {
    result: Raw,
    /// Where it is from, when it is the answer of an upstream and not our own.
    provenance: Option<Provenance>,
    /// Whether it is but a step towards the result.
    is_interim: bool,
    /// Whether a tool tells its failure.
    is_error: bool,
    /// The items of a list, which have their place in the result.
    page: Option<Page>,
}

impl From<Raw> for Told {
    fn from(result: Raw) -> Self {
        Self { result, provenance: None, is_interim: false, is_error: false, page: None }
    }
}

/// The result, or the error, of a request; `None` when the client has cancelled it.
type Outcome = Option<Result<Told, RpcError>>;

impl Front {
    /// An endpoint with no session yet.
    pub fn new(setup: Setup) -> Self {
        let server = Raw::trusted(json!({ "name": setup.name, "version": setup.version }).to_string());
        let shape = Shape::new(&server);
        Self(Arc::new(Endpoint {
            setup,
            server,
            shape,
            sessions: Sessions::default(),
            lot: Lot::default(),
            talks: Talks::default(),
            kept: Arc::default(),
            pipes: Pipes::default(),
        }))
    }

    /// Answers a request. Notes about it go to `out` meanwhile.
    async fn run(self, cx: Cx, question: Question, out: mpsc::Sender<Bytes>) -> Outcome {
        let cancel = cx.cancel().child_token();
        let over = question.session.as_ref().map(|session| session.over.clone()).unwrap_or_default();
        let _underway = question.session.as_ref().map(|session| session.begin(&question.id, cancel.clone()));
        let cx = cx.with_cancel(cancel.clone());
        let mut outcome = pin!(self.enter(&cx, question, out));
        // A client who goes away drops all this: the answer ends last, so that what made it can see why.
        let _released = cancel.clone().drop_guard();
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            () = over.cancelled() => None,
            outcome = outcome.as_mut() => outcome,
        }
    }

    /// Only a modern client brings back what he was asked, and only to a few methods.
    async fn enter(&self, cx: &Cx, mut question: Question, out: mpsc::Sender<Bytes>) -> Outcome {
        if question.version.is_modern() && takes_input(&question.method) {
            match State::brought(&self.0.setup.seal, cx, &question) {
                Err(error) => return Some(Err(error)),
                Ok(Some(State::Parked(ticket))) => return self.resume(cx, question, ticket, out).await,
                Ok(Some(State::Upstream(state))) => question.carry(&state),
                Ok(Some(State::Fresh)) => question.begin_anew(),
                Ok(None) => {}
            }
            if question.can_be_asked() {
                return self.attend(cx, question, out).await;
            }
        }
        let peer = Arc::new(question.requester(out));
        self.drive(cx.clone(), &question, peer).await
    }

    /// Gets the answer to a request, for as long as its time lasts.
    async fn drive(&self, cx: Cx, question: &Question, peer: Arc<Requester>) -> Outcome {
        let cx = cx.with_peer(Arc::clone(&peer) as _);
        let outcome = cx.wait(self.answer(&cx, question)).await;
        let outcome = outcome.unwrap_or_else(|_| question.fails(&failure::too_late()));
        let has_failed = outcome.as_ref().map_or(true, |told| told.is_error);
        if has_failed && question.version.is_modern() {
            // A legacy server has no word for what its client lacks: it fails when it is told that it cannot ask.
            let lacked = peer.lacked();
            if !lacked.is_empty() {
                return Some(Err(failure::lacking(&lacked)));
            }
        }
        Some(outcome)
    }

    async fn answer(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        let told = match (&*question.method, question.version.is_modern()) {
            ("tools/call", _) => self.call(cx, question).await?,
            ("ping", false) => fields::empty().into(),
            ("logging/setLevel", false) => self.set_level(question)?.into(),
            ("resources/subscribe", false) => self.subscribe(cx, question).await?.into(),
            ("resources/unsubscribe", false) => Self::unsubscribe(question)?.into(),
            ("server/discover", true) => self.discovery().into(),
            (method, _) => self.look_up(cx, method, question).await?,
        };
        let result = self.0.shape.fit(&told, &question.method, question.version);
        Ok(Told { result, ..told })
    }

    async fn call(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        let wrong = || RpcError::new(code::INVALID_PARAMS, "`name` is missing, or no string");
        let Parts { name, arguments, wants_task, .. } = &question.parts;
        let name = name.as_ref().and_then(fields::said).ok_or_else(wrong)?;
        if arguments.as_ref().is_some_and(|arguments| !fields::is_object(arguments)) {
            return Err(RpcError::new(code::INVALID_PARAMS, "`arguments` has to be an object"));
        }
        let call = ToolCall { extra: question.params.clone(), ..ToolCall::new(name, arguments.clone()) };
        let tools = &self.0.setup.tools;
        let outcome = if question.version.is_modern() {
            tools.call(cx, call.clone()).await
        } else {
            rounds::complete(cx, tools, call.clone()).await
        };
        match outcome {
            Ok(answer) if answer.is_interim || wants_task.is_some() => self.tell_begun(cx, question, answer),
            Ok(answer) => self.tell(cx, question, Ok(answer)),
            Err(error) => match self.mended(cx, question, call, &error).await {
                Some(told) => told,
                None => self.tell(cx, question, Err(error)),
            },
        }
    }

    async fn look_up(&self, cx: &Cx, method: &str, question: &Question) -> Result<Told, RpcError> {
        let Some(what) = looked_up(method) else { return self.beyond(cx, question).await };
        if let Some(list) = List::asked(what) {
            return self.list(list, question).await;
        }
        let ([extra], params) =
            question.params.as_ref().map(|params| fields::split(params, [META])).unwrap_or_default();
        let lookup = Lookup { what, params, extra };
        let lookups = &self.0.setup.lookups;
        let outcome = if question.version.is_modern() {
            lookups.call(cx, lookup).await
        } else {
            rounds::complete(cx, lookups, lookup).await
        };
        self.tell(cx, question, outcome)
    }

    /// Answers what neither the router nor the catalog knows themselves: tasks, and methods of extensions. A method of the
    /// protocol that this revision does not have is nobody's.
    async fn beyond(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        if let Some(told) = self.task(cx, question).await {
            return told;
        }
        if is_of_protocol(&question.method) {
            return Err(failure::no_such_method(&question.method));
        }
        let errand = Errand::new(question.method.to_string(), question.params.clone());
        let outcome = self.0.setup.catalog.errand(cx, errand).await;
        self.tell(cx, question, outcome)
    }

    /// What an upstream answered, as a client of this era understands it.
    fn tell(&self, cx: &Cx, question: &Question, outcome: router_core::Result<Answer>) -> Result<Told, RpcError> {
        let seal = &self.0.setup.seal;
        let error = match outcome {
            Ok(answer) if answer.is_interim => return state::wrapped(seal, cx, question, shape::told(&answer)),
            Ok(answer) => return Ok(shape::told(&answer)),
            Err(error) => error,
        };
        let client = (question.version, &question.capabilities());
        if let Some(said) = consent::visit(&error, &question.method, client) {
            return if question.version.is_modern() { state::visits(seal, cx, question, &said) } else { Err(said) };
        }
        let visits = failure::words(&error).filter(|said| said.code == code::URL_ELICITATION_REQUIRED);
        match (visits, &question.session) {
            (Some(said), _) if question.version.is_modern() && takes_input(&question.method) => {
                return state::visits(seal, cx, question, &said);
            }
            (Some(said), Some(session)) => session.expect_visits(said.data.as_ref()),
            _ => {}
        }
        question.fails(&error)
    }

    /// Kept for the session, whose lines are picked by it, and told the servers, which have to say as much.
    fn set_level(&self, question: &Question) -> Result<Raw, RpcError> {
        let level = question.params.as_ref().and_then(|params| fields::text(params, "level"));
        let level = level.and_then(|level| Level::parse(&level));
        let wrong = || RpcError::new(code::INVALID_PARAMS, "`level` is missing, or none of the eight");
        let level = level.ok_or_else(wrong)?;
        if let Some(session) = &question.session {
            session.set_level(level);
            self.0.setup.catalog.want_level(level.as_str());
        }
        Ok(fields::empty())
    }

    /// A page of a list. Its items are the catalog's own bytes, which nobody reads again.
    async fn list(&self, list: List, question: &Question) -> Result<Told, RpcError> {
        match self.0.setup.catalog.page(list, question.params.as_ref()).await {
            Ok(page) => Ok(Told { page: Some(page.clone()), ..Told::from(page.frame) }),
            Err(error) => {
                let client = (question.version, &question.capabilities());
                let visit = consent::visit(&error, &question.method, client);
                Err(visit.unwrap_or_else(|| failure::of(&error, question.version)))
            }
        }
    }

    /// What `initialize` answers, and what the client said in it.
    fn greeting(&self, params: Option<&Raw>) -> (Hello, Raw) {
        let empty = fields::empty();
        let params = params.unwrap_or(&empty);
        let version = Version::agreed(&fields::text(params, "protocolVersion").unwrap_or_default());
        let capabilities = fields::get(params, "capabilities").filter(fields::is_object).unwrap_or_else(fields::empty);
        let agreed = rpc::quoted(version.as_str());
        let about = self.about(version);
        let result = fields::with_fields(
            &fields::empty(),
            &[("protocolVersion", &agreed), ("capabilities", &about), ("serverInfo", &self.0.server)],
        );
        (Hello { version, capabilities: capabilities.apart() }, self.with_instructions(&result))
    }

    /// What `server/discover` answers.
    fn discovery(&self) -> Raw {
        let versions = Raw::trusted(json!(Version::ALL.map(Version::as_str)).to_string());
        let about = self.about(Version::Modern);
        let result =
            fields::with_fields(&fields::empty(), &[("supportedVersions", &versions), ("capabilities", &about)]);
        self.with_instructions(&result)
    }

    fn with_instructions(&self, result: &Raw) -> Raw {
        match self.0.setup.catalog.instructions() {
            Some(text) => fields::with_field(result, "instructions", &rpc::quoted(&text)),
            None => result.clone(),
        }
    }

    /// Our capabilities: what a server has, or may turn out to have once it is up.
    fn about(&self, version: Version) -> Raw {
        let catalog = &self.0.setup.catalog;
        let mut about = serde_json::Map::new();
        for list in ["tools", "resources", "prompts"] {
            if catalog.may_have(list) {
                let about_list = match list {
                    "resources" if catalog.may_tell_of_resources() => json!({ "subscribe": true, "listChanged": true }),
                    _ => json!({ "listChanged": true }),
                };
                about.insert(list.into(), about_list);
            }
        }
        for (feature, since) in [("logging", Version::First), ("completions", Version::Batching)] {
            if version >= since && catalog.may_have(feature) {
                about.insert(feature.into(), json!({}));
            }
        }
        let tasks = catalog.tasks();
        let core = tasks.core().filter(|_| version == Version::LastLegacy);
        about.extend(core.map(|core| ("tasks".to_owned(), core)));
        let about = Raw::trusted(serde_json::Value::Object(about).to_string());
        let mut extensions = catalog.extensions();
        if version.is_modern() && tasks.for_modern() {
            extensions.push((TASKS_EXTENSION.to_owned(), fields::empty()));
        }
        extensions.iter().fold(about, |about, (name, said)| fields::with_path(&about, &["extensions", name], said))
    }
}

impl Question {
    /// A request of which is known what it says, and not yet who asks.
    fn new(id: Id, method: Arc<str>, params: Option<Raw>) -> Self {
        let parts = Parts::read(params.as_ref());
        let meta = Meta::read(parts.meta.as_ref());
        Self { id, method, params, parts, meta, version: Version::Batching, session: None }
    }

    /// The way back to who asked. A modern client is asked in the answer, where his request allows it.
    fn requester(&self, out: mpsc::Sender<Bytes>) -> Requester {
        let (capabilities, way) = match (&self.session, self.version.is_modern()) {
            (_, true) if takes_input(&self.method) => (self.meta.capabilities.clone(), Way::Answer),
            (_, true) => (self.meta.capabilities.clone(), Way::None),
            (Some(session), false) => (Some(session.hello().capabilities), Way::Session(Arc::clone(session))),
            (None, false) => (None, Way::None),
        };
        Requester::new(capabilities.unwrap_or_else(fields::empty), way, self.present(Some(out)))
    }

    /// The context of a request that is answered by what comes: who asks is all that counts.
    fn asks(&self, cx: &Cx) -> Cx {
        let (out, _) = mpsc::channel(1);
        cx.clone().with_peer(Arc::new(self.requester(out)))
    }

    /// Where the client listens while this request is under way. A modern one names the level of the log lines he wants
    /// with each request, and wants none otherwise.
    fn present(&self, out: Option<mpsc::Sender<Bytes>>) -> Present {
        let level = match (&self.session, self.version.is_modern()) {
            (_, true) => self.meta.level,
            (Some(session), false) => Some(session.level()),
            (None, false) => Some(Level::ALL),
        };
        Present { out, progress: self.meta.progress.clone(), level }
    }

    /// Whether the client can be asked anything at all.
    fn can_be_asked(&self) -> bool {
        let capabilities = self.meta.capabilities.as_ref();
        let can = |capability: &&str| capabilities.is_some_and(|all| fields::get(all, capability).is_some());
        ["elicitation", "sampling", "roots"].iter().any(can)
    }

    /// What the client said it can do.
    fn capabilities(&self) -> Raw {
        match &self.session {
            Some(session) => session.hello().capabilities,
            None => self.meta.capabilities.clone().unwrap_or_else(fields::empty),
        }
    }

    fn fails(&self, error: &router_core::Error) -> Result<Told, RpcError> {
        match &*self.method {
            "tools/call" => failure::of_tool(error, self.version).map(Told::from),
            _ => Err(failure::of(error, self.version)),
        }
    }
}

/// Whether a modern server may answer this with what it needs first.
fn takes_input(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Whether the protocol itself has given the method a meaning, in whichever revision and for whichever side.
fn is_of_protocol(method: &str) -> bool {
    const OWN: [&str; 13] = [
        "initialize",
        "ping",
        "server/discover",
        "subscriptions/listen",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "tasks/result",
        "tasks/list",
        "tasks/update",
    ];
    OWN.contains(&method) || matches!(method, "tasks/get" | "tasks/cancel") || method.starts_with("notifications/")
}

fn looked_up(method: &str) -> Option<What> {
    const ALL: [What; 7] = [
        What::Tools,
        What::Resources,
        What::ResourceTemplates,
        What::Prompts,
        What::Resource,
        What::Prompt,
        What::Completion,
    ];
    ALL.into_iter().find(|what| what.method() == method)
}
