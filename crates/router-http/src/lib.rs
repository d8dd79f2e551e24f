//! The way out: HTTP to whatever is called, a model's provider or an MCP server.
//!
//! It follows no redirect and repeats nothing that was sent: both are decided by layers that know what is asked.
//! Dropping a response, or the future of one, closes its request: on HTTP/1 the connection, on HTTP/2 the stream.

mod client;
mod dial;
mod line;
mod pieces;
mod pool;

pub use client::HttpClient;
pub use line::Answer;
pub use pieces::Pieces;
