//! One request to addresses that were checked, and its answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use router_core::{Error, Kind, Result};
use router_http::{Answer, HttpClient, Pieces};

use super::Told;

/// The largest answer, in bytes: documents and tokens are small.
const BODY: usize = 256 * 1024;

/// Sends `request` to `addresses`. The connection is for this one request.
pub(super) async fn exchange(
    request: Request<Pieces>,
    addresses: Vec<SocketAddr>,
    client: &HttpClient,
) -> Result<Told> {
    let place =
        format!("{}://{}", request.uri().scheme_str().unwrap_or_default(), request.uri().host().unwrap_or_default());
    let response = client.send_to(request, addresses).await.map_err(|error| {
        Error::new(Kind::Unavailable, format!("no answer from {place}")).outcome_is(error.outcome()).because(error)
    })?;
    let (parts, body) = response.into_parts();
    Ok(Told { status: parts.status, headers: parts.headers, body: collect(body, &place).await? })
}

async fn collect(body: Answer, place: &str) -> Result<Bytes> {
    let whole = Limited::new(body, BODY).collect().await.map_err(|error| {
        let what =
            if error.is::<LengthLimitError>() { format!("is above {BODY} bytes") } else { "broke off".to_owned() };
        Error::new(Kind::Protocol, format!("the answer of {place} {what}")).because(error)
    })?;
    Ok(whole.to_bytes())
}
