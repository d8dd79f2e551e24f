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

/// Reads what the authorization server `issuer` says of itself. Whatever it names is looked at before it is used.
pub(super) async fn authority(egress: &Egress, server: &Place, issuer: &str) -> Result<Authority> {
    let place = egress.admit(issuer, server)?;
    for address in metadata::authority_addresses(&place) {
        let Some(document) = document(egress, &address, server).await? else { continue };
        let authority = Authority::read(&document, issuer)?;
        for endpoint in authority.endpoints() {
            egress.admit(endpoint, server)?;
        }
        return Ok(authority);
    }
    Err(Error::new(Kind::Refused, format!("{place} does not say how tokens are made out")))
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
