//! The configuration: a file as it was written, the environment and the flags become one [`Config`], or all that is
//! wrong with them is told at once.
//!
//! Text becomes a [`tree`] whose values know where they stand; [`read`] turns it into the sections of [`mod@file`];
//! [`build`] turns those, the variables and the flags into [`settings`]. After that nothing is checked again.
//! Nothing is read from the working directory that nobody named, and nothing here is read by anybody else.

mod address;
mod aliases;
mod auth;
mod build;
mod catalog;
mod clients;
mod dotenv;
mod environment;
mod file;
mod json;
mod keys;
mod known;
mod leaf;
mod mask;
mod problem;
mod read;
mod settings;
mod source;
mod standby;
mod substitute;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod upkeep;

use std::path::{Path, PathBuf};

pub use self::{
    address::Address,
    environment::{Environment, example},
    problem::{Problems, Warning},
    settings::{
        Choice, Config, DialectName, KeySettings, Language, Launch, LogFormat, LogSettings, MODEL_FILES, ModelName,
        PinPolicy, Privacy, ProtocolEra, ProviderKind, ProviderSettings, Runtime, ServerIsolation, ServerSettings,
        StandbySource, ViewSettings,
    },
};
use self::{
    build::{Build, Given},
    environment::{Variables, XDG_CONFIG_HOME},
    file::File,
    problem::{At, Findings},
    read::{Read, Reader},
    source::Source,
};
use crate::cli::Flags;

/// A configuration is written by people; what is larger is something else.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Reads the configuration. A flag goes before the environment, which goes before `.env`, which goes before the file.
pub fn load(flags: &Flags, environment: &Environment) -> Result<(Config, Vec<Warning>), Problems> {
    let mut findings = Findings::default();
    let path = flags.config.clone().or_else(|| usual_file(environment));
    let source = match &path {
        None => Some(Source::default()),
        Some(path) => read_text(path, &mut findings).map(|text| Source::new(path, &text)),
    };
    let variables = variables(flags, environment, path.as_deref(), &mut findings);
    let Some(source) = source else {
        return findings.settle(&Source::default(), None);
    };
    let given = Given { flags, environment, variables: &variables, source: &source };
    let config = configure(given, path, &mut findings);
    findings.settle(&source, config)
}

/// The JSON Schema of the file, for editors.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text + "\n"
}

fn configure(given: Given<'_>, path: Option<PathBuf>, findings: &mut Findings) -> Option<Config> {
    let tree = tree::parse(given.source, findings)?;
    let file = File::read(&tree, &mut Reader::new(given.source, given.variables, findings))?;
    Some(Build::new(given, findings).config(file, path))
}

/// The only file that is read without being named, if it is there.
fn usual_file(environment: &Environment) -> Option<PathBuf> {
    let path = environment.folder(&XDG_CONFIG_HOME, ".config")?.join("router.yaml");
    path.is_file().then_some(path)
}

/// The environment with the `.env` file behind it: the one that was named, or the one beside the configuration file.
fn variables<'a>(
    flags: &Flags,
    environment: &'a Environment,
    config: Option<&Path>,
    findings: &mut Findings,
) -> Variables<'a> {
    let variables = Variables::new(environment);
    let beside = || config.map(|path| path.with_file_name(".env")).filter(|path| path.is_file());
    let Some(path) = flags.env_file.clone().or_else(beside) else { return variables };
    match read_text(&path, findings) {
        Some(text) => variables.with_file(path.display().to_string(), &text, findings),
        None => variables,
    }
}

fn read_text(path: &Path, findings: &mut Findings) -> Option<String> {
    let read = || {
        let size = std::fs::metadata(path)?.len();
        if size > MAX_FILE_BYTES {
            return Err(std::io::Error::other(format!("{size} bytes are too many for a configuration")));
        }
        std::fs::read_to_string(path)
    };
    match read() {
        Ok(text) => Some(text),
        Err(error) => {
            findings.problem(&At::outside(path.display().to_string()), format!("cannot be read: {error}"));
            None
        }
    }
}
