//! Configuration to gateway: every stack of the program is built here, and nowhere else.

mod eras;
mod inquiry;
mod kept;
mod lazy;
mod models;
mod parts;
mod pins;
mod reliefs;
mod runtime;
mod servers;
pub mod sign_in;
pub mod sign_out;
pub mod sweeper;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;

use crate::{
    config::Config,
    gateway::{Gateway, Mcp},
    shutdown::Shutdown,
    telemetry::metrics::Metrics,
};

/// Builds everything that `config` asks for. MCP servers start in the background; nothing here waits for one.
pub fn gateway(
    config: &Config,
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> Result<Arc<Gateway>> {
    let models = models::build(config, metrics, &shutdown.tasks)?;
    inquiry::ask(models.models.vendors.values().cloned(), &models.models.known, shutdown);
    let office = sign_in::office(config, address, shutdown);
    let meaning = lazy::meaning(config, &models.models.embeddings);
    let servers = servers::build(config, &office, meaning.as_ref(), (metrics, shutdown))?;
    let chaos = config.providers.iter().map(|provider| &provider.guard).any(|guard| guard.chaos.is_some())
        || config.servers.iter().any(|server| server.guard.chaos.is_some());
    let parts = models.parts.into_iter().chain(servers.parts).collect();
    let mcp = Mcp { description: sign_in::description(config, address), ..servers.mcp };
    Ok(Gateway::new(models.models, mcp, Arc::clone(metrics), parts).drilled(chaos))
}

/// Only the MCP half, for `mcp-router stdio`.
pub fn mcp(config: &Config, metrics: &Arc<Metrics>, shutdown: &Shutdown) -> Result<Mcp> {
    let office = sign_in::office(config, config.listen, shutdown);
    Ok(servers::build(config, &office, None, (metrics, shutdown))?.mcp)
}
