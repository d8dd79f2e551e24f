//! The last words of a server: its stderr is always read, kept in a small ring, and told to the log.

use std::collections::VecDeque;

use parking_lot::Mutex;
use router_core::{Name, Secret};
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
pub(crate) struct Tail {
    kept: Mutex<Kept>,
    /// What the server was given and must not be repeated.
    secrets: Vec<Secret<String>>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    /// How many of them are of the process that runs now.
    recent: usize,
}

/// A shorter secret is a word that stands in logs by chance.
const SECRET_MIN: usize = 8;

impl Tail {
    pub(crate) fn hiding(secrets: impl IntoIterator<Item = Secret<String>>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.expose().len() >= SECRET_MIN).collect();
        Self { kept: Mutex::default(), secrets }
    }

    fn masked(&self, line: String) -> String {
        self.secrets.iter().fold(line, |line, secret| {
            if line.contains(secret.expose()) { line.replace(secret.expose(), "****") } else { line }
        })
    }

    /// Another process begins: what those before it said is not about it.
    pub(super) fn begin(&self) {
        self.kept.lock().recent = 0;
    }

    /// Reads until the pipe closes.
    pub(super) async fn drain(&self, stderr: impl AsyncRead + Unpin, server: Name) {
        let mut lines = Lines::new(stderr, LINE_MAX);
        let (mut since, mut logged) = (Instant::now(), 0);
        while let Ok(Some(line)) = lines.next().await {
            let line = self.masked(text(&line));
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
        let mut kept = self.kept.lock();
        kept.bytes += line.len();
        kept.recent += 1;
        kept.lines.push_back(line);
        while kept.bytes > KEPT || kept.lines.len() > KEPT / 64 {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// The last lines, oldest first.
    pub(super) fn lines(&self, count: usize) -> Vec<String> {
        let kept = self.kept.lock();
        kept.lines.iter().skip(kept.lines.len().saturating_sub(count)).cloned().collect()
    }

    /// The last lines of this process that say anything, oldest first, in one line.
    pub(super) fn last(&self, count: usize) -> Option<String> {
        let kept = self.kept.lock();
        let recent = kept.lines.iter().rev().take(kept.recent).map(|line| line.trim());
        let mut lines: Vec<_> = recent.filter(|line| !line.is_empty()).take(count).collect();
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
    async fn a_secret_is_not_repeated() {
        let tail = Tail::hiding(["short", "a-long-canary"].map(|secret| Secret::new(secret.to_owned())));
        tail.drain("short is a-long-canary, a-long-canary\n".as_bytes(), "s".into()).await;
        assert_eq!(tail.lines(1), ["short is ****, ****"]);
    }

    #[tokio::test]
    async fn keeps_the_end_and_no_more() {
        let tail = Tail::default();
        let flood = "x".repeat(1000) + "\n";
        let text = flood.repeat(1000) + "Traceback\n\nValueError: no\r\n";
        tail.drain(text.as_bytes(), "s".into()).await;
        assert_eq!(tail.last(2).as_deref(), Some("Traceback | ValueError: no"));
        assert_eq!(tail.lines(3), ["Traceback", "", "ValueError: no"]);
        assert!(tail.kept.lock().bytes <= KEPT);
        tail.begin();
        assert_eq!((tail.last(2), tail.lines(1).len()), (None, 1));
        assert_eq!(Tail::default().last(3), None);
    }
}
