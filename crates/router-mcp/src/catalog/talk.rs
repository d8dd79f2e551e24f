//! What the servers of a catalog say beside all requests, and how much of it is wanted.

use std::sync::Arc;

use futures_util::future::select_all;
use router_core::{Cx, Error, Kind, Note, Result};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Catalog, List, shelf::Shelf};
use crate::{
    client::{TASK, Watch},
    fields, rpc,
    view::Remark,
};

/// Hears several servers, one remark after the other. Who is slow misses some.
pub(crate) struct Remarks(Vec<(Arc<Shelf>, Receiver<Remark>)>);

impl Catalog {
    /// Hears what the servers say from now on.
    pub(crate) fn remarks(&self) -> Remarks {
        let shelves = self.view.servers.iter().map(|server| &server.shelf);
        Remarks(shelves.map(|shelf| (Arc::clone(shelf), shelf.offer.view.remarks())).collect())
    }

    /// Whether a server that has been reached tells when its resources change, or one that has not might.
    pub(crate) fn may_tell_of_resources(&self) -> bool {
        self.view.servers.iter().any(|server| server.shelf.may_tell_of_resources())
    }

    /// Has the server whose resource it is tell whoever asks when it changes, for as long as what this gives is kept.
    pub(crate) async fn watch(&self, cx: &Cx, uri: &str) -> Result<Watch> {
        let unknown = || self.unknown(List::Resources, uri);
        let server = self.owner(uri).await.ok_or_else(unknown)?;
        if !server.may_tell_of_resources() {
            let message = format!("{} does not tell when its resources change", server.offer.name);
            return Err(Error::new(Kind::Refused, message));
        }
        server.offer.view.watch(cx, uri).await
    }

    /// Somebody wants to hear the servers' logs from this level on.
    pub(crate) fn want_level(&self, level: &'static str) {
        self.view.servers.iter().for_each(|server| server.shelf.offer.view.want_level(level));
    }
}

impl Remarks {
    /// Of nobody.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// The next; never, when there is no server.
    pub(crate) async fn next(&mut self) -> Remark {
        loop {
            if self.0.is_empty() {
                std::future::pending::<()>().await;
            }
            let (heard, index, _) = select_all(self.0.iter_mut().map(|(_, said)| Box::pin(said.recv()))).await;
            let remark = match heard {
                Ok(remark) => remark,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => {
                    drop(self.0.swap_remove(index));
                    continue;
                }
            };
            if &*remark.note.method != TASK {
                return remark;
            }
            if let Some(remark) = self.0.get(index).and_then(|(shelf, _)| of_task(shelf, &remark.note)) {
                return remark;
            }
        }
    }
}

/// How a task goes is told to whoever had it made, under the name that he knows; nobody is told of a task that nobody knows.
fn of_task(shelf: &Shelf, note: &Note) -> Option<Remark> {
    let owner = shelf.ledger.owner(&fields::text(&note.params, "taskId")?)?;
    let params = fields::with_field(&note.params, "taskId", &rpc::quoted(&owner.handle));
    let note = Note { method: Arc::clone(&note.method), params };
    Some(Remark { note, to: Some(owner.caller), session: owner.session })
}
