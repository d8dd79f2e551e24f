//! How much a legacy server tells of its log: as much as the most talkative of all who use it want to hear.

use std::sync::atomic::{AtomicU8, Ordering};

use router_core::Raw;

use super::eras::{Era, Greeting};
use crate::{fields, level::Level, rpc};

pub(super) const SET_LEVEL: &str = "logging/setLevel";

/// In the place of a level: nobody has asked for one, and the server tells what it thinks fit.
const UNSAID: u8 = u8::MAX;

/// The level that a server was told.
#[derive(Debug)]
pub(super) struct Loudness(AtomicU8);

impl Default for Loudness {
    fn default() -> Self {
        Self(AtomicU8::new(UNSAID))
    }
}

impl Loudness {
    /// The parameters of the request that has the server tell more, when it has to be made.
    pub(super) fn raise(&self, level: &str, greeting: &Greeting) -> Option<Raw> {
        if greeting.era != Era::Legacy || fields::get(&greeting.capabilities, "logging").is_none() {
            return None;
        }
        let wanted = Level::parse(level)?.number();
        let told = self.0.fetch_min(wanted, Ordering::Relaxed);
        (wanted < told).then(|| fields::with_field(&fields::empty(), "level", &rpc::quoted(level)))
    }

    /// A new session knows nothing of it.
    pub(super) fn forget(&self) {
        self.0.store(UNSAID, Ordering::Relaxed);
    }
}
