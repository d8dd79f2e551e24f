//! From the file as written, the variables and the flags to a [`Config`]: afterwards nothing is checked again.

mod access;
mod auth;
mod catalog;
mod clients;
mod guard;
mod keeping;
mod known;
mod models;
mod providers;
mod servers;
mod standing_in;
mod upkeep;
mod vendor;

use std::{net::SocketAddr, path::PathBuf};

use router_core::{Name, Secret, layer::chaos::ChaosPolicy};
use router_mcp::catalog::Prefix;

use self::clients::Known;
use super::{
    environment::{Environment, LOG_FORMAT, LOG_LEVEL, Variable, Variables, XDG_STATE_HOME},
    file::{File, LogFile},
    leaf::{FilePath, Hidden},
    problem::{At, Findings, Flaw},
    read::{Leaf, Spanned},
    settings::{Config, LogFormat, LogSettings},
    source::Source,
    suggest,
};
use crate::cli::Flags;

/// Where nothing tells of a home, as in a bare container.
const STATE_WITHOUT_HOME: &str = "/var/lib/mcp-router";

/// What was given beside the file.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) flags: &'a Flags,
    pub(super) environment: &'a Environment,
    pub(super) variables: &'a Variables<'a>,
    pub(super) source: &'a Source,
}

/// A configuration that is being built.
pub(super) struct Build<'a> {
    given: Given<'a>,
    findings: &'a mut Findings,
    listen: SocketAddr,
    chaos: Option<ChaosPolicy>,
    prefix: Prefix,
    /// Which server another one is to stand in for, and where that is said.
    standing_in: Vec<(Name, Spanned<Name>)>,
}

impl<'a> Build<'a> {
    pub(super) fn new(given: Given<'a>, findings: &'a mut Findings) -> Self {
        Self {
            given,
            findings,
            listen: access::LISTEN,
            chaos: None,
            prefix: Prefix::default(),
            standing_in: Vec::new(),
        }
    }

    /// Builds what can be built; what cannot is in the findings.
    pub(super) fn config(mut self, file: File, path: Option<PathBuf>) -> Config {
        keeping::meanings(&file, self.findings);
        let keys = self.keys(file.keys, &catalog::view_names(file.views.as_ref()));
        self.listen = self.listen(file.listen, !keys.is_empty());
        self.chaos = file.chaos.map(|chaos| guard::chaos(chaos.value));
        let mut accounts = self.accounts(file.providers, file.default_provider);
        let models = self.aliases(file.models, &mut accounts);
        let clients = self.clients(file.clients, Known { aliases: &models, keys: &keys, accounts: &mut accounts });
        self.prefix = catalog::usual_prefix(file.catalog.as_ref());
        let state = self.state(file.state);
        let servers = self.either_servers(file.mcp_servers, file.servers);
        let public_url = self.public_url(file.public_url);
        let mut allowed_hosts = self.hosts(file.allowed_hosts);
        allowed_hosts.extend(public_url.as_ref().map(|url| url.host().to_ascii_lowercase()));
        let mut allowed_origins = self.origins(file.allowed_origins);
        // Our own pages, where a proxy calls us by another name than browsers call it.
        allowed_origins.extend(public_url.as_ref().and_then(auth::origin));
        let catalog = self.catalog(file.catalog, &servers);
        let views = self.views(file.views, &servers, &catalog);
        Config {
            file: path,
            listen: self.listen,
            max_connections: access::connections(file.max_connections),
            default_provider: accounts.default,
            providers: accounts.providers,
            probe: accounts.probe,
            models,
            known_models: self.known_models(file.known_models),
            strict_version: file.strict_version.is_none_or(|strict| strict.value.0),
            prompt_cache: keeping::prompt_cache(file.prompt_cache),
            servers,
            catalog,
            views,
            clients,
            keys,
            redis: self.redis(file.redis),
            log: self.log(file.log.map(|log| log.value).unwrap_or_default()),
            state_key: self.state_key(file.state_key),
            public_url,
            allow_private: self.allow_private(file.egress),
            allowed_hosts,
            tool_lock: file.tool_lock.map_or_else(|| state.join("tools.lock.json"), |path| path.value.0),
            state,
            allowed_origins,
            base_environment: self.given.environment.bare(),
        }
    }

    /// The value of a variable as a leaf of the file would be read.
    fn variable<T: Leaf>(&mut self, variable: &Variable) -> Option<Spanned<T>> {
        let set = self.given.variables.get(variable)?;
        match T::parse(set.value, self.given.source) {
            Ok(value) => Some(Spanned { value, at: set.at }),
            Err(flaw) => {
                // The value is not told: it came from the environment, and any value there may be a secret.
                self.findings.flaw(&set.at, Some("its value"), Flaw { remedy: None, ..flaw });
                None
            }
        }
    }

    fn redis(&mut self, redis: Option<Spanned<Hidden>>) -> Option<Secret<String>> {
        let redis = redis?;
        let url = redis.value.0;
        if !url.expose().starts_with("redis://") && !url.expose().starts_with("rediss://") {
            let finding = self.findings.problem(&redis.at, "this is not the address of a Redis");
            finding.remedy("write \"redis://HOST:PORT\" or \"rediss://HOST:PORT\"");
            return None;
        }
        Some(url)
    }

    fn log(&mut self, file: LogFile) -> LogSettings {
        let format = self.variable(&LOG_FORMAT).or(file.format);
        let from_variable = self.given.variables.get(&LOG_LEVEL).map(|set| (set.value.to_owned(), set.at));
        let level = from_variable.or(file.level.map(|level| (level.value.0, level.at)));
        LogSettings {
            format: format.map_or(LogFormat::Text, |format| format.value),
            level: level.and_then(|(level, at)| self.level(&level, &at)).unwrap_or_else(|| "info".to_owned()),
        }
    }

    /// A level, by our name or another's, or a filter of levels by module.
    fn level(&mut self, written: &str, at: &At) -> Option<String> {
        const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
        let level = match written.to_ascii_lowercase().as_str() {
            "warning" => "warn".to_owned(),
            "critical" | "fatal" => "error".to_owned(),
            level => level.to_owned(),
        };
        if LEVELS.contains(&level.as_str()) || level.contains('=') {
            return Some(level);
        }
        self.findings.problem(at, format!("\"{level}\" is not a level")).remedy(suggest::remedy(&level, &LEVELS));
        None
    }

    fn state(&self, state: Option<Spanned<FilePath>>) -> PathBuf {
        let written = state.map(|state| state.value.0);
        let usual = || self.given.environment.folder(&XDG_STATE_HOME, ".local/state");
        written.or_else(usual).unwrap_or_else(|| PathBuf::from(STATE_WITHOUT_HOME))
    }
}

/// A drill of its own, or the one for everybody.
fn drill(own: Option<ChaosPolicy>, all: Option<&ChaosPolicy>) -> Option<ChaosPolicy> {
    own.or_else(|| all.cloned())
}

/// A name as messages and maps have it.
fn name(text: &str) -> Name {
    Name::from(text)
}
