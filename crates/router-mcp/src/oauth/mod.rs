//! Signing in to servers: we are the client of OAuth 2.1, as the revision of 2026-07-28 wants it.
//!
//! An [`Account`] is what the router is to one server. It shows the token that is at hand, renews it, and when the
//! server wants another one finds out who makes it out (`discover`), who we are there (`client`), and sends a person
//! on his way (`flow`, by way of a page of ours: `office`), or asks for itself. Everything that came from outside is called through [`crate::egress`].
//! A token is kept with the address of its server and the issuer that made it out, and shown to nobody else.

mod account;
mod assertion;
mod challenge;
mod client;
mod discover;
mod flow;
mod form;
mod metadata;
mod office;
mod scopes;
mod shelf;
#[cfg(test)]
mod tests;
mod tokens;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use router_core::{Caller, Result, Scope, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::{
    account::Account,
    assertion::is_key,
    challenge::Challenge,
    client::description,
    flow::{Callback, PATIENCE, cookie},
    office::{Departure, Errand, Forgotten, Office, Setup},
    scopes::Scopes,
};

/// How we sign in to a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// As whom, where the operator has registered us himself.
    pub client_id: Option<String>,
    /// What proves it.
    pub client_secret: Option<Secret<String>>,
    /// What proves it, where it is a key (PKCS#8, PEM).
    pub private_key: Option<Secret<String>>,
    /// Where; otherwise where the server says.
    pub issuer: Option<String>,
    /// For what; otherwise what the server asks for.
    pub scopes: Option<Scopes>,
    /// In exchange for what.
    pub grant: GrantKind,
    /// For whom.
    pub per: Per,
}

/// In exchange for what tokens are made out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrantKind {
    /// The consent of a person.
    #[default]
    AuthorizationCode,
    /// Our being who we are.
    ClientCredentials,
}

/// For whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Per {
    /// One sign-in for everybody who may call us.
    #[default]
    Shared,
    /// Each caller signs in for himself.
    Caller,
}

/// Who may use a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Whose {
    /// Everybody who may call us.
    Shared,
    /// One caller.
    Caller {
        /// On whose bill he is.
        tenant: String,
        /// The name of his key.
        name: String,
    },
}

impl Whose {
    /// Who may use what `caller` gets; without one, what was got for all.
    pub fn of(per: Per, caller: Option<&Caller>) -> Self {
        match (per, caller) {
            (Per::Shared, _) | (_, None) => Self::Shared,
            (Per::Caller, Some(caller)) => {
                let tenant = match &caller.tenant {
                    Scope::Shared => String::new(),
                    Scope::Tenant(tenant) => tenant.to_string(),
                };
                Self::Caller { tenant, name: caller.name.to_string() }
            }
        }
    }
}

/// What a server said when it refused a request.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What was shown to it.
    pub shown: Option<HeaderValue>,
    /// What it wants instead.
    pub challenge: Challenge,
}

/// What can be shown without looking further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// This.
    Header(HeaderValue),
    /// Nothing: it was looked for a moment ago, and nobody has signed in since.
    Nothing,
    /// It has to be looked for.
    Unknown,
}

/// What a connection shows its server. `caller` is whose connection it is, where it is not everybody's.
pub trait Credentials: Send + Sync {
    /// What is at hand and still good. Costs next to nothing: it is asked for every request.
    fn at_hand(&self, caller: Option<&Caller>) -> AtHand;

    /// The same, renewed if it can be without a person; `None` when there is nothing to show.
    fn renewed<'a>(&'a self, caller: Option<&'a Caller>) -> BoxFuture<'a, Result<Option<HeaderValue>>>;

    /// What to show after a refusal; or why there is nothing, with the address that a person has to open.
    fn instead<'a>(&'a self, caller: Option<&'a Caller>, refused: Refused) -> BoxFuture<'a, Result<HeaderValue>>;

    /// Changes when a sign-in has ended somewhere, well or not, or somebody has signed out.
    fn news(&self) -> watch::Receiver<u64>;

    /// Where a person has to go before everybody can be served, while that is so.
    fn awaited(&self) -> Option<Arc<str>>;
}

/// The credentials of a connection.
#[derive(Clone)]
pub struct Keyring {
    credentials: Arc<dyn Credentials>,
    /// Whose connection it is, where it is not everybody's.
    pub(crate) caller: Option<Arc<Caller>>,
}

impl Keyring {
    /// The credentials of everybody's connection.
    pub fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self { credentials, caller: None }
    }

    /// What is at hand, or can be renewed.
    pub(crate) async fn at_hand(&self) -> Result<Option<HeaderValue>> {
        match self.credentials.at_hand(self.caller.as_deref()) {
            AtHand::Header(header) => Ok(Some(header)),
            AtHand::Nothing => Ok(None),
            AtHand::Unknown => self.credentials.renewed(self.caller.as_deref()).await,
        }
    }

    /// What to show after a refusal.
    pub(crate) async fn instead(&self, refused: Refused) -> Result<HeaderValue> {
        self.credentials.instead(self.caller.as_deref(), refused).await
    }

    /// Changes when a sign-in has ended somewhere, well or not, or somebody has signed out.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.credentials.news()
    }

    /// Where a person has to go before everybody can be served, while that is so.
    pub(crate) fn awaited(&self) -> Option<Arc<str>> {
        self.credentials.awaited()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(****)")
    }
}

impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.credentials, &other.credentials) && self.caller == other.caller
    }
}
