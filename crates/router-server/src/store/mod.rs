//! Where state lives that other replicas share, or that survives a restart.

mod redis;
mod vault;

pub use self::{redis::RedisStore, vault::Vault};
