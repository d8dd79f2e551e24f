//! A client who knows no tasks, and a tool that can only be one: the task is begun for him, followed to its end, and what
//! came of it is the answer to his call. When he gives up, so does the task.

use std::{collections::HashSet, sync::Arc, time::Duration};

use router_core::{
    Cx, Error, Kind, Outcome, Peer, Raw, Reply, Result,
    tool::{Answer, ToolCall},
};
use tokio::time::{sleep, timeout};

use super::{Act, Form, Front, Handle, ID, RESULT_MAX};
use crate::{
    catalog::TASKS_EXTENSION,
    client::{CLIENT_CAPABILITIES, MODERN_VERSION, PROTOCOL_VERSION, failure, modern_capabilities},
    fields,
    rpc::{self, RpcError, code},
    server::{rounds, state},
};

/// How often a task is looked at, when its server does not say.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

impl Front {
    /// Waits for what comes of a task of 2025-11-25.
    pub(super) async fn core_to_its_end(&self, cx: &Cx, handle: &Handle) -> Result<Raw> {
        let wanted = Wanted::new(self, cx, handle, None);
        wanted.over(self.core_result(cx, handle).await)
    }

    /// Calls a tool of a modern server that answers only those who take tasks.
    pub(super) async fn extension_to_its_end(&self, cx: &Cx, call: ToolCall) -> Result<Answer> {
        let meta = meta(cx.peer());
        let extra = call.extra.clone().unwrap_or_else(fields::empty);
        let said = fields::get(&extra, "_meta").unwrap_or_else(fields::empty);
        let added: Vec<_> = fields::entries(&meta);
        let added: Vec<_> = added.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let extra = fields::with_field(&extra, "_meta", &fields::with_fields(&said, &added));
        let answer = rounds::complete(cx, &self.0.setup.tools, ToolCall { extra: Some(extra), ..call }).await?;
        let begun = fields::text(&answer.result, ID).filter(|_| rounds::is_task(&answer.result));
        let Some((id, server)) = begun.zip(answer.provenance().upstream.clone()) else { return Ok(answer) };
        let handle = Handle { form: Form::Extension, server: server.to_string(), id };
        let wanted = Wanted::new(self, cx, &handle, Some(meta.clone()));
        let late = |_| Error::new(Kind::Deadline, "the task has not ended within 10 min").outcome_is(Outcome::Unknown);
        let followed = timeout(RESULT_MAX, self.follow(cx, (&handle, &meta), answer.result.clone())).await;
        let result = wanted.over(followed.map_err(late).and_then(|ended| ended))?;
        let mut whole = answer.told_as(result);
        whole.is_interim = false;
        Ok(whole)
    }

    /// Looks at a task until it has ended; what its server wants to know meanwhile is asked.
    async fn follow(&self, cx: &Cx, (handle, meta): (&Handle, &Raw), begun: Raw) -> Result<Raw> {
        let (mut task, mut asked) = (begun, HashSet::new());
        loop {
            match fields::text(&task, "status").as_deref() {
                Some("completed") => return fields::get(&task, "result").ok_or_else(|| nothing("result")),
                Some("failed") => {
                    let error = fields::get(&task, "error").and_then(|error| RpcError::parse(error.bytes()));
                    return Err(error.map_or_else(|| nothing("error"), |error| failure(&error)));
                }
                Some("cancelled") => return Err(failure(&RpcError::new(code::INTERNAL, "the task was cancelled"))),
                _ => {}
            }
            let wanted = fields::get(&task, state::REQUESTS).map(|all| fields::entries(&all)).unwrap_or_default();
            let new: Vec<_> = wanted.into_iter().filter(|(key, _)| asked.insert(key.clone())).collect();
            if new.is_empty() {
                // That the work takes its time is no silence of the server.
                let _hold = cx.pulse().hold();
                cx.wait(sleep(pause(&task))).await?;
            } else {
                let answers = rounds::ask_all(cx, &new).await?;
                let params = fields::with_field(&named(handle, Some(meta)), state::RESPONSES, &answers);
                self.of_server(cx, handle, Act::Update.errand(params)).await?;
            }
            task = self.of_server(cx, handle, Act::Get.errand(named(handle, Some(meta)))).await?.result;
        }
    }
}

/// What a modern request of ours says for a client of the other era.
fn meta(client: &Arc<dyn Peer>) -> Raw {
    let capabilities = modern_capabilities(&client.capabilities());
    let capabilities = fields::with_path(&capabilities, &["extensions", TASKS_EXTENSION], &fields::empty());
    let version = rpc::quoted(MODERN_VERSION);
    fields::with_fields(&fields::empty(), &[(PROTOCOL_VERSION, &version), (CLIENT_CAPABILITIES, &capabilities)])
}

fn named(handle: &Handle, meta: Option<&Raw>) -> Raw {
    let params = fields::with_field(&fields::empty(), ID, &rpc::quoted(&handle.id));
    meta.into_iter().fold(params, |params, meta| fields::with_field(&params, "_meta", meta))
}

fn nothing(what: &str) -> Error {
    Error::new(Kind::Protocol, format!("a task has ended without its {what}"))
}

fn pause(task: &Raw) -> Duration {
    let said = fields::number(task, "pollIntervalMs").map(Duration::from_millis);
    said.unwrap_or(LOOK).clamp(LOOK_MIN, LOOK_MAX)
}

/// A task that somebody waits for; dropped before its end, it is cancelled.
struct Wanted<'a> {
    front: &'a Front,
    cx: &'a Cx,
    handle: &'a Handle,
    meta: Option<Raw>,
    is_over: bool,
}

impl<'a> Wanted<'a> {
    fn new(front: &'a Front, cx: &'a Cx, handle: &'a Handle, meta: Option<Raw>) -> Self {
        Self { front, cx, handle, meta, is_over: false }
    }

    /// It is over when its server says so.
    fn over(mut self, ended: Result<Raw>) -> Result<Raw> {
        self.is_over = ended.as_ref().err().is_none_or(|error| error.words().is_some());
        ended
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (front, handle) = (self.front.clone(), self.handle.clone());
        let cx = Cx::new(Arc::new(self.cx.caller().clone()), FAREWELL_MAX).with_peer(Arc::clone(self.cx.peer()));
        let errand = Act::Cancel.errand(named(&handle, self.meta.as_ref()));
        self.front.0.setup.tasks.spawn(async move {
            // Nobody is there to be told.
            drop(timeout(FAREWELL_MAX, front.of_server(&cx, &handle, errand)).await);
        });
    }
}
