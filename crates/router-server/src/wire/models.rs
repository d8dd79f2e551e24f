//! The stacks of models: a link per (provider, model), and the route over all of them.

use std::{
    collections::{BTreeMap, HashMap},
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
use router_llm::{
    client::HttpClient,
    echo::{self, Echo},
    embed::EmbedRoute,
    enhance::{ClientRule, ClientRules, Manner, Rewriting},
    models::ModelCard,
    provider::{Api, Provider, ProviderKind, ProviderSpec},
    route::{Alias, Names, Route, Target},
};

use super::parts::{Links, ProviderPart};
use crate::{
    clock,
    config::{Choice, Config, DialectName, ModelName, Privacy, ProviderKind as Kind, ProviderSettings},
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
pub fn build(config: &Config, metrics: &Arc<Metrics>) -> Result<Built> {
    let (mut providers, mut embedders) = (HashMap::new(), HashMap::new());
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    for settings in &config.providers {
        let (name, (links, is_local)) = (&settings.name, links(settings, config, metrics)?);
        let stays = stays(settings, is_local);
        let chats = Fence::new(Arc::clone(&links.chats).boxed(), Arc::clone(name), move |chat| stays(&chat.model));
        let vectors = Fence::new(Arc::clone(&links.embeddings).boxed(), Arc::clone(name), move |ask| stays(&ask.model));
        providers.insert(Arc::clone(name), chats.boxed());
        embedders.insert(Arc::clone(name), vectors.boxed());
        parts.push(Box::new(ProviderPart::new(Arc::clone(name), links)));
    }
    let names = Arc::new(names(config)?);
    let route = Route::new(Arc::clone(&names), providers).with_meter(Arc::clone(metrics) as Arc<dyn Meter>);
    let embeddings = EmbedRoute::new(Arc::clone(&names), embedders, Arc::clone(metrics) as Arc<dyn Meter>);
    let rules = Arc::new(ClientRules::new(rules(config), clock::today, route.boxed()));
    let defaults = defaults(config);
    Ok(Built {
        models: Models {
            all: Arc::clone(&rules).boxed(),
            embeddings: embeddings.boxed(),
            rules,
            names,
            default: defaults.get(&config.default_provider).cloned(),
            providers: config.providers.iter().map(|settings| Arc::clone(&settings.name)).collect(),
            defaults,
            cards: cards(config),
        },
        parts,
    })
}

/// Every name that a model goes by.
fn names(config: &Config) -> Result<Names> {
    let named = config.models.iter().map(|alias| {
        let targets = alias.choices.iter().map(target).collect();
        Alias { name: Arc::clone(&alias.name), targets }
    });
    // `echo` answers by its bare name whatever the default provider is; an alias of that name goes before it.
    let echo = Target { provider: echo::NAME.into(), model: echo::NAME.into() };
    let aliases = named.chain([Alias { name: echo::NAME.into(), targets: vec![echo] }]);
    let providers = config.providers.iter().map(|provider| Arc::clone(&provider.name));
    Names::new(aliases.collect(), Arc::clone(&config.default_provider), providers)
        .context("the models of the configuration")
}

/// One stack per model of a provider and kind of question, so that one bad model does not close its neighbours;
/// throttling is per credential, which all of them share. Also, whether the provider is on this machine.
fn links(settings: &ProviderSettings, config: &Config, metrics: &Arc<Metrics>) -> Result<(Links, bool)> {
    let (chats, embeddings, is_local) = upstreams(settings)?;
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
    let links = Links {
        chats: Arc::new(guarded.clone().link(chats, |chat: &Chat| &chat.model)),
        embeddings: Arc::new(guarded.link(embeddings, |embed: &Embed| &embed.model)),
    };
    Ok((links, is_local))
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

/// The models that the configuration itself names, as `provider/model`.
fn listed(settings: &ProviderSettings, config: &Config) -> BTreeMap<Name, Name> {
    let choices = config.models.iter().flat_map(|alias| &alias.choices).filter(|choice| !target(choice).is_open());
    let own = choices.filter(|choice| choice.provider == settings.name).map(|choice| choice.model.as_str());
    let models = own.chain(settings.model.as_deref());
    models.map(|model| (model.into(), format!("{}/{model}", settings.name).into())).collect()
}

/// The provider, asked in chats and for vectors, and whether it is on this machine.
fn upstreams(settings: &ProviderSettings) -> Result<(BoxUpstream<Chat>, BoxUpstream<Embed>, bool)> {
    let Some(kind) = vendor(settings.kind) else { return Ok((Echo.boxed(), Echo.boxed(), true)) };
    let spec = ProviderSpec {
        name: Arc::clone(&settings.name),
        kind,
        dialect: settings.dialect.map(|dialect| match dialect {
            DialectName::OpenAi => Api::OpenAi,
            DialectName::Anthropic => Api::Anthropic,
            DialectName::Ollama => Api::Ollama,
        }),
        base_url: settings.base_url.as_ref().map(ToString::to_string),
        api_key: settings.api_key.clone(),
        headers: settings.headers.clone(),
    };
    let provider = Provider::new(spec, HttpClient::new(settings.timeout.connect));
    let provider = Arc::new(provider.with_context(|| format!("provider {}", settings.name))?);
    let is_local = provider.is_local();
    Ok((Arc::clone(&provider).boxed(), provider.boxed(), is_local))
}

/// The vendor of a kind; `None` is the embedded echo.
const fn vendor(kind: Kind) -> Option<ProviderKind> {
    match kind {
        Kind::OpenAi => Some(ProviderKind::OpenAi),
        Kind::Anthropic => Some(ProviderKind::Anthropic),
        Kind::OpenRouter => Some(ProviderKind::OpenRouter),
        Kind::Azure => Some(ProviderKind::Azure),
        Kind::Ollama => Some(ProviderKind::Ollama),
        Kind::LmStudio => Some(ProviderKind::LmStudio),
        Kind::Compatible => Some(ProviderKind::Compatible),
        Kind::Echo => None,
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
        Kind::Azure | Kind::Compatible => None,
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

fn target(choice: &Choice) -> Target {
    Target { provider: Arc::clone(&choice.provider), model: choice.model.as_str().into() }
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
