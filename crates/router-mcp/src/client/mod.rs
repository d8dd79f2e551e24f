//! The servers behind us: whatever carries their words and whichever revision they speak, each is one upstream.

mod answer;
mod changes;
mod eras;
mod greet;
mod http;
mod in_flight;
mod instances;
pub(crate) mod lines;
mod link;
mod listener;
mod loudness;
mod news;
mod outbox;
mod outlet;
mod server;
mod session;
mod stdio;
mod tail;
mod watched;
mod watching;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderName, Uri};
use router_core::{
    Caller, Cx, Name, Note, Query, Raw, Repeat, Secret,
    tool::{Errand, Lookup, ToolCall},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::task::TaskTracker;

pub(crate) use self::{
    answer::failure,
    eras::{CLIENT_CAPABILITIES, MODERN_VERSION, PROTOCOL_VERSION, modern_capabilities, without_modern_keys},
    link::{Channel, Link},
    listener::TASK,
    news::follow,
    session::Tally,
    watched::RESOURCES,
    watching::{keep_told, tells},
};
use self::{changes::Changes, eras::Request, in_flight::Audience, tail::Tail, watched::Watched};
pub use self::{
    eras::{Era, Greeting, Protocol},
    instances::{InstanceLimits, Instances, Isolated, Isolation},
    server::{McpServer, Order, ServerState, ServerStatus},
    stdio::{Launch, Program},
    watched::Watch,
};
use crate::{fields, oauth::Keyring, view::Remark};

/// How many remarks of a server wait for whoever listens slowly; of more the oldest are lost.
const REMARKS: usize = 64;

/// How many things that a server asks may be under way; who asks more is told so, or not answered at all.
const QUESTIONS: usize = 1_000;

/// A server as the configuration describes it.
#[derive(Clone)]
pub struct ServerSpec {
    /// Its name, also the prefix of its tools.
    pub name: Name,
    /// How it is reached.
    pub reach: Reach,
    /// What it is spoken to.
    pub protocol: Protocol,
    /// What it spoke when it was last met, where somebody remembers: it is spoken to first.
    pub era: Option<Era>,
    /// Told what it speaks, whenever it was met.
    pub on_era: Arc<dyn Fn(Era) + Send + Sync>,
    /// When it is asked for a sign of life; `None`: only when a call took too long.
    pub health: Option<HealthCheck>,
    /// How often it is started again within 5 min before it counts as failed; `None`: as usual.
    pub restarts: Option<u32>,
    /// The folders that it is told to keep to where no client tells his: a list as the protocol writes it.
    pub roots: Option<Raw>,
}

impl ServerSpec {
    /// A server of which nothing is known.
    pub fn new(name: impl Into<Name>, reach: Reach) -> Self {
        Self {
            name: name.into(),
            reach,
            protocol: Protocol::Auto,
            era: None,
            on_era: Arc::new(|_| ()),
            health: None,
            restarts: None,
            roots: None,
        }
    }
}

/// How a server that says nothing is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// After how much silence it is asked for a sign of life.
    pub interval: Duration,
    /// How long it may take to give one.
    pub timeout: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// By starting it, and over its pipes.
    Program(Program),
    /// Over HTTP.
    Http(Endpoint),
    /// Not at all: what it needs to run is not on this machine. The reason, and what would mend it.
    Absent(String),
}

/// A server that somebody else runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it listens.
    pub url: Uri,
    /// What is sent along with every request.
    pub headers: Vec<(HeaderName, Secret<String>)>,
    /// How we sign in to it, where we do.
    pub keyring: Option<Keyring>,
    /// Over which transport.
    pub transport: Transport,
}

/// How messages travel over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP, or what was before, when the server refuses that.
    #[default]
    Auto,
    /// HTTP+SSE, the transport of 2024-11-05.
    Sse,
}

impl ServerSpec {
    /// How we sign in to it, where we do.
    pub(crate) fn keyring(&self) -> Option<&Keyring> {
        match &self.reach {
            Reach::Program(_) | Reach::Absent(_) => None,
            Reach::Http(endpoint) => endpoint.keyring.as_ref(),
        }
    }

    /// The same server, as `caller` has it to himself.
    pub(crate) fn of(&self, caller: &Caller) -> Self {
        let mut spec = self.clone();
        if let Reach::Http(Endpoint { keyring: Some(keyring), .. }) = &mut spec.reach {
            keyring.caller = Some(Arc::new(caller.clone()));
        }
        spec
    }
}

/// What every connection of a server shares with the next.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) changes: Changes,
    pub(crate) watched: Watched,
    pub(crate) tally: Arc<Tally>,
    pub(crate) tasks: TaskTracker,
    /// What its processes complain about.
    pub(crate) complaints: Arc<Tail>,
    /// The roots of the configuration, if it has some.
    pub(crate) roots: Option<Raw>,
    /// Who has the server to himself, if somebody does.
    owner: Option<Owner>,
    remarks: broadcast::Sender<Remark>,
    questions: Arc<Semaphore>,
}

/// Who has a server to himself.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) caller: Arc<str>,
    /// The one session of his that it is for; `None`: for all of them.
    pub(crate) session: Option<Arc<str>>,
    /// What his client said that it can do, when the server was started for it.
    pub(crate) capabilities: Raw,
}

impl Surroundings {
    pub(crate) fn new(spec: &ServerSpec, tasks: &TaskTracker) -> Self {
        let secrets = match &spec.reach {
            Reach::Program(program) => program.env.iter().map(|(_, value)| value.clone()).collect(),
            Reach::Http(_) | Reach::Absent(_) => Vec::new(),
        };
        Self {
            changes: Changes::new(),
            watched: Watched::new(),
            tally: Arc::default(),
            tasks: tasks.clone(),
            complaints: Arc::new(Tail::hiding(secrets)),
            roots: spec.roots.clone(),
            owner: None,
            remarks: broadcast::Sender::new(REMARKS),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
        }
    }

    /// The same for somebody who has the server to himself: what it says is for him, wherever he listens to `shared`.
    pub(crate) fn of(spec: &ServerSpec, tasks: &TaskTracker, (owner, shared): (Owner, &Self)) -> Self {
        Self { owner: Some(owner), remarks: shared.remarks.clone(), ..Self::new(spec, tasks) }
    }

    /// What a legacy server is told when it is met.
    fn greeting(&self) -> Raw {
        let client = self.owner.as_ref().map(|owner| &owner.capabilities);
        eras::initialize_params(client, self.roots.is_some())
    }

    /// The server says something that belongs to no request.
    fn remark(&self, method: &Arc<str>, params: Option<&Raw>, to: Option<Arc<str>>) {
        let is_wanted = |params: &Raw| match &**method {
            listener::MESSAGE | listener::VISITED | listener::TASK => true,
            watched::UPDATED => fields::text(params, "uri").is_some_and(|uri| self.watched.holds(&uri)),
            _ => false,
        };
        let Some(params) = params.filter(|params| is_wanted(params)) else { return };
        let note = Note { method: Arc::clone(method), params: params.clone() };
        let remark = match &self.owner {
            Some(owner) => Remark { note, to: Some(Arc::clone(&owner.caller)), session: owner.session.clone() },
            None => Remark { note, to, session: None },
        };
        // Nobody listens, most of the time.
        drop(self.remarks.send(remark));
    }

    /// A place for a question of the server, for as long as it is under way; `None` when all are taken.
    fn question(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.questions).try_acquire_owned().ok()
    }

    /// The server says something that may be about those who wait for it.
    fn remark_to(&self, audience: Audience, method: &Arc<str>, params: Option<&Raw>) {
        match audience {
            Audience::Everybody => self.remark(method, params, None),
            Audience::One(caller) => self.remark(method, params, Some(caller)),
            Audience::Nobody => {}
        }
    }

    /// Takes note of what is for us: a list has changed, a subscription was taken.
    fn hear(&self, method: &str, params: Option<&Raw>) {
        self.changes.hear(method);
        self.watched.hear(method, params);
    }

    pub(crate) fn remarks(&self) -> broadcast::Receiver<Remark> {
        self.remarks.subscribe()
    }

    /// What a server is told that asks for roots, and nobody who has some is there.
    fn roots(&self) -> Raw {
        let none = fields::array([]);
        fields::with_field(&fields::empty(), "roots", self.roots.as_ref().unwrap_or(&none))
    }
}

/// A question on its way to a server.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    Tool(&'a ToolCall),
    Lookup(&'a Lookup),
    Errand(&'a Errand),
}

impl Question<'_> {
    /// Whether asking twice can do harm.
    fn repeat(self) -> Repeat {
        match self {
            Self::Tool(call) => call.repeat(),
            Self::Lookup(lookup) => lookup.repeat(),
            Self::Errand(errand) => errand.repeat(),
        }
    }

    /// The question of a caller in the words of a connection. `id` is its request's.
    fn request(self, era: Era, id: u64, cx: &Cx) -> Request {
        match self {
            Self::Tool(call) => Request::of_call(call, (era, id), &**cx.peer()),
            Self::Lookup(lookup) => Request::of_lookup(lookup, (era, id), &**cx.peer()),
            Self::Errand(errand) => Request::of_errand(errand, (era, id), &**cx.peer()),
        }
    }
}
