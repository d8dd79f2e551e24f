//! Who waits for an answer, and what of the server's talk meanwhile is for him.

use std::sync::Arc;

use router_core::{Cx, Kind, Note, Raw};
use tokio::time::timeout_at;

use super::eras;
use crate::rpc::{RpcError, code};

/// The caller of one request, as the connection sees him.
#[derive(Clone)]
pub(super) struct Listener {
    cx: Cx,
    /// His own progress token; without one he asked for no progress.
    token: Option<Raw>,
}

pub(super) const PROGRESS: &str = "notifications/progress";
pub(super) const MESSAGE: &str = "notifications/message";

impl Listener {
    pub(super) fn new(cx: &Cx, token: Option<Raw>) -> Self {
        Self { cx: cx.clone(), token }
    }

    /// Whether he gave up by himself, which tells nothing about the server.
    pub(super) fn has_left(&self) -> bool {
        self.cx.cancel().is_cancelled()
    }

    /// A notification that belongs to this request: a sign of life, and news for whoever asked for it.
    pub(super) fn hear(&self, method: Arc<str>, params: Option<Raw>) {
        self.cx.pulse().beat();
        let Some(params) = params else { return };
        let params = match (&*method, &self.token) {
            (PROGRESS, Some(token)) => eras::with_token(&params, token),
            (MESSAGE, _) => params,
            _ => return,
        };
        self.cx.peer().notify(Note { method, params });
    }

    /// Puts a question of the server to the caller, for as long as he waits himself.
    pub(super) async fn answer(&self, method: &str, params: Option<Raw>) -> Result<Raw, RpcError> {
        let params = params.unwrap_or_else(|| Raw::trusted("{}"));
        self.cx.pulse().beat();
        let answered = tokio::select! {
            answered = timeout_at(self.cx.deadline(), self.cx.peer().ask(method, params)) => answered,
            () = self.cx.cancel().cancelled() => return Err(RpcError::new(code::INTERNAL, "the caller has gone")),
        };
        self.cx.pulse().beat();
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.kind() == Kind::Refused => Err(cannot(method)),
            Ok(Err(error)) => Err(RpcError::new(code::INTERNAL, error.to_string())),
            Err(_) => Err(RpcError::new(code::INTERNAL, "the client did not answer in time")),
        }
    }
}

/// Whether a question of a server can be put to a caller at all.
pub(super) fn can_be_relayed(method: &str) -> bool {
    matches!(method, "sampling/createMessage" | "elicitation/create" | "roots/list")
}

/// The answer to a question that nobody can answer.
pub(super) fn cannot(method: &str) -> RpcError {
    RpcError::new(code::METHOD_NOT_FOUND, format!("the client cannot answer {method}"))
}
