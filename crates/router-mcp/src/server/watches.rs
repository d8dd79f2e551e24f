//! Who of our clients watches which resource.

use parking_lot::Mutex;
use router_core::{Cx, Raw};

use super::{Front, Question, failure, session::Session};
use crate::{
    catalog::Catalog,
    client::{RESOURCES, Watch},
    fields,
    rpc::{self, RpcError, code},
};

/// How many resources one client may watch.
const WATCHES_MAX: usize = 1_000;

/// What one session, or one listener, watches.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<Watch>>);

impl Watches {
    /// Watches as much of what a filter of `subscriptions/listen` names as there is to be watched.
    pub(super) async fn asked_for(catalog: &Catalog, cx: &Cx, filter: &Raw) -> Self {
        let uris = fields::get(filter, RESOURCES).map(|list| fields::elements(&list)).unwrap_or_default();
        let uris: Vec<_> = uris.iter().filter_map(fields::said).take(WATCHES_MAX).collect();
        let each = futures_util::future::join_all(uris.iter().map(|uri| catalog.watch(cx, uri))).await;
        Self(Mutex::new(each.into_iter().filter_map(Result::ok).collect()))
    }

    /// Whether news of a resource is for this client.
    pub(super) fn cover(&self, params: &Raw) -> bool {
        let uri = fields::text(params, "uri");
        uri.is_some_and(|uri| self.0.lock().iter().any(|watch| watch.covers(&uri)))
    }

    /// What is watched, as the protocol lists it; `None` when nothing is.
    pub(super) fn listed(&self) -> Option<Raw> {
        let uris: Vec<_> = self.0.lock().iter().map(|watch| rpc::quoted(watch.uri())).collect();
        (!uris.is_empty()).then(|| fields::array(&uris))
    }

    /// Watches nothing any more.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    fn has(&self, uri: &str) -> bool {
        self.0.lock().iter().any(|watch| &**watch.uri() == uri)
    }

    fn is_full(&self) -> bool {
        self.0.lock().len() >= WATCHES_MAX
    }
}

impl Front {
    /// Has the server tell when a resource changes, for as long as the session lasts.
    pub(super) async fn subscribe(&self, cx: &Cx, question: &Question) -> Result<Raw, RpcError> {
        let (session, uri) = watcher(question)?;
        if session.watches.has(&uri) {
            return Ok(fields::empty());
        }
        if session.watches.is_full() {
            return Err(RpcError::new(code::INVALID_REQUEST, format!("a session watches {WATCHES_MAX} at most")));
        }
        let watch = self.0.setup.catalog.watch(cx, &uri).await;
        let watch = watch.map_err(|error| failure::of(&error, question.version))?;
        // Asked for twice at once it is kept once: the other wish is given up.
        let mut watches = session.watches.0.lock();
        if !session.over.is_cancelled() && !watches.iter().any(|known| known.uri() == watch.uri()) {
            watches.push(watch);
        }
        Ok(fields::empty())
    }

    /// Ends that. What was not watched need not be.
    pub(super) fn unsubscribe(question: &Question) -> Result<Raw, RpcError> {
        let (session, uri) = watcher(question)?;
        session.watches.0.lock().retain(|watch| **watch.uri() != uri);
        Ok(fields::empty())
    }
}

fn watcher(question: &Question) -> Result<(&Session, String), RpcError> {
    let uri = question.params.as_ref().and_then(|params| fields::text(params, "uri"));
    let uri = uri.ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`uri` is missing, or no string"))?;
    let session = question.session.as_deref();
    let session =
        session.ok_or_else(|| RpcError::new(code::INVALID_REQUEST, "only a session can be told of changes"))?;
    Ok((session, uri))
}
