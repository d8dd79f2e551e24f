//! Finds out who makes out the tokens of a server.

use http::{HeaderMap, HeaderValue, header::ACCEPT};
use router_core::{Error, Kind, Result};
use serde_json::Value;

use super::{
    challenge::Challenge,
    metadata::{self, Authority, Resource},
};
use crate::egress::{Egress, Place};

/// Reads what `server` says of itself. One that says nothing is taken for one of the revision of March 2025.
pub(super) async fn resource(egress: &Egress, server: &Place, challenge: &Challenge) -> Result<Resource> {
    for address in metadata::resource_addresses(server, challenge.resource_metadata.as_deref()) {
        if let Some(document) = document(egress, &address, server).await? {
            return Resource::read(&document, server);
        }
    }
    Ok(Resource::silent(server))
}

/// Reads what the authorization server `issuer` says of itself.
pub(super) async fn authority(egress: &Egress, server: &Place, issuer: &str) -> Result<Authority> {
    let place = egress.admit(issuer, server)?;
    match description(egress, server, &place).await? {
        Some(document) => looked_at(Authority::read(&document, issuer)?, egress, server),
        None => Err(Error::new(Kind::Refused, format!("{place} does not say how tokens are made out"))),
    }
}

/// The authorization server that a server is itself, if it is of the revision of March 2025: by its word, or by that
/// revision's where it has none.
pub(super) async fn own_authority(egress: &Egress, server: &Place) -> Result<Authority> {
    let root = egress.admit(&server.origin(), server)?;
    match description(egress, server, &root).await? {
        Some(document) => looked_at(Authority::read_beside(&document, server)?, egress, server),
        None => Ok(Authority::silent(server)),
    }
}

/// Whatever an authorization server names is looked at before it is used.
fn looked_at(authority: Authority, egress: &Egress, server: &Place) -> Result<Authority> {
    for endpoint in authority.endpoints() {
        egress.admit(endpoint, server)?;
    }
    Ok(authority)
}

async fn description(egress: &Egress, server: &Place, issuer: &Place) -> Result<Option<Value>> {
    for address in metadata::authority_addresses(issuer) {
        if let Some(document) = document(egress, &address, server).await? {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

/// The JSON at an address; `None` where there is none.
async fn document(egress: &Egress, address: &str, server: &Place) -> Result<Option<Value>> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let told = egress.get(address, headers, server).await?;
    match told.status.as_u16() {
        200 => Ok(serde_json::from_slice(&told.body).ok().filter(Value::is_object)),
        429 | 500.. => {
            let message =
                format!("{} answers with HTTP {}", address.split('?').next().unwrap_or_default(), told.status.as_u16());
            Err(Error::new(Kind::Unavailable, message))
        }
        _ => Ok(None),
    }
}
