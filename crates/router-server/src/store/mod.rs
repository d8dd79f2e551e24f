//! Where state lives that other replicas share.

mod redis;

pub use self::redis::RedisStore;
