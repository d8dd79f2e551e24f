//! The way to one server, and what is said when a message got no answer.

use std::{error::Error as _, iter, time::Duration};

use http::{Request, Response, Uri};
use router_core::{Error, Kind, Outcome, Result};
use router_http::{Answer, HttpClient, Pieces};

const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Connections to one server. Redirects are not followed: they would carry our credentials elsewhere.
#[derive(Clone)]
pub(super) struct Transport(HttpClient);

impl Transport {
    pub(super) fn to(url: &Uri) -> Result<Self> {
        match url.scheme_str() {
            Some("http" | "https") => Ok(Self(HttpClient::new(CONNECT_MAX))),
            _ => Err(Error::new(Kind::Invalid, format!("{url} is neither http nor https"))),
        }
    }

    pub(super) async fn send(&self, request: Request<Pieces>) -> Result<Response<Answer>> {
        // Boxed: it is large, and every future around it would be.
        Box::pin(self.0.send(request)).await.map_err(told)
    }
}

/// A server is known by its name, not by its address; whatever broke, it is not there.
fn told(error: Error) -> Error {
    let what = if error.outcome() == Outcome::NotSent { "no connection" } else { "the connection broke" };
    let cause = iter::successors(error.source(), |&cause| cause.source()).last();
    let why = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::new(Kind::Unavailable, format!("{what}{why}")).outcome_is(error.outcome()).because(error)
}
