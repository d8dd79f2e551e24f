//! How well a part of the gateway is.

use serde::Serialize;

/// Ordered: the worst part tells how the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers.
    Healthy,
    /// It answers, but not all, or not itself.
    Degraded,
    /// It does not answer.
    Unhealthy,
}

/// One part: a provider, an MCP server.
#[derive(Debug, Serialize)]
pub struct Component {
    /// Its name in the configuration.
    pub name: std::sync::Arc<str>,
    /// How well it is.
    pub status: Health,
    /// Why, in a sentence.
    pub message: String,
    /// How long its last call took.
    pub latency_ms: Option<f64>,
    /// What else is known: breaker, era, process.
    pub metadata: serde_json::Value,
}
