//! What has to outlive a call, and mostly the process: tokens, who we are where, and journeys that have begun.

use std::time::Duration;

use bytes::Bytes;
use router_core::{Error, Kind, Result, Scope, Store, StoreKey};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Whose,
    client::{Client, ClientRecord},
    flow::{self, Journey, JourneyRecord, challenge},
    tokens::{Tokens, TokensRecord},
};

/// How long what does not end by itself is kept after it was last written.
const LONG: Duration = Duration::from_hours(24 * 400);

/// The shelf: a store, and the names under which things stand in it.
pub(super) struct Shelf<S>(pub(super) S);

impl<S: Store> Shelf<S> {
    pub(super) async fn tokens(&self, server: &str, whose: &Whose) -> Result<Option<Tokens>> {
        Ok(self.read::<TokensRecord>(&tokens_key(server, whose)).await?.map(Tokens::from))
    }

    pub(super) async fn keep_tokens(&self, server: &str, whose: &Whose, tokens: &Tokens) -> Result<()> {
        self.write(tokens_key(server, whose), &tokens.record(), LONG).await
    }

    pub(super) async fn drop_tokens(&self, server: &str, whose: &Whose) -> Result<()> {
        self.0.remove(&tokens_key(server, whose)).await
    }

    /// Who we are at `issuer`, for answers that come to `redirect_uri`.
    pub(super) async fn client(&self, issuer: &str, redirect_uri: &str) -> Result<Option<Client>> {
        Ok(self.read::<ClientRecord>(&client_key(issuer, redirect_uri)).await?.map(Client::from))
    }

    pub(super) async fn keep_client(&self, issuer: &str, redirect_uri: &str, client: &Client) -> Result<()> {
        self.write(client_key(issuer, redirect_uri), &client.record(), LONG).await
    }

    pub(super) async fn drop_client(&self, issuer: &str, redirect_uri: &str) -> Result<()> {
        self.0.remove(&client_key(issuer, redirect_uri)).await
    }

    /// Whom a client of the configuration was first shown to.
    pub(super) async fn issuer(&self, server: &str, client: &str) -> Result<Option<String>> {
        self.read(&issuer_key(server, client)).await
    }

    pub(super) async fn keep_issuer(&self, server: &str, client: &str, issuer: &str) -> Result<()> {
        self.write(issuer_key(server, client), &issuer, LONG).await
    }

    pub(super) async fn drop_issuer(&self, server: &str, client: &str) -> Result<()> {
        self.0.remove(&issuer_key(server, client)).await
    }

    pub(super) async fn journey(&self, state: &str) -> Result<Option<Journey>> {
        Ok(self.read::<JourneyRecord>(&journey_key(&challenge(state))).await?.map(Journey::from))
    }

    /// Whether a journey is still on the shelf, by what may be seen of its state.
    pub(super) async fn is_begun(&self, id: &str) -> Result<bool> {
        Ok(self.0.get(&journey_key(id)).await?.is_some())
    }

    pub(super) async fn begin(&self, state: &str, journey: &Journey) -> Result<()> {
        let patience = Duration::from_secs(flow::PATIENCE.unsigned_abs());
        self.write(journey_key(&challenge(state)), &journey.record(), patience).await
    }

    pub(super) async fn end(&self, state: &str) -> Result<()> {
        self.0.remove(&journey_key(&challenge(state))).await
    }

    async fn read<T: DeserializeOwned>(&self, key: &StoreKey) -> Result<Option<T>> {
        let Some(bytes) = self.0.get(key).await? else { return Ok(None) };
        // What an older or newer program wrote differently is as good as nothing: somebody signs in again.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    async fn write<T: Serialize>(&self, key: StoreKey, value: &T, keep: Duration) -> Result<()> {
        let unwritable = |error| Error::new(Kind::Internal, "what has to be kept cannot be written").because(error);
        let bytes = serde_json::to_vec(value).map_err(unwritable)?;
        self.0.put(key, Bytes::from(bytes), keep).await
    }
}

fn tokens_key(server: &str, whose: &Whose) -> StoreKey {
    match whose {
        Whose::Shared => StoreKey::new(&Scope::Shared, "oauth-tokens", server),
        Whose::Caller { tenant, name } => {
            StoreKey::new(&Scope::Tenant(tenant.as_str().into()), "oauth-tokens", &format!("{server} {name}"))
        }
    }
}

fn client_key(issuer: &str, redirect_uri: &str) -> StoreKey {
    StoreKey::new(&Scope::Shared, "oauth-clients", &format!("{issuer} {redirect_uri}"))
}

fn issuer_key(server: &str, client: &str) -> StoreKey {
    StoreKey::new(&Scope::Shared, "oauth-issuers", &format!("{server} {client}"))
}

/// Not under the state itself: whoever reads the names of things must not be able to end a journey.
fn journey_key(id: &str) -> StoreKey {
    StoreKey::new(&Scope::Shared, "oauth-journeys", id)
}
