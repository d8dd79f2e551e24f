//! A server made of closures, for the tests of this crate.

use std::{future::Future, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use router_core::{
    Cx, Error, Kind, Outcome, Raw, Result, Upstream, Verbatim,
    tool::{Answer, Errand, Lookup, ToolCall},
};
use tokio::sync::{broadcast, watch};

use crate::{
    catalog::{Offer, Terms},
    client::{ServerState, Watch},
    rpc::RpcError,
    view::{Remark, Revision, ServerView},
};

type Call = dyn Fn(Cx, ToolCall) -> BoxFuture<'static, Result<Answer>> + Send + Sync;
type Run = dyn Fn(Cx, Errand) -> BoxFuture<'static, Result<Answer>> + Send + Sync;
type Look = dyn Fn(Cx, Lookup) -> BoxFuture<'static, Result<Answer>> + Send + Sync;

/// A server whose behaviour a test sets, and which remembers what it was asked.
pub(crate) struct Fake {
    name: &'static str,
    call: Mutex<Arc<Call>>,
    look: Mutex<Arc<Look>>,
    run: Mutex<Arc<Run>>,
    pub(crate) calls: Mutex<Vec<ToolCall>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) state: Mutex<ServerState>,
    pub(crate) capabilities: Mutex<Option<Raw>>,
    pub(crate) instructions: Mutex<Option<String>>,
    revisions: watch::Sender<Revision>,
    pub(crate) remarks: broadcast::Sender<Remark>,
    pub(crate) levels: Mutex<Vec<&'static str>>,
}

impl Fake {
    /// A server that has nothing, and whose tools say nothing.
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            call: Mutex::new(Arc::new(|_, _| async { Ok(Answer::new(raw(r#"{"content":[]}"#))) }.boxed())),
            look: Mutex::new(Arc::new(|_, lookup| async move { Err(refusal(-32601, lookup.what.method())) }.boxed())),
            run: Mutex::new(Arc::new(|_, errand| async move { Err(refusal(-32601, &errand.method)) }.boxed())),
            calls: Mutex::default(),
            asked: Mutex::default(),
            state: Mutex::new(ServerState::Ready),
            capabilities: Mutex::new(None),
            instructions: Mutex::new(None),
            revisions: watch::channel(Revision::default()).0,
            remarks: broadcast::Sender::new(8),
            levels: Mutex::default(),
        })
    }

    pub(crate) fn on_call<A>(self: &Arc<Self>, call: impl Fn(Cx, ToolCall) -> A + Send + Sync + 'static) -> Arc<Self>
    where
        A: Future<Output = Result<Answer>> + Send + 'static,
    {
        *self.call.lock() = Arc::new(move |cx, query| call(cx, query).boxed());
        Arc::clone(self)
    }

    pub(crate) fn on_lookup<A>(self: &Arc<Self>, look: impl Fn(Cx, Lookup) -> A + Send + Sync + 'static) -> Arc<Self>
    where
        A: Future<Output = Result<Answer>> + Send + 'static,
    {
        *self.look.lock() = Arc::new(move |cx, query| look(cx, query).boxed());
        Arc::clone(self)
    }

    pub(crate) fn on_errand<A>(self: &Arc<Self>, run: impl Fn(Cx, Errand) -> A + Send + Sync + 'static) -> Arc<Self>
    where
        A: Future<Output = Result<Answer>> + Send + 'static,
    {
        *self.run.lock() = Arc::new(move |cx, query| run(cx, query).boxed());
        Arc::clone(self)
    }

    /// Answers each method of the table with its result, and all others with "no such method".
    pub(crate) fn says(self: &Arc<Self>, table: &'static [(&'static str, &'static str)]) -> Arc<Self> {
        self.on_lookup(move |_, lookup| async move {
            let method = lookup.what.method();
            let found = table.iter().find(|(known, _)| *known == method);
            found.map(|(_, result)| Answer::new(raw(result))).ok_or_else(|| refusal(-32601, method))
        })
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Revision)) {
        self.revisions.send_modify(change);
    }

    pub(crate) fn offer(self: &Arc<Self>) -> Offer {
        Offer {
            name: self.name.into(),
            tools: Door(Arc::clone(self)).boxed(),
            lookups: Door(Arc::clone(self)).boxed(),
            errands: Door(Arc::clone(self)).boxed(),
            view: Arc::new(Door(Arc::clone(self))),
            trusted: true,
            cached_tools: Vec::new(),
            terms: Terms::default(),
            pinned: None,
        }
    }
}

struct Door(Arc<Fake>);

impl Upstream<ToolCall> for Door {
    async fn call(&self, cx: &Cx, query: ToolCall) -> Result<Answer> {
        self.0.calls.lock().push(query.clone());
        let call = Arc::clone(&self.0.call.lock());
        call(cx.clone(), query).await
    }
}

impl Upstream<Lookup> for Door {
    async fn call(&self, cx: &Cx, query: Lookup) -> Result<Answer> {
        let params = query.params.as_ref().map_or("", Raw::as_str);
        self.0.asked.lock().push(format!("{} {params}", query.what.method()));
        let look = Arc::clone(&self.0.look.lock());
        look(cx.clone(), query).await
    }
}

impl Upstream<Errand> for Door {
    async fn call(&self, cx: &Cx, query: Errand) -> Result<Answer> {
        let params = query.params.as_ref().map_or("", Raw::as_str);
        self.0.asked.lock().push(format!("{} {params}", query.method));
        let run = Arc::clone(&self.0.run.lock());
        run(cx.clone(), query).await
    }
}

impl ServerView for Door {
    fn capabilities(&self) -> Option<Raw> {
        self.0.capabilities.lock().clone()
    }

    fn instructions(&self) -> Option<String> {
        self.0.instructions.lock().clone()
    }

    fn state(&self) -> ServerState {
        *self.0.state.lock()
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.0.revisions.subscribe()
    }

    fn remarks(&self) -> broadcast::Receiver<Remark> {
        self.0.remarks.subscribe()
    }

    fn watch(&self, _: &Cx, uri: &str) -> BoxFuture<'static, Result<Watch>> {
        let watch = Watch::of_nobody(uri);
        self.0.asked.lock().push(format!("watch {uri}"));
        async move { if watch.uri().starts_with("no:") { Err(refusal(-32602, "no such resource")) } else { Ok(watch) } }
            .boxed()
    }

    fn want_level(&self, level: &'static str) {
        self.0.levels.lock().push(level);
    }
}

pub(crate) fn raw(json: &str) -> Raw {
    Raw::trusted(json.to_owned())
}

/// A server's own error.
pub(crate) fn refusal(code: i64, message: &str) -> Error {
    let said = RpcError::new(code, message);
    let body = format!(r#"{{"code":{},"message":"{}"}}"#, said.code, said.message);
    let verbatim = Verbatim { dialect: "mcp", status: 0, meta: [].into(), body: body.into() };
    Error::new(Kind::Refused, message).outcome_is(Outcome::Failed).verbatim(verbatim)
}
