//! Meeting a server on a pipe: which era it speaks is asked, never guessed.

use std::time::Duration;

use router_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout};

use super::{
    answer,
    eras::{DISCOVER, Greeting, INITIALIZE, INITIALIZED, Protocol, discover_params},
    session::Session,
};

/// How long a server may be silent about the modern question before the legacy one is put beside it.
const PROBE: Duration = Duration::from_secs(10);

/// Agrees with the server on what is spoken.
pub(super) async fn greet(session: &Session, protocol: Protocol, until: Instant) -> Result<Greeting> {
    let greeting = match protocol {
        Protocol::Auto => probe(session, until).await?,
        Protocol::Legacy => initialize(session, until).await?,
        Protocol::Modern => discover(session, until).await?,
    };
    session.settle(greeting.clone());
    Ok(greeting)
}

/// The modern question comes first, because servers that speak both lock to the first they hear. Whatever error comes
/// back, the server is legacy: no one code can be relied on. Silence tells nothing, for a server may take long to start
/// and then finds both questions waiting in their order; so both are left to be answered, and a late answer to the
/// first still counts.
async fn probe(session: &Session, until: Instant) -> Result<Greeting> {
    let mut modern = std::pin::pin!(discover(session, until));
    match timeout(PROBE, &mut modern).await {
        Ok(Ok(greeting)) => return Ok(greeting),
        Ok(Err(refused)) => return initialize(session, until).await.map_err(|error| worse(refused, error)),
        Err(_) => {}
    }
    let mut legacy = std::pin::pin!(initialize(session, until));
    tokio::select! {
        found = &mut modern => match found {
            Ok(greeting) => Ok(greeting),
            Err(refused) => legacy.await.map_err(|error| worse(refused, error)),
        },
        found = &mut legacy => match found {
            Ok(greeting) => Ok(greeting),
            Err(error) => modern.await.map_err(|refused| worse(refused, error)),
        },
    }
}

/// Of two failures the one to tell: that the server cannot be reached, before that it refused.
fn worse(modern: Error, legacy: Error) -> Error {
    if modern.kind() == Kind::Unavailable && modern.words().is_none() { modern } else { legacy }
}

async fn discover(session: &Session, until: Instant) -> Result<Greeting> {
    let reply = session.request(DISCOVER, &discover_params(), until).await?;
    Greeting::from_discover(&reply.map_err(|error| answer::failure(&error))?)
}

async fn initialize(session: &Session, until: Instant) -> Result<Greeting> {
    let reply = session.request(INITIALIZE, &session.greeting(), until).await?;
    let greeting = Greeting::from_initialize(&reply.map_err(|error| answer::failure(&error))?)?;
    session.notify(INITIALIZED, None)?;
    Ok(greeting)
}
