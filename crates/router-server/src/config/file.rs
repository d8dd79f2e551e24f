//! The file as it is written. Every key is declared here, once: for its reader and for the editor's schema.

use schemars::JsonSchema;

use super::{
    aliases::{AliasFile, PromptCacheFile},
    auth::{Auth, EgressFile},
    catalog::{CatalogFile, FilterFile, OverrideFile, PrefixWord, ViewFile},
    clients::ClientFile,
    keys::KeyFile,
    known::KnownFile,
    leaf::{
        self, Bytes, Count, Cron, FilePath, Hidden, Link, Period, Positive, Rate, Share, Switch, Text, Time, words,
    },
    read::{Map, Read, Reader, Spanned, section},
    settings::{DialectName, LogFormat, PinPolicy, ProtocolEra, ProviderKind, ServerIsolation},
    standby::Standbys,
    tree::{Node, Value},
    upkeep::{HealthFile, InstancesFile, RuntimeFile},
};

section! {
    /// The configuration of MCP Router. Any value may hold references: `${NAME}`, `${NAME:-default}`, `${file:PATH}`.
    #[schemars(title = "MCP Router")]
    File {
        /// The schema of this file, for editors.
        schema as "$schema": Text,
        /// The address to listen on. Anything but loopback needs `keys`.
        listen: Text,
        /// How many connections are served at once, streams that stand open among them; 4096. Further ones wait.
        max_connections: Positive,
        /// Vendor accounts. A name that is a kind needs nothing else to be one.
        providers: Map<ProviderFile>,
        /// The provider of a bare model name; otherwise the first one.
        default_provider: Text,
        /// Our names for models: `provider/model`, a list of them that falls back in order, or a mapping that says more.
        models: Map<AliasFile>,
        /// Whether Anthropic's version 2026-10-21 also holds where other vendors answer (no `temperature`); otherwise yes.
        strict_version: Switch,
        /// The answers of models that are kept, where an alias, a client's rule or a request wants that.
        prompt_cache: PromptCacheFile,
        /// What is known of models, by the patterns of their names; goes before the built-in table.
        known_models: Map<KnownFile>,
        /// The MCP servers, as every MCP client writes them.
        mcp_servers as "mcpServers": Map<Server>,
        /// The MCP servers, by the name that VS Code has for them.
        servers: Map<Server>,
        /// How what they all offer is put together.
        catalog: CatalogFile,
        /// Selections of servers and tools, each at `/mcp/v/{view}`.
        views: Map<ViewFile>,
        /// What is done for whom: the key is the client program's name.
        clients: Map<ClientFile>,
        /// Who may call. Without any, everybody who can reach the address.
        keys: Vec<Spanned<KeyFile>>,
        /// A Redis or Valkey that many replicas share.
        redis: Hidden,
        /// A drill for every upstream that has none of its own.
        chaos: ChaosFile,
        /// The log on stderr.
        log: LogFile,
        /// The folder for what must survive a restart.
        state: FilePath,
        /// What seals what clients bring back (`requestState`), so that replicas can read one another's, and what is kept
        /// under `state`; one that ends with the process and one that lies there, otherwise.
        state_key: Hidden,
        /// The address under which the world reaches the router: people come back to it after they have signed in.
        public_url: Link,
        /// Which addresses that others name (where to sign in, above all) are called.
        egress: EgressFile,
        /// The file in which tools are pinned as they were first seen; otherwise `tools.lock.json` in that folder.
        tool_lock: FilePath,
        /// Host names besides the address itself under which clients may reach the router.
        allowed_hosts: Vec<Spanned<Text>>,
        /// Origins of web pages that may call the router: `https://app.example.com`.
        allowed_origins: Vec<Spanned<Text>>,
    }
    beside {
        "inputs": "this key is VS Code's; what it asks for has to come from variables here",
        "globalShortcut": "this key is Claude Desktop's, and has no effect here",
        "preferences": "this key is Claude Desktop's, and has no effect here",
    }
}

section! {
    /// One vendor account.
    ProviderFile {
        /// The vendor; the name itself when it is one.
        kind: ProviderKind,
        /// The wire format, where the vendor speaks more than one.
        dialect: DialectName,
        /// The address; otherwise the vendor's own.
        base_url: Link,
        /// Azure's word for `base_url`.
        endpoint: Link,
        /// The credential.
        api_key: Hidden,
        /// Further headers of every request.
        headers: Map<Hidden>,
        /// The folder of a `model2vec` model.
        path: FilePath,
        /// The model of a question that names none.
        model: Text,
        /// The largest context window to ask an Ollama for, in tokens.
        num_ctx_max: Positive,
        /// How often a model that cannot be told a JSON schema is asked again when its answer does not keep to it; 1.
        schema_retries: Count,
        /// How long things may take.
        timeout: TimeoutFile,
        /// When a call is put again.
        retry: RetryFile,
        /// When the provider is left alone.
        breaker: BreakerFile,
        /// How much it is asked.
        limit: LimitFile,
        /// A drill: it fails on purpose.
        chaos: ChaosFile,
    }
}

section! {
    /// How long things may take.
    TimeoutFile {
        /// Until the connection stands.
        connect: Period,
        /// Until the first content; where it is not set, a reply that comes whole has the total time for it.
        first_byte: Period,
        /// Between two signs of life.
        idle: Period,
        /// Over all.
        total: Period,
        /// Whether the first content is waited for only half as long again as all but one of a thousand answers took in the
        /// last ten minutes (a second at least), where that is less.
        adaptive: Switch,
    }
}

section! {
    /// When a call is put again. Only what is safe to repeat ever is.
    RetryFile {
        /// Retries of one call, at the most.
        retries: Count,
        /// The first wait; it doubles, with jitter.
        base: Period,
        /// The longest wait.
        cap: Period,
        /// The share of calls that may be retried.
        budget: Share,
        /// Retries that are always allowed.
        floor: Rate,
        /// The longest wait that an upstream may ask for (Retry-After).
        patience: Time,
    }
}

section! {
    /// When an upstream is left alone, and when it is tried again.
    BreakerFile {
        /// Faults in a row that open it, while there are few calls.
        failures: Positive,
        /// How long it stays open at first; doubles with every failed probe.
        recovery: Period,
        /// The most it doubles to.
        max_recovery: Period,
        /// Successes in a row that close it.
        successes: Positive,
        /// How far back the rate of faults looks.
        window: Period,
        /// The share of faults that opens it, once there are `samples` calls.
        rate: Share,
        /// Calls in the window from which on the rate counts.
        samples: Positive,
    }
}

section! {
    /// How much an upstream is asked.
    LimitFile {
        /// Calls at once.
        concurrency: Positive,
        /// Calls that may wait for their turn.
        queue: Count,
        /// How long one waits at the most.
        wait: Time,
        /// Calls over time.
        rate: Rate,
        /// Calls at once that the rate forgives.
        burst: Positive,
    }
}

section! {
    /// A drill: the upstream fails on purpose.
    ChaosFile {
        /// The share of calls that fail.
        rate: Share,
        /// Added before a call that does not fail.
        latency: Time,
        /// The ways to fail, chosen evenly.
        kinds: Vec<Spanned<ChaosWord>>,
        /// For a drill that can be repeated.
        seed: Count,
    }
}

words! {
    /// A way to fail.
    ChaosWord, "is not a way to fail" {
        /// No connection.
        Refuse = "refuse",
        /// No answer, ever.
        Hang = "hang",
        /// 429.
        Limited = "limited",
        /// 5xx.
        Fail = "fail",
        /// The answer is cut after its first content.
        Cut = "cut",
    }
}

/// One model, or several of which the first that can answers.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `Choices`")]
enum OneOrMany {
    One(Text),
    Many(Vec<Text>),
}

/// The models behind an alias.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "OneOrMany")]
pub(super) struct Choices(pub(super) Vec<Spanned<Text>>);

impl Read for Choices {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Scalar(_) => Some(Self(vec![reader.value(node)?])),
            Value::Null | Value::List(_) | Value::Map(_) => Vec::read(node, reader).map(Self),
        }
    }
}

section! {
    /// One MCP server: a `command` or a `url`.
    ServerFile {
        /// The program to start.
        command: Command,
        /// What it is given.
        args: Vec<Spanned<Text>>,
        /// Its environment, beside PATH, HOME, LANG and TMPDIR.
        env: Map<Assigned>,
        /// The folder it is started in.
        cwd: FilePath,
        /// The address of a server that runs already.
        url: Link,
        /// Gemini's word for `url`.
        http_url as "httpUrl": Link,
        /// Windsurf's word for `url`.
        server_url as "serverUrl": Link,
        /// Further headers of every request.
        headers: Map<Hidden>,
        /// The transport, which `command` or `url` tell already, but for `sse`: straight to HTTP+SSE, that of 2024-11-05.
        transport as "type": Text,
        /// The same, as other clients write it.
        its_transport as "transport": Text,
        /// How the router signs in to it: `none`, or more; otherwise by OAuth, when the server asks for it.
        auth: Auth,
        /// Which era of MCP it speaks.
        protocol: ProtocolEra,
        /// The folders that the server is told to keep to, where no client tells it his own.
        roots: Vec<Spanned<FilePath>>,
        /// How long things may take; a single time is the longest silence of a call.
        timeout: ServerTimeout,
        /// When a call is put again.
        retry: RetryFile,
        /// When the server is left alone.
        breaker: BreakerFile,
        /// How much it is asked.
        limit: LimitFile,
        /// What is kept of its answers.
        cache: CacheFile,
        /// Whether what it says of its own tools is believed (read-only, idempotent).
        trusted: Switch,
        /// Who answers when it cannot, in this order: one of them, or a list.
        on_error: Standbys,
        /// Who answers when it is too slow; otherwise as `on_error` has it.
        on_timeout: Standbys,
        /// How old the answers of `stale` may be; otherwise as old as the cache keeps them.
        stale_max_age: Period,
        /// The file or folder of `backup`.
        backup: FilePath,
        /// The text of `default`.
        default: Text,
        /// A drill: it fails on purpose.
        chaos: ChaosFile,
        /// Leaves the server out.
        disabled: Switch,
        /// Takes the server in (the default).
        enabled: Switch,
        /// Tools that nobody gets to see.
        disabled_tools as "disabledTools": Vec<Spanned<Text>>,
        /// Gemini's word for `disabledTools`.
        exclude_tools as "excludeTools": Vec<Spanned<Text>>,
        /// What becomes of a tool that is not what it was; otherwise it is kept away until somebody approves it, or only
        /// told where the server is `trusted`.
        pin: PinPolicy,
        /// Who has it to himself; otherwise nobody, and one process or session serves all.
        isolation: ServerIsolation,
        /// How many of it there may be, where it is not shared.
        instances: InstancesFile,
        /// When it is asked for a sign of life.
        health_check: HealthFile,
        /// How often it is started again within 5 min before it counts as failed; otherwise 5.
        max_restarts: Count,
        /// The interpreter it needs, in a version that the command alone does not tell.
        runtime: RuntimeFile,
        /// The tools that are offered, and those that are not; a list is of those that are.
        tools: FilterFile,
        /// Gemini's word for the tools that are offered.
        include_tools as "includeTools": Vec<Spanned<Text>>,
        /// Codex' word for the tools that are offered.
        enabled_tools as "enabledTools": Vec<Spanned<Text>>,
        /// The resources and templates that are offered, and those that are not, by their URIs.
        resources: FilterFile,
        /// The prompts that are offered, and those that are not.
        prompts: FilterFile,
        /// When the server's name stands before its tools'; otherwise as `catalog` has it.
        prefix: PrefixWord,
        /// What is said of its tools otherwise than it says it, by its own names.
        overrides: Map<OverrideFile>,
    }
    open {
        "autoApprove": "which calls need no question is the client's to decide; this has no effect here",
        "alwaysAllow": "which calls need no question is the client's to decide; this has no effect here",
        "trust": "which calls need no question is the client's to decide; this has no effect here",
        "envFile": "the file is not read; write its variables under env, or name it with --env-file",
        "oauth": "the router signs in by itself when the server asks for it; what it needs to know goes under auth",
        "description": "descriptions are not shown here",
        "name": "a server is named by its key",
        "icon": "icons are not shown here",
        "version": "versions are not checked here",
        "gallery": "this key is an editor's, and has no effect here",
        "dev": "this key is an editor's, and has no effect here",
    }
}

/// A server, unless it is switched off: then nothing in it matters.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "ServerFile")]
pub(super) enum Server {
    On(Box<ServerFile>),
    Off,
}

impl Read for Server {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if node.scalar("disabled") == Some("true") || node.scalar("enabled") == Some("false") {
            let at = reader.at(node.span);
            reader.findings.warning(&at, "this server is disabled, and is not started");
            return Some(Self::Off);
        }
        ServerFile::read(node, reader).map(|server| Self::On(Box::new(server)))
    }
}

/// A program, or a program and what it is given.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "OneOrMany")]
pub(super) struct Command(pub(super) Vec<Spanned<Text>>);

impl Read for Command {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        Choices::read(node, reader).map(|words| Self(words.0))
    }
}

/// The value of a variable; without one it is not set.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(inline)]
pub(super) struct Assigned(#[schemars(with = "Hidden")] pub(super) Option<Hidden>);

impl Read for Assigned {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        Hidden::read(node, reader).map(|value| Self(Some(value)))
    }

    fn empty() -> Option<Self> {
        Some(Self(None))
    }
}

/// The longest silence of a call, or all times one by one.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum ServerTimeout {
    /// As other clients write it, too: a number without a unit.
    Silence(#[schemars(with = "TimeOrNumber")] Period),
    /// A client's zero, which cannot be meant.
    #[schemars(skip)]
    Usual,
    /// One by one.
    Each(Box<TimeoutFile>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `ServerTimeout::Silence`")]
enum TimeOrNumber {
    Time(Period),
    Number(f64),
}

/// From here on a client's bare number means milliseconds: nobody waits a quarter of an hour for a tool by default.
const MILLISECONDS_FROM: f64 = 1000.0;

impl Read for ServerTimeout {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Scalar(text) = &node.value else {
            return TimeoutFile::read(node, reader).map(|file| Self::Each(Box::new(file)));
        };
        let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0) else {
            return Period::read(node, reader).map(Self::Silence);
        };
        if number == 0.0 {
            let at = reader.at(node.span);
            let says =
                format!("\"{text}\" means no bound to some clients; here every call has one, and this is the usual");
            reader.findings.warning(&at, says);
            return Some(Self::Usual);
        }
        let unit = if number < MILLISECONDS_FROM { "s" } else { "ms" };
        let at = reader.at(node.span);
        let meant = format!("{text}{unit}");
        let read = leaf::time(&meant).ok()?;
        reader
            .findings
            .warning(&at, format!("\"{text}\" has no unit, and is read as {meant}"))
            .remedy(format!("write \"{meant}\""));
        Some(Self::Silence(Period(read)))
    }
}

section! {
    /// What is kept of a server's answers, and for how long.
    CacheFile {
        /// How long an answer is as good as new.
        fresh: Time,
        /// How long one is that replicas share by way of `redis`; otherwise as `fresh`, or an hour where that is not set.
        redis: Time,
        /// For how long after that an old answer is given at once, while a new one is fetched behind it; otherwise not at all.
        revalidate: Time,
        /// How long it may stand in when the server fails; otherwise 24 times as long.
        stale: Time,
        /// How long it is known that the server knows no answer; 5s.
        negative: Time,
        /// Answers at the most.
        max_entries: Positive,
        /// Memory at the most.
        max_bytes: Bytes,
        /// A longer answer is not kept.
        max_entry_bytes: Bytes,
        /// Tools whose answers are kept, whatever is said of them; otherwise those that a `trusted` server marks as read-only.
        tools: Vec<Spanned<Text>>,
        /// Whether one tenant may be answered with what another one asked.
        shared: Switch,
        /// After which tools the answers of which tools are forgotten: `create_*: [list_*, get_*]`.
        invalidates: Map<Choices>,
        /// When all of them are forgotten, as cron writes it, in UTC: `0 2 * * *`.
        purge: Cron,
    }
}

section! {
    /// The log on stderr.
    LogFile {
        /// How a line is written.
        format: LogFormat,
        /// What is written: error, warn, info, debug, trace, or a filter.
        level: Text,
    }
}
