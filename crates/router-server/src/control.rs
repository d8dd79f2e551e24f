//! The socket by which the command line speaks to the router that runs on the same machine: `/admin`, for whoever may open
//! a file of the router's user.

use std::{
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::Value;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

use crate::{config::Config, gateway::Gateway, http::admin, shutdown::Shutdown};

/// How long a router may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Serves `/admin` to this machine until the shutdown. Without a folder for it the router runs all the same.
pub fn serve(config: &Config, port: u16, gateway: Arc<Gateway>, shutdown: &Shutdown) {
    let path = socket(&config.state, port);
    let listener = match listen(&path) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::debug!(path = %path.display(), %error, "`mcp-router servers` cannot reach this router");
        }
    };
    let (begin, tasks) = (shutdown.begin.clone(), shutdown.tasks.clone());
    shutdown.tasks.spawn(async move {
        let service = TowerToHyperService::new(admin::routes().with_state(gateway));
        while let Some(Ok((stream, _))) = begin.run_until_cancelled(listener.accept()).await {
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            let begin = begin.clone();
            tasks.spawn(async move { drop(begin.run_until_cancelled(timeout(PATIENCE, connection)).await) });
        }
        drop(std::fs::remove_file(path));
    });
}

fn socket(state: &Path, port: u16) -> PathBuf {
    state.join(format!("control-{port}.sock"))
}

/// Only one router can listen on the port, so a socket that is there is left over.
fn listen(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = within_reach(path, UnixListener::bind)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Sockets have short names only; one in a deep folder is named by way of the folder, once that is open.
fn within_reach<T>(path: &Path, open: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    const LONGEST: usize = 100;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return open(path.to_owned()) };
    if path.as_os_str().len() <= LONGEST {
        return open(path.to_owned());
    }
    let folder = std::fs::File::open(folder)?;
    open(PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// Asks the router that runs with this configuration.
pub async fn ask(config: &Config, method: Method, target: &str) -> Result<Value> {
    let path = find(config)?;
    let stream = within_reach(&path, std::os::unix::net::UnixStream::connect).and_then(|stream| {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    });
    let stream = stream.with_context(|| format!("no router answers at {}: is it running?", path.display()))?;
    let answer = timeout(PATIENCE, exchange(stream, method, target)).await;
    let (status, body) = answer.context("the router does not answer")?.context("the router broke off")?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(said);
    }
    match said.pointer("/error/message").and_then(Value::as_str) {
        Some(message) => bail!("{message}"),
        None => bail!("the router answers {status}"),
    }
}

async fn exchange(stream: UnixStream, method: Method, target: &str) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap_or_default();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    // The connection ends when its sender is dropped.
    let conversation = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok((parts.status, body.collect().await?.to_bytes()))
    };
    tokio::join!(conversation, connection).0
}

/// The socket of the router on the configured port; of the only router, where any port will do.
fn find(config: &Config) -> Result<PathBuf> {
    if config.listen.port() != 0 {
        return Ok(socket(&config.state, config.listen.port()));
    }
    let entries = std::fs::read_dir(&config.state).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sockets = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sock"));
    match (sockets.next(), sockets.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => bail!("no router is running with the state folder {}", config.state.display()),
        (Some(_), Some(_)) => bail!("more than one router is running: say which with --listen ADDR:PORT"),
    }
}
