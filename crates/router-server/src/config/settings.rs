//! The configuration as the rest of the program sees it: types that cannot be wrong.

use std::{collections::BTreeMap, ffi::OsString, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use router_core::{
    Name, Secret,
    chat::{Keeping, OnLoss},
    layer::{
        breaker::BreakerPolicy, cache::CachePolicy, chaos::ChaosPolicy, invalidate::Rule, limit::LimitPolicy,
        retry::RetryPolicy, timeout::TimeoutPolicy,
    },
};
use router_llm::{enhance::Template, models::Said};
use router_mcp::{
    catalog::{Alias as ToolAlias, Filters, Lazy, Prefix, Terms as Offered},
    client::{HealthCheck, InstanceLimits, Transport},
    egress::Exempt,
    oauth::Terms,
};

use super::{address::Address, leaf::words};
use crate::schedule::Schedule;

/// Everything that was configured, by file, environment and flags.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from, where there is one.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections at once.
    pub max_connections: usize,
    /// The vendor accounts, in their order; `echo` is always among them.
    pub providers: Vec<ProviderSettings>,
    /// Accounts nobody named, that exist if they answer on this machine.
    pub probe: Vec<ProviderSettings>,
    /// The provider of a bare model name, and of a question without one.
    pub default_provider: Name,
    /// Our names for models.
    pub models: Vec<Alias>,
    /// What is said of models.
    pub known_models: Vec<Said>,
    /// Whether what a version of a dialect refuses is refused by us, where the question is translated.
    pub strict_version: bool,
    /// What is kept of models' answers.
    pub prompt_cache: PromptCacheSettings,
    /// The MCP servers.
    pub servers: Vec<ServerSettings>,
    /// How what they all offer is put together.
    pub catalog: CatalogSettings,
    /// Selections of it.
    pub views: Vec<ViewSettings>,
    /// What is done for whom.
    pub clients: Vec<ClientSettings>,
    /// Who may call; empty lets everybody who can reach us.
    pub keys: Vec<KeySettings>,
    /// The shared store of many replicas.
    pub redis: Option<Secret<String>>,
    /// The log.
    pub log: LogSettings,
    /// The folder for what must survive.
    pub state: PathBuf,
    /// What is sealed with that clients bring back, where replicas share it.
    pub state_key: Option<Secret<String>>,
    /// The address under which the world reaches us.
    pub public_url: Option<Address>,
    /// What of our own network may be called although others name it.
    pub allow_private: Vec<Exempt>,
    /// The file in which tools are pinned.
    pub tool_lock: PathBuf,
    /// Names besides our own address under which clients may reach us.
    pub allowed_hosts: Vec<String>,
    /// Web pages that may call us.
    pub allowed_origins: Vec<String>,
    /// What every program needs of our own environment, by name.
    pub(super) base_environment: Vec<(&'static str, Secret<String>)>,
}

impl Config {
    /// What a started program gets of our own environment: what it cannot do without, and no secret of ours.
    pub fn base_environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.base_environment.iter().map(|(name, value)| ((*name).into(), value.expose().into()))
    }
}

/// One vendor account.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// Its name in `provider/model`.
    pub name: Name,
    /// The vendor.
    pub kind: ProviderKind,
    /// The wire format, where it was chosen; otherwise the vendor's own.
    pub dialect: Option<DialectName>,
    /// The address as it was written, with or without `/v1`; otherwise the vendor's own.
    pub base_url: Option<Address>,
    /// The credential.
    pub api_key: Option<Secret<String>>,
    /// Further headers of every request.
    pub headers: Vec<(String, Secret<String>)>,
    /// The folder of the model, for a kind that runs in this process.
    pub path: Option<PathBuf>,
    /// The model of a question that names none.
    pub model: Option<String>,
    /// The largest context window to ask for, in tokens.
    pub num_ctx_max: Option<u64>,
    /// How often a model is asked again whose answer does not keep to the schema it was told in words.
    pub schema_retries: u32,
    /// How long things may take.
    pub timeout: Timeouts,
    /// How it is guarded.
    pub guard: GuardSettings,
}

words! {
    /// A vendor, and the ways that are its own.
    ProviderKind, "is not a kind of provider" {
        /// OpenAI.
        OpenAi = "openai",
        /// Anthropic.
        Anthropic = "anthropic",
        /// OpenRouter.
        OpenRouter = "openrouter",
        /// Azure OpenAI.
        Azure = "azure",
        /// Ollama.
        Ollama = "ollama",
        /// LM Studio.
        LmStudio = "lmstudio",
        /// Any server that speaks one of the dialects.
        Compatible = "compatible",
        /// A model in a folder that turns texts into vectors, in this process.
        Model2Vec = "model2vec",
        /// The embedded model that repeats what it is told.
        Echo = "echo",
    }
}

words! {
    /// A wire format that providers speak.
    DialectName, "is not a dialect" {
        /// OpenAI's chat completions.
        OpenAi = "openai",
        /// Anthropic's messages.
        Anthropic = "anthropic",
        /// Ollama's own chat.
        Ollama = "ollama",
        /// OpenAI's responses.
        Responses = "responses",
    }
}

/// What is in the folder of a model2vec model.
pub const MODEL_FILES: [&str; 3] = ["tokenizer.json", "model.safetensors", "config.json"];

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// An attempt.
    pub attempt: TimeoutPolicy,
}

/// The layers around one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardSettings {
    /// When it is left alone.
    pub breaker: BreakerPolicy,
    /// When it is asked again.
    pub retry: RetryPolicy,
    /// How much it is asked.
    pub limit: LimitPolicy,
    /// A drill.
    pub chaos: Option<ChaosPolicy>,
}

/// Our name for a choice of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name.
    pub name: Name,
    /// Who is asked, in this order.
    pub choices: Vec<Choice>,
    /// What is done when the one who is asked has no words for all of a question; `None` leaves that to the question.
    pub on_loss: Option<OnLoss>,
    /// How its answers are kept; `None` is not at all, unless a client's rule or a request says otherwise.
    pub keeping: Option<Keeping>,
    /// What `/ask` says when nobody can answer.
    pub default: Option<Arc<str>>,
}

/// What is kept of models' answers, where that is wanted at all.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptCacheSettings {
    /// How long a kept answer is as good as new.
    pub ttl: Duration,
    /// How long it may stand in afterwards, when nobody else answers.
    pub stale: Duration,
    /// Memory at the most, in bytes.
    pub max_bytes: u64,
    /// The longest answer that is kept, in bytes.
    pub max_entry_bytes: usize,
    /// What questions are told apart with; `None` leaves it to the Redis' address, or to chance.
    pub key: Option<Secret<String>>,
    /// Questions that are compared by their meaning, at the most.
    pub max_questions: usize,
    /// How near the meanings of two questions have to be (cosine).
    pub threshold: f64,
    /// Questions with a higher temperature are not compared by their meaning.
    pub max_temperature: f64,
    /// The model that tells meanings, or an alias.
    pub embed: Name,
    /// How long it is waited for.
    pub embed_timeout: Duration,
}

impl Default for PromptCacheSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_hours(1),
            stale: Duration::from_hours(24),
            max_bytes: 64 << 20,
            max_entry_bytes: 1 << 20,
            key: None,
            max_questions: 10_000,
            threshold: 0.85,
            max_temperature: 0.3,
            embed: "embed".into(),
            embed_timeout: Duration::from_millis(500),
        }
    }
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// A provider of this configuration.
    pub provider: Name,
    /// The model, as the provider names it.
    pub model: String,
}

/// A model as a client's rule names it.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelName {
    /// One of our aliases.
    Alias(Name),
    /// A model of a provider.
    Choice(Choice),
}

/// One MCP server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// Its name in `server__tool` and in `/mcp/{server}`.
    pub name: Name,
    /// How it is reached.
    pub launch: Launch,
    /// Which era of MCP it speaks.
    pub protocol: ProtocolEra,
    /// The folders that it is told to keep to.
    pub roots: Vec<PathBuf>,
    /// How long things may take.
    pub timeout: Timeouts,
    /// How it is guarded.
    pub guard: GuardSettings,
    /// What is kept of its answers.
    pub cache: Option<ServerCache>,
    /// Whether what it says of its own tools (read-only, idempotent) is believed.
    pub trusted: bool,
    /// Who answers when it cannot, in this order.
    pub on_error: Vec<StandbySource>,
    /// Who answers when it is too slow, where that is somebody else.
    pub on_timeout: Option<Vec<StandbySource>>,
    /// On which terms its things are offered.
    pub terms: Offered,
    /// How it is kept running.
    pub upkeep: Upkeep,
    /// How we sign in to it, where we would.
    pub auth: Option<Terms>,
    /// What becomes of its tools that are not what they were.
    pub pin: PinPolicy,
}

/// How what all MCP servers offer is put together.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogSettings {
    /// How long the name of a tool may be, without what clients put in front of it.
    pub max_name: usize,
    /// How many things are on one page.
    pub page_size: usize,
    /// When tools are searched for instead of listed.
    pub lazy: Lazy,
    /// What `auto` means for views.
    pub(super) lazy_above: Lazy,
    /// Our names for tools.
    pub aliases: Arc<BTreeMap<String, ToolAlias>>,
}

/// A selection of servers and tools.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewSettings {
    /// Its name in `/mcp/v/{view}`.
    pub name: Name,
    /// Its servers, in this order; otherwise all.
    pub servers: Option<Vec<Name>>,
    /// What of theirs it shows.
    pub filters: Filters,
    /// When a server's name stands before its tools'; otherwise as each has it.
    pub prefix: Option<Prefix>,
    /// When tools are searched for instead of listed.
    pub lazy: Lazy,
    /// How all this wants to be used, in place of what the servers say.
    pub instructions: Option<String>,
    /// How many things are on one page.
    pub page_size: usize,
}

words! {
    /// What becomes of a tool that is not what it was.
    PinPolicy, "is not what becomes of a changed tool" {
        /// Nothing: tools are not pinned.
        Off = "off",
        /// It is told in the log.
        Warn = "warn",
        /// It is kept away until somebody approves it.
        Quarantine = "quarantine",
    }
}

/// How a server is kept running.
#[derive(Clone, Debug, PartialEq)]
pub struct Upkeep {
    /// Who has it to himself.
    pub isolation: ServerIsolation,
    /// How many of it there may be, where it is not shared.
    pub instances: InstanceLimits,
    /// When it is asked for a sign of life.
    pub health: Option<HealthCheck>,
    /// The interpreter it needs.
    pub runtime: Option<Runtime>,
    /// How often it is started again, where that is said.
    pub max_restarts: Option<u32>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            isolation: ServerIsolation::Shared,
            instances: InstanceLimits { most: 32, idle: Duration::from_mins(10) },
            health: Some(HealthCheck { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) }),
            runtime: None,
            max_restarts: None,
        }
    }
}

/// An interpreter, and its version as people write it: `3.11`, `22`.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime {
    /// Which.
    pub language: Language,
    /// `3.11`, `22.3`.
    pub version: String,
}

/// What an interpreter interprets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript.
    Node,
}

words! {
    /// Who has an MCP server to himself.
    ServerIsolation, "isolates nobody" {
        /// Nobody: one process or session serves all.
        Shared = "shared",
        /// Each caller, by his key.
        PerCaller = "per_caller",
        /// Each session of a client.
        PerSession = "per_session",
    }
}

/// How an MCP server is reached.
#[derive(Clone, PartialEq)]
pub enum Launch {
    /// A command that is started, and spoken to over its pipes.
    Stdio {
        /// The program.
        command: String,
        /// What it is given.
        args: Vec<String>,
        /// The environment it gets beside the bare necessities.
        env: Vec<(String, Secret<String>)>,
        /// The folder it is started in; otherwise ours.
        cwd: Option<PathBuf>,
    },
    /// An address.
    Http {
        /// Where.
        url: Address,
        /// Further headers of every request.
        headers: Vec<(String, Secret<String>)>,
        /// How messages travel there.
        transport: Transport,
    },
}

/// Arguments may hold what came from a secret, so they are not printed.
impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { command, args, env, cwd } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", &format_args!("[{} of them]", args.len()))
                .field("env", env)
                .field("cwd", cwd)
                .finish(),
            Self::Http { url, headers, transport } => f
                .debug_struct("Http")
                .field("url", url)
                .field("headers", headers)
                .field("transport", transport)
                .finish(),
        }
    }
}

words! {
    /// Which era of MCP a server speaks.
    ProtocolEra, "is not an era of the protocol" {
        /// Whichever it turns out to speak.
        Auto = "auto",
        /// Sessions that begin with `initialize`.
        Legacy = "legacy",
        /// Stateless, as of 2026-07-28.
        Modern = "modern",
    }
}

/// What is kept of a server's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerCache {
    /// For how long, and how much.
    pub policy: CachePolicy,
    /// The tools whose answers are kept, whatever is said of them; otherwise those that a trusted server marks as read-only.
    pub tools: Vec<String>,
    /// After which tools the answers of which tools are forgotten.
    pub invalidates: Vec<Rule>,
    /// When all of them are.
    pub purge: Option<Schedule>,
}

/// Something that answers when a server cannot.
#[derive(Clone, Debug, PartialEq)]
pub enum StandbySource {
    /// What the cache still has, as far as it is no older than this.
    Stale(Duration),
    /// A file or folder.
    Backup(PathBuf),
    /// Another server.
    Server(Name),
    /// A fixed text.
    Default(String),
    /// Nobody: the answer says that the server was left out.
    Skip,
}

/// What is done for one client program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientSettings {
    /// The program's name.
    pub name: Name,
    /// The key whose bearer it is; otherwise the one of its own name.
    pub key: Option<Name>,
    /// The model that answers it, whatever it asks for.
    pub model: Option<ModelName>,
    /// Words for its questions.
    pub prompt: Option<Template>,
    /// Who rewrites what its user says, by the prompt; without it, the prompt goes before the question.
    pub rewriting: Option<RewriteSettings>,
    /// For the model that the prompt is put to.
    pub temperature: Option<f64>,
    /// The most tokens of its answer.
    pub max_tokens: Option<u32>,
    /// Whether its questions may leave this machine.
    pub privacy: Privacy,
    /// Whether questions that offer tools get the prompt, too.
    pub touch_tools: bool,
    /// How the answers it gets are kept; `None` leaves that to the model it asks for.
    pub keeping: Option<Keeping>,
}

/// Who rewrites what a client's user says.
#[derive(Clone, Debug, PartialEq)]
pub struct RewriteSettings {
    /// The models, in the order in which they are asked.
    pub models: Vec<ModelName>,
    /// A longer prompt is not rewritten, in tokens.
    pub input_cap: u32,
    /// How long it may take over all models.
    pub timeout: Duration,
}

words! {
    /// What a client's prompt is for.
    Manner, "is nothing that is done with a prompt" {
        /// It goes before the question, as words of the system.
        Prepend = "prepend",
        /// It tells a small model how to rewrite what the user said last.
        Rewrite = "rewrite",
    }
}

words! {
    /// Whether a client's questions may leave this machine.
    #[derive(Default)]
    Privacy, "is no level of privacy" {
        /// They may go to any provider.
        #[default]
        Any = "any",
        /// Only providers on loopback get to see them; what would go to others is refused.
        LocalOnly = "local_only",
    }
}

/// A key that lets its bearer in.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySettings {
    /// Whose it is, for logs and metrics.
    pub name: Name,
    /// The key.
    pub key: Secret<String>,
    /// Whose answers its bearer may share; otherwise those of this key alone.
    pub tenant: Name,
    /// Whether it opens /admin, too.
    pub admin: bool,
    /// The views that its bearer sees, at `/mcp` the first; none is no bound.
    pub views: Vec<Name>,
}

/// The log on stderr.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// How a line is written.
    pub format: LogFormat,
    /// What is written: a level, or a filter such as `info,router_mcp=debug`.
    pub level: String,
}

words! {
    /// How a line of log is written.
    LogFormat, "is not a format of the log" {
        /// For machines.
        Json = "json",
        /// For people.
        Text = "text",
    }
}
