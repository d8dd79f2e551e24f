//! What all accounts share: the way out, what is kept, and the place where journeys end.

use std::sync::Arc;

use router_core::{Consent, Error, Kind, Name, Result, Secret, Store};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{
    Callback, Per, Whose,
    flow::{Journey, challenge, random},
    shelf::Shelf,
    tokens::{Claim, Grant, Tokens, word},
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
    /// Where journeys begin: a page of ours.
    pub start_uri: String,
    /// Where they end.
    pub redirect_uri: String,
    /// The address of our own description, where there is one that others can reach.
    pub description: Option<String>,
    /// Seconds since 1970.
    pub clock: fn() -> i64,
    /// Every task of the process.
    pub tasks: TaskTracker,
}

/// What a person is told before he goes anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// The server that he signs in to.
    pub server: Name,
    /// Its address.
    pub address: String,
    /// Who signs him in: the authorization server.
    pub issuer: String,
    /// Who may use what comes of it.
    pub whose: Whose,
    /// For whom somebody signs in to this server.
    pub per: Per,
}

/// How a person is sent away.
pub struct Departure {
    /// Where to.
    pub to: String,
    /// What his browser has to keep, and to show when he comes back (see [`super::cookie`]).
    pub cookie: Secret<String>,
}

/// What became of a sign-in that was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Whether there was one.
    pub was_signed_in: bool,
    /// Why its tokens may be good for somebody who has them, as nobody took them back.
    pub unrevoked: Option<String>,
}

/// See the module.
pub struct Office<S> {
    pub(super) egress: Egress,
    pub(super) shelf: Shelf<S>,
    pub(super) name: String,
    start_uri: String,
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
            start_uri: setup.start_uri,
            redirect_uri: setup.redirect_uri,
            description: setup.description,
            clock: setup.clock,
            tasks: setup.tasks,
            news: watch::Sender::new(0),
            ending: tokio::sync::Mutex::default(),
        })
    }

    /// Where the journey under `state` begins.
    pub(super) fn start(&self, state: &str) -> String {
        format!("{}?state={state}", self.start_uri)
    }

    /// Whether browsers come to us over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.start_uri.starts_with("https:")
    }

    /// What the journey under `state` is for.
    pub async fn errand(&self, state: &str) -> Result<Errand> {
        let Journey { name, whose, per, claim, .. } = self.waiting(state).await?;
        Ok(Errand { server: name.into(), address: claim.server, issuer: claim.issuer, whose, per })
    }

    /// Somebody agreed to go on the journey under `state`: from here on only his browser can end it.
    pub async fn depart(&self, state: &str) -> Result<Departure> {
        let _alone = self.ending.lock().await;
        let mut journey = self.waiting(state).await?;
        let cookie = random()?;
        journey.browser = Some(challenge(&cookie));
        self.shelf.begin(state, &journey).await?;
        Ok(Departure { to: journey.address(state), cookie: Secret::new(cookie) })
    }

    async fn waiting(&self, state: &str) -> Result<Journey> {
        let journey = self.shelf.journey(state).await?.filter(|journey| (self.clock)() < journey.until);
        journey.ok_or_else(over)
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
        let name = Name::from(journey.name.as_str());
        let ended = self.settle(journey, &callback).await;
        // However it ended: who waits for it begins another one, or goes on.
        self.tell();
        ended.map(|()| name)
    }

    async fn settle(&self, journey: Journey, callback: &Callback) -> Result<()> {
        let code = journey.code(callback, (self.clock)())?;
        let (verifier, redirect_uri) = (journey.verifier.expose(), journey.redirect_uri.as_str());
        let grant = Grant::Code { code: code.expose(), verifier, redirect_uri };
        let tokens = match self.redeem(journey.claim.clone(), &grant, None).await {
            Ok(tokens) => tokens,
            Err(refusal) => {
                if refusal.is_of_client() {
                    self.shelf.drop_client(&journey.claim.issuer, redirect_uri).await?;
                }
                return Err(refusal.error);
            }
        };
        self.shelf.keep_tokens(&journey.name, &journey.whose, &tokens).await?;
        tracing::info!(server = journey.name, issuer = tokens.claim.issuer, "signed in");
        Ok(())
    }

    /// Tells every account that there may be other tokens than those that it holds.
    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// How many journeys have ended here, and how many have signed out.
    pub(super) fn changes(&self) -> u64 {
        *self.news.borrow()
    }

    /// The journey under `state`, which nobody gets a second time.
    async fn take(&self, state: &str) -> Result<Journey> {
        let _alone = self.ending.lock().await;
        let journey = self.shelf.journey(state).await?.ok_or_else(over)?;
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

    /// Forgets what was got for `whose` at `server`, and whom it was got from. Then whoever made it out is asked to take
    /// it back (RFC 7009): what he says to that changes nothing here.
    pub async fn forget(&self, server: &str, whose: &Whose, client_id: Option<&str>) -> Result<Forgotten> {
        let tokens = self.shelf.tokens(server, whose).await?;
        self.shelf.drop_tokens(server, whose).await?;
        if let Some(client) = client_id {
            self.shelf.drop_issuer(server, client).await?;
        }
        self.tell();
        let Some(tokens) = tokens else { return Ok(Forgotten::default()) };
        let unrevoked = self.revoke(&tokens).await.err().map(|error| error.message().to_owned());
        // Not before: it is the client that takes them back.
        self.shelf.drop_client(&tokens.claim.issuer, &self.redirect_uri).await?;
        Ok(Forgotten { was_signed_in: true, unrevoked })
    }

    /// Has tokens taken back, the one to renew with first: with it all others should go. The first failure counts.
    async fn revoke(&self, tokens: &Tokens) -> Result<()> {
        let home = Place::read(&tokens.claim.server)
            .map_err(|why| Error::new(Kind::Internal, format!("the server's address {why}")))?;
        let refresh = tokens.refresh.as_ref().map(|token| (token, "refresh_token"));
        let mut done = Ok(());
        for (token, kind) in refresh.into_iter().chain([(&tokens.access, "access_token")]) {
            done = done.and(self.take_back(&tokens.claim, (token, kind), &home).await);
        }
        done
    }

    async fn take_back(&self, claim: &Claim, (token, kind): (&Secret<String>, &str), home: &Place) -> Result<()> {
        let ask = claim.revoke(token, kind, (self.clock)());
        let ask = ask.ok_or_else(|| Error::new(Kind::Refused, format!("{} takes no tokens back", claim.issuer)))??;
        let told = self.egress.send(ask, home).await?;
        if told.status.is_success() {
            return Ok(());
        }
        let document: Value = serde_json::from_slice(&told.body).unwrap_or_default();
        let code = document.get("error").and_then(Value::as_str).map(word);
        let why = code.map_or_else(|| format!("HTTP {}", told.status.as_u16()), str::to_owned);
        Err(Error::new(Kind::Refused, format!("{} does not take the {kind} back: {why}", claim.issuer)))
    }
}

fn over() -> Error {
    Error::new(Kind::NotFound, "no sign-in waits for this: it is over, or was ended already").hint("begin again")
}
