//! The stacks of MCP servers: a guard per server over its tool calls and its lookups, and the catalog over all of them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow};
use router_core::{
    BoxUpstream, Meter, Name, Query, Raw, Secret, Upstream,
    layer::{
        cache::CachePolicy,
        fallback::{Sources, Standby},
        guard::{Guard, GuardPolicy},
        invalidate::{Forget, Rule},
        second::SecondLevel,
        stack,
        sweep::Sweep,
    },
};
use router_mcp::{
    catalog::{Catalog, Laziness, Lazy, Meaning, Offer, ViewSpec},
    client::{Endpoint, Instances, Isolated, Isolation, Launch, Program, Protocol, Reach, ServerSpec},
    pins::{Pinned, Pins, Strictness},
    seal::Seal,
    server::{Front, Setup},
    view::Revision,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    eras::Eras,
    lazy,
    parts::ServerPart,
    pins,
    reliefs::{Others, Reliefs},
    runtime::{self, Machine},
    sign_in::{self, Office},
    sign_out::SignOut,
    sweeper::Beginning,
};
use crate::{
    backup::Backup,
    clock,
    config::{self, Config, PinPolicy, ProtocolEra, ServerIsolation, ServerSettings, StandbySource, ViewSettings},
    gateway::{Mcp, Part},
    shutdown::Shutdown,
    telemetry::metrics::Metrics,
};

/// The MCP half of the gateway.
pub struct Built {
    /// What clients find.
    pub mcp: Mcp,
    /// What health tells.
    pub parts: Vec<Box<dyn Part>>,
}

/// What the catalog of all servers is called where views have their names.
const ALL: &str = "/mcp";

/// Starts every server in the background, and builds a stack around each and a front over all.
pub fn build(
    config: &Config,
    office: &Arc<Office>,
    meaning: Option<&Arc<dyn Meaning>>,
    (metrics, shutdown): (&Arc<Metrics>, &Shutdown),
) -> Result<Built> {
    let launch = Launch::new(std::env::current_exe().context("where this program is")?, config.base_environment());
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    let mut offers = Vec::new();
    let mut servers = BTreeMap::new();
    let pins = pins::at(&config.tool_lock)?;
    let (mut sweeper, reliefs) = (Beginning::new(config, shutdown)?, Reliefs::default());
    let (eras, machine) = (Eras::at(&config.state), Machine::of(config.base_environment()));
    for settings in &config.servers {
        let spec = spec(settings, office, &machine).with_context(|| format!("mcpServers.{}", settings.name))?;
        let server = start(eras.remembered(spec), settings, &launch, shutdown);
        let (guard, offer) = offer(settings, &server, (&mut sweeper, &reliefs), (metrics, shutdown));
        let offer = Offer { pinned: pinned(settings.pin, &pins), ..offer };
        look_again(server.shared().changed(), Arc::clone(&guard), sweeper.forget(&guard), shutdown);
        parts.push(Box::new(ServerPart::new(guard, Arc::clone(&server))));
        offers.push(offer);
        servers.insert(Arc::clone(&settings.name), server);
    }
    let catalog = Catalog::new(offers, &shutdown.tasks, cursor_key(config.state_key.as_ref())?);
    // One for all fronts: which of them a client comes back to does not matter.
    let seal = Arc::new(Seal::new(config.state_key.as_ref(), clock::unix_seconds)?);
    let front = |catalog: Catalog| {
        Arc::new(Front::new(Setup {
            tools: catalog.clone().boxed(),
            lookups: catalog.clone().boxed(),
            catalog,
            name: "mcp-router".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tasks: shutdown.tasks.clone(),
            closing: shutdown.begin.clone(),
            seal: Arc::clone(&seal),
        }))
    };
    let lazy = |when| lazy::laziness(when, meaning, metrics);
    let catalog = catalog.view(whole_spec(config, lazy(config.catalog.lazy)));
    let each = catalog.servers().filter_map(|name| Some((Arc::clone(name), front(catalog.single(name)?)))).collect();
    let views = config.views.iter().map(|view| {
        let spec = view_spec(config, view, lazy(view.lazy));
        (Arc::clone(&view.name), front(catalog.view(spec)))
    });
    let (views, bound, lazy) = (views.collect(), bound(config), lazy_views(config));
    let (all, office) = (front(catalog), Arc::clone(office));
    let out = |settings: &ServerSettings| Some((Arc::clone(&settings.name), SignOut::of(settings, &config.keys)?));
    let sign_outs = config.servers.iter().filter_map(out).collect();
    let sweeper = sweeper.done(config);
    let mcp = Mcp { all, sweeper, each, servers, pins, office, sign_outs, description: None, views, bound, lazy };
    Ok(Built { mcp, parts })
}

fn pinned(policy: PinPolicy, pins: &Arc<Pins>) -> Option<Pinned> {
    let strictness = match policy {
        PinPolicy::Off => return None,
        PinPolicy::Warn => Strictness::Warn,
        PinPolicy::Quarantine => Strictness::Quarantine,
    };
    Some(Pinned { pins: Arc::clone(pins), strictness })
}

fn start(spec: ServerSpec, settings: &ServerSettings, launch: &Launch, shutdown: &Shutdown) -> Arc<Instances> {
    let isolation = match settings.upkeep.isolation {
        ServerIsolation::Shared => Isolation::Shared,
        ServerIsolation::PerCaller => Isolation::PerCaller,
        ServerIsolation::PerSession => Isolation::PerSession,
    };
    let around = (&shutdown.tasks, shutdown.finish.clone());
    Instances::start(spec, launch.clone(), (isolation, settings.upkeep.instances), around)
}

/// What cursors are known by. Without a key that replicas share they end with the process.
fn cursor_key(shared: Option<&Secret<String>>) -> Result<[u8; 32]> {
    const CONTEXT: &str = "mcp-router 2026-11 cursors of lists";
    if let Some(shared) = shared {
        return Ok(blake3::derive_key(CONTEXT, shared.expose().as_bytes()));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no key for cursors: {error}"))?;
    Ok(key)
}

/// Everything.
fn whole_spec(config: &Config, lazy: Laziness) -> ViewSpec {
    ViewSpec {
        name: ALL.into(),
        max_name: config.catalog.max_name,
        page_size: config.catalog.page_size,
        aliases: Arc::clone(&config.catalog.aliases),
        private: !bound(config).is_empty(),
        lazy,
        ..ViewSpec::default()
    }
}

fn view_spec(config: &Config, view: &ViewSettings, lazy: Laziness) -> ViewSpec {
    ViewSpec {
        name: Arc::clone(&view.name),
        servers: view.servers.clone(),
        filters: view.filters.clone(),
        prefix: view.prefix,
        page_size: view.page_size,
        instructions: view.instructions.clone(),
        ..whole_spec(config, lazy)
    }
}

/// The views whose tools may be searched for.
fn lazy_views(config: &Config) -> Vec<Name> {
    let views = config.views.iter().map(|view| (Arc::clone(&view.name), view.lazy));
    let all = views.chain([(Name::from(ALL), config.catalog.lazy)]);
    all.filter(|(_, lazy)| *lazy != Lazy::Never).map(|(name, _)| name).collect()
}

/// The keys that are for some views only.
fn bound(config: &Config) -> BTreeMap<Name, Vec<Name>> {
    let bound = config.keys.iter().filter(|key| !key.views.is_empty());
    bound.map(|key| (Arc::clone(&key.name), key.views.clone())).collect()
}

/// One guard over both stacks of a server: what ails its lists ails its tools.
fn offer(
    settings: &ServerSettings,
    server: &Arc<Instances>,
    (sweeper, reliefs): (&mut Beginning, &Reliefs),
    (metrics, shutdown): (&Arc<Metrics>, &Shutdown),
) -> (Arc<Guard>, Offer) {
    let policy =
        GuardPolicy { breaker: settings.guard.breaker, limit: settings.guard.limit, retry: settings.guard.retry };
    let guard = Guard::new(Arc::clone(&settings.name), policy, Arc::clone(metrics) as Arc<dyn Meter>);
    metrics.introduce(&settings.name);
    sweeper.add(settings, &guard);
    let kept = Kept {
        policy: settings.cache.as_ref().map(|cache| cache.policy),
        second: sweeper.second(settings),
        rules: settings.cache.as_ref().map(|cache| cache.invalidates.clone()).unwrap_or_default(),
    };
    let forget = sweeper.forget(&guard);
    let others = |name: &Name| reliefs.named(name);
    let tools = guarded(settings, &guard, server, (kept, &forget, Some(&others)), shutdown);
    reliefs.add(&settings.name, &tools);
    // Lists are the catalog's to keep; what a resource or prompt says changes without notice.
    let lookups = guarded(settings, &guard, server, (Kept::default(), &forget, None), shutdown);
    let errands = guarded(settings, &guard, server, (Kept::default(), &forget, None), shutdown);
    let offer = Offer {
        name: Arc::clone(&settings.name),
        tools,
        lookups,
        errands,
        view: Arc::new(Isolated(Arc::clone(server))),
        trusted: settings.trusted,
        cached_tools: settings.cache.as_ref().map(|cache| cache.tools.clone()).unwrap_or_default(),
        terms: settings.terms.clone(),
        pinned: None,
    };
    (guard, offer)
}

/// What a stack keeps of its answers.
struct Kept<Q: Query> {
    policy: Option<CachePolicy>,
    second: Option<Arc<dyn SecondLevel<Q>>>,
    rules: Vec<Rule>,
}

impl<Q: Query> Default for Kept<Q> {
    fn default() -> Self {
        Self { policy: None, second: None, rules: Vec::new() }
    }
}

/// A server that came up again, or has news, is well enough to be tried: its calls need not wait for the breaker's time.
/// Tools that changed may answer otherwise.
fn look_again(mut news: watch::Receiver<Revision>, guard: Arc<Guard>, forget: Forget, shutdown: &Shutdown) {
    let finish = shutdown.finish.clone();
    let mut before = *news.borrow();
    shutdown.tasks.spawn(async move {
        while let Some(Ok(())) = finish.run_until_cancelled(news.changed()).await {
            guard.early_probe();
            let now = *news.borrow_and_update();
            if now.has_other_tools_than(before) {
                forget(Sweep::default()).await;
            }
            before = now;
        }
    });
}

fn guarded<Q: Query>(
    settings: &ServerSettings,
    guard: &Arc<Guard>,
    server: &Arc<Instances>,
    (kept, forget, others): (Kept<Q>, &Forget, Others<'_, Q>),
    shutdown: &Shutdown,
) -> BoxUpstream<Q>
where
    Isolated: Upstream<Q>,
{
    stack::<Q>(guard, Isolated(Arc::clone(server)))
        .chaos(settings.guard.chaos.clone())
        .timeout(settings.timeout.attempt)
        .limit()
        .breaker()
        .retry()
        .invalidate(kept.rules, Arc::clone(forget), &shutdown.tasks)
        .cache(kept.policy, kept.second, &shutdown.tasks)
        .fallback(sources(settings, others))
        .observe()
        .boxed()
}

/// Who answers when the server cannot.
fn sources<Q: Query>(settings: &ServerSettings, others: Others<'_, Q>) -> Sources<Q> {
    let all = |sources: &[StandbySource]| sources.iter().filter_map(|source| standby(source, others)).collect();
    Sources { on_error: all(&settings.on_error), on_timeout: settings.on_timeout.as_deref().map(all) }
}

fn standby<Q: Query>(source: &StandbySource, others: Others<'_, Q>) -> Option<Standby<Q>> {
    Some(match source {
        StandbySource::Stale(oldest) => Standby::Stale(*oldest),
        StandbySource::Backup(path) => Standby::Backup(Backup::new(path.clone()).boxed()),
        StandbySource::Server(name) => Standby::Upstream(others?(name)),
        StandbySource::Default(text) => Standby::Default(text.clone()),
        StandbySource::Skip => Standby::Skip,
    })
}

fn spec(settings: &ServerSettings, office: &Arc<Office>, machine: &Machine) -> Result<ServerSpec> {
    let reach = match &settings.launch {
        config::Launch::Stdio { command, args, env, cwd } => {
            let program = Program { command: command.clone(), args: args.clone(), env: env.clone(), cwd: cwd.clone() };
            match settings.upkeep.runtime.as_ref().map(|wanted| runtime::fit(&program, wanted, machine)) {
                None => Reach::Program(program),
                Some(Ok(fitted)) => Reach::Program(fitted),
                Some(Err(missing)) => {
                    tracing::error!(server = %settings.name, "not started: {missing}");
                    Reach::Absent(missing)
                }
            }
        }
        config::Launch::Http { url, headers, transport } => Reach::Http(Endpoint {
            url: url.to_string().parse().context("its address")?,
            headers: headers
                .iter()
                .map(|(name, value)| Ok((name.parse().with_context(|| format!("header {name:?}"))?, value.clone())))
                .collect::<Result<_>>()?,
            keyring: sign_in::keyring(settings, office)?,
            transport: *transport,
        }),
    };
    let protocol = match settings.protocol {
        ProtocolEra::Auto => Protocol::Auto,
        ProtocolEra::Legacy => Protocol::Legacy,
        ProtocolEra::Modern => Protocol::Modern,
    };
    let roots = (!settings.roots.is_empty()).then(|| roots(&settings.roots));
    let (health, restarts) = (settings.upkeep.health, settings.upkeep.max_restarts);
    Ok(ServerSpec { protocol, health, restarts, roots, ..ServerSpec::new(Arc::clone(&settings.name), reach) })
}

/// Folders as MCP names them.
fn roots(folders: &[PathBuf]) -> Raw {
    let root = |folder: &PathBuf| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let bytes = folder.as_os_str().as_encoded_bytes().iter();
        let path: String = bytes
            .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        let uri = format!("file://{path}");
        match folder.file_name() {
            Some(name) => json!({ "uri": uri, "name": name.to_string_lossy() }),
            None => json!({ "uri": uri }),
        }
    };
    Raw::trusted(Value::Array(folders.iter().map(root).collect()).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use router_core::{
        Caller, Cx, Error, Kind,
        layer::breaker::{BreakerPolicy, State},
        tool::{Answer, Lookup, What},
    };

    use super::*;

    /// A server that is away.
    struct Away;

    impl Upstream<Lookup> for Away {
        async fn call(&self, _: &Cx, _: Lookup) -> router_core::Result<Answer> {
            Err(Error::new(Kind::Unavailable, "no connection"))
        }
    }

    #[test]
    fn folders_are_roots() {
        let told = roots(&["/home/me/my docs".into(), "/".into()]);
        let expected = r#"[{"uri":"file:///home/me/my%20docs","name":"my docs"},{"uri":"file:///"}]"#;
        assert_eq!(told.as_str(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_back_is_tried_at_once() {
        let (shutdown, news) = (Shutdown::default(), watch::Sender::new(Revision::default()));
        let breaker = BreakerPolicy { failures: 1, ..BreakerPolicy::default() };
        let guard = Guard::new("s".into(), GuardPolicy { breaker, ..GuardPolicy::default() }, Metrics::new());
        look_again(news.subscribe(), Arc::clone(&guard), Arc::new(|_| Box::pin(async {})), &shutdown);
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let away = stack::<Lookup>(&guard, Away).breaker().boxed().call(&cx, Lookup::new(What::Tools)).await;
        assert!(away.is_err() && guard.standing().state == State::Open);
        news.send_modify(|revision| *revision = revision.anew());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(guard.standing().state, State::HalfOpen);
        shutdown.complete().await;
    }
}
