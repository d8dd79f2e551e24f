//! `GET /health`: what the stacks already know, told at once. Nothing is probed on the request path.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
};
use http::{Response, StatusCode};
use router_core::{Error, Kind};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Gate, Parameters, models,
    reject::{self, reject},
    visit::Visit,
};
use crate::{
    clock,
    gateway::Gateway,
    health::{Component, Health},
};

/// All components; with `?ready=true`, whether new calls should come here.
pub async fn all(gateway: Gate, Query(parameters): Parameters) -> Response<Body> {
    let wants_ready = parameters.iter().any(|(name, value)| name == "ready" && value == "true");
    if wants_ready { ready(gateway).await } else { report(&gateway.0) }
}

/// The process answers.
pub async fn live() -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "status": "healthy" }))
}

/// The process takes calls: it is not shutting down. An upstream that is ill is its breaker's business, not a reason
/// to send everybody away.
pub async fn ready(State(gateway): Gate) -> Response<Body> {
    if gateway.is_draining() {
        return json_response(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "unhealthy", "message": "shutting down" }),
        );
    }
    json_response(StatusCode::OK, &json!({ "status": "healthy" }))
}

/// One component.
pub async fn one(State(gateway): Gate, Extension(visit): Extension<Visit>, Path(name): Path<String>) -> Response<Body> {
    match gateway.components().into_iter().find(|component| *component.name == *name) {
        Some(component) => json_response(status_of(component.status), &json!(component)),
        None => {
            let error = Error::new(Kind::NotFound, format!("there is no component {name:?}")).hint("see GET /health");
            reject(&error, reject::Shape::Plain, &visit)
        }
    }
}

fn report(gateway: &Arc<Gateway>) -> Response<Body> {
    let started = Instant::now();
    let components: Vec<Component> = gateway.components();
    let worst = components.iter().map(|component| component.status).max().unwrap_or(Health::Healthy);
    let body = json!({
        "status": worst,
        "timestamp": clock::now(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": (gateway.uptime().as_secs_f64() * 100.0).round() / 100.0,
        "components": components,
        "metadata": { "draining": gateway.is_draining(), "chaos": gateway.chaos, "lazy": lazy(gateway) },
    });
    gateway.metrics.health_checked(started.elapsed());
    json_response(StatusCode::OK, &body)
}

/// What lazy discovery did for the clients of each view that has it.
fn lazy(gateway: &Gateway) -> serde_json::Value {
    let told = gateway.mcp.lazy.iter().map(|view| {
        let (saved, spent) = gateway.metrics.lazy_tokens(view);
        (view.to_string(), json!({ "tokens_saved": saved, "tokens_spent": spent }))
    });
    serde_json::Value::Object(told.collect())
}

const fn status_of(health: Health) -> StatusCode {
    match health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = models::json(body);
    *response.status_mut() = status;
    response
}
