//! What operators see: metrics in Prometheus text, and logs written off the request path.

mod bill;
pub mod line;
pub mod log;
pub mod metrics;
mod plain;
mod spool;
