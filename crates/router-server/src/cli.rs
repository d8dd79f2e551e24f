//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config;

/// One binary between AI clients and everything they call.
#[derive(Clone, Debug, Parser)]
#[command(name = "mcp-router", version, about, max_term_width = 100, after_long_help = config::example())]
pub struct Cli {
    /// Valid before and after a command.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do; `serve` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The flags of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file [default: $XDG_CONFIG_HOME/mcp-router/router.yaml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on; port 0 takes any free one.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// A file of NAME=value lines behind the environment [default: .env beside the configuration file].
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Serve clients over HTTP (the default).
    Serve,
    /// Read the configuration, tell everything that is wrong with it, and end.
    Check,
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print a configuration made of another system's file (enhancement-rules.json).
    Import {
        /// The file; what it is, is seen by what stands in it.
        file: PathBuf,
    },
    /// Sign in to an MCP server for everybody who may call the router; tells the address to open.
    Login {
        /// Its name in the configuration.
        server: String,
    },
    /// Forget what was got by signing in to an MCP server, and have it taken back.
    Logout {
        /// Its name in the configuration.
        server: String,
        /// Only what this caller got, where each signs in for himself.
        #[arg(long, value_name = "NAME")]
        caller: Option<String>,
    },
    /// Serve one MCP client over standard input and output.
    Stdio {
        /// Only this view of the configuration.
        #[arg(long, value_name = "NAME")]
        view: Option<String>,
        /// Only this server, under its own names.
        #[arg(long, value_name = "NAME", conflicts_with = "view")]
        server: Option<String>,
    },
    /// Show the MCP servers of the router that runs on this machine, or order them about.
    Servers {
        /// `list` when nothing is said.
        #[command(subcommand)]
        order: Option<ServersOrder>,
    },
    /// What the running router keeps of the answers of MCP servers.
    Cache {
        /// What is to be done with it.
        #[command(subcommand)]
        order: CacheOrder,
    },
    /// End every process of a server when the router is gone, or fork those that do: started by the router itself.
    #[command(name = "__guard", hide = true)]
    Guard {
        /// What the router tells it, and the command to start, if it is for one.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// What becomes of kept answers.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum CacheOrder {
    /// Forget them, here and in every replica: all, or those that fit everything that is said.
    Purge {
        /// A server's name in the configuration.
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// A pattern of its own names for tools: `list_*`.
        #[arg(long, value_name = "PATTERN")]
        tool: Option<String>,
        /// The caller that they were kept for.
        #[arg(long, value_name = "CALLER")]
        scope: Option<String>,
    },
}

/// What becomes of the MCP servers of the running router.
#[derive(Clone, Debug, Default, PartialEq, Subcommand)]
pub enum ServersOrder {
    /// How each of them is (the default).
    #[default]
    List,
    /// Start one that was stopped.
    Start {
        /// Its name in the configuration.
        server: String,
    },
    /// Stop one: its calls fail until it is started again.
    Stop {
        /// Its name in the configuration.
        server: String,
    },
    /// Start one anew, also when it has failed too often.
    Restart {
        /// Its name in the configuration.
        server: String,
    },
    /// The tools that are kept away because they are not what they were, and what changed.
    Changes,
    /// Agree to what tools of one are now: they are offered again.
    Approve {
        /// The server's name in the configuration.
        server: String,
        /// Its own name for one tool; all of them otherwise.
        tool: Option<String>,
    },
    /// The last lines that one wrote to its stderr.
    Logs {
        /// Its name in the configuration.
        server: String,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 100)]
        lines: usize,
    },
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_and_after_a_command() {
        let cases: [(&[&str], Option<Command>); 5] = [
            (&[], None),
            (&["--config", "a.yaml"], None),
            (&["check", "--config", "a.yaml"], Some(Command::Check)),
            (&["stdio", "--view", "dev"], Some(Command::Stdio { view: Some("dev".into()), server: None })),
            (&["--config", "a.yaml", "stdio"], Some(Command::Stdio { view: None, server: None })),
        ];
        for (words, command) in cases {
            let cli = Cli::try_parse_from(std::iter::once("mcp-router").chain(words.iter().copied())).unwrap();
            assert_eq!(cli.command, command);
            assert_eq!(cli.flags.config.is_some(), words.contains(&"a.yaml"));
        }
    }

    #[test]
    fn what_is_meant_for_a_guard_reaches_it_as_it_is() {
        let words = ["--router=1", "--", "npx", "--config", "x", "--", "--help", "-v"];
        let cli = Cli::try_parse_from(["mcp-router", "__guard"].into_iter().chain(words)).unwrap();
        assert_eq!(cli.command, Some(Command::Guard { arguments: words.map(Into::into).to_vec() }));
        assert!(cli.flags.config.is_none());
    }

    #[test]
    fn a_wrong_word_is_a_usage_error() {
        let error = Cli::try_parse_from(["mcp-router", "stdio", "--view", "a", "--server", "b"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
        let error = Cli::try_parse_from(["mcp-router", "sevre"]).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidSubcommand, 2));
    }
}
