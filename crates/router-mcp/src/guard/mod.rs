//! The process between the router and a server that it started: it ends everything the server ever started, however
//! the router itself may end.
//!
//! The server inherits the router's three pipes through the guard, so no byte is copied. The guard keeps its own copy of
//! the reading end of the server's input: while the router lives and wants the server, somebody can write to it. When
//! nobody can any more - the router closed it, or was killed - the guard gives the server time to go by itself, then
//! asks, then kills, and does not go before the last descendant is gone.

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    process::ExitCode,
};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod system;

/// The hidden command that starts a guard.
pub const COMMAND: &str = "__guard";

/// What a shell answers for a command that does not exist.
const NOT_FOUND: u8 = 127;
/// For a wrong command line.
const USAGE: u8 = 2;

/// Guards one server until it and all its descendants are gone, and ends with its code. `args` is what follows
/// [`COMMAND`]: `[--router=PID] -- PROGRAM ARGS...`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(order) = Order::parse(args.into_iter()) else {
        say("usage: __guard [--router=PID] -- PROGRAM ARGS...");
        return ExitCode::from(USAGE);
    };
    match system::guard(&order) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say(&format!("cannot start {}: {error}", order.program.to_string_lossy()));
            ExitCode::from(NOT_FOUND)
        }
    }
}

/// The arguments that make a guard of our own program; the server's program and its arguments follow.
pub(crate) fn preamble() -> [OsString; 3] {
    [COMMAND.into(), format!("{ROUTER}{}", std::process::id()).into(), "--".into()]
}

const ROUTER: &str = "--router=";

/// What to start, for whom.
struct Order {
    router: Option<i32>,
    program: OsString,
    args: Vec<OsString>,
}

impl Order {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut router = None;
        loop {
            let arg = args.next()?;
            if arg == OsStr::new("--") {
                return Some(Self { router, program: args.next()?, args: args.collect() });
            }
            router = Some(arg.to_str()?.strip_prefix(ROUTER)?.parse().ok()?);
        }
    }
}

/// The server's stderr is where the router looks for the reason of a failed start.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Option<(Option<i32>, String, usize)> {
        let order = Order::parse(args.iter().map(OsString::from))?;
        Some((order.router, order.program.into_string().unwrap(), order.args.len()))
    }

    #[test]
    fn reads_its_order() {
        for (args, expected) in [
            (&["--", "uvx", "a", "--", "b"][..], Some((None, "uvx".to_owned(), 3))),
            (&["--router=17", "--", "npx"], Some((Some(17), "npx".to_owned(), 0))),
            (&["--router=x", "--", "npx"], None),
            (&["npx"], None),
            (&["--"], None),
            (&[], None),
        ] {
            assert_eq!(parsed(args), expected, "{args:?}");
        }
    }
}
