//! Both ends of MCP, every protocol revision: our own JSON-RPC pipe, in which parameters and results stay raw bytes.

pub mod catalog;
pub mod client;
pub mod egress;
pub mod fields;
pub mod guard;
mod level;
mod mirror;
pub mod oauth;
pub mod pins;
pub mod rpc;
pub mod seal;
pub mod server;
mod supervisor;
#[cfg(test)]
mod testing;
mod unseen;
pub mod view;
