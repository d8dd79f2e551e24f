//! Signing in to MCP servers: the office that all of them share, and an account at each that may want one.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use router_mcp::{
    egress::{Egress, SystemResolver},
    oauth::{self, Account, Keyring, Setup},
};
use serde_json::Value;

use crate::{
    clock,
    config::{self, Config, ServerSettings},
    shutdown::Shutdown,
    store::Vault,
};

/// What we call ourselves where we register.
const NAME: &str = "MCP Router";

/// Where people are told what they are to sign in for.
pub const START: &str = "/oauth/start";
/// Where they come back to.
pub const CALLBACK: &str = "/oauth/callback";
/// Where we describe ourselves.
pub const DESCRIPTION: &str = "/oauth/client-metadata.json";

/// The office of this program.
pub type Office = oauth::Office<Vault>;

/// The office of a router that listens on `address`.
pub fn office(config: &Config, address: SocketAddr, shutdown: &Shutdown) -> Arc<Office> {
    let home = home(config, address);
    oauth::Office::new(Setup {
        egress: Egress::new(config.allow_private.clone(), Box::new(SystemResolver)),
        store: Vault::new(config.state.join("oauth"), config.state_key.clone()),
        name: NAME.to_owned(),
        start_uri: format!("{home}{START}"),
        redirect_uri: format!("{home}{CALLBACK}"),
        description: home.starts_with("https:").then(|| format!("{home}{DESCRIPTION}")),
        clock: clock::unix_seconds,
        tasks: shutdown.tasks.clone(),
    })
}

/// The description of ourselves, where others can reach it.
pub fn description(config: &Config, address: SocketAddr) -> Option<Value> {
    let home = Some(home(config, address)).filter(|home| home.starts_with("https:"))?;
    Some(oauth::description(NAME, &format!("{home}{DESCRIPTION}"), &format!("{home}{CALLBACK}")))
}

/// Our account at a server, where it may want one.
pub fn account(settings: &ServerSettings, office: &Arc<Office>) -> Result<Option<Arc<Account<Vault>>>> {
    let (Some(terms), config::Launch::Http { url, .. }) = (&settings.auth, &settings.launch) else { return Ok(None) };
    let url = url.to_string().parse().context("its address")?;
    Ok(Some(Account::new(Arc::clone(&settings.name), &url, terms.clone(), Arc::clone(office))?))
}

/// The same, as a connection needs it.
pub fn keyring(settings: &ServerSettings, office: &Arc<Office>) -> Result<Option<Keyring>> {
    Ok(account(settings, office)?.map(|account| Keyring::new(Arc::new(account))))
}

/// Our address as a browser knows it. One that listens everywhere is reached on its own machine.
fn home(config: &Config, address: SocketAddr) -> String {
    match &config.public_url {
        Some(url) => url.to_string().trim_end_matches('/').to_owned(),
        None if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        None => format!("http://{address}"),
    }
}
