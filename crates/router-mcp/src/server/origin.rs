//! Which era an HTTP message belongs to: each says so for itself, so one endpoint serves all of them at once.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::{Front, failure, headers, meta::Meta, session::Session, version::Version};
use crate::rpc::{RpcError, code};

/// Where a message comes from.
pub(super) enum Origin {
    /// A modern client: the message stands alone.
    Modern,
    /// A legacy client, in a session or without one.
    Legacy { version: Version, session: Option<Arc<Session>> },
}

impl Origin {
    pub(super) fn version(&self) -> Version {
        match self {
            Self::Modern => Version::Modern,
            Self::Legacy { version, .. } => *version,
        }
    }

    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Modern => None,
            Self::Legacy { session, .. } => session.as_ref(),
        }
    }
}

/// A message that is not let in.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: RpcError,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: RpcError) -> Self {
        Self { status, error }
    }

    pub(super) fn bad(error: RpcError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self::bad(error)
    }
}

impl Front {
    /// Decides by what `_meta` says, then by the version header, then by the session.
    pub(super) fn origin(&self, headers: &HeaderMap, caller: &str, meta: &Meta) -> Result<Origin, Refusal> {
        if let Some(said) = meta.version.as_deref() {
            let known = Version::parse(said);
            if known.is_none_or(Version::is_modern) {
                headers::check_version(headers, said)?;
                known.ok_or_else(|| failure::unsupported(said))?;
                return Ok(Origin::Modern);
            }
        }
        let version = match headers::once(headers, &headers::VERSION)? {
            None => None,
            Some(said) => Some(Version::parse(&said).ok_or_else(|| failure::unsupported(&said))?),
        };
        if version.is_some_and(Version::is_modern) {
            let message = "`_meta` lacks io.modelcontextprotocol/protocolVersion";
            return Err(RpcError::new(code::INVALID_PARAMS, message).into());
        }
        match self.session(headers, caller)? {
            Some(session) => Ok(Origin::Legacy { version: session.hello().version, session: Some(session) }),
            None => Ok(Origin::Legacy { version: version.unwrap_or(Version::Batching), session: None }),
        }
    }

    /// The session that a message names. One that is not there has to be opened anew, which 404 tells the client.
    pub(super) fn session(&self, headers: &HeaderMap, caller: &str) -> Result<Option<Arc<Session>>, Refusal> {
        let Some(id) = headers.get(headers::SESSION) else { return Ok(None) };
        let found = id.to_str().ok().and_then(|id| self.0.sessions.find(id, caller));
        let unknown = || RpcError::new(404, "no such session: initialize again");
        found.map(Some).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, unknown()))
    }
}

/// A modern request says what its client can do, and its headers say what its body says.
pub(super) fn admit(headers: &HeaderMap, front: &Front, request: &super::Question) -> Result<(), Refusal> {
    if request.meta.capabilities.is_none() {
        let message = "`_meta` lacks io.modelcontextprotocol/clientCapabilities";
        return Err(RpcError::new(code::INVALID_PARAMS, message).into());
    }
    headers::check(headers, &request.method, &request.parts)?;
    if &*request.method == "tools/call" {
        let name = request.parts.name.as_ref().and_then(crate::fields::said);
        let mirrors = front.0.setup.catalog.mirrors(&name.unwrap_or_default());
        headers::check_mirrors(headers, &mirrors, request.parts.arguments.as_ref())?;
    }
    Ok(())
}
