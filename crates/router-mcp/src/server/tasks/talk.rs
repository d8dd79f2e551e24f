//! What a server of 2025-11-25 asks about a task, for a modern client: it asks whoever waits for the result, so somebody
//! waits here, and the client finds the questions when he looks at the task.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use router_core::{Cx, Raw};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Front, Handle, Question, RESULT_MAX, Told};
use crate::{
    fields, rpc,
    rpc::{RpcError, code},
    server::{
        park::{all_asked, fits},
        peer::{Ask, Requester, Way},
        state::{REQUESTS, RESPONSES, input_request, keyed},
    },
};

/// How many tasks may be waited for.
const TALKS_MAX: usize = 1_000;
/// How long the first question may take after the server said that there is one.
const FIRST_MAX: Duration = Duration::from_secs(2);

/// The tasks that are waited for, by the names that their clients know.
#[derive(Default)]
pub(in crate::server) struct Talks(Mutex<HashMap<Box<str>, Arc<Talk>>>);

struct Talk {
    peer: Arc<Requester>,
    asked: Mutex<Asked>,
    /// Ends the waiting.
    _wait: DropGuard,
}

/// The questions that are open, and how many there were in all: no key comes twice.
#[derive(Default)]
struct Asked {
    open: Vec<(String, Ask)>,
    count: usize,
}

impl Talks {
    /// Nobody wants to hear more of the task.
    pub(super) fn end(&self, name: &str) {
        self.0.lock().remove(name);
    }

    fn find(&self, name: &str) -> Option<Arc<Talk>> {
        self.0.lock().get(name).map(Arc::clone)
    }
}

impl Talk {
    /// What is asked by now, each question under its key; `None` when nothing is.
    fn requests(&self) -> Option<Raw> {
        let mut asked = self.asked.lock();
        for ask in self.peer.questions() {
            asked.count += 1;
            let key = asked.count.to_string();
            asked.open.push((key, ask));
        }
        // Who asked may have gone meanwhile; then nobody waits for an answer.
        asked.open.retain(|(_, ask)| !ask.answer.is_closed());
        let each = asked.open.iter().map(|(key, ask)| (key.clone(), input_request(&ask.method, &ask.params)));
        let each: Vec<_> = each.collect();
        (!each.is_empty()).then(|| keyed(&each))
    }

    fn answer(&self, key: &str, answer: Raw) -> Result<(), RpcError> {
        let mut asked = self.asked.lock();
        let Some(place) = asked.open.iter().position(|(known, _)| known == key) else { return Ok(()) };
        if asked.open.get(place).is_some_and(|(_, ask)| !fits(&ask.method, &answer)) {
            let message = format!("inputResponses.{key} is no answer to what was asked");
            return Err(RpcError::new(code::INVALID_PARAMS, message));
        }
        let (_, ask) = asked.open.swap_remove(place);
        drop(ask.answer.send(answer));
        Ok(())
    }
}

impl Front {
    /// The task with what its server wants to know. It is at work, for all that can be said, while nothing is asked yet.
    pub(super) async fn with_questions(
        &self,
        cx: &Cx,
        question: &Question,
        (handle, name): (&Handle, &str),
        task: &Raw,
    ) -> Raw {
        let working = || fields::with_field(task, "status", &rpc::quoted("working"));
        let Some(waits) = self.talk(cx, question, (handle, name)) else { return working() };
        let mut requests = waits.requests();
        if requests.is_none() && timeout(FIRST_MAX, waits.peer.rings()).await.is_ok() {
            all_asked(&waits.peer).await;
            requests = waits.requests();
        }
        requests.map_or_else(working, |requests| asking(task, &requests))
    }

    /// The task with the questions about it that are open, if there are any.
    pub(super) fn with_open_questions(&self, name: &str, task: Raw) -> Raw {
        match self.0.talks.find(name).and_then(|talk| talk.requests()) {
            Some(requests) => asking(&task, &requests),
            None => task,
        }
    }

    /// What a modern client says to the questions. A key that is none is no error: it may have been answered already.
    pub(super) fn answer_core(&self, name: &str, params: &Raw) -> Result<Told, RpcError> {
        let answers = fields::get(params, RESPONSES).filter(fields::is_object);
        let wrong = || RpcError::new(code::INVALID_PARAMS, "`inputResponses` has to be an object");
        let answers = fields::entries(&answers.ok_or_else(wrong)?);
        if let Some(talk) = self.0.talks.find(name) {
            answers.into_iter().try_for_each(|(key, answer)| talk.answer(&key, answer))?;
        }
        Ok(fields::empty().into())
    }

    /// Waits for the result of the task, so that its server can ask; `None` when too many are waited for.
    fn talk(&self, cx: &Cx, question: &Question, (handle, name): (&Handle, &str)) -> Option<Arc<Talk>> {
        let mut talks = self.0.talks.0.lock();
        if let Some(talk) = talks.get(name) {
            return Some(Arc::clone(talk));
        }
        if talks.len() >= TALKS_MAX {
            return None;
        }
        let capabilities = question.meta.capabilities.clone().unwrap_or_else(fields::empty);
        let peer = Arc::new(Requester::new(capabilities, Way::Answer, question.present(None)));
        let ended = CancellationToken::new();
        let talk =
            Arc::new(Talk { peer: Arc::clone(&peer), asked: Mutex::default(), _wait: ended.clone().drop_guard() });
        talks.insert(name.into(), Arc::clone(&talk));
        drop(talks);
        let cx = Cx::new(Arc::new(cx.caller().clone()), RESULT_MAX).with_peer(peer).with_cancel(ended.clone());
        let (front, handle, name) = (self.clone(), handle.clone(), name.to_owned());
        self.0.setup.tasks.spawn(async move {
            let closing = front.0.setup.closing.clone();
            let heard = ended.run_until_cancelled(front.core_result(&cx, &handle));
            // The result is asked for again when its client comes for it.
            let _ = closing.run_until_cancelled(heard).await;
            front.0.talks.end(&name);
        });
        Some(talk)
    }
}

fn asking(task: &Raw, requests: &Raw) -> Raw {
    fields::with_fields(task, &[("status", &rpc::quoted("input_required")), (REQUESTS, requests)])
}
