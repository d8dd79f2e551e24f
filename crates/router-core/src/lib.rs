//! The vocabulary of MCP Router: what can be asked, who answers, what can go wrong, and the layers around an answer.
//!
//! Everything behind us is an [`Upstream`]: something that answers a [`Query`]. Everything we do for a call is a layer:
//! an upstream around an upstream. This crate does no I/O and knows no vendor and no wire format.

pub mod chat;
mod cx;
pub mod embed;
mod error;
mod glob;
pub mod layer;
mod meter;
mod pulse;
mod query;
mod raw;
mod recording;
mod reply;
pub mod scan;
mod secret;
mod store;
pub mod tool;
mod upstream;

pub use cx::{Caller, Cx, NoPeer, Note, Peer, SessionMark, Trail};
pub use error::{Consent, Error, Excess, Kind, Outcome, Result, Verbatim};
pub use glob::{matches_glob, stands_in};
pub use meter::{Charge, Fact, Meter, NoMeter, Observation, Strategy};
pub use pulse::{Hold, Pulse};
pub use query::{Fingerprint, Query, Repeat, Scope};
pub use raw::Raw;
pub use recording::Recording;
pub use reply::{CacheUse, Done, End, Pace, Provenance, Reply, Source};
pub use secret::Secret;
pub use store::{MemoryStore, Store, StoreKey};
pub use upstream::{BoxUpstream, Name, Upstream};
