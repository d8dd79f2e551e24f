//! The way back to a client while his request is under way: notes and questions go where its answer will go.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use router_core::{Error, Kind, Note, Peer, Raw, Result, SessionMark};
use tokio::sync::mpsc;

use super::{meta::Level, session::Session};
use crate::{fields, rpc};

const PROGRESS: &str = "notifications/progress";
const LOG: &str = "notifications/message";

/// The client of one request.
pub(super) struct Requester {
    /// The stream of the request.
    pub(super) out: mpsc::Sender<Bytes>,
    /// The client's own token; without one he wants no progress.
    pub(super) progress: Option<Raw>,
    /// From which level on he wants log lines; `None`: none at all.
    pub(super) level: Option<Level>,
    pub(super) capabilities: Raw,
    /// Where his answers come in; without one he cannot be asked.
    pub(super) session: Option<Arc<Session>>,
}

impl Requester {
    fn wants(&self, level: &Raw) -> bool {
        let level = fields::text(level, "level").and_then(|level| Level::parse(&level)).unwrap_or(Level::ALL);
        self.level.is_some_and(|wanted| level >= wanted)
    }

    async fn put(&self, method: &str, params: Raw) -> Result<Raw> {
        let refuse = |why: &str| Error::new(Kind::Refused, format!("the client cannot be asked for {method}: {why}"));
        let session = self.session.as_ref().ok_or_else(|| refuse("its requests stand alone"))?;
        let capability = method.split('/').next().unwrap_or(method);
        if fields::get(&self.capabilities, capability).is_none() {
            return Err(refuse("it did not declare the capability"));
        }
        session.ask(&self.out, method, &params).await
    }
}

impl Peer for Requester {
    fn notify(&self, note: Note) {
        let params = match (&*note.method, &self.progress) {
            (PROGRESS, Some(token)) => fields::with_field(&note.params, "progressToken", token),
            (PROGRESS, None) => return,
            (LOG, _) if !self.wants(&note.params) => return,
            _ => note.params,
        };
        if self.out.try_send(rpc::notification(&note.method, Some(&params))).is_err() {
            tracing::debug!(method = %note.method, "a note is lost: the client reads too slowly, or not at all");
        }
    }

    fn ask<'a>(&'a self, method: &'a str, params: Raw) -> Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(self.put(method, params))
    }

    fn capabilities(&self) -> Raw {
        self.capabilities.clone()
    }

    fn session(&self) -> Option<SessionMark> {
        let session = self.session.as_ref()?;
        Some(SessionMark { id: Arc::from(&*session.id), over: session.over.clone() })
    }
}
