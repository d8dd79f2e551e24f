//! MCP Router: one binary between AI clients and everything they call.

#![allow(unreachable_pub, reason = "nothing of a binary is reachable from outside; `pub` marks what a module is for")]

mod backup;
mod cli;
mod clock;
mod config;
mod control;
mod gateway;
mod health;
mod http;
mod import;
mod login;
mod schedule;
mod serve;
mod servers;
mod shutdown;
mod stdio;
mod store;
mod telemetry;
mod wire;

use std::{io::Write, path::Path, process::ExitCode};

use clap::Parser;

use crate::{
    cli::{Cli, Command, Flags},
    config::{Config, Environment, Warning},
    gateway::Place,
    telemetry::log,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something went wrong while running.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let Cli { flags, command } = Cli::parse();
    match command.unwrap_or(Command::Serve) {
        Command::Serve => with_config(&flags, run_serve),
        Command::Stdio { view, server } => {
            with_config(&flags, |config| run_stdio(config, view.as_deref(), server.as_deref()))
        }
        Command::Login { server } => with_config(&flags, |config| run_quietly(login::login(config, server))),
        Command::Logout { server, caller } => {
            with_config(&flags, |config| run_quietly(login::logout(config, server, caller)))
        }
        Command::Check => with_config(&flags, |config| print(&format!("{}: ok\n", place(&config)))),
        Command::Schema => print(&config::schema()),
        Command::Import { file } => run_import(&file),
        Command::Servers { order } => {
            with_config(&flags, |config| run_order(servers::obey(&config, &order.unwrap_or_default())))
        }
        Command::Cache { order } => with_config(&flags, |config| run_order(servers::forget(&config, &order))),
        Command::Guard { arguments } => router_mcp::guard::run(arguments),
    }
}

/// Reads the configuration, or tells everything that is wrong with it.
fn with_config(flags: &Flags, run: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config::load(flags, &Environment::of_process()) {
        Ok((config, warnings)) => {
            warn(&warnings);
            run(config)
        }
        Err(problems) => {
            warn(problems.warnings());
            tell(&problems.to_string());
            ExitCode::from(MISUSED)
        }
    }
}

fn warn(warnings: &[Warning]) {
    for warning in warnings {
        tell(&format!("warning: {warning}"));
    }
}

fn run_serve(config: Config) -> ExitCode {
    run(&config.log.clone(), serve::serve(config))
}

fn run_stdio(config: Config, view: Option<&str>, server: Option<&str>) -> ExitCode {
    let place = match (view, server) {
        (Some(view), _) => Place::View(view),
        (None, Some(server)) => Place::Server(server),
        (None, None) => Place::All,
    };
    run(&config.log.clone(), serve::serve_stdio(config, place))
}

/// Runs what speaks to a person: what is worth a line of the log is told by it.
fn run_quietly(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    run(&config::LogSettings { level: "error".to_owned(), format: config::LogFormat::Text }, work)
}

/// Prints a configuration made of another system's file; what it could not take over is told beside it.
fn run_import(file: &Path) -> ExitCode {
    match import::import(file) {
        Ok(imported) => {
            for finding in imported.findings {
                tell(&format!("warning: {finding}"));
            }
            print(&imported.yaml)
        }
        Err(why) => {
            tell(&format!("error: {why}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Asks the router that is running, or orders it.
fn run_order(work: impl Future<Output = anyhow::Result<String>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let told = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work));
    match told {
        Ok(told) => print(&told),
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn run(settings: &config::LogSettings, work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    // A process that can have no thread for its log can have none for its work either: the runtime says so.
    let _log = log::start(settings.format, &settings.level).ok();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(work);
        // A thread that waits for stdin cannot be ended; it must not keep the process.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn place(config: &Config) -> String {
    config.file.as_deref().map_or_else(|| "no configuration file".to_owned(), |file| file.display().to_string())
}

/// Says something on stdout, where a program may read it.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Says something on stderr, before there is a log or after it.
fn tell(text: &str) {
    // There is nobody left to tell that stderr is closed.
    drop(writeln!(std::io::stderr(), "{text}"));
}
