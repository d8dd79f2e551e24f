//! `mcp-router login` and `logout`: a person at a terminal signs in to a server for everybody who may call us.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use router_core::Consent;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{
    config::{Config, ServerSettings},
    control,
    http::{accept, connection::ConnectionLimits, oauth},
    servers::escaped,
    shutdown::Shutdown,
    tell,
    wire::{
        sign_in::{self, Office},
        sign_out::SignOut,
    },
};

/// How long somebody may take, and how often it is looked whether he is back.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(250);

/// Signs in to `server`. Where a person is needed, it says which address he has to open, and waits for him.
pub async fn login(config: Config, server: String) -> Result<()> {
    let settings = named(&config, &server)?;
    let shutdown = Shutdown::default();
    shutdown.on_signal().context("cannot hear signals")?;
    let (listener, address) = way_back(&config).await?;
    let office = sign_in::office(&config, address, &shutdown);
    let Some(account) = sign_in::account(settings, &office)? else {
        bail!("nobody signs in to {server}: it is started here, or has a credential already");
    };
    if let Some(listener) = listener {
        receive(listener, &office, &shutdown);
    }
    let before = office.mark(&server).await?;
    let done = match account.sign_in().await? {
        None => Ok(()),
        Some(consent) => {
            tell(&format!("open this address to sign in to {server}:\n\n{}\n", consent.url));
            let waiting = wait(&office, &server, (&consent, before));
            shutdown.begin.run_until_cancelled(waiting).await.unwrap_or_else(|| bail!("given up"))
        }
    };
    shutdown.complete().await;
    done?;
    tell(&format!("signed in to {server}"));
    Ok(())
}

/// Forgets what was got at `server`, by everybody or by one caller, and has it taken back. A router that runs does it, so
/// that it shows nothing any more from here on.
pub async fn logout(config: Config, server: String, caller: Option<String>) -> Result<()> {
    let settings = named(&config, &server)?;
    let only = caller.as_ref().map(|caller| format!("?caller={}", escaped(caller))).unwrap_or_default();
    let target = format!("/admin/servers/{}/logout{only}", escaped(&server));
    let said = match control::ask(&config, Method::POST, &target).await {
        Ok(said) => said,
        Err(_) => {
            let shutdown = Shutdown::default();
            let office = sign_in::office(&config, config.listen, &shutdown);
            let ended = match SignOut::of(settings, &config.keys) {
                Some(sign_out) => sign_out.end(&office, &server, caller.as_deref()).await?,
                None => Vec::new(),
            };
            json!({ "signed_out": ended })
        }
    };
    tell(&signed_out(&server, &said));
    Ok(())
}

fn signed_out(server: &str, said: &Value) -> String {
    let line = |ended: &Value| {
        let who = ended["caller"].as_str().map(|caller| format!("{caller} is ")).unwrap_or_default();
        match ended["problem"].as_str() {
            None => format!("{who}signed out of {server}"),
            Some(problem) => {
                format!("{who}signed out of {server}, but {problem}: what was made out may be good there until it ends")
            }
        }
    };
    let lines: Vec<String> = said["signed_out"].as_array().into_iter().flatten().map(line).collect();
    if lines.is_empty() { format!("nobody was signed in to {server}") } else { lines.join("\n") }
}

fn named<'a>(config: &'a Config, server: &str) -> Result<&'a ServerSettings> {
    config.servers.iter().find(|settings| &*settings.name == server).with_context(|| {
        let known: Vec<&str> = config.servers.iter().map(|settings| &*settings.name).collect();
        format!("there is no MCP server {server:?}; there are: {}", known.join(", "))
    })
}

/// People come back to where the router listens: to the router, if it runs, and otherwise to us.
async fn way_back(config: &Config) -> Result<(Option<TcpListener>, SocketAddr)> {
    match TcpListener::bind(config.listen).await {
        Ok(listener) => {
            let address = listener.local_addr().context("the address that is listened on")?;
            Ok((Some(listener), address))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok((None, config.listen)),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {}", config.listen)),
    }
}

/// Takes back whoever was sent away.
fn receive(listener: TcpListener, office: &Arc<Office>, shutdown: &Shutdown) {
    let (office, shutdown) = (Arc::clone(office), shutdown.clone());
    let tasks = shutdown.tasks.clone();
    tasks.spawn(async move {
        let enter = move |request: Request<Incoming>| {
            let office = Arc::clone(&office);
            async move { answer(&office, &request).await }
        };
        accept::accept(listener, ConnectionLimits::default(), &shutdown, enter).await;
    });
}

async fn answer(office: &Arc<Office>, request: &Request<Incoming>) -> Response<Body> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let (parameters, headers) = (query.map(|query| query.0).unwrap_or_default(), request.headers());
    match (request.method(), request.uri().path()) {
        (&Method::GET, sign_in::START) => oauth::ask(office, &parameters).await,
        (&Method::POST, sign_in::START) => oauth::depart(office, headers, &parameters).await,
        (&Method::GET, sign_in::CALLBACK) => oauth::finish(office, headers, &parameters).await,
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

async fn wait(office: &Arc<Office>, server: &str, (consent, before): (&Consent, Option<String>)) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        // Looked at in this order: the journey ends before its tokens are there.
        let awaited = office.awaits(consent).await?;
        if office.mark(server).await? != before {
            return Ok(());
        }
        if !awaited {
            // The tokens may be on their way.
            sleep(Duration::from_secs(15)).await;
            if office.mark(server).await? != before {
                return Ok(());
            }
            bail!("nobody was signed in to {server}: the page that ended it says why");
        }
        sleep(LOOK).await;
    }
    bail!("nobody signed in to {server} within {} minutes", PATIENCE.as_secs() / 60)
}
