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

    /// Reads the `_meta` of a request.
    pub(super) fn read(meta: Option<&Raw>) -> Self {
        let keys = [PROTOCOL_VERSION, CLIENT_CAPABILITIES, LOG_LEVEL, "progressToken"];
        let [version, capabilities, level, progress] = meta.map(|meta| fields::pick(meta, keys)).unwrap_or_default();
        Self {
            version: version.as_ref().and_then(fields::said),
            capabilities: capabilities.filter(fields::is_object),
            level: level.as_ref().and_then(fields::said).and_then(|level| Level::parse(&level)),
            progress,
        }
    }
}
