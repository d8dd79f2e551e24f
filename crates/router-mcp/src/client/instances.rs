//! A server that is not shared: every caller, or every session, has a process or session of the server to itself.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use router_core::{
    Cx, Error, Kind, Outcome, Raw, Result, Upstream,
    tool::{Answer, Errand, Lookup, ToolCall},
};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Launch, McpServer, Order, Owner, ServerSpec, ServerState, Watch};
use crate::view::{Remark, Revision, ServerView};

/// Who has a server to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nobody: one instance serves all.
    Shared,
    /// Each caller, by his key.
    PerCaller,
    /// Each session of a client. Requests of the modern era have none; they are kept apart by caller.
    PerSession,
}

/// How many instances a server may have, and for how long one that nobody uses is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// At the same time, beside the one that everybody shares.
    pub most: usize,
    /// After its last call.
    pub idle: Duration,
}

/// A server and its instances. The shared one always runs: it tells what there is, and how the server is.
pub struct Instances {
    shared: Arc<McpServer>,
    isolation: Isolation,
    limits: InstanceLimits,
    spec: ServerSpec,
    launch: Launch,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    open: Mutex<HashMap<Arc<str>, Arc<Instance>>>,
}

/// One that is not shared.
struct Instance {
    server: Arc<McpServer>,
    busy: AtomicUsize,
    used: Mutex<Instant>,
    /// Cancelled when it has to go.
    dismissed: CancellationToken,
}

impl Instances {
    /// Starts the shared one in the background; the others come when they are needed.
    pub fn start(
        spec: ServerSpec,
        launch: Launch,
        (isolation, limits): (Isolation, InstanceLimits),
        (tasks, shutdown): (&TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        let shared = McpServer::start(spec.clone(), launch.clone(), tasks, shutdown.clone());
        let (tasks, open) = (tasks.clone(), Mutex::default());
        Arc::new(Self { shared, isolation, limits, spec, launch, tasks, shutdown, open })
    }

    /// The one that everybody shares.
    pub fn shared(&self) -> &Arc<McpServer> {
        &self.shared
    }

    /// How many there are besides, and what they are doing.
    pub fn states(&self) -> Vec<ServerState> {
        self.open.lock().values().map(|instance| instance.server.status().state).collect()
    }

    /// Orders all of them. Those of single callers end, and come back when they are needed.
    pub async fn order(&self, order: Order) {
        if order != Order::Start {
            self.open.lock().values().for_each(|instance| instance.dismissed.cancel());
        }
        self.shared.order(order).await;
    }

    /// Whose instance a call needs, and under which key it is; `None` where the shared one will do: lists are asked for in
    /// nobody's name.
    fn owner(&self, cx: &Cx) -> Option<(Arc<str>, Owner, Option<CancellationToken>)> {
        let caller = cx.caller();
        if self.isolation == Isolation::Shared || caller.is_router() {
            return None;
        }
        let session = cx.peer().session().filter(|_| self.isolation == Isolation::PerSession);
        let key = match &session {
            Some(session) => format!("session {} of {}", session.id, caller.name),
            None => format!("caller {}", caller.name),
        };
        let (session, over) = session.map(|session| (session.id, session.over)).unzip();
        let owner = Owner { caller: Arc::clone(&caller.name), session, capabilities: cx.peer().capabilities() };
        Some((key.into(), owner, over))
    }

    fn find(self: &Arc<Self>, cx: &Cx) -> Result<Use> {
        let Some((key, owner, over)) = self.owner(cx) else { return Ok(Use::Shared(Arc::clone(&self.shared))) };
        if matches!(self.shared.status().state, ServerState::Stopped) {
            return Ok(Use::Shared(Arc::clone(&self.shared)));
        }
        let mut open = self.open.lock();
        if let Some(instance) = open.get(&key).filter(|instance| !instance.dismissed.is_cancelled()) {
            return Ok(Use::own(instance));
        }
        self.make_room(&mut open)?;
        let around = (&self.tasks, self.shutdown.child_token());
        let server = self.shared.start_for(owner, self.spec.of(cx.caller()), self.launch.clone(), around);
        let instance = Arc::new(Instance {
            server,
            busy: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            dismissed: CancellationToken::new(),
        });
        open.insert(Arc::clone(&key), Arc::clone(&instance));
        let in_use = Use::own(&instance);
        let (all, over) = (Arc::clone(self), over.unwrap_or_default());
        self.tasks.spawn(async move { all.mind(key, instance, over).await });
        Ok(in_use)
    }

    /// When all places are taken, whoever was idle longest goes; when all are busy, nobody does.
    fn make_room(&self, open: &mut HashMap<Arc<str>, Arc<Instance>>) -> Result<()> {
        if open.len() < self.limits.most {
            return Ok(());
        }
        let idle = open.iter().filter(|(_, instance)| instance.busy.load(Ordering::Acquire) == 0);
        let longest = idle.min_by_key(|(_, instance)| *instance.used.lock()).map(|(owner, _)| Arc::clone(owner));
        let Some(instance) = longest.and_then(|owner| open.remove(&owner)) else {
            let message = format!("all {} instances of the server are busy", self.limits.most);
            return Err(Error::new(Kind::Shed, message).outcome_is(Outcome::NotSent).at(self.shared.name()));
        };
        instance.dismissed.cancel();
        Ok(())
    }

    /// Ends an instance when its session is over, or nobody has used it for long.
    async fn mind(&self, key: Arc<str>, instance: Arc<Instance>, over: CancellationToken) {
        loop {
            let due = *instance.used.lock() + self.limits.idle;
            tokio::select! {
                () = sleep_until(due) => {}
                () = over.cancelled() => break,
                () = instance.dismissed.cancelled() => break,
                () = self.shutdown.cancelled() => break,
            }
            let unused = instance.used.lock().elapsed() >= self.limits.idle;
            if unused && instance.busy.load(Ordering::Acquire) == 0 {
                break;
            }
            if unused {
                *instance.used.lock() = Instant::now();
            }
        }
        instance.dismissed.cancel();
        {
            let mut open = self.open.lock();
            if open.get(&key).is_some_and(|known| Arc::ptr_eq(known, &instance)) {
                open.remove(&key);
            }
        }
        instance.server.stop().await;
    }
}

/// A server while somebody uses it.
enum Use {
    Shared(Arc<McpServer>),
    Own(Arc<Instance>),
}

impl Use {
    fn own(instance: &Arc<Instance>) -> Self {
        instance.busy.fetch_add(1, Ordering::AcqRel);
        Self::Own(Arc::clone(instance))
    }

    fn server(&self) -> &Arc<McpServer> {
        match self {
            Self::Shared(server) => server,
            Self::Own(instance) => &instance.server,
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let Self::Own(instance) = self {
            *instance.used.lock() = Instant::now();
            instance.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The instances as an upstream.
#[derive(Clone)]
pub struct Isolated(pub Arc<Instances>);

impl Upstream<ToolCall> for Isolated {
    async fn call(&self, cx: &Cx, call: ToolCall) -> Result<Answer> {
        self.0.find(cx)?.server().call(cx, call).await
    }
}

impl Upstream<Lookup> for Isolated {
    async fn call(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        self.0.find(cx)?.server().call(cx, lookup).await
    }
}

impl Upstream<Errand> for Isolated {
    async fn call(&self, cx: &Cx, errand: Errand) -> Result<Answer> {
        self.0.find(cx)?.server().call(cx, errand).await
    }
}

/// What there is, and how it is, the shared one tells; what somebody watches, his own.
impl ServerView for Isolated {
    fn capabilities(&self) -> Option<Raw> {
        self.0.shared.capabilities()
    }

    fn instructions(&self) -> Option<String> {
        self.0.shared.instructions()
    }

    fn state(&self) -> ServerState {
        ServerView::state(&*self.0.shared)
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.0.shared.revisions()
    }

    fn remarks(&self) -> broadcast::Receiver<Remark> {
        self.0.shared.remarks()
    }

    fn watch(&self, cx: &Cx, uri: &str) -> BoxFuture<'static, Result<Watch>> {
        let (instances, cx, uri) = (Arc::clone(&self.0), cx.clone(), uri.to_owned());
        let watch = async move {
            let in_use = instances.find(&cx)?;
            let watch = in_use.server().watch_for(&cx, &uri).await?;
            Ok(watch.keeping(in_use))
        };
        watch.boxed()
    }

    fn want_level(&self, level: &'static str) {
        self.0.shared.want_level(level);
        self.0.open.lock().values().for_each(|instance| instance.server.want_level(level));
    }
}
