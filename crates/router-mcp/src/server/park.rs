//! A modern client and a legacy server: the call that asks something waits here, while its client is given the question
//! for an answer and makes his request again with what was wanted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use router_core::{Cx, Error, Kind, Raw};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Front, Outcome, Question, Told,
    peer::{Ask, Requester},
    session::unguessable,
    state::{RESPONSES, State, Ticket, input_request, input_required, keyed},
};
use crate::{
    fields,
    rpc::{RpcError, code},
};

/// How long a call waits for its client to come back.
const PATIENCE: Duration = Duration::from_mins(5);
/// How many calls may wait.
const MAX_PARKED: usize = 1_000;
/// How many of one caller.
const MAX_OF_CALLER: usize = 100;
/// How long after a question another is waited for, that may go with it.
const TOGETHER: Duration = Duration::from_millis(20);
/// How many times.
const TOGETHER_MAX: usize = 10;

/// A call that can outlive the request it began with. Dropping it cancels it: first it is told, then it ends, so that
/// what made it can see why.
struct Running {
    _cancel: DropGuard,
    call: BoxFuture<'static, Outcome>,
    peer: Arc<Requester>,
}

/// A call that waits for its client.
struct Parked {
    owner: Arc<str>,
    running: Running,
    /// What was asked, by the keys under which the answers come.
    open: Vec<(String, Ask)>,
    /// Ends the watch over it.
    _watch: DropGuard,
}

/// The calls that wait. Those of one process: a client whom another replica answers has to begin anew.
#[derive(Default)]
pub(super) struct Lot(Mutex<HashMap<Ticket, Parked>>);

impl Lot {
    fn has_room(&self, owner: &str) -> bool {
        let lot = self.0.lock();
        lot.len() < MAX_PARKED && lot.values().filter(|parked| &*parked.owner == owner).count() < MAX_OF_CALLER
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    fn put(&self, ticket: Ticket, parked: Parked) {
        self.0.lock().insert(ticket, parked);
    }

    fn take(&self, ticket: Ticket) -> Option<Parked> {
        self.0.lock().remove(&ticket)
    }
}

impl Front {
    /// Runs a call that may have to ask its client.
    pub(super) async fn attend(&self, cx: &Cx, question: Question, out: mpsc::Sender<Bytes>) -> Outcome {
        let (question, cancel) = (Arc::new(question), CancellationToken::new());
        let peer = Arc::new(question.requester(out));
        let (front, own, asked) = (self.clone(), cx.clone().with_cancel(cancel.clone()), Arc::clone(&question));
        let back = Arc::clone(&peer);
        let call = async move { front.drive(own, &asked, back).await }.boxed();
        self.see(cx, &question, Running { _cancel: cancel.drop_guard(), call, peer }).await
    }

    /// Goes on with a call whose client is back.
    pub(super) async fn resume(
        &self,
        cx: &Cx,
        question: Question,
        ticket: Ticket,
        out: mpsc::Sender<Bytes>,
    ) -> Outcome {
        let Some(Parked { running, open, .. }) = self.0.lot.take(ticket) else { return Some(Err(gone())) };
        let answers = match answers(&question, &open) {
            Ok(answers) => answers,
            Err(error) => {
                self.keep(ticket, cx, &question, (running, open));
                return Some(Err(error));
            }
        };
        running.peer.meet(question.present(Some(out)));
        let mut missing = Vec::new();
        for (key, ask) in open {
            match fields::get(&answers, &key) {
                // Who asked may have gone meanwhile; then nobody waits for this.
                Some(answer) => drop(ask.answer.send(answer)),
                None => missing.push((key, ask)),
            }
        }
        if missing.is_empty() {
            return self.see(cx, &question, running).await;
        }
        Some(self.park(cx, &question, running, missing))
    }

    /// Waits for the end of a call, or for what its server wants to know before.
    async fn see(&self, cx: &Cx, question: &Question, mut running: Running) -> Outcome {
        tokio::select! {
            biased;
            outcome = running.call.as_mut() => return outcome,
            () = running.peer.rings() => {}
        }
        all_asked(&running.peer).await;
        let numbered = running.peer.questions().into_iter().enumerate();
        let open = numbered.map(|(place, ask)| ((place + 1).to_string(), ask)).collect();
        Some(self.park(cx, question, running, open))
    }

    /// The questions as an answer, and the call where it can be found again.
    fn park(&self, cx: &Cx, question: &Question, running: Running, open: Vec<(String, Ask)>) -> Result<Told, RpcError> {
        if !self.0.lot.has_room(&cx.caller().name) {
            let full = Error::new(Kind::Shed, "too many calls wait for answers of their clients");
            return question.fails(&full);
        }
        let ticket = unguessable().ok().and_then(|ticket| Ticket::from_str_radix(&ticket, 16).ok());
        let ticket = ticket.ok_or_else(|| RpcError::new(code::INTERNAL, "no randomness"))?;
        let state = State::Parked(ticket).close(&self.0.setup.seal, cx, question)?;
        let requests: Vec<_> =
            open.iter().map(|(key, ask)| (key.clone(), input_request(&ask.method, &ask.params))).collect();
        self.keep(ticket, cx, question, (running, open));
        let told = input_required(&keyed(&requests), &state);
        Ok(Told { result: self.0.shape.fit(&told, &question.method, question.version), ..told })
    }

    /// Keeps a call until its client is back, but not for ever.
    fn keep(&self, ticket: Ticket, cx: &Cx, question: &Question, (running, open): (Running, Vec<(String, Ask)>)) {
        running.peer.meet(question.present(None));
        let watch = CancellationToken::new();
        let (taken, front) = (watch.clone(), self.clone());
        let over = question.session.as_ref().map(|session| session.over.clone()).unwrap_or_default();
        let owner = Arc::clone(&cx.caller().name);
        self.0.lot.put(ticket, Parked { owner, running, open, _watch: watch.drop_guard() });
        self.0.setup.tasks.spawn(async move {
            let ended = async {
                tokio::select! {
                    () = sleep(PATIENCE) => {}
                    () = over.cancelled() => {}
                    () = front.0.setup.closing.cancelled() => {}
                }
            };
            if taken.run_until_cancelled(ended).await.is_some() {
                drop(front.0.lot.take(ticket));
            }
        });
    }
}

/// Waits for the questions that come together, until none has come for a while.
pub(super) async fn all_asked(peer: &Requester) {
    let mut asked = 0;
    for _ in 0..TOGETHER_MAX {
        let pending = peer.pending();
        if pending == asked {
            return;
        }
        asked = pending;
        sleep(TOGETHER).await;
    }
}

fn gone() -> RpcError {
    let message = "the call that asked does not wait any more: make the request again without `requestState`";
    RpcError::new(code::INVALID_PARAMS, message)
}

/// What the client says to the questions, when all of it can be an answer.
fn answers(question: &Question, open: &[(String, Ask)]) -> Result<Raw, RpcError> {
    let wrong = |what: String| RpcError::new(code::INVALID_PARAMS, what);
    let answers = question.params.as_ref().and_then(|params| fields::get(params, RESPONSES));
    let answers = answers.unwrap_or_else(fields::empty);
    if !fields::is_object(&answers) {
        return Err(wrong("`inputResponses` has to be an object".to_owned()));
    }
    for (key, ask) in open {
        let Some(answer) = fields::get(&answers, key) else { continue };
        if !fits(&ask.method, &answer) {
            return Err(wrong(format!("inputResponses.{key} is no answer to {}", ask.method)));
        }
    }
    Ok(answers)
}

/// Whether a server that asked this could read the answer.
pub(super) fn fits(method: &str, answer: &Raw) -> bool {
    let needs = match method {
        "elicitation/create" => {
            let action = fields::text(answer, "action");
            return matches!(action.as_deref(), Some("accept" | "decline" | "cancel"));
        }
        "sampling/createMessage" => "content",
        "roots/list" => "roots",
        _ => return fields::is_object(answer),
    };
    fields::get(answer, needs).is_some()
}
