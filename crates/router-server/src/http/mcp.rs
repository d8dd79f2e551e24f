//! `/mcp`, `/mcp/{server}` and `/mcp/v/{view}`: the doors of MCP over HTTP; and beside each, at `/sse`, the one for clients
//! of 2024-11-05.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State},
};
use bytes::Bytes;
use http::{Response, request::Parts};
use router_core::{Provenance, Result};
use router_mcp::server::Front;

use super::{
    Gate, MCP_BYTES, read_body,
    reject::{self, reject},
    visit::Visit,
};
use crate::gateway::Place;

/// All servers as one, or what the caller's key is for.
pub async fn all(State(gateway): Gate, Extension(visit): Extension<Visit>, request: Request) -> Response<Body> {
    enter(gateway.mcp.front(&visit.caller.name, Place::All), &visit, request).await
}

/// One server, under its own names.
pub async fn one(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(server): Path<String>,
    request: Request,
) -> Response<Body> {
    enter(gateway.mcp.front(&visit.caller.name, Place::Server(&server)), &visit, request).await
}

/// Some servers, and some of what they have.
pub async fn view(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(view): Path<String>,
    request: Request,
) -> Response<Body> {
    enter(gateway.mcp.front(&visit.caller.name, Place::View(&view)), &visit, request).await
}

/// All servers as one, for clients of 2024-11-05.
pub async fn all_sse(State(gateway): Gate, Extension(visit): Extension<Visit>, request: Request) -> Response<Body> {
    enter_sse(gateway.mcp.front(&visit.caller.name, Place::All), &visit, request).await
}

/// One server, for them.
pub async fn one_sse(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(server): Path<String>,
    request: Request,
) -> Response<Body> {
    enter_sse(gateway.mcp.front(&visit.caller.name, Place::Server(&server)), &visit, request).await
}

/// A view, for them.
pub async fn view_sse(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(view): Path<String>,
    request: Request,
) -> Response<Body> {
    enter_sse(gateway.mcp.front(&visit.caller.name, Place::View(&view)), &visit, request).await
}

/// The whole of a request, where there is somebody to answer it.
async fn read(front: Result<&Arc<Front>>, request: Request) -> Result<(&Arc<Front>, Parts, Bytes)> {
    let front = front?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, MCP_BYTES).await?;
    Ok((front, parts, body))
}

async fn enter(front: Result<&Arc<Front>>, visit: &Visit, request: Request) -> Response<Body> {
    match read(front, request).await {
        Ok((front, parts, body)) => {
            let mut response = front.handle(visit.cx.clone(), &parts, body).await;
            let provenance = response.extensions_mut().remove::<Provenance>().unwrap_or_default();
            visit.sign(response.headers_mut(), &provenance);
            response.map(Body::new)
        }
        Err(error) => reject(&error, reject::Shape::Rpc, visit),
    }
}

async fn enter_sse(front: Result<&Arc<Front>>, visit: &Visit, request: Request) -> Response<Body> {
    match read(front, request).await {
        Ok((front, parts, body)) => {
            // Whoever came below `/c/` posts there, too: his client resolves what has no path by where he came.
            let path = if visit.by_path { "" } else { parts.uri.path() };
            front.handle_sse(visit.cx.clone(), (&parts, path), body).await.map(Body::new)
        }
        Err(error) => reject(&error, reject::Shape::Rpc, visit),
    }
}
