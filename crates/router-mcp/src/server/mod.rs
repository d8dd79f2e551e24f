//! The front: clients of every revision of the protocol speak to it, over HTTP or a pipe, and see the catalog.

mod batch;
mod body;
mod failure;
mod headers;
mod http;
mod listen;
mod meta;
mod origin;
mod peer;
mod session;
mod shape;
mod stdio;
#[cfg(test)]
mod tests;
mod version;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use router_core::{
    BoxUpstream, Cx, Provenance, Raw, Upstream,
    tool::{Lookup, ToolCall, What},
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{body::Body, stdio::serve_stdio};
use self::{
    meta::{Level, META, Meta},
    peer::Requester,
    session::{Hello, Session, Sessions},
    shape::Shape,
    version::Version,
};
use crate::{
    catalog::Catalog,
    fields,
    rpc::{self, Id, RpcError, code},
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
}

/// A request, and who asks in which revision.
struct Question {
    id: Id,
    method: Arc<str>,
    params: Option<Raw>,
    meta: Meta,
    version: Version,
    session: Option<Arc<Session>>,
}

/// The result of a request.
struct Told {
    result: Raw,
    /// Where it is from, when it is the answer of an upstream and not our own.
    provenance: Option<Provenance>,
}

impl From<Raw> for Told {
    fn from(result: Raw) -> Self {
        Self { result, provenance: None }
    }
}

/// The result, or the error, of a request; `None` when the client has cancelled it.
type Outcome = Option<Result<Told, RpcError>>;

impl Front {
    /// An endpoint with no session yet.
    pub fn new(setup: Setup) -> Self {
        let server = Raw::trusted(json!({ "name": setup.name, "version": setup.version }).to_string());
        let shape = Shape::new(&server);
        Self(Arc::new(Endpoint { setup, server, shape, sessions: Sessions::default() }))
    }

    /// Answers a request. Notes about it go to `out` meanwhile.
    async fn run(self, cx: Cx, question: Question, out: mpsc::Sender<Bytes>) -> Outcome {
        let cancel = cx.cancel().child_token();
        let over = question.session.as_ref().map(|session| session.over.clone()).unwrap_or_default();
        let _underway = question.session.as_ref().map(|session| session.begin(&question.id, cancel.clone()));
        let peer = Arc::new(question.requester(out));
        let cx = cx.with_peer(peer).with_cancel(cancel.clone());
        let mut answer = pin!(self.answer(&cx, &question));
        // A client who goes away drops all this: the answer ends last, so that what made it can see why.
        let _released = cancel.clone().drop_guard();
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            () = over.cancelled() => None,
            outcome = timeout_at(cx.deadline(), answer.as_mut()) => {
                Some(outcome.unwrap_or_else(|_| question.fails(&failure::too_late())))
            }
        }
    }

    async fn answer(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        let told = match (&*question.method, question.version.is_modern()) {
            ("tools/call", _) => self.call(cx, question).await?,
            ("ping", false) => fields::empty().into(),
            ("logging/setLevel", false) => set_level(question)?.into(),
            ("server/discover", true) => self.discovery().into(),
            (method, _) => self.look_up(cx, method, question).await?,
        };
        let result = self.0.shape.fit(&told.result, &question.method, question.version);
        Ok(Told { result, ..told })
    }

    async fn call(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        let wrong = || RpcError::new(code::INVALID_PARAMS, "`name` is missing, or no string");
        let params = question.params.as_ref().ok_or_else(wrong)?;
        let ([name, arguments], extra) = fields::split(params, ["name", "arguments"]);
        let name = name.and_then(|name| fields::said(&name)).ok_or_else(wrong)?;
        if arguments.as_ref().is_some_and(|arguments| !fields::is_object(arguments)) {
            return Err(RpcError::new(code::INVALID_PARAMS, "`arguments` has to be an object"));
        }
        let call = ToolCall { extra, ..ToolCall::new(name, arguments) };
        match self.0.setup.tools.call(cx, call).await {
            Ok(answer) => Ok(shape::told(&answer)),
            Err(error) => question.fails(&error),
        }
    }

    async fn look_up(&self, cx: &Cx, method: &str, question: &Question) -> Result<Told, RpcError> {
        let what = looked_up(method).ok_or_else(|| failure::no_such_method(method))?;
        let ([extra], params) =
            question.params.as_ref().map(|params| fields::split(params, [META])).unwrap_or_default();
        let lookup = Lookup { what, params, extra };
        match self.0.setup.lookups.call(cx, lookup).await {
            Ok(answer) => Ok(shape::told(&answer)),
            Err(error) => Err(failure::of(&error, question.version)),
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
        (Hello { version, capabilities }, self.with_instructions(&result))
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
                about.insert(list.into(), json!({ "listChanged": true }));
            }
        }
        for (feature, since) in [("logging", Version::First), ("completions", Version::Batching)] {
            if version >= since && catalog.may_have(feature) {
                about.insert(feature.into(), json!({}));
            }
        }
        Raw::trusted(serde_json::Value::Object(about).to_string())
    }
}

impl Question {
    /// A request of which is known what it says, and not yet who asks.
    fn new(id: Id, method: Arc<str>, params: Option<Raw>) -> Self {
        let meta = Meta::read(params.as_ref());
        Self { id, method, params, meta, version: Version::Batching, session: None }
    }

    /// The way back to who asked. A modern client names the level of the log lines he wants with each request, and
    /// wants none otherwise; he is not asked anything while his request is under way.
    fn requester(&self, out: mpsc::Sender<Bytes>) -> Requester {
        let progress = self.meta.progress.clone();
        if self.version.is_modern() {
            let capabilities = self.meta.capabilities.clone().unwrap_or_else(fields::empty);
            return Requester { out, progress, level: self.meta.level, capabilities, session: None };
        }
        let level = self.session.as_ref().map_or(Level::ALL, |session| session.level());
        let capabilities = self.session.as_ref().map_or_else(fields::empty, |session| session.hello().capabilities);
        Requester { out, progress, level: Some(level), capabilities, session: self.session.clone() }
    }

    fn fails(&self, error: &router_core::Error) -> Result<Told, RpcError> {
        match &*self.method {
            "tools/call" => failure::of_tool(error, self.version).map(Told::from),
            _ => Err(failure::of(error, self.version)),
        }
    }
}

/// The message that answers a request.
fn reply(id: &Id, outcome: &Result<Told, RpcError>) -> Bytes {
    match outcome {
        Ok(told) => rpc::result(id, &told.result),
        Err(error) => rpc::error(Some(id), error),
    }
}

fn set_level(question: &Question) -> Result<Raw, RpcError> {
    let level = question.params.as_ref().and_then(|params| fields::text(params, "level"));
    let level = level.and_then(|level| Level::parse(&level));
    let level = level.ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`level` is missing, or none of the eight"))?;
    if let Some(session) = &question.session {
        session.set_level(level);
    }
    Ok(fields::empty())
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
