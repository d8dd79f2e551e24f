//! The environment: read once, and every variable that means something here, by name.

use std::{collections::BTreeMap, path::PathBuf};

use router_core::Secret;

use super::{
    dotenv,
    problem::{At, Findings},
    substitute::Lookup,
};

/// What a program cannot do without: where programs are, whose it is, how it speaks, where it may write.
const BARE: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TMPDIR"];

/// The environment of the process, as it was when it was read. Any value may be a secret.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, Secret<String>>);

impl Environment {
    /// The environment of this process. A value that is not UTF-8 counts as not set.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, Secret::new(value.into_string().ok()?))))
            .collect()
    }

    /// The value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }

    /// What a started program cannot do without.
    pub(super) fn bare(&self) -> Vec<(&'static str, Secret<String>)> {
        BARE.iter().filter_map(|name| Some((*name, self.0.get(*name)?.clone()))).collect()
    }

    /// `$NAME/...` where NAME holds an absolute path, or `$HOME/otherwise/...`: the folders of the XDG specification.
    pub(super) fn folder(&self, name: &Variable, otherwise: &str) -> Option<PathBuf> {
        let absolute = |path: &str| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let home = || self.get(HOME.name).and_then(absolute).map(|home| home.join(otherwise));
        self.get(name.name).and_then(absolute).or_else(home).map(|folder| folder.join("mcp-router"))
    }
}

impl FromIterator<(String, Secret<String>)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, Secret<String>)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// The environment, and behind it a `.env` file.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    environment: &'a Environment,
    file: Option<(String, Vec<dotenv::Line>)>,
}

/// A variable that is set, and where.
pub(super) struct Set<'a> {
    pub(super) value: &'a str,
    pub(super) at: At,
}

impl<'a> Variables<'a> {
    /// The environment alone.
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, file: None }
    }

    /// Puts the `.env` file called `name` behind the environment.
    pub(super) fn with_file(self, name: String, text: &str, findings: &mut Findings) -> Self {
        let (lines, flaws) = dotenv::parse(text);
        for (number, flaw) in flaws {
            findings.problem(&At::outside(format!("{name}:{number}")), flaw).remedy("write NAME=value");
        }
        Self { file: Some((name, lines)), ..self }
    }

    /// The variable, where it is set and not empty.
    pub(super) fn get(&self, variable: &Variable) -> Option<Set<'_>> {
        if let Some(value) = self.environment.get(variable.name) {
            return Some(Set { value, at: At::outside(variable.name) });
        }
        let (file, lines) = self.file.as_ref()?;
        let line = lines.iter().rev().find(|line| line.name == variable.name && !line.value.expose().is_empty())?;
        let at = At::outside(format!("{file}:{}: {}", line.number, variable.name));
        Some(Set { value: line.value.expose(), at })
    }

    /// The first of several variables that is set.
    pub(super) fn first(&self, variables: &[&Variable]) -> Option<Set<'_>> {
        variables.iter().find_map(|variable| self.get(variable))
    }
}

impl Lookup for Variables<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        let process = self.environment.0.get(name);
        let behind = || self.file.as_ref()?.1.iter().rev().find(|line| line.name == name).map(|line| &line.value);
        process.or_else(behind).map(|value| value.expose().as_str())
    }

    fn places(&self) -> String {
        match &self.file {
            Some((file, _)) => format!("the environment or in {file}"),
            None => "the environment".to_owned(),
        }
    }
}

/// A variable that means something here.
#[derive(Debug, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Where its value goes: the key of the file that it goes before.
    pub goes: &'static str,
    /// What it means.
    pub means: &'static str,
    /// A value it could have.
    pub example: &'static str,
}

/// Declares the variables, each as a constant, and the table of them all.
macro_rules! variables {
    ($( $name:ident = $example:literal goes $goes:literal: $means:literal; )*) => {
        $( pub(super) const $name: Variable =
            Variable { name: stringify!($name), goes: $goes, means: $means, example: $example }; )*

        /// Every variable that means something here.
        pub const VARIABLES: &[Variable] = &[ $( $name, )* ];
    };
}

variables! {
    LLM_PROVIDER = "openai" goes "default_provider": "the provider of a bare model name";
    OPENAI_API_KEY = "" goes "providers.openai.api_key": "a key of OpenAI";
    OPENAI_BASE_URL = "https://api.openai.com/v1" goes "providers.openai.base_url": "the address of OpenAI";
    ANTHROPIC_API_KEY = "" goes "providers.anthropic.api_key": "a key of Anthropic";
    ANTHROPIC_BASE_URL = "https://api.anthropic.com" goes "providers.anthropic.base_url": "the address of Anthropic";
    OPENROUTER_API_KEY = "" goes "providers.openrouter.api_key": "a key of OpenRouter";
    OPENROUTER_BASE_URL = "https://openrouter.ai/api/v1" goes "providers.openrouter.base_url":
        "the address of OpenRouter";
    AZURE_OPENAI_API_KEY = "" goes "providers.azure.api_key": "a key of Azure OpenAI";
    AZURE_API_KEY = "" goes "providers.azure.api_key": "the same";
    AZURE_OPENAI_ENDPOINT = "https://example.openai.azure.com" goes "providers.azure.base_url":
        "the address of Azure OpenAI";
    OLLAMA_HOST = "localhost" goes "providers.ollama.base_url": "the host of Ollama, or its whole address";
    OLLAMA_PORT = "11434" goes "providers.ollama.base_url": "the port of Ollama";
    OLLAMA_MODEL = "llama3.2" goes "providers.ollama.model": "the model of a question to Ollama that names none";
    LMSTUDIO_BASE_URL = "http://localhost:1234" goes "providers.lmstudio.base_url": "the address of LM Studio";
    LMSTUDIO_API_KEY = "" goes "providers.lmstudio.api_key": "a key of LM Studio, where it asks for one";
    ANTHROPIC_MODEL = "anthropic/claude-opus-5-5" goes "models.big": "the model behind the alias \"big\"";
    ANTHROPIC_SMALL_FAST_MODEL = "openrouter/anthropic/claude-3.7-sonnet" goes "models.small":
        "the model behind the alias \"small\"";
    ROUTER_HOST = "127.0.0.1" goes "listen": "the address to listen on";
    ROUTER_PORT = "4100" goes "listen": "the port to listen on";
    HOST = "127.0.0.1" goes "listen": "the same as ROUTER_HOST, which goes before it; ignored where it is no address";
    PORT = "4100" goes "listen": "the same as ROUTER_PORT, which goes before it";
    LOG_LEVEL = "info" goes "log.level": "what is logged: error, warn, info, debug, trace, or a filter";
    LOG_FORMAT = "text" goes "log.format": "how it is logged: text or json";
    REQUEST_TIMEOUT = "900" goes "providers.*.timeout.total":
        "seconds that an answer of a model may take in all, where the file does not say";
    MAX_CONCURRENT_REQUESTS = "10" goes "providers.*.limit.concurrency":
        "calls at once, for each provider, where the file does not say";
    CIRCUIT_BREAKER_FAILURE_THRESHOLD = "5" goes "*.breaker.failures":
        "faults in a row that open a breaker, where the file does not say";
    CIRCUIT_BREAKER_RECOVERY_TIMEOUT = "60" goes "*.breaker.recovery":
        "seconds that a breaker stays open at first, where the file does not say";
    CIRCUIT_BREAKER_SUCCESS_THRESHOLD = "2" goes "*.breaker.successes":
        "successes in a row that close a breaker, where the file does not say";
    CACHE_TTL = "300" goes "mcpServers.*.cache.fresh":
        "seconds that a kept answer is as good as new, where the file does not say";
    CACHE_MAX_SIZE = "100" goes "mcpServers.*.cache.max_entries":
        "answers that are kept for each server, where the file does not say";
    XDG_CONFIG_HOME = "" goes "--config": "the folder of mcp-router/router.yaml, where no file is named";
    XDG_STATE_HOME = "" goes "state": "the folder of mcp-router/, for what must survive a restart";
    HOME = "" goes "--config, state": "the folder of .config and .local/state, where the two above are not set";
}

/// What `.env.example` holds, and the help ends with.
pub fn example() -> String {
    let head = "# Every variable that MCP Router reads. Copy this to .env beside the configuration file, or name the\n\
                # copy with --env-file. A flag goes before the environment, which goes before .env, which goes before\n\
                # the configuration file.\n";
    let line =
        |Variable { name, goes, means, example }: &Variable| format!("\n# {goes}: {means}.\n#{name}={example}\n");
    VARIABLES.iter().fold(head.to_owned(), |text, variable| text + &line(variable))
}
