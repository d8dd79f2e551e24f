//! The router's end of the keeper, and of the guards that it forks.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::{io::AsyncReadExt, net::unix::pipe, process::Command, time::timeout};

use super::{
    Guard, Order, Started,
    duty::{self, Duty},
    preamble,
    start::Pipes,
};

/// How long the keeper may take to fork a guard.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keeper, once a server was started.
#[derive(Debug)]
pub(super) struct Keeper {
    program: PathBuf,
    /// Where it listens; it goes when this is dropped.
    ear: Mutex<Option<OwnedFd>>,
}

impl Keeper {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, ear: Mutex::new(None) }
    }

    /// Has a guard forked.
    pub(super) async fn start(&self, order: &Order, folder: Option<&Path>) -> io::Result<Started> {
        let Pipes { input, output, errors, theirs } = Pipes::new()?;
        let (ours, report) = io::pipe()?;
        let (folder, order) = (duty::folder(folder)?, duty::write(order)?);
        self.hand_over(&Duty { pipes: theirs, report: report.into(), folder, order })?;
        let report = pipe::Receiver::from_owned_fd(ours.into())?;
        let Ok(guard) = timeout(PATIENCE, Kept::reporting(report)).await else {
            // It does not move. Should it ever, its guard finds nobody to report to, and starts nothing.
            self.ear.lock().take();
            return Err(io::ErrorKind::TimedOut.into());
        };
        Ok(Started { input, output, errors, guard: Guard::Kept(guard?) })
    }

    /// Tells the keeper; another one, if there was none or it was killed.
    fn hand_over(&self, duty: &Duty) -> io::Result<()> {
        let mut ear = self.ear.lock();
        match &*ear {
            Some(ear) if duty.send(ear).is_ok() => Ok(()),
            Some(_) | None => duty.send(ear.insert(employ(&self.program)?)),
        }
    }
}

/// Starts a keeper: our own program, with nothing of ours but one socket.
fn employ(program: &Path) -> io::Result<OwnedFd> {
    let (ear, its) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let keeper = Command::new(program)
        .args(preamble())
        .env_clear()
        .current_dir("/")
        .stdin(its)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    // Whoever drops a child leaves it to the runtime, which takes it off the process table when it has ended.
    drop(keeper);
    Ok(ear)
}

/// A guard that the keeper forked. It is no child of the router, which knows of it what it reports.
#[derive(Debug)]
pub(crate) struct Kept {
    pid: u32,
    report: pipe::Receiver,
    /// The server's exit code, once it was told.
    code: Option<u8>,
    /// Whether the guard is gone: its end of the pipe closes with it.
    gone: bool,
}

impl Kept {
    /// Waits for the first word of a guard.
    async fn reporting(mut report: pipe::Receiver) -> io::Result<Self> {
        let mut pid = [0; 4];
        report.read_exact(&mut pid).await?;
        Ok(Self { pid: u32::from_ne_bytes(pid), report, code: None, gone: false })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        (!self.gone).then_some(self.pid)
    }

    /// Waits until the guard is gone; its server's exit code, unless it was killed before there was one.
    pub(super) async fn wait(&mut self) -> Option<u8> {
        while !self.gone {
            match self.report.read_u8().await {
                Ok(code) => self.code = Some(code),
                Err(_) => self.gone = true,
            }
        }
        self.code
    }
}
