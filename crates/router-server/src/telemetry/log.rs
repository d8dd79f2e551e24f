//! The log: one line per event on stderr, as text or JSON, written by a thread of its own.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, field::MakeExt, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    line::Lines,
    plain,
    spool::{Flush, Spool},
};
use crate::config::LogFormat;

/// Starts the log. What is still waiting is written when the guard is dropped.
pub fn start(format: LogFormat, level: &str) -> io::Result<Flush> {
    let (writer, flush) = Spool::to(io::stderr())?;
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).map_event_format(Lines);
            registry.with(json.with_writer(writer)).try_init()
        }
        LogFormat::Text => {
            let colour = io::stderr().is_terminal();
            let text = fmt::layer().with_ansi(colour).with_target(false);
            let fields = fmt::format::debug_fn(plain::field).delimited(" ");
            registry.with(text.fmt_fields(fields).with_writer(writer)).try_init()
        }
    };
    // A second start in one process can only be a test's: the first log stays.
    drop(started);
    Ok(flush)
}
