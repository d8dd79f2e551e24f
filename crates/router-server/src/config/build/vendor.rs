//! What is peculiar to each vendor's accounts: its variables, whether it needs a key, which dialects it speaks.

use std::path::PathBuf;

use router_core::Secret;

use super::{
    super::{
        address::Address,
        environment::{
            ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, AZURE_API_KEY, AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT,
            LMSTUDIO_API_KEY, LMSTUDIO_BASE_URL, OLLAMA_HOST, OLLAMA_PORT, OPENAI_API_KEY, OPENAI_BASE_URL,
            OPENROUTER_API_KEY, OPENROUTER_BASE_URL, Variable,
        },
        leaf::{FilePath, Hidden, Link},
        problem::At,
        read::{Map, Spanned},
        settings::{DialectName, MODEL_FILES, ProviderKind},
    },
    Build,
};

/// The vendors whose accounts the environment can tell of, in the order in which one of them becomes the default.
pub(super) const VENDORS: &[ProviderKind] = &[
    ProviderKind::OpenAi,
    ProviderKind::Anthropic,
    ProviderKind::OpenRouter,
    ProviderKind::Azure,
    ProviderKind::Ollama,
    ProviderKind::LmStudio,
];

/// What is peculiar to the accounts of a vendor.
pub(super) struct Vendor {
    /// The variables that may hold a key, the first one set counts.
    pub(super) keys: &'static [&'static Variable],
    /// The variable that may hold the address.
    pub(super) address: Option<&'static Variable>,
    /// Whether it answers nobody without a key, at its own address.
    pub(super) needs_key: bool,
    /// What it speaks, its own first.
    pub(super) dialects: &'static [DialectName],
}

/// What there is to know of a vendor.
pub(super) fn vendor(kind: ProviderKind) -> Vendor {
    use DialectName::{Anthropic, Ollama, OpenAi, Responses};
    let (keys, address, needs_key, dialects): (&[&Variable], _, _, &[_]) = match kind {
        ProviderKind::OpenAi => (&[&OPENAI_API_KEY], Some(&OPENAI_BASE_URL), true, &[OpenAi, Responses]),
        ProviderKind::Anthropic => (&[&ANTHROPIC_API_KEY], Some(&ANTHROPIC_BASE_URL), true, &[Anthropic]),
        ProviderKind::OpenRouter => {
            (&[&OPENROUTER_API_KEY], Some(&OPENROUTER_BASE_URL), true, &[OpenAi, Anthropic, Responses])
        }
        ProviderKind::Azure => (
            &[&AZURE_OPENAI_API_KEY, &AZURE_API_KEY],
            Some(&AZURE_OPENAI_ENDPOINT),
            true,
            &[OpenAi, Anthropic, Responses],
        ),
        ProviderKind::Ollama => (&[], None, false, &[Ollama, OpenAi, Anthropic, Responses]),
        ProviderKind::LmStudio => {
            (&[&LMSTUDIO_API_KEY], Some(&LMSTUDIO_BASE_URL), false, &[OpenAi, Anthropic, Responses])
        }
        ProviderKind::Compatible => (&[], None, false, &[OpenAi, Anthropic, Ollama, Responses]),
        ProviderKind::Model2Vec | ProviderKind::Echo => (&[], None, false, &[]),
    };
    Vendor { keys, address, needs_key, dialects }
}

impl Build<'_> {
    /// The address: the environment's for the account that is named as its vendor, otherwise the file's.
    pub(super) fn base_url(
        &mut self,
        base_url: Option<Spanned<Link>>,
        endpoint: Option<Spanned<Link>>,
        usual: Option<ProviderKind>,
    ) -> Option<Address> {
        if let (Some(_), Some(endpoint)) = (&base_url, &endpoint) {
            self.findings
                .problem(&endpoint.at, "endpoint is another word for base_url, which is here, too")
                .remedy("keep one");
        }
        let written = base_url.or(endpoint);
        if let Some(written) = written.as_ref().filter(|written| self.is_ours(&written.0)) {
            self.findings.problem(&written.at, "this is the router's own address");
        }
        let address = usual.and_then(|kind| self.variable_address(kind));
        if let (Some(address), Some(written)) = (&address, &written)
            && address.value != written.0
        {
            let says = format!("{} goes before it: {:?}", address.at.path, address.value);
            self.findings.warning(&written.at, says);
        }
        address.map(|address| address.value).or(written.map(|written| written.value.0))
    }

    /// What the environment tells of a vendor's address. SDKs are pointed at the router by the same variables, so one
    /// that leads back to us is not meant for us.
    pub(super) fn variable_address(&mut self, kind: ProviderKind) -> Option<Spanned<Address>> {
        let address = match kind {
            ProviderKind::Ollama => self.ollama(),
            ProviderKind::OpenAi
            | ProviderKind::Anthropic
            | ProviderKind::OpenRouter
            | ProviderKind::Azure
            | ProviderKind::LmStudio
            | ProviderKind::Compatible
            | ProviderKind::Model2Vec
            | ProviderKind::Echo => {
                let link = self.variable::<Link>(vendor(kind).address?)?;
                Some(Spanned { value: link.value.0, at: link.at })
            }
        }?;
        if self.is_ours(&address) {
            self.findings
                .warning(&address.at, "this is the router's own address: clients may use it, the router does not");
            return None;
        }
        Some(address)
    }

    /// `OLLAMA_HOST` is a host, with or without a port, or an address; the server's own `0.0.0.0` means this machine.
    fn ollama(&mut self) -> Option<Spanned<Address>> {
        let host = self.given.variables.get(&OLLAMA_HOST);
        let port = self.given.variables.get(&OLLAMA_PORT);
        let at = host.as_ref().or(port.as_ref())?.at.clone();
        let host = host.map_or("localhost", |host| host.value).replace("0.0.0.0", "127.0.0.1");
        let host = if host.starts_with(':') { format!("localhost{host}") } else { host };
        let port = port.map_or("11434", |port| port.value);
        let address = match host.split_once("://") {
            Some(_) => host,
            None if host.contains(':') => format!("http://{host}"),
            None => format!("http://{host}:{port}"),
        };
        let Ok(value) = Address::parse(&address) else {
            self.findings
                .problem(&at, "its value is neither a host nor an address")
                .remedy("write \"localhost:11434\"");
            return None;
        };
        Some(Spanned { value, at })
    }

    fn is_ours(&self, address: &Address) -> bool {
        let same = address.is_loopback() || address.host() == self.listen.ip().to_string();
        same && self.listen.port() != 0 && address.port() == self.listen.port()
    }

    /// The credential: the environment's for the account that is named as its vendor, otherwise the file's.
    pub(super) fn api_key(
        &mut self,
        file: Option<Spanned<Hidden>>,
        usual: Option<ProviderKind>,
    ) -> Option<Secret<String>> {
        if let Some(empty) = file.as_ref().filter(|key| key.0.expose().is_empty()) {
            self.findings.problem(&empty.at, "the key is empty");
        }
        let set = usual.and_then(|kind| self.given.variables.first(vendor(kind).keys));
        let Some(set) = set else { return file.map(|key| key.value.0) };
        if let Some(written) = file.filter(|key| key.0.expose() != set.value) {
            self.findings.warning(&written.at, format!("the key in {} goes before it", set.at.path));
        }
        Some(Secret::new(set.value.to_owned()))
    }

    /// Whether there is all that the vendor asks for.
    pub(super) fn check_account(&mut self, at: &At, kind: ProviderKind, base_url: Option<&Address>, keyed: bool) {
        if self.findings.is_broken(&at.path) {
            return;
        }
        let Vendor { keys, needs_key, .. } = vendor(kind);
        if let Some(key) = keys.first().filter(|_| needs_key && !keyed && base_url.is_none()) {
            let finding = self.findings.problem(at, "there is no api_key");
            finding.remedy(format!("set {0}, or write api_key: \"${{{0}}}\"", key.name));
        }
        let remedy = match kind {
            ProviderKind::Azure => "set AZURE_OPENAI_ENDPOINT, or write base_url: https://NAME.openai.azure.com",
            ProviderKind::Compatible => "write the base_url of the server",
            ProviderKind::OpenAi
            | ProviderKind::Anthropic
            | ProviderKind::OpenRouter
            | ProviderKind::Ollama
            | ProviderKind::LmStudio
            | ProviderKind::Model2Vec
            | ProviderKind::Echo => return,
        };
        if base_url.is_none() {
            self.findings.problem(at, "there is no base_url").remedy(remedy);
        }
    }

    /// The folder of a model that runs in this process: it has to be there, and nobody else has one.
    pub(super) fn folder(
        &mut self,
        entry: &At,
        kind: ProviderKind,
        path: Option<Spanned<FilePath>>,
    ) -> Option<PathBuf> {
        const FETCH: &str = "fetch one: hf download minishlab/potion-base-8M --local-dir ./potion-base-8M";
        if kind != ProviderKind::Model2Vec {
            if let Some(path) = path {
                let finding =
                    self.findings.problem(&path.at, format!("a provider of kind {} has no folder", kind.as_str()));
                finding.remedy("leave it out, or write kind: model2vec");
            }
            return None;
        }
        let Some(Spanned { value: FilePath(path), at }) = path else {
            if !self.findings.is_broken(&entry.path) {
                let finding = self.findings.problem(entry, "there is no path");
                finding.remedy(format!("write the path of a model2vec folder; {FETCH}"));
            }
            return None;
        };
        let missing = MODEL_FILES.into_iter().find(|file| !path.join(file).is_file());
        if let Some(file) = missing {
            let says =
                if path.is_dir() { format!("there is no {file} in it") } else { "there is no such folder".to_owned() };
            self.findings.problem(&at, says).remedy(FETCH);
        }
        Some(path)
    }

    /// Whether the vendor speaks the dialect.
    pub(super) fn check_dialect(&mut self, kind: ProviderKind, dialect: &Spanned<DialectName>) -> bool {
        let known = vendor(kind).dialects;
        if known.contains(&dialect.value) {
            return true;
        }
        let says = format!("{} does not speak \"{}\"", kind.as_str(), dialect.value.as_str());
        let known: Vec<_> = known.iter().map(|dialect| dialect.as_str()).collect();
        self.findings.problem(&dialect.at, says).remedy(format!("one of: {}", known.join(", ")));
        false
    }

    /// Headers that HTTP allows.
    pub(super) fn headers(&mut self, file: Option<Spanned<Map<Hidden>>>) -> Vec<(String, Secret<String>)> {
        let mut headers = Vec::new();
        for (name, value) in file.into_iter().flat_map(|file| file.value.0) {
            if http::HeaderName::try_from(name.as_str()).is_err() {
                self.findings.problem(&name.at, "this cannot be the name of a header");
            } else if http::HeaderValue::try_from(value.0.expose()).is_err() {
                self.findings.problem(&value.at, "the value holds characters that a header cannot have");
            } else {
                headers.push((name.value, value.value.0));
            }
        }
        headers
    }
}
