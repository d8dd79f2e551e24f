//! The resources of a server that somebody watches: each is subscribed once, however many there are who want to know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use router_core::{Error, Kind, Outcome, Raw, Result};
use tokio::{sync::watch, time::timeout};

use super::eras::SUBSCRIPTION_ID;
use crate::fields;

pub(super) const UPDATED: &str = "notifications/resources/updated";
pub(super) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// How a subscription names the resources that it is for.
pub(crate) const RESOURCES: &str = "resourceSubscriptions";

/// How long somebody waits for the server to say that it will tell.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What is wanted of one server, and how far the server has agreed. Cloning it shares it.
#[derive(Clone)]
pub(crate) struct Watched(Arc<Inner>);

struct Inner {
    wanted: watch::Sender<Wanted>,
    settled: watch::Sender<Settled>,
    /// The request whose acknowledgement is awaited, and the turn that it is for.
    listening: Mutex<Option<(u64, u64)>>,
}

/// Which resources are watched, by how many.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    users: BTreeMap<Arc<str>, usize>,
    /// Counts the times that the set has changed.
    pub(super) turn: u64,
    /// Counts the sessions of the server: a new one knows nothing of what the last was told.
    pub(super) session: u64,
}

impl Wanted {
    pub(super) fn uris(&self) -> BTreeSet<Arc<str>> {
        self.users.keys().map(Arc::clone).collect()
    }
}

/// What the server has agreed to, up to a turn.
#[derive(Default)]
struct Settled {
    turn: u64,
    refused: BTreeMap<Arc<str>, Error>,
}

/// Somebody's wish to hear when a resource changes; dropping it ends that.
pub struct Watch {
    watched: Option<Watched>,
    uri: Arc<str>,
    /// What must not go while it lasts.
    needs: Option<Box<dyn Send + Sync>>,
}

impl Watch {
    /// The same, which keeps `needs` for as long as it lasts.
    pub(super) fn keeping(self, needs: impl Send + Sync + 'static) -> Self {
        let mut watch = self;
        watch.needs = Some(Box::new(needs));
        watch
    }

    /// A wish that nobody has to be told of.
    #[cfg(test)]
    pub(crate) fn of_nobody(uri: &str) -> Self {
        Self { watched: None, uri: uri.into(), needs: None }
    }

    /// Whether news of `uri` is for whoever wished this: it may be of a part of what he watches.
    pub(crate) fn covers(&self, uri: &str) -> bool {
        covers(&self.uri, uri)
    }

    /// What is watched.
    pub(crate) fn uri(&self) -> &Arc<str> {
        &self.uri
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(watched) = &self.watched else { return };
        watched.0.wanted.send_if_modified(|wanted| {
            let Some(users) = wanted.users.get_mut(&self.uri) else { return false };
            *users = users.saturating_sub(1);
            let is_last = *users == 0;
            if is_last {
                wanted.users.remove(&self.uri);
                wanted.turn += 1;
            }
            is_last
        });
    }
}

fn covers(watched: &str, uri: &str) -> bool {
    uri.strip_prefix(watched).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || watched.ends_with('/'))
}

impl Watched {
    pub(super) fn new() -> Self {
        let (wanted, settled) = (watch::Sender::new(Wanted::default()), watch::Sender::new(Settled::default()));
        Self(Arc::new(Inner { wanted, settled, listening: Mutex::default() }))
    }

    /// Has the server tell when a resource changes, and waits until it has agreed.
    pub(super) async fn watch(&self, uri: &str) -> Result<Watch> {
        let (watch, turn) = self.add(uri);
        let mut settled = self.0.settled.subscribe();
        let Ok(Ok(settled)) = timeout(SETTLE_MAX, settled.wait_for(|settled| settled.turn >= turn)).await else {
            let message = "the server has not agreed yet to tell when a resource changes";
            return Err(Error::new(Kind::Unavailable, message).outcome_is(Outcome::Unknown));
        };
        match settled.refused.get(&watch.uri) {
            Some(error) => Err(error.clone()),
            None => Ok(watch),
        }
    }

    fn add(&self, uri: &str) -> (Watch, u64) {
        let uri: Arc<str> = uri.into();
        self.0.wanted.send_if_modified(|wanted| {
            let users = wanted.users.entry(Arc::clone(&uri)).or_default();
            *users += 1;
            let is_first = *users == 1;
            wanted.turn += u64::from(is_first);
            is_first
        });
        let turn = self.0.wanted.borrow().turn;
        (Watch { watched: Some(self.clone()), uri, needs: None }, turn)
    }

    /// Whether somebody watches it.
    pub(super) fn holds(&self, uri: &str) -> bool {
        self.0.wanted.borrow().users.keys().any(|watched| covers(watched, uri))
    }

    /// Hears when something else is wanted.
    pub(super) fn wanted(&self) -> watch::Receiver<Wanted> {
        self.0.wanted.subscribe()
    }

    /// A new session begins: everything has to be subscribed anew.
    pub(super) fn begin_anew(&self) {
        self.0.wanted.send_modify(|wanted| wanted.session += 1);
    }

    /// The server has said what it thinks of everything that was wanted at `turn`.
    pub(super) fn settle(&self, turn: u64, refused: BTreeMap<Arc<str>, Error>) {
        self.0.settled.send_modify(|settled| *settled = Settled { turn, refused });
    }

    /// The request `id` asks for everything that is wanted at `turn`.
    pub(super) fn listens(&self, id: u64, turn: u64) {
        *self.0.listening.lock() = Some((id, turn));
    }

    /// Takes note of what a server says to a listening: what it left out, it does not tell.
    pub(super) fn hear(&self, method: &str, params: Option<&Raw>) {
        let (ACKNOWLEDGED, Some(params)) = (method, params) else { return };
        let id = fields::get_path(params, &["_meta", SUBSCRIPTION_ID]).and_then(|id| id.as_str().parse().ok());
        let turn = match *self.0.listening.lock() {
            Some((asked, turn)) if id.is_none_or(|id: u64| id == asked) => turn,
            _ => return,
        };
        let accepted = fields::get_path(params, &["notifications", RESOURCES]).map(|list| fields::elements(&list));
        let accepted: BTreeSet<_> = accepted.iter().flatten().filter_map(fields::said).collect();
        let uris = self.0.wanted.borrow().uris();
        let refused = uris.into_iter().filter(|uri| !accepted.contains(&**uri));
        self.settle(turn, refused.map(|uri| (uri, refusal())).collect());
    }

    /// The server does not listen at all.
    pub(super) fn refuse_all(&self, turn: u64) {
        let uris = self.0.wanted.borrow().uris();
        self.settle(turn, uris.into_iter().map(|uri| (uri, refusal())).collect());
    }
}

fn refusal() -> Error {
    Error::new(Kind::Refused, "the server does not tell when this resource changes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_resource_has_parts() {
        for (watched, uri, expected) in [
            ("file:///a", "file:///a", true),
            ("file:///a", "file:///a/b", true),
            ("file:///a/", "file:///a/b", true),
            ("file:///a", "file:///ab", false),
            ("file:///a/b", "file:///a", false),
        ] {
            assert_eq!(covers(watched, uri), expected, "{watched} {uri}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_and_the_last_who_watch_change_what_is_wanted() {
        let watched = Watched::new();
        let (first, turn) = watched.add("x:1");
        assert_eq!(turn, 1);
        let (second, turn) = watched.add("x:1");
        assert_eq!(turn, 1);
        drop(first);
        assert!(watched.holds("x:1"));
        drop(second);
        assert!(!watched.holds("x:1"));
        assert_eq!(watched.0.wanted.borrow().turn, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_settles_its_own_request_only() {
        let watched = Watched::new();
        let said = |id: u64, uris: &str| {
            Raw::trusted(format!(
                r#"{{"notifications":{{"resourceSubscriptions":{uris}}},"_meta":{{"{SUBSCRIPTION_ID}":{id}}}}}"#
            ))
        };
        let waits = watched.watch("x:1");
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        watched.listens(7, 1);
        watched.hear(ACKNOWLEDGED, Some(&said(6, "[]")));
        assert!(futures_util::poll!(&mut waits).is_pending(), "that was for another");
        watched.hear(ACKNOWLEDGED, Some(&said(7, r#"["x:1"]"#)));
        let watch = waits.await.unwrap();
        assert!(watch.covers("x:1"));
        let waits = watched.watch("x:2");
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        watched.listens(8, 2);
        watched.hear(ACKNOWLEDGED, Some(&said(8, r#"["x:1"]"#)));
        assert_eq!(waits.await.err().unwrap().kind(), Kind::Refused);
        assert!(!watched.holds("x:2") && watched.holds("x:1"));
        let silent = watched.watch("x:3").await.err().unwrap();
        assert_eq!(silent.kind(), Kind::Unavailable);
    }
}
