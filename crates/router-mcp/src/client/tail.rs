//! The last words of a server: its stderr is always read, kept in a small ring, and told to the log.

use std::collections::VecDeque;

use parking_lot::Mutex;
use router_core::Name;
use tokio::{io::AsyncRead, time::Instant};

use super::lines::{Line, Lines};

/// How much is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// The longest line of a log.
const LINE_MAX: usize = 16 * 1024;
/// How many lines a second reach the log.
const LOGGED_PER_SECOND: u32 = 50;

/// The end of what a server wrote to its stderr.
#[derive(Default)]
pub(super) struct Tail(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Reads until the pipe closes.
    pub(super) async fn drain(&self, stderr: impl AsyncRead + Unpin, server: Name) {
        let mut lines = Lines::new(stderr, LINE_MAX);
        let (mut since, mut logged) = (Instant::now(), 0);
        while let Ok(Some(line)) = lines.next().await {
            let line = text(&line);
            if since.elapsed().as_secs() > 0 {
                (since, logged) = (Instant::now(), 0);
            }
            logged += 1;
            if logged <= LOGGED_PER_SECOND {
                tracing::debug!(%server, "{line}");
            }
            self.push(line);
        }
    }

    fn push(&self, line: String) {
        let mut kept = self.0.lock();
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.bytes > KEPT || kept.lines.len() > KEPT / 64 {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// The last lines that say anything, oldest first, in one line.
    pub(super) fn last(&self, count: usize) -> Option<String> {
        let kept = self.0.lock();
        let mut lines: Vec<_> =
            kept.lines.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty()).take(count).collect();
        lines.reverse();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }
}

fn text(line: &Line) -> String {
    match line {
        Line::Whole(line) => String::from_utf8_lossy(line).trim_end().to_owned(),
        Line::TooLong(edges) => format!("{}...", String::from_utf8_lossy(&edges.head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_end_and_no_more() {
        let tail = Tail::default();
        let flood = "x".repeat(1000) + "\n";
        let text = flood.repeat(1000) + "Traceback\n\nValueError: no\r\n";
        tail.drain(text.as_bytes(), "s".into()).await;
        assert_eq!(tail.last(2).as_deref(), Some("Traceback | ValueError: no"));
        assert!(tail.0.lock().bytes <= KEPT);
        assert_eq!(Tail::default().last(3), None);
    }
}
