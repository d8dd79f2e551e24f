//! An MCP server as the rest of the router sees it: an upstream that is started, watched and restarted behind its back.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use router_core::{
    Cx, Error, Kind, Name, Outcome, Raw, Reply, Result, Upstream,
    tool::{Answer, Errand, Lookup, ToolCall},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Channel, Era, Launch, Owner, Question, ServerSpec, Surroundings, Watch};
pub use crate::supervisor::Order;
use crate::{
    oauth::Keyring,
    supervisor::{State, Supervisor},
    view::{Remark, Revision, ServerView},
};

/// How long a stop may take; the guard of a process ends within 5 s.
const STOP_MAX: Duration = Duration::from_secs(8);
/// How long a call waits for a server that is still starting.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long before the caller's deadline that wait ends: the layer in front does not know that nothing was sent.
const BEFORE_DEADLINE: Duration = Duration::from_millis(250);

/// One server.
pub struct McpServer {
    name: Name,
    state: watch::Receiver<State>,
    orders: mpsc::Sender<Order>,
    around: Surroundings,
    keyring: Option<Keyring>,
}

impl McpServer {
    /// Starts the server in the background. Calls that come before it is ready wait for it, within their deadlines.
    pub fn start(spec: ServerSpec, launch: Launch, tasks: &TaskTracker, shutdown: CancellationToken) -> Arc<Self> {
        let around = Surroundings::new(&spec, tasks);
        Self::start_in(around, spec, launch, (tasks, shutdown))
    }

    /// The same for one caller, or one session of his. What it says without being asked is heard where `self` is.
    pub(super) fn start_for(
        &self,
        owner: Owner,
        spec: ServerSpec,
        launch: Launch,
        (tasks, shutdown): (&TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        let around = Surroundings::of(&spec, tasks, (owner, &self.around));
        Self::start_in(around, spec, launch, (tasks, shutdown))
    }

    fn start_in(
        around: Surroundings,
        spec: ServerSpec,
        launch: Launch,
        (tasks, shutdown): (&TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        let (name, keyring) = (Arc::clone(&spec.name), spec.keyring().cloned());
        let (sender, state) = watch::channel(State::Starting);
        let (orders, receiver) = mpsc::channel(4);
        let supervisor = Supervisor::new(spec, launch, around.clone(), sender, (receiver, shutdown));
        tasks.spawn(supervisor.run());
        Arc::new(Self { name, state, orders, around, keyring })
    }

    /// The server's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How the server is, from what is known: nothing is asked.
    pub fn status(&self) -> ServerStatus {
        let state = self.state.borrow();
        let met = state.met();
        let greeting = met.map(|met| &met.greeting);
        let tally = &self.around.tally;
        ServerStatus {
            state: ServerState::of(&state),
            era: greeting.map(|greeting| greeting.era),
            version: greeting.map(|greeting| Arc::clone(&greeting.version)),
            pid: met.and_then(|met| met.pid),
            restarts: tally.restarts.load(Ordering::Relaxed),
            last_error: tally.last_error.lock().clone(),
            sign_in: self.keyring.as_ref().and_then(Keyring::awaited),
            retry_in: state.retry_in(),
            strays: tally.strays.load(Ordering::Relaxed),
            garbage: tally.garbage.load(Ordering::Relaxed),
            server_name: greeting.and_then(|greeting| greeting.server_name.clone()),
            capabilities: greeting.map(|greeting| greeting.capabilities.clone()),
            instructions: greeting.and_then(|greeting| greeting.instructions.clone()),
        }
    }

    /// Changes whenever what the server offers may have changed: it came up, or it said so.
    pub fn changed(&self) -> watch::Receiver<Revision> {
        self.around.changes.listen()
    }

    /// Orders the server to be started, restarted (also one that failed too often) or stopped. Calls in flight fail by
    /// the last two. Obeyed in the background, in their order.
    pub async fn order(&self, order: Order) {
        // Without a supervisor the router is on its way out, and so is the server.
        let _ = self.orders.send(order).await;
    }

    /// Ends the server, and waits until it has gone.
    pub async fn stop(&self) {
        self.order(Order::Stop).await;
        let mut state = self.state.clone();
        let _ = timeout(STOP_MAX, state.wait_for(|state| matches!(state, State::Stopped))).await;
    }

    /// What the server offers is read anew, and clients hear of it.
    pub fn look_again(&self) {
        self.around.changes.tell();
    }

    /// The last lines that the server wrote to its stderr, over all its processes.
    pub fn logs(&self, lines: usize) -> Vec<String> {
        self.around.complaints.lines(lines)
    }

    /// Has the server tell when a resource changes, for as long as what this gives is kept.
    pub(super) async fn watch_for(&self, cx: &Cx, uri: &str) -> Result<Watch> {
        let watched = async {
            self.channel(cx).await?;
            self.around.watched.watch(uri).await
        };
        watched.await.map_err(|error| error.at(&self.name))
    }

    async fn ask(&self, cx: &Cx, question: Question<'_>) -> Result<Answer> {
        let answer = async { self.channel(cx).await?.call(cx, question).await };
        let mut answer = answer.await.map_err(|error| error.at(&self.name))?;
        answer.provenance_mut().upstream = Some(Arc::clone(&self.name));
        Ok(answer)
    }

    /// The connection; waits while there is none yet, and fails at once when there will be none soon.
    async fn channel(&self, cx: &Cx) -> Result<Channel> {
        if let Some(ready) = self.state.borrow().channel() {
            return ready;
        }
        let mut state = self.state.clone();
        let allowed = cx.remaining().saturating_sub(BEFORE_DEADLINE);
        let (wait, late) =
            if allowed < START_WAIT { (allowed, Kind::Deadline) } else { (START_WAIT, Kind::Unavailable) };
        match timeout(wait, state.wait_for(|state| state.channel().is_some())).await {
            Ok(Ok(state)) => state.channel().unwrap_or_else(|| Err(gone())),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Error::new(late, "the server is still starting").outcome_is(Outcome::NotSent)),
        }
    }
}

fn gone() -> Error {
    Error::new(Kind::Unavailable, "the router is shutting down").outcome_is(Outcome::NotSent)
}

impl Upstream<ToolCall> for McpServer {
    async fn call(&self, cx: &Cx, call: ToolCall) -> Result<Answer> {
        self.ask(cx, Question::Tool(&call)).await
    }
}

impl Upstream<Lookup> for McpServer {
    async fn call(&self, cx: &Cx, lookup: Lookup) -> Result<Answer> {
        self.ask(cx, Question::Lookup(&lookup)).await
    }
}

impl Upstream<Errand> for McpServer {
    async fn call(&self, cx: &Cx, errand: Errand) -> Result<Answer> {
        self.ask(cx, Question::Errand(&errand)).await
    }
}

impl ServerView for McpServer {
    fn capabilities(&self) -> Option<Raw> {
        self.state.borrow().met().map(|met| met.greeting.capabilities.clone())
    }

    fn instructions(&self) -> Option<String> {
        self.state.borrow().met()?.greeting.instructions.as_deref().map(str::to_owned)
    }

    fn state(&self) -> ServerState {
        ServerState::of(&self.state.borrow())
    }

    fn revisions(&self) -> watch::Receiver<Revision> {
        self.changed()
    }

    fn remarks(&self) -> broadcast::Receiver<Remark> {
        self.around.remarks()
    }

    fn watch(&self, _: &Cx, uri: &str) -> BoxFuture<'static, Result<Watch>> {
        let (watched, name, uri) = (self.around.watched.clone(), Arc::clone(&self.name), uri.to_owned());
        async move { watched.watch(&uri).await.map_err(|error| error.at(&name)) }.boxed()
    }

    fn want_level(&self, level: &'static str) {
        if let Some(met) = self.state.borrow().met() {
            met.channel.want_level(level);
        }
    }
}

/// How a server is.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// In one word.
    pub state: ServerState,
    /// What the connection speaks.
    pub era: Option<Era>,
    /// The revision agreed on.
    pub version: Option<Arc<str>>,
    /// The process that guards it, where we started it.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Why, the last time; or why it is down.
    pub last_error: Option<String>,
    /// The address that somebody has to open first, while that is so.
    pub sign_in: Option<Arc<str>>,
    /// When the next start is due.
    pub retry_in: Option<Duration>,
    /// Answers that nobody waited for.
    pub strays: u64,
    /// Lines of output that were no messages.
    pub garbage: u64,
    /// Its name for itself.
    pub server_name: Option<Arc<str>>,
    /// What it says it can do, as it wrote it.
    pub capabilities: Option<Raw>,
    /// What it tells models about its use.
    pub instructions: Option<Arc<str>>,
}

/// How a server is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// On its way up.
    Starting,
    /// Answering.
    Ready,
    /// Down, until its next start.
    BackingOff,
    /// Down too often; it stays down until somebody restarts it.
    Failed,
    /// Ended by us.
    Stopped,
}

impl ServerState {
    fn of(state: &State) -> Self {
        match state {
            State::Starting => Self::Starting,
            State::Ready(_) => Self::Ready,
            State::BackingOff { .. } => Self::BackingOff,
            State::Failed { .. } => Self::Failed,
            State::Stopped => Self::Stopped,
        }
    }

    /// The word for status and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing_off",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use router_core::Caller;
    use tokio::time::Instant;

    use super::{super::Reach, *};

    #[tokio::test(start_paused = true)]
    async fn a_call_that_cannot_wait_for_the_start_any_longer_says_so_before_its_time_is_up() {
        let tasks = TaskTracker::new();
        let (_sender, state) = watch::channel(State::Starting);
        let (orders, _receiver) = mpsc::channel(1);
        let spec = ServerSpec::new("s", Reach::Absent(String::new()));
        let around = Surroundings::new(&spec, &tasks);
        let server = McpServer { name: "s".into(), state, orders, around, keyring: None };
        for (allowed, waited, kind) in [
            (30_000, 10_000, Kind::Unavailable),
            (10_000, 9_750, Kind::Deadline),
            (1_000, 750, Kind::Deadline),
            (100, 0, Kind::Deadline),
        ] {
            let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_millis(allowed));
            let begun = Instant::now();
            let error = server.call(&cx, ToolCall::new("t", None)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.outcome(), error.message()),
                (kind, Outcome::NotSent, "the server is still starting")
            );
            let waited = Duration::from_millis(waited);
            assert!(begun.elapsed() >= waited && begun.elapsed() < waited + Duration::from_millis(10), "{allowed}");
        }
    }
}
