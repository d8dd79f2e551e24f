//! Where state lives that other replicas share, or that survives a restart.

mod answers;
mod file;
mod redis;
mod vault;

pub use self::{
    answers::{SharedAnswers, SharedSweeps},
    file::replace,
    redis::RedisStore,
    vault::Vault,
};
