//! `/admin`: what operators ask and order. Over HTTP only a key with `admin: true` gets here; on the machine itself the
//! socket in the state folder leads here, which only its owner can open.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    routing::{get, post},
};
use http::{Response, StatusCode};
use router_core::{Caller, Error, Kind, layer::sweep::Sweep};
use router_mcp::client::{Era, Instances, Order, ServerState, ServerStatus};
use serde_json::{Value, json};

use super::{
    CALL_TIME, Gate, Parameters, models, new_request_id,
    reject::{self, reject},
    visit::Visit,
};
use crate::gateway::Gateway;

/// How many lines of a server's log are told, unless the question says how many.
const LINES: usize = 100;

/// What can be asked and ordered, below `/admin`.
pub fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/admin/servers", get(all))
        .route("/admin/servers/{server}", get(one))
        .route("/admin/changes", get(changes))
        .route("/admin/cache/purge", post(purge))
        .route("/admin/servers/{server}/approve", post(approve))
        .route("/admin/servers/{server}/logs", get(logs))
        .route("/admin/servers/{server}/logout", post(logout))
        .route("/admin/servers/{server}/{order}", post(order))
}

async fn all(State(gateway): Gate) -> Response<Body> {
    let servers: Vec<_> = gateway.mcp.servers.iter().map(|(name, server)| about(name, server)).collect();
    models::json(&json!({ "servers": servers }))
}

async fn one(State(gateway): Gate, Path(name): Path<String>) -> Response<Body> {
    match find(&gateway, &name) {
        Ok(server) => models::json(&about(&name, server)),
        Err(error) => refused(&error),
    }
}

/// The last lines that a server wrote to its stderr.
async fn logs(State(gateway): Gate, Path(name): Path<String>, Query(parameters): Parameters) -> Response<Body> {
    let asked = parameters.iter().find(|(name, _)| name == "lines").and_then(|(_, count)| count.parse().ok());
    match find(&gateway, &name) {
        Ok(server) => models::json(&json!({ "lines": server.shared().logs(asked.unwrap_or(LINES)) })),
        Err(error) => refused(&error),
    }
}

/// The tools that are kept away because they are not what they were, with what changed.
async fn changes(State(gateway): Gate) -> Response<Body> {
    models::json(&json!({ "quarantined": gateway.mcp.pins.quarantined() }))
}

/// Agrees to what a server's tools are now: to the one that `tool` names, or to all.
async fn approve(State(gateway): Gate, Path(name): Path<String>, Query(parameters): Parameters) -> Response<Body> {
    let server = match find(&gateway, &name) {
        Ok(server) => server,
        Err(error) => return refused(&error),
    };
    let tool = parameters.iter().find(|(name, _)| name == "tool").map(|(_, tool)| tool.as_str());
    let approved = gateway.mcp.pins.approve(&name, tool);
    if approved.is_empty() {
        let what = tool.map_or_else(
            || format!("no tool of {name}"),
            |tool| format!("the tool {tool:?} of {name} is not one that"),
        );
        let error = Error::new(Kind::NotFound, format!("{what} waits for approval"));
        return refused(&error.hint("`mcp-router servers changes` shows those that do"));
    }
    tracing::info!(server = name, tools = approved.join(" "), "approved");
    server.shared().look_again();
    models::json(&json!({ "approved": approved }))
}

/// Forgets what was got by signing in: by everybody, or by the one that `caller` names.
async fn logout(State(gateway): Gate, Path(name): Path<String>, Query(parameters): Parameters) -> Response<Body> {
    let caller = parameters.iter().find(|(name, _)| name == "caller").map(|(_, caller)| caller.as_str());
    let ended = match (find(&gateway, &name), gateway.mcp.sign_outs.get(&*name)) {
        (Ok(_), Some(sign_out)) => sign_out.end(&gateway.mcp.office, &name, caller).await,
        (Ok(_), None) => Ok(Vec::new()),
        (Err(error), _) => Err(error),
    };
    match ended {
        Ok(ended) => models::json(&json!({ "signed_out": ended })),
        Err(error) => refused(&error),
    }
}

/// Forgets answers of servers: all, or those of one `server`, about tools that fit `tool`, of the caller that `scope` names.
async fn purge(State(gateway): Gate, Query(parameters): Parameters) -> Response<Body> {
    let said = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    if let Some((unknown, _)) =
        parameters.iter().find(|(name, _)| !matches!(name.as_str(), "server" | "tool" | "scope"))
    {
        let error = Error::new(Kind::Invalid, format!("nothing can be forgotten by {unknown:?}"));
        return refused(&error.hint("there are: server, tool, scope"));
    }
    let server = said("server");
    if let Some(Err(error)) = server.as_ref().map(|server| find(&gateway, server)) {
        return refused(&error);
    }
    let sweep = Sweep { subject: said("tool"), tenant: said("scope") };
    let everywhere = gateway.mcp.sweeper.forget(server.as_deref(), &sweep).await;
    tracing::info!(server, tool = sweep.subject, scope = sweep.tenant, everywhere, "answers are forgotten");
    models::json(&json!({ "purged": true, "everywhere": everywhere }))
}

/// `start`, `stop` or `restart`; obeyed in the background.
async fn order(State(gateway): Gate, Path((name, order)): Path<(String, String)>) -> Response<Body> {
    let ordered = match order.as_str() {
        "start" => Ok(Order::Start),
        "stop" => Ok(Order::Stop),
        "restart" => Ok(Order::Restart),
        other => Err(Error::new(Kind::NotFound, format!("a server cannot be told to {other}"))
            .hint("there are: start, stop, restart")),
    };
    let (server, ordered) = match (find(&gateway, &name), ordered) {
        (Ok(server), Ok(ordered)) => (server, ordered),
        (Err(error), _) | (_, Err(error)) => return refused(&error),
    };
    tracing::info!(server = name, order, "ordered");
    server.order(ordered).await;
    let mut response = models::json(&about(&name, server));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn find<'a>(gateway: &'a Gateway, name: &str) -> Result<&'a Arc<Instances>, Error> {
    let servers = &gateway.mcp.servers;
    servers.get(name).ok_or_else(|| {
        let known: Vec<&str> = servers.keys().map(|name| &**name).collect();
        let hint =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
        Error::new(Kind::NotFound, format!("there is no MCP server {name:?}")).hint(hint)
    })
}

fn refused(error: &Error) -> Response<Body> {
    let caller = Caller::anonymous(new_request_id());
    reject(error, reject::Shape::Plain, &Visit::new(caller, CALL_TIME))
}

/// A server as it is told here: what operators need, and no secret.
fn about(name: &str, server: &Instances) -> Value {
    let ServerStatus { state, era, version, pid, restarts, last_error, retry_in, strays, garbage, server_name, .. } =
        server.shared().status();
    json!({
        "name": name,
        "state": state.as_str(),
        "era": era.map(Era::as_str),
        "protocol_version": version,
        "pid": pid,
        "restarts": restarts,
        "last_error": last_error,
        "retry_in_seconds": retry_in.map(|wait| wait.as_secs_f64().ceil()),
        "unexpected_answers": strays,
        "unreadable_lines": garbage,
        "server_name": server_name,
        "instances": server.states().into_iter().map(ServerState::as_str).collect::<Vec<_>>(),
    })
}
