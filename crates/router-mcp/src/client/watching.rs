//! Keeps a server told of which resources somebody watches, for as long as its connection lasts.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use router_core::{Error, Raw, Result};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    Channel, answer,
    eras::{Era, Greeting, listen_params},
    news::Ended,
    watched::{RESOURCES, Wanted, Watched},
};
use crate::{fields, rpc};

/// How long a server may take to say whether it tells of one resource.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How many are asked for at a time.
const AT_ONCE: usize = 16;
/// The pause before a listening that broke is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a server tells when its resources change.
pub(crate) fn tells(capabilities: &Raw) -> bool {
    fields::get(capabilities, "resources").is_some_and(|resources| fields::is_true(&resources, "subscribe"))
}

/// Subscribes what is wanted, as the server's era does it.
pub(crate) async fn keep_told(channel: &Channel, greeting: &Greeting, watched: &Watched) -> Infallible {
    if !tells(&greeting.capabilities) {
        return refuse(watched).await;
    }
    match greeting.era {
        Era::Legacy => one_by_one(channel, watched).await,
        Era::Modern => all_at_once(channel, watched).await,
    }
}

/// The server has no such thing, however often it is asked.
async fn refuse(watched: &Watched) -> Infallible {
    let mut wanted = watched.wanted();
    loop {
        let turn = wanted.borrow_and_update().turn;
        watched.refuse_all(turn);
        changed(&mut wanted).await;
    }
}

/// A legacy server is told of each resource by itself.
async fn one_by_one(channel: &Channel, watched: &Watched) -> Infallible {
    let mut wanted = watched.wanted();
    let (mut told, mut session) = (BTreeSet::<Arc<str>>::new(), wanted.borrow().session);
    loop {
        let now = wanted.borrow_and_update().clone();
        if std::mem::replace(&mut session, now.session) != now.session {
            told.clear();
        }
        let uris = now.uris();
        let gone: Vec<_> = told.difference(&uris).map(Arc::clone).collect();
        tell_all(channel, "resources/unsubscribe", &gone).await;
        let new: Vec<_> = uris.difference(&told).map(Arc::clone).collect();
        let refused = tell_all(channel, "resources/subscribe", &new).await;
        told = uris.into_iter().filter(|uri| !refused.contains_key(uri)).collect();
        watched.settle(now.turn, refused);
        changed(&mut wanted).await;
    }
}

/// Says the same of several resources; which of them the server refused, and why.
async fn tell_all(channel: &Channel, method: &str, uris: &[Arc<str>]) -> BTreeMap<Arc<str>, Error> {
    let mut refused = BTreeMap::new();
    for some in uris.chunks(AT_ONCE) {
        let said = join_all(some.iter().map(|uri| tell(channel, method, uri))).await;
        let each = some.iter().zip(said);
        refused.extend(each.filter_map(|(uri, said)| Some((Arc::clone(uri), said.err()?))));
    }
    refused
}

async fn tell(channel: &Channel, method: &str, uri: &str) -> Result<()> {
    let params = fields::with_field(&fields::empty(), "uri", &rpc::quoted(uri));
    let said = channel.request(method, &params, Instant::now() + ANSWER_MAX).await?;
    said.map(drop).map_err(|error| answer::failure(&error))
}

/// A modern server is told of all of them in one request that lasts, and is begun anew when they become others.
async fn all_at_once(channel: &Channel, watched: &Watched) -> Infallible {
    let mut wanted = watched.wanted();
    loop {
        let now = wanted.borrow_and_update().clone();
        let uris: Vec<Raw> = now.uris().iter().map(|uri| rpc::quoted(uri)).collect();
        if uris.is_empty() {
            watched.settle(now.turn, BTreeMap::new());
            changed(&mut wanted).await;
            continue;
        }
        let filter = fields::with_field(&fields::empty(), RESOURCES, &fields::array(&uris));
        let params = listen_params(&filter);
        let ended = tokio::select! {
            ended = channel.news(&params, Some(now.turn)) => ended,
            () = changed(&mut wanted) => continue,
        };
        if ended == Ended::ForGood {
            watched.refuse_all(now.turn);
            changed(&mut wanted).await;
        } else {
            sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }
}

/// Waits until something else is wanted.
async fn changed(wanted: &mut watch::Receiver<Wanted>) {
    if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
