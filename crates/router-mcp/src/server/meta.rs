//! What a request says of itself in `_meta`.

use router_core::Raw;

use super::version::Version;
use crate::fields;
pub(super) use crate::level::Level;

/// The object of a message that belongs to the protocol.
pub(super) const META: &str = "_meta";
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Whose answer it is.
pub(super) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Which `subscriptions/listen` a notification belongs to.
pub(super) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The fields of `_meta` that the front reads.
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub(super) version: Option<String>,
    pub(super) capabilities: Option<Raw>,
    pub(super) level: Option<Level>,
    pub(super) progress: Option<Raw>,
}

impl Meta {
    /// Whether it says so: also of a revision that is not known yet.
    pub(super) fn is_modern(&self) -> bool {
        self.version.as_deref().is_some_and(|said| Version::parse(said).is_none_or(Version::is_modern))
    }

    pub(super) fn read(params: Option<&Raw>) -> Self {
        let Some(meta) = params.and_then(|params| fields::get(params, META)) else { return Self::default() };
        let mut read = Self::default();
        for (key, value) in fields::entries(&meta) {
            match key.as_str() {
                PROTOCOL_VERSION => read.version = fields::said(&value),
                CLIENT_CAPABILITIES => read.capabilities = Some(value).filter(fields::is_object),
                LOG_LEVEL => read.level = fields::said(&value).and_then(|level| Level::parse(&level)),
                "progressToken" => read.progress = Some(value),
                _ => {}
            }
        }
        read
    }
}
