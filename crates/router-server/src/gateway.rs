//! The gateway: every stack, built and ready, behind the doors.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use router_core::{
    BoxUpstream, Cx, Error, Fact, Kind, MemoryStore, Meter, Name, Reply, Result, Source, Strategy,
    chat::{Chat, ChatReply},
    embed::Embed,
    layer::guard::Standing,
};
use router_llm::{
    enhance::ClientRules,
    models::{KnownModels, ModelCard},
    provider::Provider,
    relay::Relay,
    route::Names,
    tokens::Counter,
};
use router_mcp::{client::Instances, pins::Pins, server::Front};
use tokio::time::Instant;

use crate::{
    health::Component,
    telemetry::metrics::Metrics,
    wire::{sign_in::Office, sign_out::SignOut, sweeper::Sweeper},
};

/// The most replies that are kept for clients to go on from.
const MOST_REPLIES: usize = 4096;
/// The most that these may weigh, each with the conversation before it.
const MOST_REPLY_BYTES: usize = 64 << 20;

/// Everything that the doors ask.
pub struct Gateway {
    /// The models.
    pub models: Models,
    /// The MCP servers.
    pub mcp: Mcp,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Replies that clients may go on from by their ids.
    pub replies: MemoryStore,
    /// Whether a drill is on: it must not be mistaken for real trouble.
    pub chaos: bool,
    parts: Vec<Box<dyn Part>>,
    started: Instant,
    draining: AtomicBool,
}

/// The models, by any name they go by.
pub struct Models {
    /// All of them.
    pub all: BoxUpstream<Chat>,
    /// The same names, asked for vectors. Clients' rules are about chats, and do not bend these.
    pub embeddings: BoxUpstream<Embed>,
    /// Who does what only Anthropic's interface has (batches, files); `None` where no provider has it.
    pub relay: Option<BoxUpstream<Relay>>,
    /// What becomes of the names that a client asks for.
    pub rules: Arc<ClientRules>,
    /// Who answers for a name.
    pub names: Arc<Names>,
    /// The model of a question that names none.
    pub default: Option<Arc<str>>,
    /// The providers.
    pub providers: BTreeSet<Name>,
    /// What is said for aliases when nobody can answer.
    pub texts: BTreeMap<Name, Arc<str>>,
    /// The model of a question that names only a provider.
    pub defaults: BTreeMap<Name, Arc<str>>,
    /// What can be asked for by name.
    pub cards: Vec<ModelCard>,
    /// The providers that can be asked for more than answers.
    pub vendors: BTreeMap<Name, Arc<Provider>>,
    /// What is known of the models.
    pub known: Arc<KnownModels>,
    /// What counts the tokens of questions.
    pub counter: Arc<Counter>,
}

impl Models {
    /// Every card with what is known by now.
    pub fn described_cards(&self) -> Vec<ModelCard> {
        self.cards.iter().map(|card| self.described(card)).collect()
    }

    /// A card with what is known of the model by now; of an alias, what is known of the first that is asked.
    pub fn described(&self, card: &ModelCard) -> ModelCard {
        let choice = self.names.choice(&card.id).ok();
        let target = choice.as_ref().and_then(|choice| choice.targets.first());
        let known = target.map(|target| self.known.of(&target.provider, &target.model)).unwrap_or_default();
        let (window, max_output) = (card.window.or(known.window), card.max_output.or(known.max_output));
        ModelCard { window, max_output, abilities: card.abilities.or(known.abilities), ..card.clone() }
    }

    /// What is said for a model when nobody can answer, and for which alias.
    pub fn default_text(&self, cx: &Cx, model: &str) -> Option<(Name, Arc<str>)> {
        let (alias, text) = self.texts.get_key_value(self.rules.model(cx, model))?;
        Some((Arc::clone(alias), Arc::clone(text)))
    }

    /// Says why nobody would answer this caller for `model`, before anybody is asked.
    pub fn knows(&self, cx: &Cx, model: &str) -> Result<()> {
        self.names.choice(self.rules.model(cx, model)).map(drop)
    }
}

/// The MCP servers.
pub struct Mcp {
    /// All as one.
    pub all: Arc<Front>,
    /// Each alone, under its own names.
    pub each: BTreeMap<Name, Arc<Front>>,
    /// What has their answers forgotten.
    pub sweeper: Arc<Sweeper>,
    /// The servers themselves, for whoever looks after them.
    pub servers: BTreeMap<Name, Arc<Instances>>,
    /// What their tools were when they were first seen.
    pub pins: Arc<Pins>,
    /// Where people sign in to them.
    pub office: Arc<Office>,
    /// Who may have.
    pub sign_outs: BTreeMap<Name, SignOut>,
    /// Who we are to those who sign them in, where they can read it.
    pub description: Option<serde_json::Value>,
    /// Selections of them.
    pub views: BTreeMap<Name, Arc<Front>>,
    /// Callers who see only some views, by their names: at `/mcp` the first of them.
    pub bound: BTreeMap<Name, Vec<Name>>,
    /// The views whose tools may be searched for.
    pub lazy: Vec<Name>,
}

/// Where a client of MCP knocks.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// `/mcp`.
    All,
    /// `/mcp/{server}`.
    Server(&'a str),
    /// `/mcp/v/{view}`.
    View(&'a str),
}

impl Mcp {
    /// What a caller finds at a place. What is not for him looks as if it were not there.
    pub fn front(&self, caller: &str, place: Place<'_>) -> Result<&Arc<Front>> {
        let bound = self.bound.get(caller);
        let found = match (bound, place) {
            (None, Place::All) => Some(&self.all),
            (None, Place::Server(name)) => self.each.get(name),
            (None, Place::View(name)) => self.views.get(name),
            (Some(views), Place::All) => views.first().and_then(|view| self.views.get(view)),
            (Some(views), Place::View(name)) if views.iter().any(|view| **view == *name) => self.views.get(name),
            (Some(_), Place::Server(_) | Place::View(_)) => None,
        };
        found.ok_or_else(|| self.nothing(bound, place))
    }

    fn nothing(&self, bound: Option<&Vec<Name>>, place: Place<'_>) -> Error {
        let (what, known): (_, Vec<&str>) = match (place, bound) {
            (Place::View(name), None) => (format!("view {name:?}"), self.views.keys().map(|name| &**name).collect()),
            (Place::View(name), Some(views)) => (format!("view {name:?}"), views.iter().map(|name| &**name).collect()),
            (Place::Server(name), None) => {
                (format!("MCP server {name:?}"), self.each.keys().map(|name| &**name).collect())
            }
            (Place::Server(name), Some(_)) => (format!("MCP server {name:?}"), Vec::new()),
            (Place::All, _) => ("view for this key".to_owned(), Vec::new()),
        };
        let hint = match (known.as_slice(), place, bound) {
            ([], _, Some(_)) => "this key sees the views it is for: /mcp is the first of them".to_owned(),
            ([], Place::View(_), None) => "add it under `views` of the configuration".to_owned(),
            ([], Place::Server(_) | Place::All, None) => "add it under `mcpServers` of the configuration".to_owned(),
            (known, _, _) => format!("there are: {}", known.join(", ")),
        };
        Error::new(Kind::NotFound, format!("there is no {what}")).hint(hint)
    }
}

/// Something whose health is told.
pub trait Part: Send + Sync {
    /// How well it is, from what is already known.
    fn component(&self) -> Component;

    /// What its guards know, one for each thing that is guarded by itself.
    fn standings(&self) -> Vec<Standing>;
}

impl Gateway {
    /// The reply that says an alias' own text, because of `error`.
    pub fn says(&self, alias: &Name, text: &str, error: &Error) -> ChatReply {
        self.metrics.fact(alias, Fact::FellBack(Strategy::Default));
        tracing::debug!(%alias, %error, "the default text answers");
        let mut reply = ChatReply::say(text);
        reply.provenance_mut().source = Source::Default;
        reply
    }

    /// A gateway that begins now.
    pub fn new(models: Models, mcp: Mcp, metrics: Arc<Metrics>, parts: Vec<Box<dyn Part>>) -> Self {
        let replies = MemoryStore::new(MOST_REPLIES).within(MOST_REPLY_BYTES);
        let (started, draining) = (Instant::now(), AtomicBool::new(false));
        Self { models, mcp, metrics, replies, chaos: false, parts, started, draining }
    }

    /// The same gateway, told whether a drill is on.
    pub fn drilled(mut self, chaos: bool) -> Arc<Self> {
        self.chaos = chaos;
        Arc::new(self)
    }

    /// How well every part is.
    pub fn components(&self) -> Vec<Component> {
        self.parts.iter().map(|part| part.component()).collect()
    }

    /// Every metric, those that are only read now among them.
    pub fn metrics_text(&self) -> String {
        self.metrics.stand(self.parts.iter().flat_map(|part| part.standings()));
        self.metrics.text()
    }

    /// Since when it runs.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// From here on nothing new should be sent here.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
