//! The process between the router and a server that it started: it ends everything the server ever started, however
//! the router itself may end.
//!
//! The server inherits the router's three pipes through the guard, so no byte is copied. The guard keeps its own copy of
//! the reading end of the server's input: while the router lives and wants the server, somebody can write to it. When
//! nobody can any more - the router closed it, or was killed - the guard gives the server time to go by itself, then
//! asks, then kills, and does not go before the last descendant is gone.
//!
//! On Linux one process of our program, the `keeper`, forks all guards of a router, so that they share the memory that a
//! program fills before it begins. Elsewhere, and when the keeper cannot be had, each guard is a program of its own.

#[cfg(target_os = "linux")]
mod duty;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod kept;
mod start;

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    process::{Command, ExitCode},
};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod system;

pub(crate) use self::start::{Guard, Guards, Started};

/// The hidden command that starts a guard, or the keeper.
pub const COMMAND: &str = "__guard";

/// What a shell answers for a command that does not exist.
const NOT_FOUND: u8 = 127;
/// For a wrong command line.
const USAGE: u8 = 2;

/// Guards one server until it and all its descendants are gone, and ends with its code; or, where no program is named,
/// forks guards as the router asks for them. `args` is what follows [`COMMAND`]: `[--router=PID] [-- PROGRAM ARGS...]`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Role::parse(args.into_iter()) {
        Some(Role::Guard { router, order }) => ExitCode::from(ended(&order, system::guard(router, order.command()))),
        #[cfg(target_os = "linux")]
        Some(Role::Keeper { router }) => keeper::keep(router),
        #[cfg(not(target_os = "linux"))]
        Some(Role::Keeper { .. }) => ExitCode::from(USAGE),
        None => {
            say("usage: __guard [--router=PID] [-- PROGRAM ARGS...]");
            ExitCode::from(USAGE)
        }
    }
}

/// The code that a guard ends with; that of a server which did not even start is told with the reason.
fn ended(order: &Order, outcome: io::Result<u8>) -> u8 {
    outcome.unwrap_or_else(|error| {
        say(&format!("cannot start {}: {error}", order.program.to_string_lossy()));
        NOT_FOUND
    })
}

/// The arguments that make a keeper of our own program.
fn preamble() -> [OsString; 2] {
    [COMMAND.into(), format!("{ROUTER}{}", std::process::id()).into()]
}

const ROUTER: &str = "--router=";

/// What our program was started as.
#[cfg_attr(test, derive(Debug, PartialEq))]
enum Role {
    Guard { router: Option<i32>, order: Order },
    Keeper { router: i32 },
}

impl Role {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut router = None;
        while let Some(arg) = args.next() {
            if arg == OsStr::new("--") {
                let order = Order { program: args.next()?, args: args.collect(), env: Vec::new() };
                return Some(Self::Guard { router, order });
            }
            router = Some(arg.to_str()?.strip_prefix(ROUTER)?.parse().ok()?);
        }
        router.map(|router| Self::Keeper { router })
    }
}

/// What to start. There are secrets in it.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// All that the server finds in its environment. A guard that is a program of its own has it as its own already.
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Order {
    /// The server's program, in the environment of whoever starts it.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }
}

/// The server's stderr is where the router looks for the reason of a failed start.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(router: Option<i32>, program: &str, args: &[&str]) -> Role {
        let args = args.iter().map(OsString::from).collect();
        Role::Guard { router, order: Order { program: program.into(), args, env: Vec::new() } }
    }

    #[test]
    fn reads_what_it_is_to_be() {
        for (args, expected) in [
            (&["--", "uvx", "a", "--", "b"][..], Some(guard(None, "uvx", &["a", "--", "b"]))),
            (&["--router=17", "--", "npx"], Some(guard(Some(17), "npx", &[]))),
            (&["--router=17"], Some(Role::Keeper { router: 17 })),
            (&["--router=x", "--", "npx"], None),
            (&["--router=17", "npx"], None),
            (&["npx"], None),
            (&["--"], None),
            (&[], None),
        ] {
            assert_eq!(Role::parse(args.iter().map(OsString::from)), expected, "{args:?}");
        }
    }
}
