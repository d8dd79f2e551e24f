//! The way out to addresses that somebody else named: each is checked where it really leads, and called there.
//!
//! A name is resolved once. Every address that it leads to has to be one that may be called, and the connection goes to
//! these addresses and no others, so that a name that leads elsewhere a moment later gains nothing. Redirects are
//! followed only where nothing secret is sent, and each is checked anew.

mod place;
mod ranges;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header::LOCATION};
use router_core::{Error, Kind, Outcome, Result};
use router_http::{HttpClient, Pieces};
use tokio::time::timeout;

use self::{
    place::Host,
    ranges::{Closed, closed},
};
pub use self::{place::Place, ranges::Net};

/// How long a question and its answer may take together.
const TIME: Duration = Duration::from_secs(10);
/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// How many redirects of one question are followed.
const REDIRECTS: usize = 3;

/// What may be called although it is in a private network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exempt {
    /// A host, by its name in lower case.
    Host(String),
    /// Addresses.
    Net(Net),
}

impl FromStr for Exempt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(net) = text.parse() {
            return Ok(Self::Net(net));
        }
        let place = Place::read(&format!("http://{text}")).map_err(drop)?;
        match place.host() {
            Host::Name(name) if name.eq_ignore_ascii_case(text) => Ok(Self::Host(name.clone())),
            Host::Name(_) | Host::Address(_) => Err(()),
        }
    }
}

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All of them, in the order in which they are to be tried.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system.
#[derive(Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// The way out.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    exempt: Vec<Exempt>,
    resolver: Box<dyn Resolve>,
    client: HttpClient,
}

/// A question to somebody else. It is not printed: what it holds may be a secret.
#[derive(Clone)]
pub struct Ask {
    /// GET, or POST.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// What goes along.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
}

/// What came back.
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Egress {
    /// A way out to everybody's addresses, and to those that are `exempt`.
    pub fn new(exempt: Vec<Exempt>, resolver: Box<dyn Resolve>) -> Self {
        Self(Arc::new(Inner { exempt, resolver, client: HttpClient::new(CONNECT) }))
    }

    /// Reads an address that somebody else named, and refuses what is closed by its very spelling. `home` is the
    /// upstream that led to it: what is private there may name its own origin.
    pub fn admit(&self, url: &str, home: &Place) -> Result<Place> {
        let place = Place::read(url).map_err(|why| refused(url, why))?;
        match place.host() {
            Host::Address(address) => self.check(&place, *address, home)?,
            Host::Name(name) if place.host().is_private_by_name() && !self.is_exempt(&place, home) => {
                return Err(closed_to(url, &format!("{name} is a name of a private network")));
            }
            Host::Name(_) => {}
        }
        Ok(place)
    }

    /// Asks for a document in which nothing of ours is sent along; redirects are followed.
    pub async fn get(&self, url: &str, headers: HeaderMap, home: &Place) -> Result<Told> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            let ask = Ask { method: Method::GET, url: url.clone(), headers: headers.clone(), body: Bytes::new() };
            let told = self.send(ask, home).await?;
            let Some(next) = redirected(&url, &told) else { return Ok(told) };
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(refused(&next, "would take an encrypted question to where it is not"));
            }
            url = next;
        }
        Err(refused(&url, "is one redirect too many"))
    }

    /// Asks once. A redirect is an answer like any other.
    pub async fn send(&self, ask: Ask, home: &Place) -> Result<Told> {
        let place = self.admit(&ask.url, home)?;
        let exchange = async {
            let addresses = self.addresses(&place, home).await?;
            let mut request = Request::new(Pieces::from(ask.body));
            *request.method_mut() = ask.method;
            *request.uri_mut() = place.uri().clone();
            *request.headers_mut() = ask.headers;
            wire::exchange(request, addresses, &self.0.client).await
        };
        // Boxed: it is large, and rare.
        let late = |_| Error::new(Kind::Timeout, format!("{place} did not answer within {} s", TIME.as_secs()));
        timeout(TIME, Box::pin(exchange)).await.map_err(late)?
    }

    /// Where a place leads, each address checked.
    async fn addresses(&self, place: &Place, home: &Place) -> Result<Vec<SocketAddr>> {
        let found = match place.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.0.resolver.resolve(name).await.map_err(|error| {
                let message = format!("{name} is not the name of any machine that can be found");
                Error::new(Kind::Unavailable, message).outcome_is(Outcome::NotSent).because(error)
            })?,
        };
        for address in &found {
            self.check(place, *address, home)?;
        }
        if found.is_empty() {
            return Err(Error::new(Kind::Unavailable, format!("{place} leads nowhere")).outcome_is(Outcome::NotSent));
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, place.port())).collect())
    }

    fn check(&self, place: &Place, address: IpAddr, home: &Place) -> Result<()> {
        let Some((how, what)) = closed(address) else {
            if place.is_encrypted() {
                return Ok(());
            }
            return Err(refused(&place.to_string(), "is not encrypted: https is needed"));
        };
        let listed = || self.0.exempt.iter().any(|exempt| matches!(exempt, Exempt::Net(net) if net.holds(address)));
        let own = || match place.host() {
            // Only an upstream that the configuration itself calls by this address leads to it.
            Host::Address(_) => place.is_beside(home),
            Host::Name(_) => how == Closed::Private && self.is_exempt(place, home),
        };
        if listed() || own() {
            Ok(())
        } else {
            Err(closed_to(&place.to_string(), &format!("it leads to {address}: {what}")))
        }
    }

    /// Whether the name of a place may lead into a private network.
    fn is_exempt(&self, place: &Place, home: &Place) -> bool {
        let Host::Name(name) = place.host() else { return false };
        let listed = self.0.exempt.iter().any(|exempt| matches!(exempt, Exempt::Host(host) if host == name));
        listed || (place.host().is_private_by_name() && place.is_beside(home))
    }
}

/// Only the status: the rest may be a secret.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("exempt", &self.0.exempt).finish_non_exhaustive()
    }
}

/// Where an answer sends us on to.
fn redirected(from: &str, told: &Told) -> Option<String> {
    if !matches!(told.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = told.headers.get(LOCATION)?.to_str().ok()?;
    if to.starts_with('/') && !to.starts_with("//") {
        let from: Uri = from.parse().ok()?;
        return Some(format!("{}://{}{to}", from.scheme_str()?, from.authority()?));
    }
    Some(to.to_owned())
}

fn refused(url: &str, why: &str) -> Error {
    let shown: String = url.split('?').next().unwrap_or_default().chars().take(200).collect();
    Error::new(Kind::Refused, format!("{shown:?} {why}")).outcome_is(Outcome::NotSent)
}

fn closed_to(url: &str, why: &str) -> Error {
    refused(url, &format!("is not called: {why}")).hint("list it under egress.allow_private if it is yours")
}
