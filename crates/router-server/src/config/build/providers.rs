//! The vendor accounts: those of the file, or those that the environment holds keys for, and always `echo`.

use router_core::Name;

use super::{
    super::{
        address::Address,
        environment::{AZURE_OPENAI_ENDPOINT, LLM_PROVIDER, OLLAMA_MODEL},
        file::ProviderFile,
        leaf::Text,
        problem::At,
        read::{Map, Spanned},
        settings::{GuardSettings, ProviderKind, ProviderSettings},
        suggest,
    },
    Build, drill, guard, name,
    vendor::{VENDORS, Vendor, vendor},
};

/// The model that is always there.
const ECHO: &str = "echo";

/// How often a model is asked again whose answer does not keep to its schema: once it has read what is wrong, it does.
const SCHEMA_RETRIES: u32 = 1;

/// The vendor accounts, and which of them is meant when none is named.
pub(super) struct Accounts {
    pub(super) providers: Vec<ProviderSettings>,
    pub(super) probe: Vec<ProviderSettings>,
    pub(super) default: Name,
}

impl Accounts {
    /// Whether there is such a provider. One that would only be probed for is one for good once it is named.
    pub(super) fn has(&mut self, wanted: &str) -> bool {
        if let Some(index) = self.probe.iter().position(|provider| provider.name.as_ref() == wanted) {
            self.providers.push(self.probe.remove(index));
        }
        self.providers.iter().any(|provider| provider.name.as_ref() == wanted)
    }

    /// The names there are, for a suggestion.
    pub(super) fn names(&self) -> Vec<&str> {
        self.providers.iter().chain(&self.probe).map(|provider| provider.name.as_ref()).collect()
    }
}

impl Build<'_> {
    /// The accounts and the default among them.
    pub(super) fn accounts(
        &mut self,
        file: Option<Spanned<Map<ProviderFile>>>,
        default: Option<Spanned<Text>>,
    ) -> Accounts {
        let (providers, probe) = match file {
            Some(file) => (self.of_file(file.value), Vec::new()),
            None => self.of_environment(),
        };
        let default_provider = providers.first().map_or_else(|| name(ECHO), |first| Name::clone(&first.name));
        let mut accounts = Accounts { providers, probe, default: default_provider };
        if !accounts.has(ECHO) {
            accounts.providers.push(self.unnamed(ProviderKind::Echo));
        }
        if let Some(Spanned { value: Text(wanted), at }) = default {
            self.choose(&wanted, &at, &mut accounts, &[]);
        }
        if let Some(set) = self.given.variables.get(&LLM_PROVIDER) {
            self.choose_vendor(set.value, &set.at, &mut accounts);
        }
        accounts
    }

    /// `LLM_PROVIDER` may name a vendor that the file does not: its key and address are in the environment, too.
    fn choose_vendor(&mut self, wanted: &str, at: &At, accounts: &mut Accounts) {
        let folded = wanted.to_ascii_lowercase().replace(['-', '_', ' '], "").replace("azureopenai", "azure");
        let wanted = if accounts.has(wanted) { wanted } else { &folded };
        let absent = VENDORS.iter().find(|kind| kind.as_str() == wanted).filter(|_| !accounts.has(wanted));
        if let Some(&kind) = absent {
            let entry = Spanned { value: wanted.to_owned(), at: at.clone() };
            accounts.providers.push(self.provider(&entry, kind, ProviderFile::default()));
        }
        self.choose(wanted, at, accounts, VENDORS);
    }

    fn choose(&mut self, wanted: &str, at: &At, accounts: &mut Accounts, possible: &[ProviderKind]) {
        if accounts.has(wanted) {
            accounts.default = name(wanted);
            return;
        }
        let mut known = accounts.names();
        known.extend(possible.iter().map(|kind| kind.as_str()));
        known.sort_unstable();
        known.dedup();
        let remedy = suggest::remedy(wanted, &known);
        self.findings.problem(at, format!("there is no provider \"{wanted}\"")).remedy(remedy);
    }

    fn of_file(&mut self, file: Map<ProviderFile>) -> Vec<ProviderSettings> {
        let mut providers = Vec::new();
        for (entry, Spanned { value, .. }) in file.0 {
            if !is_name(&entry) {
                let finding = self.findings.problem(&entry.at, "this cannot be the name of a provider");
                finding.remedy("letters, digits, \".\", \"_\" and \"-\"; it stands before the \"/\" in provider/model");
                continue;
            }
            let kind = value.kind.as_ref().map(|kind| kind.value).or_else(|| ProviderKind::named(&entry));
            let lost = value.base_url.is_none() && value.endpoint.is_none() && !self.findings.is_broken(&entry.at.path);
            if kind.is_none() && lost {
                let known: Vec<_> = VENDORS.iter().map(|kind| kind.as_str()).collect();
                let finding = self.findings.problem(&entry.at, "this is not a kind of provider, and has no base_url");
                finding.remedy(suggest::nearest(&entry, known.iter().copied()).map_or_else(
                    || "write its kind, or the base_url of a compatible server".to_owned(),
                    |kind| format!("did you mean \"{kind}\"?"),
                ));
                continue;
            }
            providers.push(self.provider(&entry, kind.unwrap_or(ProviderKind::Compatible), value));
        }
        providers
    }

    /// Without a file: whoever the environment tells of; and who may be on this machine, to be probed for.
    fn of_environment(&mut self) -> (Vec<ProviderSettings>, Vec<ProviderSettings>) {
        let (mut providers, mut probe) = (Vec::new(), Vec::new());
        for &kind in VENDORS {
            if self.is_told_of(kind) {
                providers.push(self.unnamed(kind));
            } else if let Some(port) = local_port(kind) {
                let base_url = Address::parse(&format!("http://127.0.0.1:{port}")).ok();
                probe.push(ProviderSettings { base_url, ..self.unnamed(kind) });
            }
        }
        (providers, probe)
    }

    fn is_told_of(&mut self, kind: ProviderKind) -> bool {
        let Vendor { keys, needs_key, .. } = vendor(kind);
        let set = self.given.variables.first(keys);
        let keyed = set.is_some();
        let addressed = self.variable_address(kind).is_some();
        if kind == ProviderKind::Azure && keyed != addressed {
            let at = set.map_or_else(|| At::outside(AZURE_OPENAI_ENDPOINT.name), |set| set.at);
            self.findings.warning(&at, "azure needs a key and an endpoint, and has but one of them: it is left out");
            return false;
        }
        addressed
            || (keyed && needs_key)
            || (kind == ProviderKind::Ollama && self.given.variables.get(&OLLAMA_MODEL).is_some())
    }

    /// A provider of which only the environment tells.
    fn unnamed(&mut self, kind: ProviderKind) -> ProviderSettings {
        let entry = Spanned { value: kind.as_str().to_owned(), at: At::outside(kind.as_str()) };
        self.provider(&entry, kind, ProviderFile::default())
    }

    fn provider(&mut self, entry: &Spanned<String>, kind: ProviderKind, file: ProviderFile) -> ProviderSettings {
        let usual = kind.as_str() == entry.value;
        let base_url = self.base_url(file.base_url, file.endpoint, usual.then_some(kind));
        let api_key = self.api_key(file.api_key, usual.then_some(kind));
        self.check_account(&entry.at, kind, base_url.as_ref(), api_key.is_some());
        let dialect = file.dialect.filter(|dialect| self.check_dialect(kind, dialect));
        let from_variable =
            (usual && kind == ProviderKind::Ollama).then(|| self.variable::<Text>(&OLLAMA_MODEL)).flatten();
        ProviderSettings {
            name: name(&entry.value),
            kind,
            dialect: dialect.map(|dialect| dialect.value),
            base_url,
            api_key,
            headers: self.headers(file.headers),
            path: self.folder(&entry.at, kind, file.path),
            model: from_variable.or(file.model).map(|model| model.value.0),
            num_ctx_max: file.num_ctx_max.map(|tokens| tokens.value.0.into()),
            schema_retries: file.schema_retries.map_or(SCHEMA_RETRIES, |retries| retries.0),
            timeout: self.provider_timeouts(file.timeout),
            guard: GuardSettings {
                breaker: self.breaker(file.breaker),
                retry: guard::retry(file.retry),
                limit: self.provider_limit(file.limit),
                chaos: drill(file.chaos.map(|chaos| guard::chaos(chaos.value)), self.chaos.as_ref()),
            },
        }
    }
}

/// Where a program for models listens on the machine of whoever runs it.
const fn local_port(kind: ProviderKind) -> Option<u16> {
    match kind {
        ProviderKind::Ollama => Some(11434),
        ProviderKind::LmStudio => Some(1234),
        ProviderKind::OpenAi
        | ProviderKind::Anthropic
        | ProviderKind::OpenRouter
        | ProviderKind::Azure
        | ProviderKind::Compatible
        | ProviderKind::Model2Vec
        | ProviderKind::Echo => None,
    }
}

fn is_name(text: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    !text.is_empty() && text.chars().all(plain)
}
