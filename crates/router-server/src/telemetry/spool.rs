//! Lines on their way to stderr: a request leaves its line and goes on, and a thread of its own writes what has gathered.
//! It is woken by the first line, not by each.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// What may wait for a slow stderr, in bytes; later lines are dropped rather than making a request wait.
const MOST_WAITING: usize = 4 << 20;

/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);

/// How long the end of the process waits for what is still to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where lines are left.
#[derive(Clone, Default)]
pub struct Spool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    dropped: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Open,
    /// Nothing more will come.
    Closing,
    /// All is written.
    Done,
}

/// Writes what is still waiting when it is dropped.
pub struct Flush(Arc<Shared>);

impl Spool {
    /// A spool that `out` is written from.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let spool = Self::default();
        let shared = Arc::clone(&spool.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write(out))?;
        let flush = Flush(Arc::clone(&spool.0));
        Ok((spool, flush))
    }
}

impl Shared {
    fn write(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        let mut phase = Phase::Open;
        while phase == Phase::Open {
            let dropped;
            (phase, dropped) = self.gather(&mut batch);
            if dropped > 0 {
                batch.extend_from_slice(
                    format!("{dropped} lines of the log were dropped: stderr is too slow\n").as_bytes(),
                );
            }
            // A stderr that is gone is nobody's to be told of.
            let _ = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
        }
        self.state.lock().phase = Phase::Done;
        self.changed.notify_all();
    }

    /// Waits for lines, and for those that follow them closely.
    fn gather(&self, batch: &mut Vec<u8>) -> (Phase, u64) {
        let mut state = self.state.lock();
        while state.lines.is_empty() && state.phase == Phase::Open {
            self.changed.wait(&mut state);
        }
        if state.phase == Phase::Open {
            let closing = |state: &mut State| state.phase == Phase::Open;
            self.changed.wait_while_for(&mut state, closing, GATHER);
        }
        std::mem::swap(&mut state.lines, batch);
        (state.phase, std::mem::take(&mut state.dropped))
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.phase = Phase::Closing;
        self.0.changed.notify_all();
        self.0.changed.wait_while_for(&mut state, |state| state.phase != Phase::Done, FAREWELL);
    }
}

impl Write for Spool {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > MOST_WAITING {
            state.dropped += 1;
            return Ok(line.len());
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Spool {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub(in crate::telemetry) fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock()).into_owned()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_before_the_end() {
        let page = Page::default();
        let (spool, flush) = Spool::to(page.clone()).expect("a thread");
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            spool.clone().write_all(line.as_bytes()).expect("it takes every line");
            expected.push_str(&line);
        }
        drop(flush);
        assert_eq!(page.text(), expected);
    }

    /// A stderr that nobody reads.
    struct Stuck(std::sync::mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_no_memory() {
        let (release, stuck) = std::sync::mpsc::channel();
        let (mut spool, flush) = Spool::to(Stuck(stuck)).expect("a thread");
        let line = vec![b'x'; 64 << 10];
        for _ in 0..200 {
            spool.write_all(&line).expect("it takes every line");
        }
        let state = spool.0.state.lock();
        assert!(state.lines.len() <= MOST_WAITING && state.dropped > 0, "{} {}", state.lines.len(), state.dropped);
        drop(state);
        drop(release);
        drop(flush);
    }
}
