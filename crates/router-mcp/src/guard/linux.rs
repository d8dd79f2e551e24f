//! The guard on Linux: descendants cannot escape a subreaper, and nothing is polled that can be waited for.

use std::{
    fs,
    io::{self, stdin},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command,
    time::Duration,
};

use nix::sys::{
    signal::{self, SigSet},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, kill_process_group,
        pidfd_open, set_child_subreaper, wait,
    },
};
use tokio::time::Instant;

/// What a server gets to end by itself once its input is closed, and again once it was asked.
const GRACE: Duration = Duration::from_secs(2);
/// The same when the router is dead: nobody waits, and nobody will notice what is left.
const HASTE: Duration = Duration::from_millis(500);
/// What the descendants of a server that is gone get: they hold its pipes, and callers wait for these to close.
const LEFTOVERS: Duration = Duration::from_millis(50);

/// What a guard does that is a program of its own.
pub(super) fn guard(router: Option<i32>, server: Command) -> io::Result<u8> {
    close_strays();
    stand(Router::of(router), server)
}

/// Starts the server, and stays until nothing of it is left; the server's exit code, or 128 + signal.
pub(super) fn stand(router: Router, mut server: Command) -> io::Result<u8> {
    let deaths = quiet_signals()?;
    let _ = rustix::thread::set_name(c"mcp-guard");
    set_child_subreaper(Some(getpid()))?;
    let server = server.process_group(0).spawn()?;
    release_outputs()?;
    let mut guard = Guard { server: Pid::from_child(&server), code: None, router, deaths };
    guard.stand();
    Ok(guard.code.unwrap_or(0))
}

/// Files that whoever started the router left open by accident are none of a server's business.
pub(super) fn close_strays() {
    let files = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = files.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect();
    for stray in open.into_iter().filter(|&file| file > 2) {
        let _ = nix::unistd::close(stray);
    }
}

/// The life of a guard hangs on its pipe and on the router alone, that of the keeper on its socket: whoever signals all
/// processes of our name, or all of a control group, must not make them leave their work undone. A server starts with an
/// empty mask of its own.
pub(super) fn quiet_signals() -> io::Result<SignalFd> {
    let mut deaths = SigSet::empty();
    deaths.add(signal::SIGCHLD);
    let mut quiet = deaths;
    for signal in [signal::SIGTERM, signal::SIGINT, signal::SIGHUP, signal::SIGQUIT, signal::SIGUSR1, signal::SIGUSR2] {
        quiet.add(signal);
    }
    quiet.thread_block()?;
    Ok(SignalFd::with_flags(&deaths, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// A copy of the server's outputs held here would hide from the router that the server closed them.
fn release_outputs() -> io::Result<()> {
    let null = fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Whether the router lives.
pub(super) enum Router {
    /// Nobody said who it is: only the pipe counts.
    Unknown,
    Alive(OwnedFd),
    Dead,
}

impl Router {
    /// The router that started this process.
    pub(super) fn of(pid: Option<i32>) -> Self {
        let Some(pid) = pid.and_then(Pid::from_raw) else { return Self::Unknown };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Asked after the opening: a parent that is still ours now was ours then, so the number was not reused.
            Ok(fd) if getppid() == Some(pid) => Self::Alive(fd),
            Ok(_) | Err(rustix::io::Errno::SRCH) => Self::Dead,
            Err(_) => Self::Unknown,
        }
    }
}

struct Guard {
    server: Pid,
    /// The server's exit code, once it has one.
    code: Option<u8>,
    router: Router,
    /// Readable when a child has died.
    deaths: SignalFd,
}

/// Whose end is waited for.
#[derive(Clone, Copy)]
enum Whose {
    Server,
    Everybody,
}

/// Whether the end of the server's input matters, or is known.
#[derive(Clone, Copy, PartialEq)]
enum Input {
    Watched,
    Over,
}

impl Guard {
    fn stand(&mut self) {
        while self.still_there(Whose::Server) && !matches!(self.router, Router::Dead) {
            if self.sleep(Input::Watched, None) == Input::Over {
                break;
            }
        }
        let ended_by_itself = self.wait_for(Whose::Server, GRACE);
        self.signal_all(Signal::TERM);
        self.wait_for(Whose::Everybody, if ended_by_itself { LEFTOVERS } else { GRACE });
        self.kill_all();
    }

    /// Sleeps until a child dies, the router dies, the watched input ends, or `time` is over.
    fn sleep(&mut self, input: Input, time: Option<Duration>) -> Input {
        let stdin = stdin();
        let mut fds = vec![PollFd::new(&self.deaths, PollFlags::IN)];
        if let Router::Alive(router) = &self.router {
            fds.push(PollFd::new(router, PollFlags::IN));
        }
        let routers = fds.len() - 1;
        if input == Input::Watched {
            // No event is asked of the input: that its last writer has gone is always reported.
            fds.push(PollFd::new(&stdin, PollFlags::empty()));
        }
        let time = time.map(|time| Timespec::try_from(time).unwrap_or_default());
        let _ = poll(&mut fds, time.as_ref());
        let woken = |place: usize| fds.get(place).is_some_and(|fd| !fd.revents().is_empty());
        let (router_died, input_ended) = (routers == 1 && woken(1), woken(routers + 1));
        if router_died {
            self.router = Router::Dead;
        }
        while let Ok(Some(_)) = self.deaths.read_signal() {}
        if input_ended { Input::Over } else { input }
    }

    /// Waits for an end, at most `grace`, and less once the router is dead. Whether it came.
    fn wait_for(&mut self, whose: Whose, grace: Duration) -> bool {
        let start = Instant::now();
        while self.still_there(whose) {
            let grace = if matches!(self.router, Router::Dead) { grace.min(HASTE) } else { grace };
            let Some(left) = grace.checked_sub(start.elapsed()) else { return false };
            self.sleep(Input::Over, Some(left));
        }
        true
    }

    /// Takes the dead off the process table, and tells whether those waited for are still alive. Whoever loses his
    /// parent becomes a child of ours, so when no child is left, nobody is.
    fn still_there(&mut self, whose: Whose) -> bool {
        let children = loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(dead)) => self.note(dead),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        match whose {
            Whose::Server => children && self.code.is_none(),
            Whose::Everybody => children,
        }
    }

    fn note(&mut self, (pid, status): (Pid, WaitStatus)) {
        if pid == self.server {
            self.code = Some(exit_code(status));
        }
    }

    /// Kills until nobody is left. Every death may show children that were born meanwhile.
    fn kill_all(&mut self) {
        loop {
            self.signal_all(Signal::KILL);
            match wait(WaitOptions::empty()) {
                Ok(Some(dead)) => self.note(dead),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn signal_all(&self, signal: Signal) {
        let family = descendants();
        for pid in &family {
            let _ = kill_process(*pid, signal);
        }
        // Without a list of children (an old or a restricted kernel) the group is what can be reached.
        if family.is_empty() && self.code.is_none() {
            let _ = kill_process_group(self.server, signal);
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn descendants() -> Vec<Pid> {
    let mut family = children(getpid());
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children(*pid));
        next += 1;
    }
    family
}

fn children(pid: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .filter_map(Pid::from_raw)
        .collect()
}
