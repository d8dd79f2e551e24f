//! A line of the access log as JSON. Every request leaves one, always with the same few fields, so it is written straight
//! down; lines of any other kind are few, and their own format is asked to write them.

use std::fmt::{self, Debug};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The target of the access log.
pub const ACCESS: &str = "access";

/// Writes lines of the access log itself, and the others as `F` does.
pub(super) struct Lines<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != ACCESS {
            return self.0.format_event(cx, out, event);
        }
        out.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut out)?;
        write!(out, "\",\"level\":\"{}\"", event.metadata().level())?;
        let mut fields = Fields { out, outcome: Ok(()) };
        event.record(&mut fields);
        let Fields { mut out, outcome } = fields;
        outcome?;
        writeln!(out, ",\"target\":\"{ACCESS}\"}}")
    }
}

/// The fields of an event, each written when it is told.
struct Fields<'a> {
    out: Writer<'a>,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: &[&str]) {
        let out = &mut self.out;
        let pieces = [",\"", field.name(), "\":"];
        let mut put = || pieces.iter().chain(value).try_for_each(|piece| out.write_str(piece));
        self.outcome = self.outcome.and_then(|()| put());
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let needs_escape = |byte| matches!(byte, b'"' | b'\\' | ..0x20);
        if value.bytes().any(needs_escape) {
            self.put(field, &[&serde_json::Value::from(value).to_string()]);
        } else {
            self.put(field, &["\"", value, "\""]);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &[&value.to_string()]);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;
    use crate::telemetry::spool::tests::Page;

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is written by the format that `bend` makes of the usual one, without the time.
    fn written<L>(bend: impl FnOnce(Page) -> L, event: impl FnOnce()) -> String
    where
        L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
    {
        let page = Page::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(bend(page.clone())), event);
        let text = page.text();
        let (time, rest) = text.split_once("\",").expect("a time");
        assert!(time.starts_with("{\"timestamp\":\"20") && time.ends_with('Z'), "{time}");
        rest.to_owned()
    }

    #[test]
    fn a_line_is_the_one_that_the_usual_format_writes() {
        let usual = |page| tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(page);
        let ours = |page| usual(page).map_event_format(Lines);
        let events: [fn(); 3] = [
            || tracing::info!(target: ACCESS, request_id = "req_1", route = "/ask", status = 200_u16, upstream = Some("a/b")),
            || tracing::info!(target: ACCESS, caller = "a \"b\" \\ \n", upstream = None::<&str>, milliseconds = 7_u64),
            || tracing::warn!(number = 1, "something else"),
        ];
        for event in events {
            assert_eq!(written(ours, event), written(usual, event));
        }
    }
}
