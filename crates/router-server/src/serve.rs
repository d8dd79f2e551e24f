//! The life of the process: configure, build, listen, and leave nothing behind.

use std::{io::Write, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    config::{Address, Config, ProviderSettings},
    control,
    gateway::{Gateway, Place},
    http::{
        House, accept,
        connection::ConnectionLimits,
        door::{Door, KeyHolder},
    },
    shutdown::Shutdown,
    stdio,
    telemetry::metrics::Metrics,
    wire,
};

/// How long a provider on this machine has to accept a connection before we take it that there is none.
const PROBE: Duration = Duration::from_millis(100);

/// Serves until a signal says stop.
pub async fn serve(mut config: Config) -> Result<()> {
    let shutdown = Shutdown::default();
    shutdown.on_signal().context("cannot hear signals")?;
    find_local_providers(&mut config).await;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("the address that is listened on")?;
    let gateway = wire::gateway(&config, address, &Metrics::new(), &shutdown)?;
    let keys = config.keys.iter().map(|key| KeyHolder {
        name: &key.name,
        tenant: &key.tenant,
        key: &key.key,
        admin: key.admin,
    });
    let door = Door::new(keys, address.ip(), &config.allowed_hosts, &config.allowed_origins);
    announce(&format!("http://{address}"), &config)?;
    drain_on(&shutdown, &gateway);
    control::serve(&config, address.port(), Arc::clone(&gateway), &shutdown);
    let house = House::new(gateway, door);
    let enter = move |request| Arc::clone(&house).enter(request);
    let limits = ConnectionLimits { connections: config.max_connections, ..ConnectionLimits::default() };
    accept::accept(listener, limits, &shutdown, enter).await;
    shutdown.complete().await;
    tracing::info!("stopped");
    Ok(())
}

/// Serves one MCP client on stdin and stdout, until it closes them or a signal says stop.
pub async fn serve_stdio(config: Config, place: Place<'_>) -> Result<()> {
    let shutdown = Shutdown::default();
    shutdown.on_signal().context("cannot hear signals")?;
    let mcp = wire::mcp(&config, &Metrics::new(), &shutdown)?;
    let front = mcp.front(stdio::CALLER, place)?;
    shutdown.begin.run_until_cancelled(stdio::serve(front)).await;
    shutdown.complete().await;
    Ok(())
}

fn drain_on(shutdown: &Shutdown, gateway: &Arc<Gateway>) {
    let (begin, gateway) = (shutdown.begin.clone(), Arc::clone(gateway));
    shutdown.tasks.spawn(async move {
        begin.cancelled().await;
        gateway.drain();
    });
}

/// Takes in the providers that nobody named and that answer on this machine.
async fn find_local_providers(config: &mut Config) {
    let probes = std::mem::take(&mut config.probe);
    let found = futures_util::future::join_all(probes.into_iter().map(|provider| async move {
        let there = answers(&provider).await;
        there.then_some(provider)
    }));
    for provider in found.await.into_iter().flatten() {
        tracing::info!(provider = &*provider.name, "found on this machine");
        config.providers.push(provider);
    }
}

async fn answers(provider: &ProviderSettings) -> bool {
    let Some(address) = provider.base_url.as_ref().and_then(Address::socket) else { return false };
    matches!(timeout(PROBE, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// The first line on stdout is for programs; what people want to know goes to the log.
fn announce(url: &str, config: &Config) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {url}").and_then(|()| out.flush()).context("stdout is closed")?;
    let providers: Vec<&str> = config.providers.iter().map(|provider| &*provider.name).collect();
    let servers: Vec<&str> = config.servers.iter().map(|server| &*server.name).collect();
    let file = config.file.as_deref().map_or_else(|| "none".into(), |file| file.display().to_string());
    tracing::info!(file, providers = providers.join(" "), servers = servers.join(" "), "configured");
    tracing::info!("try: curl {url}/ask -d '{{\"message\": \"hello\"}}'");
    tracing::info!("try: ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=any claude");
    tracing::info!("try: claude mcp add --transport http router {url}/mcp");
    Ok(())
}
