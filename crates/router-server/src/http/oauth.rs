//! Where people come back to after they have signed in somewhere, and where authorization servers read who we are.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Query, State},
};
use http::{HeaderValue, Response, StatusCode, header};
use router_core::{Error, Kind};
use router_mcp::oauth::Callback;

use super::{
    Gate, Parameters, models,
    reject::{self, reject},
    visit::Visit,
};
use crate::wire::sign_in::Office;

/// The end of a journey.
pub async fn callback(State(gateway): Gate, Query(parameters): Parameters) -> Response<Body> {
    finish(&gateway.mcp.office, &parameters).await
}

/// Who we are, for authorization servers that read it.
pub async fn description(State(gateway): Gate, Extension(visit): Extension<Visit>) -> Response<Body> {
    match &gateway.mcp.description {
        Some(description) => models::json(description),
        None => {
            let error =
                Error::new(Kind::NotFound, "this router has no address that others know").hint("set public_url");
            reject(&error, reject::Shape::Plain, &visit)
        }
    }
}

/// Ends the journey that `parameters` tell of, and says so to whoever sits in front of the browser.
pub async fn finish(office: &Arc<Office>, parameters: &[(String, String)]) -> Response<Body> {
    let done = match Callback::read(parameters) {
        Some(callback) => office.complete(callback).await,
        None => Err(Error::new(Kind::Invalid, "this address is where a sign-in ends; it does not begin here")),
    };
    match done {
        Ok(server) => page(StatusCode::OK, &format!("Signed in to {server}. This window can be closed.")),
        Err(error) => {
            tracing::warn!(%error, "a sign-in failed");
            page(StatusCode::BAD_REQUEST, &format!("Nobody was signed in: {error}."))
        }
    }
}

/// A page of one sentence, in plain text: whatever it says is nothing but text to a browser.
fn page(status: StatusCode, sentence: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{sentence}\n")));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
