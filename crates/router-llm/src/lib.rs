//! The languages models speak, and the models.

pub mod dialect;
pub mod echo;
pub mod embed;
pub mod enhance;
pub mod models;
pub mod prompt_cache;
pub mod provider;
pub mod relay;
pub mod route;
pub mod sse;
pub mod structured;
pub mod tokens;
