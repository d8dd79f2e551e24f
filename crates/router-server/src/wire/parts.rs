//! How the parts of the gateway are told in `/health`: from what their guards already know.

use std::sync::Arc;

use router_core::{
    Name,
    chat::Chat,
    embed::Embed,
    layer::{
        breaker::State,
        guard::{Guard, Standing},
        keyed::Keyed,
    },
};
use router_llm::relay::Relay;
use router_mcp::{
    client::{Instances, ServerState},
    view::ServerView,
};
use serde_json::{Value, json};

use crate::{
    gateway::Part,
    health::{Component, Health},
};

/// A provider, with all its models that were asked so far.
pub struct ProviderPart {
    name: Name,
    links: Links,
}

/// The stacks of a provider's models.
#[derive(Clone)]
pub struct Links {
    /// Those that are asked in chats.
    pub chats: Arc<Keyed<Chat>>,
    /// Those that are asked for vectors.
    pub embeddings: Arc<Keyed<Embed>>,
    /// Those that hand on what only their provider understands, where he has an interface of that kind.
    pub relays: Option<Arc<Keyed<Relay>>>,
}

impl Links {
    fn guards(&self) -> impl Iterator<Item = (Name, Arc<Guard>)> {
        let relays = self.relays.iter().flat_map(|relays| relays.guards());
        self.chats.guards().into_iter().chain(self.embeddings.guards()).chain(relays)
    }
}

impl ProviderPart {
    /// The part of the provider `name`.
    pub fn new(name: Name, links: Links) -> Self {
        Self { name, links }
    }
}

impl Part for ProviderPart {
    fn component(&self) -> Component {
        let models = self.models();
        let open = models.iter().filter(|standing| standing.state == State::Open).count();
        let status = match open {
            0 if models.iter().all(|standing| standing.state == State::Closed) => Health::Healthy,
            open if open > 0 && open == models.len() => Health::Unhealthy,
            _ => Health::Degraded,
        };
        let message = models.iter().find(|standing| standing.state != State::Closed).map(told);
        Component {
            name: Arc::clone(&self.name),
            status,
            message: message.unwrap_or_else(|| "answers, or was not asked yet".to_owned()),
            latency_ms: models.iter().filter_map(|standing| standing.latency).map(millis).reduce(f64::max),
            metadata: json!({ "kind": "provider", "breakers": models.iter().map(breaker).collect::<Vec<_>>() }),
        }
    }

    fn standings(&self) -> Vec<Standing> {
        self.links.guards().map(|(_, guard)| guard.standing()).collect()
    }
}

impl ProviderPart {
    /// How it stands with each model, by its full name: metrics know those that the configuration does not name by
    /// their provider only, but who reads of an open breaker wants to know which one it is.
    fn models(&self) -> Vec<Standing> {
        let full = |model: &Name| Name::from(format!("{}/{model}", self.name));
        self.links.guards().map(|(model, guard)| Standing { name: full(&model), ..guard.standing() }).collect()
    }
}

/// An MCP server.
pub struct ServerPart {
    guard: Arc<Guard>,
    server: Arc<Instances>,
}

impl ServerPart {
    /// The part of one server.
    pub fn new(guard: Arc<Guard>, server: Arc<Instances>) -> Self {
        Self { guard, server }
    }
}

impl Part for ServerPart {
    fn component(&self) -> Component {
        let (standing, state) = (self.guard.standing(), self.server.shared().state());
        let status = match (state, standing.state) {
            (ServerState::Failed | ServerState::BackingOff | ServerState::Stopped, _) | (_, State::Open) => {
                Health::Unhealthy
            }
            (ServerState::Starting, _) | (_, State::HalfOpen) => Health::Degraded,
            (ServerState::Ready, State::Closed) => Health::Healthy,
        };
        let server = self.server.shared().status();
        let status = if standing.stood_in.is_some() { status.max(Health::Degraded) } else { status };
        let message = match (&server.last_error, standing.state, standing.stood_in) {
            (_, State::Open | State::HalfOpen, _) => told(&standing),
            (_, State::Closed, Some((strategy, ago))) if state == ServerState::Ready => {
                format!("answered by {} {} s ago", strategy.as_str(), ago.as_secs())
            }
            (Some(error), State::Closed, _) if status != Health::Healthy => format!("{}: {error}", state.as_str()),
            (_, State::Closed, _) => state.as_str().to_owned(),
        };
        Component {
            name: Arc::clone(self.guard.name()),
            status,
            message,
            latency_ms: standing.latency.map(millis),
            metadata: json!({
                "kind": "server",
                "state": state.as_str(),
                "era": server.era.map(router_mcp::client::Era::as_str),
                "protocol_version": server.version,
                "pid": server.pid,
                "restarts": server.restarts,
                "instances": self.server.states().len(),
                "sign_in": server.sign_in,
                "breaker": breaker(&standing),
            }),
        }
    }

    fn standings(&self) -> Vec<Standing> {
        vec![self.guard.standing()]
    }
}

fn told(standing: &Standing) -> String {
    let state = state_word(standing.state);
    let cause = standing.last_error.as_ref().map(|last| last.error.to_string()).unwrap_or_default();
    match standing.reopens_in {
        Some(wait) => {
            format!("{}: breaker {state}, tries again in {:.0} s: {cause}", standing.name, wait.as_secs_f64())
        }
        None => format!("{}: breaker {state}: {cause}", standing.name),
    }
}

fn breaker(standing: &Standing) -> Value {
    json!({
        "name": standing.name,
        "state": state_word(standing.state),
        "since_seconds": standing.since.as_secs(),
        "reopens_in_seconds": standing.reopens_in.map(|wait| wait.as_secs_f64().ceil()),
        "throttled_for_seconds": standing.throttled_for.map(|wait| wait.as_secs_f64().ceil()),
        "last_error": standing.last_error.as_ref().map(|last| last.error.to_string()),
        "stood_in": standing.stood_in.map(|(strategy, _)| strategy.as_str()),
        "in_flight": standing.in_flight,
    })
}

const fn state_word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::HalfOpen => "half-open",
        State::Open => "open",
    }
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
