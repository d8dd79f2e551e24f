//! A server that is a process: started behind a guard, spoken to over its pipes, and ended with all it started.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use router_core::{Error, Kind, Name, Outcome, Result, Secret};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    Surroundings,
    lines::{LINE_MAX, Line, Lines},
    outbox::Outbox,
    outlet::Outlet,
    session::{Heard, Session},
    tail::Tail,
};
use crate::guard::{self, Guard, Guards, Started};

/// What of our own environment a server may see; the rest has to be declared.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];
/// How many lines in a row may be no messages before the server counts as sick.
const GARBAGE_MAX: u32 = 1000;
/// Between what happened to a server and what it last complained about.
const IT_SAID: &str = "; it said: ";
/// What the end of the pipe and the end of the process wait for one another, so that the error can tell the code.
const TOGETHER: Duration = Duration::from_millis(40);
/// How long a guard may take to end everything; it gives its server 2 s twice.
const STOP_MAX: Duration = Duration::from_secs(6);

/// How a process is started.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The program, looked for in `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The variables of its environment, beside the few that it inherits.
    pub env: Vec<(String, Secret<String>)>,
    /// The folder it starts in; ours by default.
    pub cwd: Option<PathBuf>,
}

/// What is needed to start processes: our own program, which guards them, and what they inherit.
#[derive(Clone, Debug)]
pub struct Launch {
    guards: Arc<Guards>,
    inherited: Arc<[(OsString, OsString)]>,
}

impl Launch {
    /// `program` is our own binary, which answers to [`guard::COMMAND`]; of `environment` only what a program cannot do
    /// without is handed on. All servers that are started by this or its clones share what their guards can share.
    pub fn new(program: impl Into<PathBuf>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let inherited = environment.into_iter().filter(|(name, _)| is_inherited(name)).collect();
        Self { guards: Arc::new(Guards::new(program.into())), inherited }
    }

    fn order(&self, program: &Program) -> guard::Order {
        let declared = program.env.iter().map(|(name, value)| (name.into(), value.expose().into()));
        guard::Order {
            program: program.command.clone().into(),
            args: program.args.iter().map(OsString::from).collect(),
            env: self.inherited.iter().cloned().chain(declared).collect(),
        }
    }
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

/// A running server.
pub(crate) struct Process {
    name: Name,
    guard: Guard,
    session: Arc<Session>,
    last_words: Arc<Tail>,
    /// Ends when nothing more will be heard, with the reason.
    listening: JoinHandle<String>,
    /// That reason, once it is known.
    silence: Option<String>,
    errors: JoinHandle<()>,
}

impl Process {
    /// Starts the program; it has said nothing yet.
    pub(super) async fn start(name: &Name, program: &Program, launch: &Launch, around: &Surroundings) -> Result<Self> {
        let order = launch.order(program);
        let started = launch.guards.start(&order, program.cwd.as_deref()).await;
        let Started { input, output, errors, guard } = started.map_err(|error| not_started(program, error))?;
        let outbox = Arc::new(Outbox::new(input));
        let session = Arc::new(Session::new(name, Outlet::Pipe(Arc::clone(&outbox)), around));
        let last_words = Arc::clone(&around.complaints);
        last_words.begin();
        around.tasks.spawn(async move { outbox.drain().await });
        let listening =
            around.tasks.spawn(listen(Lines::new(output, LINE_MAX), Arc::clone(&session), Arc::clone(name)));
        let (tail, server) = (Arc::clone(&last_words), Arc::clone(name));
        let errors = around.tasks.spawn(async move { tail.drain(errors, server).await });
        Ok(Self { name: Arc::clone(name), guard, session, last_words, listening, silence: None, errors })
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The process id of the guard, whose children are the server's.
    pub(super) fn pid(&self) -> Option<u32> {
        self.guard.pid()
    }

    /// Waits for the end of the process, of its output or of its signs of life, tells everybody who waits for an answer, and says why.
    pub(super) async fn over(&mut self) -> Error {
        if self.silence.is_none() {
            self.silence = self.fall_silent().await;
        }
        let ended = timeout(TOGETHER, self.guard.wait()).await;
        if ended.is_ok() && !self.errors.is_finished() {
            let _ = timeout(TOGETHER, &mut self.errors).await;
        }
        let reason = match ended {
            Ok(Some(code)) if code > 128 => format!("the server was ended by signal {}", code - 128),
            Ok(Some(code)) => format!("the server ended with code {code}"),
            Ok(None) => "the server's guard was killed".to_owned(),
            Err(_) => self.silence.clone().unwrap_or_default(),
        };
        let error = Error::new(Kind::Unavailable, self.with_last_words(reason));
        self.session.close(&error);
        error
    }

    /// Waits until nothing more will be heard; the reason, unless the process is gone and its output is not.
    async fn fall_silent(&mut self) -> Option<String> {
        let reason = tokio::select! {
            reason = &mut self.listening => reason,
            () = self.session.death() => return Some("the server gives no sign of life".to_owned()),
            // What the process said before it ended may still be on its way.
            _ = self.guard.wait() => timeout(TOGETHER, &mut self.listening).await.ok()?,
        };
        Some(reason.unwrap_or_default())
    }

    /// An error about this process, with what it last complained about, unless it is in it already.
    pub(super) fn with_last_words(&self, mut reason: String) -> String {
        if reason.contains(IT_SAID) {
            return reason;
        }
        if let Some(words) = self.last_words.last(3) {
            let words: String = words.chars().take(400).collect();
            reason.push_str(IT_SAID);
            reason.push_str(&words);
        }
        reason
    }

    /// Closes the server's input and waits until its guard has ended whatever does not go by itself.
    pub(super) async fn stop(mut self) {
        self.session.close(&Error::new(Kind::Unavailable, "the server is being stopped"));
        if timeout(STOP_MAX, self.guard.wait()).await.is_err() {
            tracing::error!(server = %self.name, pid = self.guard.pid(), "the server's processes cannot be ended");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.session.close(&Error::new(Kind::Unavailable, "the server is being stopped"));
    }
}

fn not_started(program: &Program, error: io::Error) -> Error {
    let place = program.cwd.as_ref().map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
    Error::new(Kind::Unavailable, format!("{} cannot be started{place}: {error}", program.command))
        .outcome_is(Outcome::NotSent)
        .because(error)
}

/// Hands every line to the session, until there are no more; the reason why.
async fn listen<R: tokio::io::AsyncRead + Unpin>(mut lines: Lines<R>, session: Arc<Session>, server: Name) -> String {
    let mut in_a_row = 0;
    let mut warned = false;
    loop {
        let heard = match lines.next().await {
            Ok(Some(Line::Whole(line))) => {
                let heard = session.receive(&line);
                if heard == Heard::Garbage && !std::mem::replace(&mut warned, true) {
                    let start = String::from_utf8_lossy(line.get(..200).unwrap_or(&line)).into_owned();
                    tracing::warn!(%server, line = start, "not a message on stdout: skipped, like all that follow");
                }
                heard
            }
            Ok(Some(Line::TooLong(edges))) => {
                tracing::warn!(%server, "a line on stdout is longer than {LINE_MAX} bytes: skipped");
                session.too_long(&edges);
                Heard::Garbage
            }
            Ok(None) => return "the server closed its output".to_owned(),
            Err(error) => return format!("the server's output cannot be read: {error}"),
        };
        in_a_row = if heard == Heard::Garbage { in_a_row + 1 } else { 0 };
        if in_a_row > GARBAGE_MAX {
            return format!("the server wrote {in_a_row} lines in a row that are no messages");
        }
        sleep_if_flooded(in_a_row).await;
    }
}

/// A flood of garbage must not take the worker from everybody else.
async fn sleep_if_flooded(in_a_row: u32) {
    if in_a_row > 0 && in_a_row.is_multiple_of(100) {
        sleep(Duration::from_millis(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_inherits_little() {
        let ours =
            [("PATH", "/bin"), ("LC_ALL", "C"), ("HOME", "/h"), ("OPENAI_API_KEY", "canary"), ("LD_PRELOAD", "x")];
        let launch = Launch::new("/router", ours.map(|(name, value)| (name.into(), value.into())));
        let names: Vec<_> = launch.inherited.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "LC_ALL", "HOME"]);
    }
}
