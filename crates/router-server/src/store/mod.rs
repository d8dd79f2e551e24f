//! Where state lives that other replicas share, or that survives a restart.

mod file;
mod redis;
mod vault;

pub use self::{file::replace, redis::RedisStore, vault::Vault};
