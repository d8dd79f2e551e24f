//! Who waits for an answer, and what of the server's talk meanwhile is for him.

use std::sync::Arc;

use router_core::{Cx, Kind, Note, Raw};

use super::{Surroundings, eras, session::Reply};
use crate::{
    fields,
    rpc::{RpcError, code},
};

/// The caller of one request, as the connection sees him.
#[derive(Clone)]
pub(super) struct Listener {
    cx: Cx,
    /// His own progress token; without one he asked for no progress.
    token: Option<Raw>,
}

pub(super) const PROGRESS: &str = "notifications/progress";
pub(super) const MESSAGE: &str = "notifications/message";
pub(super) const VISITED: &str = "notifications/elicitation/complete";
/// How a task goes, as servers of 2025-11-25 tell it.
pub(crate) const TASK: &str = "notifications/tasks/status";
pub(super) const ROOTS: &str = "roots/list";

impl Listener {
    pub(super) fn new(cx: &Cx, token: Option<Raw>) -> Self {
        Self { cx: cx.clone(), token }
    }

    /// Who asks.
    pub(super) fn caller(&self) -> &Arc<str> {
        &self.cx.caller().name
    }

    /// Whether it is the router itself that asks: nothing that a server says unasked is about that.
    pub(super) fn is_router(&self) -> bool {
        self.cx.caller().is_router()
    }

    /// Whether he has a question to answer already.
    pub(super) fn is_asked(&self) -> bool {
        self.cx.pulse().is_held()
    }

    /// Whether he gave up by himself, which tells nothing about the server.
    pub(super) fn has_left(&self) -> bool {
        self.cx.cancel().is_cancelled()
    }

    /// Whether a question is for him. One for roots is, where he has any; otherwise the configuration answers it.
    pub(super) fn can_hear(&self, method: &str) -> bool {
        method != ROOTS || fields::get(&self.cx.peer().capabilities(), "roots").is_some()
    }

    /// A notification that belongs to this request: a sign of life, and news for whoever asked for it.
    pub(super) fn hear(&self, method: Arc<str>, params: Option<Raw>) {
        self.cx.pulse().beat();
        let Some(params) = params else { return };
        let params = match (&*method, &self.token) {
            (PROGRESS, Some(token)) => eras::with_token(&params, token),
            (MESSAGE, _) => params,
            (method, _) if is_foreign(method) => params,
            _ => return,
        };
        self.cx.peer().notify(Note { method, params });
    }

    /// Puts a question of the server to the caller, for as long as he waits himself. No clock runs until he answers.
    pub(super) async fn answer(&self, method: &str, params: Option<Raw>) -> Result<Raw, RpcError> {
        let params = params.unwrap_or_else(|| Raw::trusted("{}"));
        let _hold = self.cx.pulse().hold();
        let answered = tokio::select! {
            answered = self.cx.peer().ask(method, params) => answered,
            () = self.cx.cancel().cancelled() => return Err(RpcError::new(code::INTERNAL, "the caller has gone")),
        };
        match answered {
            Ok(answer) => Ok(answer),
            Err(error) if error.kind() == Kind::Refused => Err(cannot(method)),
            Err(error) if error.kind() == Kind::Cancelled => {
                // Whoever was to answer will not come back, not for the result either.
                self.cx.cancel().cancel();
                Err(RpcError::new(code::INTERNAL, error.to_string()))
            }
            Err(error) => Err(RpcError::new(code::INTERNAL, error.to_string())),
        }
    }
}

/// Whether a notification is none of the protocol itself: what it means only its server and its client know.
pub(super) fn is_foreign(method: &str) -> bool {
    const OWN: [&str; 10] = [
        "cancelled",
        "progress",
        "message",
        "initialized",
        "roots/",
        "resources/",
        "tools/",
        "prompts/",
        "elicitation/",
        "tasks",
    ];
    let own = method.strip_prefix("notifications/");
    !own.is_some_and(|own| own.starts_with("subscriptions/") || OWN.iter().any(|known| own.starts_with(known)))
}

/// Who answers a question of a server that is `meant` for somebody; the answer, where nobody has to be asked.
pub(super) fn who_answers(method: &str, meant: Option<Listener>, around: &Surroundings) -> Result<Listener, Reply> {
    match meant.filter(|listener| listener.can_hear(method)) {
        _ if method == "ping" => Err(Ok(fields::empty())),
        None if method == ROOTS => Err(Ok(around.roots())),
        Some(listener) if can_be_relayed(method) => Ok(listener),
        Some(_) | None => Err(Err(cannot(method))),
    }
}

/// Whether a question of a server can be put to a caller at all.
fn can_be_relayed(method: &str) -> bool {
    matches!(method, "sampling/createMessage" | "elicitation/create" | ROOTS)
}

/// The answer to one question too many.
pub(super) fn too_much() -> RpcError {
    RpcError::new(code::INTERNAL, "too much is asked at once")
}

/// The answer to a question that nobody can answer.
fn cannot(method: &str) -> RpcError {
    RpcError::new(code::METHOD_NOT_FOUND, format!("the client cannot answer {method}"))
}
