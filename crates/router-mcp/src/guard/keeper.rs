//! The keeper: it forks a guard whenever the router asks for one, and sees to nothing else.
//!
//! A guard that is a program of its own costs the pages that the loader fills in before it begins. A forked one shares
//! them with the keeper and all other guards until somebody writes to them, which nobody does. The keeper has one thread
//! and allocates next to nothing, so that a fork finds nothing half done and copies little.

use std::{
    fs::File,
    io::{self, Write, stdin},
    os::fd::AsFd,
    process::ExitCode,
};

use fork::{Fork, fork};
use nix::sys::signalfd::SignalFd;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{WaitOptions, fchdir, getpid, setpgid, wait},
};

use super::{
    duty::{self, Duty, Heard},
    ended,
    system::{self, Router, close_strays, quiet_signals},
};

/// Forks guards until the router wants no more, then waits for the last of them. Each fork comes back from here as well,
/// when its server is gone, with the code to end with.
pub(super) fn keep(router: i32) -> ExitCode {
    // What it was started with is all that a guard will find open: nobody closes anything after a fork.
    close_strays();
    let _ = rustix::thread::set_name(c"mcp-keeper");
    let router = Router::of(Some(router));
    let Ok(deaths) = quiet_signals() else { return ExitCode::FAILURE };
    loop {
        let duty = match next(&deaths) {
            Ok(Heard::Duty(duty)) => duty,
            Ok(Heard::Nothing) => continue,
            Ok(Heard::End) | Err(_) => break,
        };
        // Without a fork the duty ends here, unfulfilled; the router sees that nobody holds it.
        if let Ok(Fork::Child) = fork() {
            drop(deaths);
            return guard(duty, router).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    }
    // A guard whose parent is gone would fall to the machine's first process, which may not care.
    while wait(WaitOptions::empty()).is_ok() {}
    ExitCode::SUCCESS
}

/// Waits for the router's next word, and meanwhile takes guards that have ended off the process table.
fn next(deaths: &SignalFd) -> io::Result<Heard> {
    let router = stdin();
    loop {
        let mut fds = [PollFd::new(&router, PollFlags::IN), PollFd::new(deaths, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        let [spoken, died] = fds.map(|fd| !fd.revents().is_empty());
        if died {
            while let Ok(Some(_)) = deaths.read_signal() {}
            while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        }
        if spoken {
            return Duty::receive(router.as_fd());
        }
    }
}

/// What a fork does with its life. The router's pipes take the place of the keeper's own, of which nothing is left.
fn guard(duty: Duty, router: Router) -> io::Result<u8> {
    let Duty { pipes: [input, output, errors], report, folder, order } = duty;
    // A signal from the terminal is for the router; the guard learns from it what follows.
    setpgid(None, None)?;
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(errors)?;
    fchdir(folder)?;
    let mut order = duty::read(order)?;
    let mut report = File::from(report);
    // A router that has given up waiting must not find a server after all.
    report.write_all(&getpid().as_raw_nonzero().get().to_ne_bytes())?;
    let mut server = order.command();
    server.env_clear().envs(order.env.drain(..));
    let code = ended(&order, system::stand(router, server));
    report.write_all(&[code])?;
    Ok(code)
}
