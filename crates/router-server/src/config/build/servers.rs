//! The MCP servers, as every client writes them.

use std::{path::PathBuf, time::Duration};

use router_core::{
    Secret,
    layer::{cache::CachePolicy, invalidate::Rule},
};
use router_mcp::{client::Transport, oauth::Per};

use super::{
    super::{
        environment::{CACHE_MAX_SIZE, CACHE_TTL},
        file::{Assigned, CacheFile, Choices, Command, Server, ServerFile},
        leaf::{FilePath, Hidden, Link, Positive, Text},
        problem::At,
        read::{Map, Spanned},
        settings::{GuardSettings, Launch, PinPolicy, ProtocolEra, ServerCache, ServerIsolation, ServerSettings},
    },
    Build,
    catalog::TermsFile,
    drill, guard, name,
    standing_in::StandInFile,
    upkeep::UpkeepFile,
};

/// How much longer a stale answer may stand in than a fresh one is good.
const STALE_TIMES: u32 = 24;

/// How long it is known that a server knows no answer.
const NEGATIVE: Duration = Duration::from_secs(5);

/// Stands between server and tool, so it cannot stand inside of a server's name.
pub(super) const SEPARATOR: &str = "__";

/// What a launch is made of.
struct LaunchFile {
    command: Option<Spanned<Command>>,
    args: Option<Spanned<Vec<Spanned<Text>>>>,
    env: Option<Spanned<Map<Assigned>>>,
    cwd: Option<Spanned<FilePath>>,
    url: Option<Spanned<Link>>,
    headers: Option<Spanned<Map<Hidden>>>,
    transport: Transport,
}

impl Build<'_> {
    /// The servers under the one key or the other.
    pub(super) fn either_servers(
        &mut self,
        ours: Option<Spanned<Map<Server>>>,
        theirs: Option<Spanned<Map<Server>>>,
    ) -> Vec<ServerSettings> {
        if let (Some(_), Some(theirs)) = (&ours, &theirs) {
            self.findings
                .problem(&theirs.at, "this is another word for mcpServers, which is here, too")
                .remedy("keep one");
        }
        let mut servers: Vec<ServerSettings> = Vec::new();
        for (entry, Spanned { value, .. }) in ours.or(theirs).into_iter().flat_map(|servers| servers.value.0) {
            let Server::On(file) = value else { continue };
            let Some(named) = self.server_name(&entry) else { continue };
            if servers.iter().any(|server| server.name.as_ref() == named) {
                self.findings.problem(&entry.at, format!("another server is called \"{named}\" already"));
                continue;
            }
            servers.extend(self.server(&named, &entry.at, *file));
        }
        self.stand_ins(&servers);
        servers
    }

    /// The name in paths and in front of tools; a client's own may hold what these cannot.
    fn server_name(&mut self, entry: &Spanned<String>) -> Option<String> {
        let plain =
            |character: char| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' };
        let mut named: String = entry.chars().map(plain).collect();
        while named.contains(SEPARATOR) {
            named = named.replace(SEPARATOR, "_");
        }
        let named = named.trim_matches('_');
        if named.is_empty() || named == "v" {
            let why = if named.is_empty() { "has no letter or digit" } else { "is reserved for /mcp/v/{view}" };
            self.findings
                .problem(&entry.at, format!("a server cannot be called \"{}\": the name {why}", entry.value))
                .remedy("give it another name");
            return None;
        }
        if named != entry.value {
            self.findings
                .warning(&entry.at, format!("in paths and in front of tools this server is called \"{named}\""));
        }
        Some(named.to_owned())
    }

    fn server(&mut self, named: &str, at: &At, file: ServerFile) -> Option<ServerSettings> {
        let ServerFile { command, args, env, cwd, url, http_url, server_url, headers, .. } = file;
        let url = url.or(http_url).or(server_url);
        let written = file.transport.or(file.its_transport);
        let transport = self.transport(written.as_ref(), command.is_some());
        let auth = self.auth(file.auth, url.is_some(), headers.as_ref());
        let launch = self.launch(at, LaunchFile { command, args, env, cwd, url, headers, transport });
        let pipe = matches!(launch, Some(Launch::Stdio { .. }));
        let guard = GuardSettings {
            breaker: self.breaker(file.breaker),
            retry: guard::retry(file.retry),
            limit: guard::server_limit(file.limit, pipe),
            chaos: drill(file.chaos.map(|chaos| guard::chaos(chaos.value)), self.chaos.as_ref()),
        };
        let (isolation, instances) = (file.isolation, file.instances);
        let (health, runtime, max_restarts) =
            (file.health_check, file.runtime, file.max_restarts.map(|most| most.value));
        let mut upkeep = self.upkeep(UpkeepFile { isolation, instances, health, runtime, max_restarts, starts: pipe });
        if auth.as_ref().is_some_and(|auth| auth.per == Per::Caller) && upkeep.isolation == ServerIsolation::Shared {
            // What one signed in for must not serve another.
            upkeep.isolation = ServerIsolation::PerCaller;
        }
        let trusted = file.trusted.is_some_and(|trusted| trusted.0);
        let cache = file.cache.map(|cache| self.cache(cache.value, file.stale_max_age.as_ref().map(|oldest| oldest.0)));
        let standing_in = self.standing_in(StandInFile {
            server: named,
            on_error: file.on_error,
            on_timeout: file.on_timeout,
            oldest: file.stale_max_age.map(|oldest| oldest.0),
            backup: file.backup,
            default: file.default,
            is_cached: cache.is_some(),
        });
        let offered = TermsFile {
            prefix: file.prefix,
            tools: file.tools,
            also_allowed: [file.include_tools, file.enabled_tools].into_iter().flatten().collect(),
            also_denied: [file.disabled_tools, file.exclude_tools].into_iter().flatten().collect(),
            resources: file.resources,
            prompts: file.prompts,
            overrides: file.overrides,
        };
        let terms = self.offered(named, offered);
        Some(ServerSettings {
            name: name(named),
            launch: launch?,
            roots: self.roots(file.roots),
            protocol: file.protocol.map_or(ProtocolEra::Auto, |protocol| protocol.value),
            timeout: guard::server_timeouts(file.timeout),
            guard,
            cache,
            trusted,
            on_error: standing_in.on_error,
            on_timeout: standing_in.on_timeout,
            terms,
            upkeep,
            auth,
            pin: file.pin.map_or(if trusted { PinPolicy::Warn } else { PinPolicy::Quarantine }, |pin| pin.value),
        })
    }

    /// Folders as the whole machine knows them; a server may have to make one first.
    fn roots(&mut self, file: Option<Spanned<Vec<Spanned<FilePath>>>>) -> Vec<PathBuf> {
        let mut roots = Vec::new();
        for Spanned { value: FilePath(path), at } in file.into_iter().flat_map(|roots| roots.value) {
            match std::path::absolute(&path) {
                Ok(root) => roots.push(root),
                Err(error) => drop(self.findings.problem(&at, format!("this folder has no full path: {error}"))),
            }
        }
        roots
    }

    /// The transport is told by `command` or `url`; of what clients write beside it only `sse` tells something more.
    fn transport(&mut self, written: Option<&Spanned<Text>>, starts: bool) -> Transport {
        let Some(Spanned { value: Text(written), at }) = written else { return Transport::Auto };
        match (written.to_ascii_lowercase().as_str(), starts) {
            ("stdio" | "local" | "command", true)
            | ("http" | "streamable-http" | "streamablehttp" | "streamable_http" | "remote", false) => {}
            ("sse", false) => return Transport::Sse,
            (_, true) => drop(self.findings.warning(at, format!("\"{written}\" has no effect: there is a command"))),
            (_, false) => drop(self.findings.warning(at, format!("\"{written}\" has no effect: there is no command"))),
        }
        Transport::Auto
    }

    fn launch(&mut self, at: &At, file: LaunchFile) -> Option<Launch> {
        let LaunchFile { command, args, env, cwd, url, headers, transport } = file;
        match (command, url) {
            (Some(_), Some(url)) => {
                self.findings.problem(&url.at, "there is a command, too").remedy("keep the one or the other");
                None
            }
            (None, None) if self.findings.is_broken(&at.path) => None,
            (None, None) => {
                let finding = self.findings.problem(at, "there is neither a command to start nor a url to call");
                finding.remedy("add command: PROGRAM or url: ADDRESS");
                None
            }
            (None, Some(url)) => {
                let told = [args.map(|args| args.at), env.map(|env| env.at), cwd.map(|cwd| cwd.at)];
                self.no_effect(&told, "the server is called, not started");
                Some(Launch::Http { url: url.value.0, headers: self.headers(headers), transport })
            }
            (Some(command), None) => {
                self.no_effect(&[headers.map(|headers| headers.at)], "the server is started, not called");
                self.started(command, args, env, cwd)
            }
        }
    }

    fn no_effect(&mut self, places: &[Option<At>], why: &str) {
        for at in places.iter().flatten() {
            self.findings.warning(at, format!("this has no effect: {why}"));
        }
    }

    fn started(
        &mut self,
        command: Spanned<Command>,
        args: Option<Spanned<Vec<Spanned<Text>>>>,
        env: Option<Spanned<Map<Assigned>>>,
        cwd: Option<Spanned<FilePath>>,
    ) -> Option<Launch> {
        let mut words = command.value.0.into_iter().map(|word| word.value.0);
        let Some(program) = words.next().filter(|program| !program.is_empty()) else {
            self.findings.problem(&command.at, "this names no program");
            return None;
        };
        let env = self.child_environment(env);
        Some(Launch::Stdio {
            command: program,
            args: words.chain(texts(args)).collect(),
            env,
            cwd: cwd.map(|cwd| cwd.value.0),
        })
    }

    fn child_environment(&mut self, env: Option<Spanned<Map<Assigned>>>) -> Vec<(String, Secret<String>)> {
        let mut variables = Vec::new();
        for (variable, value) in env.into_iter().flat_map(|env| env.value.0) {
            let Assigned(Some(Hidden(value))) = value.value else {
                self.findings.warning(&variable.at, "there is no value: the variable is not set");
                continue;
            };
            if variable.is_empty() || variable.contains(['=', '\0']) || value.expose().contains('\0') {
                self.findings.problem(&variable.at, "this cannot be a variable");
            } else {
                variables.push((variable.value, value));
            }
        }
        variables
    }

    fn cache(&mut self, file: CacheFile, oldest: Option<Duration>) -> ServerCache {
        let usual = CachePolicy::default();
        let CacheFile { fresh, redis, revalidate, stale, negative, max_entries, max_bytes, max_entry_bytes, .. } = file;
        let written = fresh.map(|fresh| fresh.0).or_else(|| self.seconds(&CACHE_TTL));
        let fresh = written.unwrap_or(usual.fresh);
        let entries = max_entries.or_else(|| self.variable::<Positive>(&CACHE_MAX_SIZE));
        let max_bytes = max_bytes.map_or(usual.max_bytes, |bytes| bytes.0);
        let max_entry_bytes = max_entry_bytes.and_then(|bytes| usize::try_from(bytes.0).ok());
        ServerCache {
            policy: CachePolicy {
                fresh,
                second: redis.map(|redis| redis.0).or(written).unwrap_or(usual.second),
                revalidate: revalidate.map_or(usual.revalidate, |revalidate| revalidate.0),
                stale: stale.map(|stale| stale.0).or(oldest).unwrap_or(fresh.saturating_mul(STALE_TIMES)),
                negative: negative.map_or(NEGATIVE, |negative| negative.0),
                max_entries: entries.map_or(usual.max_entries, |entries| u64::from(entries.0)),
                max_bytes,
                max_entry_bytes: max_entry_bytes.unwrap_or(usual.max_entry_bytes),
                shared: file.shared.is_some_and(|shared| shared.0),
            },
            tools: texts(file.tools).collect(),
            invalidates: rules(file.invalidates),
            purge: file.purge.map(|purge| purge.value.0),
        }
    }
}

pub(super) fn texts(list: Option<Spanned<Vec<Spanned<Text>>>>) -> impl Iterator<Item = String> {
    list.into_iter().flat_map(|list| list.value).map(|text| text.value.0)
}

fn rules(file: Option<Spanned<Map<Choices>>>) -> Vec<Rule> {
    let rule = |(after, forget): (Spanned<String>, Spanned<Choices>)| Rule {
        after: after.value,
        forget: forget.value.0.into_iter().map(|pattern| pattern.value.0).collect(),
    };
    file.into_iter().flat_map(|file| file.value.0).map(rule).collect()
}
