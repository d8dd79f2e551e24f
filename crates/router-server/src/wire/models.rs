//! The stacks of models: a link per (provider, model), and the route over all of them.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use router_core::{
    BoxUpstream, Meter, Name, Query, Upstream,
    chat::Chat,
    embed::Embed,
    layer::{
        chaos::ChaosPolicy,
        fence::Fence,
        guard::{Guard, GuardPolicy},
        keyed::Keyed,
        stack,
        throttle::Throttle,
        timeout::TimeoutPolicy,
    },
};
use router_http::HttpClient;
use router_llm::{
    echo::{self, Echo},
    embed::{EmbedRoute, Files, Model2Vec},
    enhance::{ClientRule, ClientRules, Manner, Rewriting},
    models::{KnownModels, ModelCard},
    provider::{Api, Preset, Provider, ProviderKind, ProviderSpec, Shared, Thoughts},
    relay::Relay,
    route::{Alias, Names, Route, RouteSpec, Target},
    structured::Structured,
};
use tokio_util::task::TaskTracker;

use super::{
    kept::{self, Around},
    parts::{Links, ProviderPart},
};
use crate::{
    clock,
    config::{Choice, Config, DialectName, MODEL_FILES, ModelName, Privacy, ProviderKind as Kind, ProviderSettings},
    gateway::{Models, Part},
    telemetry::metrics::Metrics,
};

/// Stacks per provider: the names of models come from clients, so their number is bounded.
const MODELS_PER_PROVIDER: usize = 256;

/// The model half of the gateway.
pub struct Built {
    /// What the doors ask.
    pub models: Models,
    /// What health tells.
    pub parts: Vec<Box<dyn Part>>,
}

/// Builds a link for each provider, and the route and the client rules around them.
pub fn build(config: &Config, metrics: &Arc<Metrics>, tasks: &TaskTracker) -> Result<Built> {
    let (mut providers, mut embedders, mut relays) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    let mut staying = HashMap::new();
    let shared = shared(config, metrics);
    let mut vendors = BTreeMap::new();
    for settings in &config.providers {
        let name = &settings.name;
        let vendor = vendor(settings, config.strict_version, &shared)?;
        vendors.extend(vendor.iter().map(|vendor| (Arc::clone(name), Arc::clone(vendor))));
        let is_local = vendor.as_ref().is_none_or(|vendor| vendor.is_local());
        let stays = stays(settings, is_local);
        let links = links(settings, upstreams(settings, vendor, tasks), config, metrics);
        staying.insert(Arc::clone(name), stays);
        let lacks = lacks_schemas(settings, Arc::clone(&shared.known));
        let chats = Structured::new(Arc::clone(&links.chats), settings.schema_retries, lacks);
        let chats = Fence::new(chats.boxed(), Arc::clone(name), move |chat| stays(&chat.model));
        let vectors = Fence::new(Arc::clone(&links.embeddings).boxed(), Arc::clone(name), move |ask| stays(&ask.model));
        providers.insert(Arc::clone(name), chats.boxed());
        embedders.insert(Arc::clone(name), vectors.boxed());
        if let Some(relay) = &links.relays {
            let fence = Fence::new(Arc::clone(relay).boxed(), Arc::clone(name), move |_: &Relay| is_local);
            relays.push((Arc::clone(name), fence.boxed()));
        }
        parts.push(Box::new(ProviderPart::new(Arc::clone(name), links)));
    }
    let names = Arc::new(names(config)?);
    let known = Arc::clone(&shared.known);
    let route = Route::new(RouteSpec {
        names: Arc::clone(&names),
        providers,
        known: Box::new(move |target| known.of(&target.provider, &target.model)),
        stays: Box::new(move |target| staying.get(&target.provider).is_some_and(|stays| stays(&target.model))),
        label: Box::new(label(config)),
        counter: Arc::clone(&shared.counter),
        meter: Arc::clone(metrics) as Arc<dyn Meter>,
    });
    let embeddings = EmbedRoute::new(Arc::clone(&names), embedders, Arc::clone(metrics) as Arc<dyn Meter>).boxed();
    let around = Around { chats: route.boxed(), embeddings: embeddings.clone(), known: Arc::clone(&shared.known) };
    let cache = kept::cache(config, &names, (metrics, tasks), around)?;
    let rules = Arc::new(ClientRules::new(rules(config), clock::today, cache));
    let defaults = defaults(config);
    Ok(Built {
        models: Models {
            all: Arc::clone(&rules).boxed(),
            embeddings,
            relay: one_account(relays, &config.default_provider),
            rules,
            names,
            default: defaults.get(&config.default_provider).cloned(),
            providers: config.providers.iter().map(|settings| Arc::clone(&settings.name)).collect(),
            defaults,
            texts: texts(config),
            cards: cards(config),
            vendors,
            known: shared.known,
            counter: shared.counter,
        },
        parts,
    })
}

/// Every name that a model goes by.
fn names(config: &Config) -> Result<Names> {
    let named = config.models.iter().map(|alias| {
        let targets = alias.choices.iter().map(target).collect();
        Alias { name: Arc::clone(&alias.name), targets, on_loss: alias.on_loss }
    });
    // `echo` answers by its bare name whatever the default provider is; an alias of that name goes before it.
    let echo = Target { provider: echo::NAME.into(), model: echo::NAME.into() };
    let aliases = named.chain([Alias { name: echo::NAME.into(), targets: vec![echo], on_loss: None }]);
    let providers = config.providers.iter().map(|provider| Arc::clone(&provider.name));
    Names::new(aliases.collect(), Arc::clone(&config.default_provider), providers)
        .context("the models of the configuration")
}

/// One stack per model of a provider and kind of question, so that one bad model does not close its neighbours;
/// throttling is per credential, which all of them share.
fn links(settings: &ProviderSettings, upstreams: Upstreams, config: &Config, metrics: &Arc<Metrics>) -> Links {
    let guarded = Guarded {
        name: Arc::clone(&settings.name),
        listed: listed(settings, config),
        policy: GuardPolicy {
            breaker: settings.guard.breaker,
            limit: settings.guard.limit,
            retry: settings.guard.retry,
        },
        timeout: settings.timeout.attempt,
        chaos: settings.guard.chaos.clone(),
        throttle: Arc::default(),
        meter: Arc::clone(metrics) as Arc<dyn Meter>,
    };
    guarded.listed.values().chain([&guarded.name]).for_each(|label| metrics.introduce(label));
    Links {
        chats: Arc::new(guarded.clone().link(upstreams.chats, |chat: &Chat| &chat.model)),
        embeddings: Arc::new(guarded.clone().link(upstreams.embeddings, |embed: &Embed| &embed.model)),
        relays: upstreams.relays.map(|relays| Arc::new(guarded.link(relays, |relay: &Relay| &relay.area))),
    }
}

/// What the stacks of one provider are made with.
#[derive(Clone)]
struct Guarded {
    name: Name,
    /// Names that clients made up must not become labels of metrics: they go by their provider's.
    listed: BTreeMap<Name, Name>,
    policy: GuardPolicy,
    timeout: TimeoutPolicy,
    chaos: Option<ChaosPolicy>,
    throttle: Arc<Throttle>,
    meter: Arc<dyn Meter>,
}

impl Guarded {
    fn link<Q: Query>(self, upstream: BoxUpstream<Q>, model: fn(&Q) -> &Name) -> Keyed<Q> {
        Keyed::new(MODELS_PER_PROVIDER, model, move |model| {
            let label = self.listed.get(model).unwrap_or(&self.name);
            let (meter, throttle) = (Arc::clone(&self.meter), Arc::clone(&self.throttle));
            let guard = Guard::throttled(Arc::clone(label), self.policy, meter, throttle);
            let stack = stack::<Q>(&guard, upstream.clone())
                .chaos(self.chaos.clone())
                .timeout(self.timeout)
                .limit()
                .breaker()
                .retry()
                .observe()
                .boxed();
            (guard, stack)
        })
    }
}

/// What a model is called in metrics: names that clients made up must not become labels, they go by their provider's.
fn label(config: &Config) -> impl Fn(&Target) -> Name + Send + Sync + 'static {
    let listed = config.providers.iter().map(|settings| (Arc::clone(&settings.name), listed(settings, config)));
    let listed: HashMap<Name, BTreeMap<Name, Name>> = listed.collect();
    move |target| {
        let named = listed.get(&target.provider).and_then(|models| models.get(&target.model));
        Arc::clone(named.unwrap_or(&target.provider))
    }
}

/// The models that the configuration itself names, as `provider/model`.
fn listed(settings: &ProviderSettings, config: &Config) -> BTreeMap<Name, Name> {
    let choices = config.models.iter().flat_map(|alias| &alias.choices).filter(|choice| !target(choice).is_open());
    let own = choices.filter(|choice| choice.provider == settings.name).map(|choice| choice.model.as_str());
    let models = own.chain(settings.model.as_deref());
    models.map(|model| (model.into(), format!("{}/{model}", settings.name).into())).collect()
}

/// What the providers share: what is known of their models, and how they count.
fn shared(config: &Config, metrics: &Arc<Metrics>) -> Shared {
    let presets = config.providers.iter().filter_map(|settings| {
        let preset = Preset::of(kind(settings.kind)?, settings.dialect.map(api))?;
        Some((Arc::clone(&settings.name), preset))
    });
    Shared {
        known: Arc::new(KnownModels::new(presets, config.known_models.clone())),
        counter: Arc::default(),
        meter: Arc::clone(metrics) as Arc<dyn Meter>,
        thoughts: Thoughts::default(),
    }
}

/// A provider, asked in chats and for vectors.
struct Upstreams {
    chats: BoxUpstream<Chat>,
    embeddings: BoxUpstream<Embed>,
    /// Where it has an interface that only its vendor has.
    relays: Option<BoxUpstream<Relay>>,
}

impl Upstreams {
    fn of(provider: Arc<impl Upstream<Chat> + Upstream<Embed>>) -> Self {
        Self { chats: Arc::clone(&provider).boxed(), embeddings: provider.boxed(), relays: None }
    }
}

fn upstreams(settings: &ProviderSettings, vendor: Option<Arc<Provider>>, tasks: &TaskTracker) -> Upstreams {
    match (vendor, &settings.path) {
        (Some(vendor), _) => {
            let relays = (settings.kind == Kind::Anthropic).then(|| Arc::clone(&vendor).boxed());
            Upstreams { relays, ..Upstreams::of(vendor) }
        }
        (None, Some(path)) => Upstreams::of(Arc::new(folder(settings, path, tasks))),
        (None, None) => Upstreams::of(Arc::new(Echo)),
    }
}

/// A model in a folder.
fn folder(settings: &ProviderSettings, path: &Path, tasks: &TaskTracker) -> Model2Vec {
    let [tokenizer, model, config] = MODEL_FILES.map(|file| path.join(file));
    let read = move || {
        let (tokenizer, model) = (fs_err::read(&tokenizer)?, fs_err::read(&model)?);
        Ok(Files { tokenizer, model, config: fs_err::read(&config)? })
    };
    Model2Vec::new(Arc::clone(&settings.name), read, tasks.clone())
}

/// A provider; `None` runs in this process.
fn vendor(settings: &ProviderSettings, strict_version: bool, shared: &Shared) -> Result<Option<Arc<Provider>>> {
    let Some(kind) = kind(settings.kind) else { return Ok(None) };
    let spec = ProviderSpec {
        name: Arc::clone(&settings.name),
        kind,
        dialect: settings.dialect.map(api),
        base_url: settings.base_url.as_ref().map(ToString::to_string),
        api_key: settings.api_key.clone(),
        headers: settings.headers.clone(),
        strict_version,
    };
    let provider = Provider::new(spec, HttpClient::new(settings.timeout.connect))
        .with_context(|| format!("provider {}", settings.name))?;
    Ok(Some(Arc::new(provider.sharing(shared.clone()).with_max_window(settings.num_ctx_max))))
}

const fn api(dialect: DialectName) -> Api {
    match dialect {
        DialectName::OpenAi => Api::OpenAi,
        DialectName::Anthropic => Api::Anthropic,
        DialectName::Ollama => Api::Ollama,
        DialectName::Responses => Api::Responses,
    }
}

/// Batches and files belong to an account, so it is always the same one: the default provider's, or the first.
fn one_account(mut relays: Vec<(Name, BoxUpstream<Relay>)>, default: &Name) -> Option<BoxUpstream<Relay>> {
    let at = relays.iter().position(|(name, _)| name == default).unwrap_or_default();
    (at < relays.len()).then(|| relays.swap_remove(at).1)
}

/// The vendor of a kind; `None` runs in this process.
const fn kind(kind: Kind) -> Option<ProviderKind> {
    match kind {
        Kind::OpenAi => Some(ProviderKind::OpenAi),
        Kind::Anthropic => Some(ProviderKind::Anthropic),
        Kind::OpenRouter => Some(ProviderKind::OpenRouter),
        Kind::Azure => Some(ProviderKind::Azure),
        Kind::Ollama => Some(ProviderKind::Ollama),
        Kind::LmStudio => Some(ProviderKind::LmStudio),
        Kind::Compatible => Some(ProviderKind::Compatible),
        Kind::Model2Vec | Kind::Echo => None,
    }
}

/// The model of a question that names only its provider, or nothing.
fn defaults(config: &Config) -> BTreeMap<Name, Arc<str>> {
    let own = config.providers.iter().filter_map(|provider| {
        let model = provider.model.as_deref().or_else(|| usual_model(provider.kind))?;
        Some((Arc::clone(&provider.name), format!("{}/{model}", provider.name).into()))
    });
    own.collect()
}

/// What a vendor's users start with, where the configuration names no model. Azure has deployments of the user's own
/// naming, so nobody can guess one.
const fn usual_model(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::OpenAi => Some("gpt-5-mini"),
        Kind::Anthropic => Some("claude-sonnet-4-5"),
        Kind::OpenRouter => Some("openrouter/auto"),
        Kind::Ollama => Some("llama3"),
        // LM Studio answers with the model that is loaded, whatever it is called.
        Kind::LmStudio => Some("default"),
        Kind::Echo => Some(echo::NAME),
        Kind::Azure | Kind::Compatible | Kind::Model2Vec => None,
    }
}

/// What is done for whom.
fn rules(config: &Config) -> impl Iterator<Item = (Name, ClientRule)> {
    config.clients.iter().map(|client| {
        let manner = client.rewriting.as_ref().map_or(Manner::Prepend, |rewriting| {
            Manner::Rewrite(Rewriting {
                models: rewriting.models.iter().map(model_name).collect(),
                input_cap: rewriting.input_cap.into(),
                time: rewriting.timeout,
            })
        });
        let rule = ClientRule {
            key: client.key.clone(),
            model: client.model.as_ref().map(model_name),
            prompt: client.prompt.clone(),
            manner,
            temperature: client.temperature,
            max_tokens: client.max_tokens.map(u64::from),
            keeping: client.keeping,
            local: client.privacy == Privacy::LocalOnly,
            touches_tools: client.touch_tools,
        };
        (Arc::clone(&client.name), rule)
    })
}

fn model_name(model: &ModelName) -> Arc<str> {
    match model {
        ModelName::Alias(alias) => Arc::clone(alias),
        ModelName::Choice(choice) => target(choice).to_string().into(),
    }
}

/// Whether what is asked of a model stays on this machine: where its provider is here, and does not pass it on.
fn stays(settings: &ProviderSettings, is_local: bool) -> impl Fn(&Name) -> bool + Copy + Send + Sync + 'static {
    // An Ollama that is signed in hands the questions for such models to ollama.com.
    let passes_on = settings.kind == Kind::Ollama;
    move |model| is_local && !(passes_on && (model.ends_with("-cloud") || model.ends_with(":cloud")))
}

/// Whether a model of this provider cannot be told to keep to a JSON schema, as far as anybody knows; the echo cannot.
fn lacks_schemas(
    settings: &ProviderSettings,
    known: Arc<KnownModels>,
) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    let (name, is_echo) = (Arc::clone(&settings.name), settings.kind == Kind::Echo);
    move |model| is_echo || known.of(&name, model).abilities.schema == Some(false)
}

fn target(choice: &Choice) -> Target {
    Target { provider: Arc::clone(&choice.provider), model: choice.model.as_str().into() }
}

/// What is said for aliases when nobody can answer.
fn texts(config: &Config) -> BTreeMap<Name, Arc<str>> {
    config.models.iter().filter_map(|alias| Some((Arc::clone(&alias.name), alias.default.clone()?))).collect()
}

/// What can be asked for by name: the aliases, every model that the configuration names, and `echo`.
fn cards(config: &Config) -> Vec<ModelCard> {
    let spelled = config.models.iter().filter(|alias| !alias.name.contains('*'));
    let aliases = spelled.map(|alias| ModelCard::new(&*alias.name, "mcp-router"));
    let choices =
        config.models.iter().flat_map(|alias| &alias.choices).map(|choice| (target(choice), &choice.provider));
    let chosen =
        choices.filter(|(target, _)| !target.is_open()).map(|(target, provider)| (target.to_string(), &**provider));
    let own = config.providers.iter().filter(|provider| provider.kind != Kind::Echo).filter_map(|provider| {
        provider.model.as_deref().map(|model| (format!("{}/{model}", provider.name), &*provider.name))
    });
    let mut cards: Vec<ModelCard> = aliases.chain([echo::card()]).collect();
    for (id, provider) in chosen.chain(own) {
        if !cards.iter().any(|card| card.id == id) {
            cards.push(ModelCard::new(id, provider));
        }
    }
    cards
}
