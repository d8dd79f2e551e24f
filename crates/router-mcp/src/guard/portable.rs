//! The guard where there is no subreaper: it ends the server's process group.

use std::{
    io,
    io::stdin,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, getppid, kill_process_group},
};
use tokio::time::Instant;

const GRACE: Duration = Duration::from_secs(2);
const HASTE: Duration = Duration::from_millis(500);
/// How often the server is looked at: there is nothing that its end and the input can be waited for together.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Starts the server, and stays until it is gone; the server's exit code, or 128 + signal.
pub(super) fn guard(router: Option<i32>, mut server: Command) -> io::Result<u8> {
    let mut server = server.process_group(0).spawn()?;
    let group = Pid::from_child(&server);
    let router = router.and_then(Pid::from_raw);
    let mut code = watch(&mut server, router);
    let grace = if orphaned(router) { HASTE } else { GRACE };
    code = code.or_else(|| within(&mut server, grace));
    let _ = kill_process_group(group, Signal::TERM);
    code = code.or_else(|| within(&mut server, grace));
    let _ = kill_process_group(group, Signal::KILL);
    Ok(code.or_else(|| within(&mut server, GRACE)).unwrap_or(1))
}

fn orphaned(router: Option<Pid>) -> bool {
    router.is_some() && getppid() != router
}

fn watch(server: &mut Child, router: Option<Pid>) -> Option<u8> {
    loop {
        if let Some(code) = ended(server) {
            return Some(code);
        }
        if input_closed() || orphaned(router) {
            return None;
        }
    }
}

/// Looks whether anybody can still write to the server, for as long as one look takes.
fn input_closed() -> bool {
    let stdin = stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
    let _ = poll(&mut fds, Some(&LOOK));
    fds.iter().any(|fd| !fd.revents().is_empty())
}

fn within(server: &mut Child, grace: Duration) -> Option<u8> {
    let start = Instant::now();
    while start.elapsed() < grace {
        if let Some(code) = ended(server) {
            return Some(code);
        }
        let _ = poll(&mut [], Some(&LOOK));
    }
    None
}

fn ended(server: &mut Child) -> Option<u8> {
    let status = server.try_wait().ok()??;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Some(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
