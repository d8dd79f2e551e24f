//! How the router starts a server behind its guard, and what it knows of the guard.

use std::{
    io::{self, pipe as new_pipe},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use tokio::{
    net::unix::pipe,
    process::{Child, Command},
};

#[cfg(target_os = "linux")]
use super::kept::{Keeper, Kept};
use super::{Order, preamble};

/// Whatever starts guards.
#[derive(Debug)]
pub(crate) struct Guards {
    /// Our own binary.
    program: PathBuf,
    #[cfg(target_os = "linux")]
    keeper: Keeper,
}

/// A server that was started: its pipes, and its guard.
pub(crate) struct Started {
    pub(crate) input: pipe::Sender,
    pub(crate) output: pipe::Receiver,
    pub(crate) errors: pipe::Receiver,
    pub(crate) guard: Guard,
}

impl Guards {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            keeper: Keeper::new(program.clone()),
            program,
        }
    }

    /// Starts the server of an order in `folder`, ours by default. It has said nothing yet, not even that it cannot run.
    pub(crate) async fn start(&self, order: &Order, folder: Option<&Path>) -> io::Result<Started> {
        #[cfg(target_os = "linux")]
        match self.keeper.start(order, folder).await {
            Ok(started) => return Ok(started),
            // If it is the order that is wrong, the other way tells how.
            Err(error) => tracing::debug!(%error, "no guard of the keeper"),
        }
        self.start_alone(order, folder)
    }

    /// The same behind a guard that is a program of its own.
    fn start_alone(&self, order: &Order, folder: Option<&Path>) -> io::Result<Started> {
        let Pipes { input, output, errors, theirs: [stdin, stdout, stderr] } = Pipes::new()?;
        let mut command = Command::new(&self.program);
        command
            .args(preamble())
            .arg("--")
            .arg(&order.program)
            .args(&order.args)
            .env_clear()
            .envs(order.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            // A signal from the terminal is for us; the guard learns from us what follows.
            .process_group(0);
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        Ok(Started { input, output, errors, guard: Guard::Alone(command.spawn()?) })
    }
}

/// The three pipes between the router and a server.
pub(super) struct Pipes {
    pub(super) input: pipe::Sender,
    pub(super) output: pipe::Receiver,
    pub(super) errors: pipe::Receiver,
    /// The server's stdin, stdout and stderr.
    pub(super) theirs: [OwnedFd; 3],
}

impl Pipes {
    pub(super) fn new() -> io::Result<Self> {
        let ((stdin, input), (output, stdout), (errors, stderr)) = (new_pipe()?, new_pipe()?, new_pipe()?);
        Ok(Self {
            input: pipe::Sender::from_owned_fd(input.into())?,
            output: pipe::Receiver::from_owned_fd(output.into())?,
            errors: pipe::Receiver::from_owned_fd(errors.into())?,
            theirs: [stdin.into(), stdout.into(), stderr.into()],
        })
    }
}

/// The guard of a server, as the router sees it.
#[derive(Debug)]
pub(crate) enum Guard {
    #[cfg(target_os = "linux")]
    Kept(Kept),
    Alone(Child),
}

impl Guard {
    /// Its process id; its children are the server's.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kept(guard) => guard.pid(),
            Self::Alone(guard) => guard.id(),
        }
    }

    /// Waits until it is gone, and everything of the server with it; the server's exit code, or 128 + signal. There is
    /// none if the guard was killed. May be asked again, and be given up at any time.
    pub(crate) async fn wait(&mut self) -> Option<i32> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kept(guard) => guard.wait().await.map(i32::from),
            Self::Alone(guard) => guard.wait().await.ok()?.code(),
        }
    }
}
