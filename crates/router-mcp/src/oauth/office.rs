//! What all accounts share: the way out, what is kept, and the place where journeys end.

use std::sync::Arc;

use router_core::{Consent, Error, Kind, Name, Result, Store};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{
    Callback, Whose,
    flow::{Journey, challenge},
    shelf::Shelf,
    tokens::{Claim, Grant, Tokens},
};
use crate::egress::{Egress, Place};

/// What an office is made of.
pub struct Setup<S> {
    /// The way out.
    pub egress: Egress,
    /// Where things are kept; what is kept there is secret.
    pub store: S,
    /// What we call ourselves.
    pub name: String,
    /// Where journeys end.
    pub redirect_uri: String,
    /// The address of our own description, where there is one that others can reach.
    pub description: Option<String>,
    /// Seconds since 1970.
    pub clock: fn() -> i64,
    /// Every task of the process.
    pub tasks: TaskTracker,
}

/// See the module.
pub struct Office<S> {
    pub(super) egress: Egress,
    pub(super) shelf: Shelf<S>,
    pub(super) name: String,
    pub(super) redirect_uri: String,
    pub(super) description: Option<String>,
    pub(super) clock: fn() -> i64,
    pub(super) tasks: TaskTracker,
    pub(super) news: watch::Sender<u64>,
    /// A journey ends once: nobody else looks while it is taken off the shelf.
    ending: tokio::sync::Mutex<()>,
}

impl<S: Store> Office<S> {
    /// An office that has just opened.
    pub fn new(setup: Setup<S>) -> Arc<Self> {
        Arc::new(Self {
            egress: setup.egress,
            shelf: Shelf(setup.store),
            name: setup.name,
            redirect_uri: setup.redirect_uri,
            description: setup.description,
            clock: setup.clock,
            tasks: setup.tasks,
            news: watch::Sender::new(0),
            ending: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the journey that `callback` comes from, and tells for which server it was. The rest of it does not depend
    /// on the browser that brought it: once begun, it is done.
    pub async fn complete(self: &Arc<Self>, callback: Callback) -> Result<Name> {
        let office = Arc::clone(self);
        let done = self.tasks.spawn(async move { office.end(callback).await });
        done.await.map_err(|error| Error::new(Kind::Internal, "a defect ended the sign-in").because(error))?
    }

    async fn end(&self, callback: Callback) -> Result<Name> {
        let journey = self.take(&callback.state).await?;
        let now = (self.clock)();
        let code = journey.code(&callback, now)?;
        let (verifier, redirect_uri) = (journey.verifier.expose(), journey.redirect_uri.as_str());
        let grant = Grant::Code { code: code.expose(), verifier, redirect_uri };
        let tokens = match self.redeem(journey.claim.clone(), &grant, None).await {
            Ok(tokens) => tokens,
            Err(refusal) => {
                if matches!(refusal.code.as_deref(), Some("invalid_client" | "unauthorized_client")) {
                    // It has forgotten us: the next journey begins with a new registration.
                    self.shelf.drop_client(&journey.claim.issuer, redirect_uri).await?;
                }
                return Err(refusal.error);
            }
        };
        self.shelf.keep_tokens(&journey.name, &journey.whose, &tokens).await?;
        tracing::info!(server = journey.name, issuer = tokens.issuer, "signed in");
        self.news.send_modify(|count| *count += 1);
        Ok(Name::from(journey.name))
    }

    /// How many have signed in here.
    pub(super) fn sign_ins(&self) -> u64 {
        *self.news.borrow()
    }

    /// The journey under `state`, which nobody gets a second time.
    async fn take(&self, state: &str) -> Result<Journey> {
        let _alone = self.ending.lock().await;
        let unknown = || {
            Error::new(Kind::NotFound, "no sign-in waits for this: it is over, or was ended already")
                .hint("begin again")
        };
        let journey = self.shelf.journey(state).await?.ok_or_else(unknown)?;
        self.shelf.end(state).await?;
        Ok(journey)
    }

    /// Asks for tokens.
    pub(super) async fn redeem(
        &self,
        claim: Claim,
        grant: &Grant<'_>,
        before: Option<&Tokens>,
    ) -> Result<Tokens, super::tokens::Refusal> {
        let now = (self.clock)();
        let home = Place::read(&claim.server)
            .map_err(|why| Error::new(Kind::Internal, format!("the server's address {why}")))?;
        let told = self.egress.send(claim.ask(grant, now)?, &home).await?;
        claim.read(&told, before, now)
    }

    /// What tells one sign-in to `server` for everybody from the next; `None` when there is none.
    pub async fn mark(&self, server: &str) -> Result<Option<String>> {
        let tokens = self.shelf.tokens(server, &Whose::Shared).await?;
        Ok(tokens.map(|tokens| challenge(tokens.access.expose())))
    }

    /// Whether somebody may still come back from where `consent` sent him.
    pub async fn awaits(&self, consent: &Consent) -> Result<bool> {
        self.shelf.is_begun(&consent.id).await
    }

    /// Forgets what was got for everybody at `server`, and whom it was got from; tells whether there was anything.
    pub async fn forget(&self, server: &str, client_id: Option<&str>) -> Result<bool> {
        let tokens = self.shelf.tokens(server, &Whose::Shared).await?;
        if let Some(tokens) = &tokens {
            self.shelf.drop_client(&tokens.issuer, &self.redirect_uri).await?;
        }
        if let Some(client) = client_id {
            self.shelf.drop_issuer(server, client).await?;
        }
        self.shelf.drop_tokens(server, &Whose::Shared).await?;
        Ok(tokens.is_some())
    }
}
