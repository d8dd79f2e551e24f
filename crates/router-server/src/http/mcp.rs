//! `/mcp` and `/mcp/{server}`: the doors of MCP over HTTP.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State},
};
use http::Response;
use router_core::{Error, Kind, Provenance};
use router_mcp::server::Front;

use super::{
    Gate, MCP_BYTES, read_body,
    reject::{self, reject},
    visit::Visit,
};

/// All servers as one.
pub async fn all(State(gateway): Gate, Extension(visit): Extension<Visit>, request: Request) -> Response<Body> {
    enter(&gateway.mcp.all, &visit, request).await
}

/// One server, under its own names.
pub async fn one(
    State(gateway): Gate,
    Extension(visit): Extension<Visit>,
    Path(server): Path<String>,
    request: Request,
) -> Response<Body> {
    match gateway.mcp.each.get(server.as_str()) {
        Some(front) => enter(front, &visit, request).await,
        None => {
            let known: Vec<&str> = gateway.mcp.each.keys().map(|name| &**name).collect();
            let hint = match known.as_slice() {
                [] => "add it under `mcpServers` of the configuration".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            let error = Error::new(Kind::NotFound, format!("there is no MCP server {server:?}")).hint(hint);
            reject(&error, reject::Shape::Rpc, &visit)
        }
    }
}

async fn enter(front: &Arc<Front>, visit: &Visit, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match read_body(&parts.headers, body, MCP_BYTES).await {
        Ok(body) => {
            let mut response = front.handle(visit.cx.clone(), &parts, body).await;
            let provenance = response.extensions_mut().remove::<Provenance>().unwrap_or_default();
            visit.sign(response.headers_mut(), &provenance);
            response.map(Body::new)
        }
        Err(error) => reject(&error, reject::Shape::Rpc, visit),
    }
}
