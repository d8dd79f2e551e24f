//! What the router is to one server: the tokens that it shows there, and how it comes by others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use parking_lot::Mutex;
use router_core::{Caller, Consent, Error, Kind, Name, Outcome, Result, Secret, Store};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    AtHand, Credentials, GrantKind, Office, Per, Refused, Terms, Whose,
    challenge::Challenge,
    client::{self, Client},
    discover,
    flow::{self, Journey, random},
    metadata::{Authority, Resource},
    scopes::Scopes,
    tokens::{Claim, Grant, Tokens},
};
use crate::{
    egress::{Ask, Place},
    rpc,
};

/// An offer that is nearly over is not made again, in seconds.
const OFFER_LEFT: i64 = 120;
/// How long tokens are shown before it is looked whether they were taken back, or others put in their place, elsewhere.
const LOOK_AGAIN: u64 = 30;
/// For this many callers tokens are held in memory.
const PURSES: usize = 4096;

/// See the module.
pub struct Account<S> {
    name: Name,
    /// The server's address.
    server: Place,
    terms: Terms,
    office: Arc<Office<S>>,
    shared: Arc<Purse>,
    callers: Mutex<HashMap<Whose, Arc<Purse>>>,
}

/// What somebody may show.
#[derive(Default)]
pub(super) struct Purse {
    held: ArcSwapOption<Held>,
    /// Held while tokens are got or renewed: everybody who needs them waits for the same ones.
    turn: tokio::sync::Mutex<()>,
    offer: Mutex<Option<Offer>>,
}

/// What was found when it was last looked.
struct Held {
    /// Tokens, ready to be shown; none where nobody has signed in, as with every server that wants no token.
    kept: Option<(Tokens, HeaderValue)>,
    until: Instant,
    /// How many sign-ins had ended by then: with the next one there may be other tokens.
    after: u64,
}

impl Held {
    fn header(&self) -> Option<&HeaderValue> {
        self.kept.as_ref().map(|(_, header)| header)
    }

    fn is_good(&self, changes: u64) -> bool {
        Instant::now() < self.until && self.after == changes
    }
}

/// A journey that somebody was told to begin.
#[derive(Clone)]
struct Offer {
    consent: Consent,
    wanted: Scopes,
    until: i64,
}

impl<S: Store> Account<S> {
    /// The account at the server `name`, which listens at `url`.
    pub fn new(name: Name, url: &Uri, terms: Terms, office: Arc<Office<S>>) -> Result<Arc<Self>> {
        let server = Place::of(url).map_err(|why| Error::new(Kind::Invalid, format!("{url} {why}")).at(&name))?;
        Ok(Arc::new(Self { name, server, terms, office, shared: Arc::default(), callers: Mutex::default() }))
    }

    /// Begins a journey for everybody, whether or not there are tokens already, and tells where it begins.
    pub async fn sign_in(self: &Arc<Self>) -> Result<Option<Consent>> {
        match self.obtain(&Whose::Shared, &self.ask_what_is_wanted().await, None).await {
            Ok(_) => Ok(None),
            Err(error) => error.consent().cloned().map(Some).ok_or(error),
        }
    }

    /// What the server says to somebody who shows nothing; one that says nothing is found out about without it.
    async fn ask_what_is_wanted(&self) -> Challenge {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let body = rpc::request(1, "ping", None);
        let ask = Ask { method: Method::POST, url: self.server.uri().to_string(), headers, body };
        let told = self.office.egress.send(ask, &self.server).await;
        told.map(|told| Challenge::read(&told.headers)).unwrap_or_default()
    }

    pub(super) fn purse(&self, whose: &Whose) -> Arc<Purse> {
        if *whose == Whose::Shared {
            return Arc::clone(&self.shared);
        }
        let mut callers = self.callers.lock();
        if callers.len() >= PURSES && !callers.contains_key(whose) {
            // What is dropped is read again when it is needed. What is in use stays: one token to renew with must not be
            // used twice at once.
            callers.retain(|_, purse| Arc::strong_count(purse) > 1);
        }
        Arc::clone(callers.entry(whose.clone()).or_default())
    }

    /// What was kept, if it was got for this very server.
    async fn kept(&self, whose: &Whose) -> Result<Option<Tokens>> {
        let tokens = self.office.shelf.tokens(&self.name, whose).await?;
        Ok(tokens.filter(|tokens| tokens.claim.server == self.server.uri().to_string()))
    }

    fn hold(&self, purse: &Purse, tokens: Tokens) -> Result<HeaderValue> {
        let header = tokens.header()?;
        let good_for = tokens.good_for((self.office.clock)()).unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
        let until = Instant::now() + Duration::from_secs(good_for);
        let after = self.office.changes();
        purse.held.store(Some(Arc::new(Held { kept: Some((tokens, header.clone())), until, after })));
        *purse.offer.lock() = None;
        Ok(header)
    }

    async fn renew(&self, whose: &Whose) -> Result<Option<HeaderValue>> {
        let purse = self.purse(whose);
        let _turn = purse.turn.lock().await;
        let after = self.office.changes();
        if let Some(held) = purse.held.load_full().filter(|held| held.is_good(after)) {
            return Ok(held.header().cloned());
        }
        // Another process may have got, renewed or dropped them.
        let Some(tokens) = self.kept(whose).await? else {
            let until = Instant::now() + Duration::from_secs(LOOK_AGAIN);
            purse.held.store(Some(Arc::new(Held { kept: None, until, after })));
            return Ok(None);
        };
        if tokens.good_for((self.office.clock)()).is_none_or(|seconds| seconds > 0) {
            return self.hold(&purse, tokens).map(Some);
        }
        self.exchange(whose, &purse, &tokens).await
    }

    /// Tokens for tokens that are over.
    async fn exchange(&self, whose: &Whose, purse: &Purse, tokens: &Tokens) -> Result<Option<HeaderValue>> {
        let grant = match (&tokens.refresh, self.terms.grant) {
            (Some(token), _) => Grant::Refresh { token },
            (None, GrantKind::ClientCredentials) => Grant::Client,
            (None, GrantKind::AuthorizationCode) => return Ok(None),
        };
        match self.office.redeem(tokens.claim.clone(), &grant, Some(tokens)).await {
            // Kept before they are used: the old ones may be worth nothing from here on.
            Ok(renewed) => {
                self.office.shelf.keep_tokens(&self.name, whose, &renewed).await?;
                self.hold(purse, renewed).map(Some)
            }
            Err(refusal) if refusal.is_final() => {
                if refusal.is_of_client() {
                    self.office.shelf.drop_client(&tokens.claim.issuer, &self.office.redirect_uri).await?;
                }
                self.overtaken(whose, purse, tokens).await
            }
            Err(refusal) => Err(refusal.error),
        }
    }

    /// A token to renew with that is not good any more was used by another process, or taken back.
    async fn overtaken(&self, whose: &Whose, purse: &Purse, tokens: &Tokens) -> Result<Option<HeaderValue>> {
        match self.kept(whose).await? {
            Some(newer) if newer.access != tokens.access => self.hold(purse, newer).map(Some),
            _ => {
                self.office.shelf.drop_tokens(&self.name, whose).await?;
                purse.held.store(None);
                Ok(None)
            }
        }
    }

    async fn replace(&self, whose: &Whose, refused: &Refused) -> Result<HeaderValue> {
        let purse = self.purse(whose);
        let _turn = purse.turn.lock().await;
        let is_other = |header: &HeaderValue| refused.shown.as_ref() != Some(header);
        let held = purse.held.load_full();
        let good = held.as_ref().filter(|held| held.is_good(self.office.changes()));
        if let Some(header) = good.and_then(|held| held.header()).filter(|header| is_other(header)) {
            return Ok(header.clone());
        }
        let kept = self.kept(whose).await?;
        let is_good = |tokens: &&Tokens| tokens.good_for((self.office.clock)()).is_none_or(|seconds| seconds > 0);
        let is_newer = |tokens: &&Tokens| tokens.header().is_ok_and(|header| is_other(&header));
        if let Some(tokens) = kept.as_ref().filter(is_good).filter(is_newer) {
            return self.hold(&purse, tokens.clone());
        }
        let tokens = kept.or_else(|| held?.kept.as_ref().map(|(tokens, _)| tokens.clone()));
        self.obtain(whose, &refused.challenge, tokens.as_ref()).await
    }

    /// Other tokens than `before`: renewed, made out to us, or after a journey.
    async fn obtain(&self, whose: &Whose, challenge: &Challenge, before: Option<&Tokens>) -> Result<HeaderValue> {
        let purse = self.purse(whose);
        if let (true, Some(before)) = (challenge.lacks_scope(), before) {
            self.can_be_widened(challenge, before)?;
        }
        if let Some(offer) = self.standing_offer(&purse, challenge).await? {
            return Err(self.needs(whose, &offer));
        }
        let resource = discover::resource(&self.office.egress, &self.server, challenge).await?;
        let authority = self.authority(&resource).await.map_err(|error| self.unsaid(&resource, error))?;
        // What another authority made out is worth nothing here, and is not shown to this one.
        let before = before.filter(|tokens| tokens.claim.issuer == authority.issuer);
        if let Some(before) = before.filter(|before| before.refresh.is_some() && !challenge.lacks_scope())
            && let Some(header) = self.exchange(whose, &purse, before).await?
        {
            return Ok(header);
        }
        let wanted = self.wanted(challenge, &resource, &authority, before);
        let unsaid = |error| if authority.is_silent { self.unsaid(&resource, error) } else { error };
        let client = self.client(&authority).await.map_err(unsaid)?;
        let claim = Claim::new(&authority, client, (&resource.id, &self.server.uri().to_string()), wanted);
        match self.terms.grant {
            GrantKind::ClientCredentials => {
                let tokens = self.office.redeem(claim, &Grant::Client, None).await.map_err(|refusal| refusal.error)?;
                self.office.shelf.keep_tokens(&self.name, whose, &tokens).await?;
                self.hold(&purse, tokens)
            }
            GrantKind::AuthorizationCode => Err(self.offer(whose, &purse, &authority, claim).await?),
        }
    }

    /// Asking again for what was given already would go round for ever.
    fn can_be_widened(&self, challenge: &Challenge, before: &Tokens) -> Result<()> {
        let Some(scope) = challenge.scope.as_ref().filter(|scope| !before.claim.wanted.cover(scope)) else {
            let message =
                "the server says that our token is not good for this, although it was asked for what that needs";
            return Err(Error::new(Kind::Credential, message)
                .hint(format!("`mcp-router logout {}` and sign in as somebody who may do this", self.name)));
        };
        tracing::info!(server = %self.name, %scope, "the server asks for more");
        Ok(())
    }

    async fn authority(&self, resource: &Resource) -> Result<Authority> {
        if resource.is_silent && self.terms.issuer.is_none() && self.terms.grant == GrantKind::AuthorizationCode {
            let authority = discover::own_authority(&self.office.egress, &self.server).await?;
            return Self::signs_in(authority);
        }
        let issuer = match &self.terms.issuer {
            Some(issuer) if !resource.is_silent && !resource.issuers.contains(issuer) => {
                let message = format!("the server names {} for its tokens, not {issuer}", resource.issuers.join(", "));
                return Err(
                    Error::new(Kind::Refused, message).hint("compare `auth.issuer` with what the server's owner says")
                );
            }
            Some(issuer) => Some(issuer),
            None => resource.issuers.first(),
        };
        let issuer = issuer.ok_or_else(|| Error::new(Kind::Refused, "the server names no authorization server"))?;
        let authority = discover::authority(&self.office.egress, &self.server, issuer).await?;
        match self.terms.grant {
            GrantKind::AuthorizationCode => Self::signs_in(authority),
            GrantKind::ClientCredentials => Ok(authority),
        }
    }

    /// An authority that people can be sent to.
    fn signs_in(authority: Authority) -> Result<Authority> {
        if authority.authorization_endpoint.is_none() {
            return Err(Error::new(Kind::Refused, format!("{} signs nobody in", authority.issuer)));
        }
        if !authority.has_pkce {
            let message = format!("{} does not say that it supports PKCE with S256", authority.issuer);
            return Err(Error::new(Kind::Refused, message).hint("without it, anybody who sees a code could use it"));
        }
        Ok(authority)
    }

    /// A server that says nothing of itself may want another kind of credential altogether.
    fn unsaid(&self, resource: &Resource, error: Error) -> Error {
        if !resource.is_silent || self.terms.issuer.is_some() {
            return error;
        }
        Error::new(Kind::Credential, "the server refuses us (HTTP 401), and does not say where to sign in")
            .hint("give a credential in the server's `headers`, or name its authorization server as `auth.issuer`")
            .because(error)
    }

    /// No more than is needed, and no less than was had.
    fn wanted(
        &self,
        challenge: &Challenge,
        resource: &Resource,
        authority: &Authority,
        before: Option<&Tokens>,
    ) -> Scopes {
        let nothing = Scopes::default();
        let asked = challenge.scope.as_ref();
        let base = match (&self.terms.scopes, asked) {
            (Some(configured), asked) => configured.with(asked.unwrap_or(&nothing)),
            (None, Some(asked)) => asked.clone(),
            (None, None) => resource.scopes.clone().unwrap_or_default(),
        };
        let wanted = before.map_or_else(|| base.clone(), |before| before.claim.wanted.with(&base));
        let renewable = self.terms.grant == GrantKind::AuthorizationCode && authority.is_offline && !wanted.is_empty();
        if renewable { wanted.offline() } else { wanted }
    }

    /// Who we are to `authority`: as configured, by our description, or as it once registered us.
    async fn client(&self, authority: &Authority) -> Result<Client> {
        let office = &self.office;
        if let Some(id) = &self.terms.client_id {
            self.pin(id, authority).await?;
            let (secret, key) = (self.terms.client_secret.as_ref(), self.terms.private_key.as_ref());
            return Ok(Client::configured(id, secret, key, authority));
        }
        if let Some(address) = office.description.as_ref().filter(|_| authority.takes_documents) {
            return Ok(Client::described(address));
        }
        let known = office.shelf.client(&authority.issuer, &office.redirect_uri).await?;
        if let Some(known) = known.filter(|known| known.is_good((office.clock)())) {
            return Ok(known);
        }
        let Some(endpoint) = &authority.registration_endpoint else {
            let message = format!("{} registers nobody by itself", authority.issuer);
            let hint = format!(
                "register the router there (its redirect is {}) and set auth.client_id of {}",
                office.redirect_uri, self.name
            );
            return Err(Error::new(Kind::Credential, message).hint(hint));
        };
        let client = self.register(endpoint, authority).await?;
        office.shelf.keep_client(&authority.issuer, &office.redirect_uri, &client).await?;
        Ok(client)
    }

    async fn register(&self, endpoint: &str, authority: &Authority) -> Result<Client> {
        let wish = client::registration(&self.office.name, &self.office.redirect_uri, authority);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let ask = Ask { method: Method::POST, url: endpoint.to_owned(), headers, body: wish.to_string().into() };
        let told = self.office.egress.send(ask, &self.server).await?;
        let document: Value = serde_json::from_slice(&told.body).unwrap_or_default();
        if !told.status.is_success() {
            let code = document.get("error").and_then(Value::as_str).map(super::tokens::word);
            let why = code.map_or_else(|| format!("HTTP {}", told.status.as_u16()), str::to_owned);
            let hint = format!("register the router there by hand and set auth.client_id of {}", self.name);
            return Err(
                Error::new(Kind::Credential, format!("{} does not register us: {why}", authority.issuer)).hint(hint)
            );
        }
        Client::registered(&document, authority)
    }

    /// A client of the configuration belongs to one authority. Where the configuration does not say to which, it is the
    /// first that it was meant for; a server that names another one later does not get to see it.
    async fn pin(&self, id: &str, authority: &Authority) -> Result<()> {
        if self.terms.issuer.is_some() {
            return Ok(());
        }
        match self.office.shelf.issuer(&self.name, id).await? {
            None => self.office.shelf.keep_issuer(&self.name, id, &authority.issuer).await,
            Some(known) if known == authority.issuer => Ok(()),
            Some(known) => {
                let message =
                    format!("the server now names {}, but auth.client_id was used with {known}", authority.issuer);
                Err(Error::new(Kind::Refused, message).hint("if that is right, set auth.issuer"))
            }
        }
    }

    /// The journey that somebody was told of and has not ended yet, if it leads to what is needed.
    async fn standing_offer(&self, purse: &Purse, challenge: &Challenge) -> Result<Option<Offer>> {
        let offer = purse.offer.lock().clone();
        let enough = |offer: &Offer| challenge.scope.as_ref().is_none_or(|scope| offer.wanted.cover(scope));
        let lasting = |offer: &Offer| (self.office.clock)() + OFFER_LEFT < offer.until;
        match offer.filter(enough).filter(lasting) {
            Some(offer) if self.office.awaits(&offer.consent).await? => Ok(Some(offer)),
            _ => Ok(None),
        }
    }

    /// Makes a journey ready.
    async fn offer(&self, whose: &Whose, purse: &Purse, authority: &Authority, claim: Claim) -> Result<Error> {
        let (state, until) = (random()?, (self.office.clock)().saturating_add(flow::PATIENCE));
        let endpoint = authority.authorization_endpoint.clone();
        let wanted = claim.wanted.clone();
        let journey = Journey {
            name: self.name.to_string(),
            whose: whose.clone(),
            per: self.terms.per,
            until,
            verifier: Secret::new(random()?),
            redirect_uri: self.office.redirect_uri.clone(),
            endpoint: endpoint
                .ok_or_else(|| Error::new(Kind::Refused, format!("{} signs nobody in", authority.issuer)))?,
            browser: None,
            signed: authority.signs_answers,
            claim,
        };
        self.office.shelf.begin(&state, &journey).await?;
        let consent = Consent { id: flow::challenge(&state).into(), url: self.office.start(&state).into() };
        match whose {
            Whose::Shared => {
                tracing::warn!(server = %self.name, url = &*consent.url, "somebody has to sign in: open the address, or run `mcp-router login`");
            }
            // The address is for him alone.
            Whose::Caller { name, .. } => tracing::info!(server = %self.name, caller = name, "has to sign in"),
        }
        let offer = Offer { consent, wanted, until };
        let error = self.needs(whose, &offer);
        *purse.offer.lock() = Some(offer);
        Ok(error)
    }

    fn needs(&self, whose: &Whose, offer: &Offer) -> Error {
        let (url, name) = (&offer.consent.url, &self.name);
        let (message, hint) = match (whose, self.terms.per) {
            (Whose::Shared, Per::Shared) => {
                (format!("nobody has signed in to {name} yet"), format!("open {url} or run `mcp-router login {name}`"))
            }
            // Calls are made in each caller's own name, but what there is, is read once for all.
            (Whose::Shared, Per::Caller) => (
                format!("nobody has signed in to {name} yet to read what it offers"),
                format!("open {url} or run `mcp-router login {name}`"),
            ),
            (Whose::Caller { .. }, _) => (format!("you have not signed in to {name} yet"), format!("open {url}")),
        };
        Error::new(Kind::Unauthorized, message)
            .hint(format!("{hint}, then try again"))
            .outcome_is(Outcome::NotSent)
            .needs(offer.consent.clone())
    }
}

impl<S: Store> Credentials for Arc<Account<S>> {
    fn at_hand(&self, caller: Option<&Caller>) -> AtHand {
        let purse = match self.terms.per {
            Per::Shared => Arc::clone(&self.shared),
            Per::Caller => self.purse(&Whose::of(Per::Caller, caller)),
        };
        let held = purse.held.load();
        let good = held.as_ref().filter(|held| held.is_good(self.office.changes()));
        good.map_or(AtHand::Unknown, |held| held.header().cloned().map_or(AtHand::Nothing, AtHand::Header))
    }

    fn renewed<'a>(&'a self, caller: Option<&'a Caller>) -> BoxFuture<'a, Result<Option<HeaderValue>>> {
        let whose = Whose::of(self.terms.per, caller);
        self.undisturbed(move |account| async move { account.renew(&whose).await })
    }

    fn instead<'a>(&'a self, caller: Option<&'a Caller>, refused: Refused) -> BoxFuture<'a, Result<HeaderValue>> {
        let whose = Whose::of(self.terms.per, caller);
        self.undisturbed(move |account| async move { account.replace(&whose, &refused).await })
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.office.news.subscribe()
    }

    fn awaited(&self) -> Option<Arc<str>> {
        let offer = self.shared.offer.lock();
        offer.as_ref().filter(|offer| (self.office.clock)() < offer.until).map(|offer| Arc::clone(&offer.consent.url))
    }
}

impl<S: Store> Account<S> {
    /// Runs to its end whatever becomes of who waits for it: a token that was used to renew with is worth nothing
    /// afterwards, and what came for it must not be lost.
    fn undisturbed<'a, T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> BoxFuture<'a, Result<T>> {
        let done = self.office.tasks.spawn(work(Arc::clone(self)));
        Box::pin(async move {
            done.await.map_err(|error| Error::new(Kind::Internal, "a defect ended the sign-in").because(error))?
        })
    }
}
