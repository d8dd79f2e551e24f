//! Tasks: work of a server that goes on when the request that began it is answered. Clients of 2025-11-25 ask for it and
//! have methods of the protocol for it; modern ones have an extension, and the server decides. What they know a task by
//! is a name of ours: it leads to the task's server, and is of use to nobody else.

mod bridge;
mod handle;
mod talk;
mod whole;

use std::{sync::Arc, time::Duration};

use router_core::{
    Cx, Error, Kind, Note, Outcome, Peer, Raw, Repeat, Reply, Result as CoreResult, SessionMark,
    tool::{Answer, Errand},
};
use serde_json::json;
use tokio::time::timeout;

use self::handle::Form;
pub(super) use self::{handle::Handle, talk::Talks};
use super::{Front, Question, Told, failure, rounds::is_task, shape, version::Version};
use crate::{
    catalog::{Owner, Place, TASKS_EXTENSION},
    fields,
    rpc::{self, RpcError, code},
    seal::Bound,
};

/// The field of a task that names it.
const ID: &str = "taskId";
/// The object of a message of 2025-11-25 that says which task it belongs to.
const RELATED: [&str; 2] = ["_meta", "io.modelcontextprotocol/related-task"];
/// How long somebody waits for the result of a task; after that he has to ask again.
const RESULT_MAX: Duration = Duration::from_mins(10);
/// How long a cursor of the list of tasks counts.
const CURSOR_LASTS: Duration = Duration::from_hours(1);
const LIST: &str = "tasks/list";

/// What can be asked of a task that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Get,
    Result,
    Update,
    Cancel,
}

impl Act {
    fn method(self) -> &'static str {
        match self {
            Self::Get => "tasks/get",
            Self::Result => "tasks/result",
            Self::Update => "tasks/update",
            Self::Cancel => "tasks/cancel",
        }
    }

    /// What a method asks of a task, in the revisions that have it.
    fn of(method: &str, version: Version) -> Option<Self> {
        let all: &[Self] = match version {
            Version::First | Version::Batching | Version::Elicitation => &[],
            Version::LastLegacy => &[Self::Get, Self::Result, Self::Cancel],
            Version::Modern => &[Self::Get, Self::Update, Self::Cancel],
        };
        all.iter().copied().find(|act| act.method() == method)
    }

    /// The question of it to a server.
    fn errand(self, params: Raw) -> Errand {
        let repeat = match self {
            Self::Get | Self::Result => Repeat::Safe,
            Self::Update | Self::Cancel => Repeat::Unsafe,
        };
        Errand { repeat, ..Errand::new(self.method(), Some(params)) }
    }
}

impl Front {
    /// Answers what is asked of tasks; `None` when the method is no such question in the client's revision, or no server
    /// here has tasks.
    pub(super) async fn task(&self, cx: &Cx, question: &Question) -> Option<Result<Told, RpcError>> {
        let (is_modern, tasks) = (question.version.is_modern(), self.0.setup.catalog.tasks());
        if !(if is_modern { tasks.for_modern() } else { tasks.calls }) {
            return None;
        }
        if &*question.method == LIST && question.version == Version::LastLegacy {
            return Some(self.list_tasks(cx, question).await);
        }
        let act = Act::of(&question.method, question.version)?;
        if is_modern && !question.takes_tasks() {
            return Some(Err(lacking()));
        }
        Some(self.ask_task(cx, question, act).await)
    }

    async fn ask_task(&self, cx: &Cx, question: &Question, act: Act) -> Result<Told, RpcError> {
        let params = question.params.clone().unwrap_or_else(fields::empty);
        let name = question.parts.task.as_ref().and_then(fields::said);
        let name = name.ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`taskId` is missing, or no string"))?;
        let handle = Handle::open(&self.0.setup.seal, cx.caller(), &name).ok_or_else(unknown)?;
        match (handle.form, question.version.is_modern()) {
            (Form::Core, true) => self.ask_core(cx, question, (act, &handle, &name)).await,
            (Form::Extension, false) => Err(unknown()),
            (Form::Core, false) | (Form::Extension, true) => {
                let params = renamed(&params, &handle.id);
                let answered = match act {
                    Act::Result => self.result_of(cx, &handle, Some(&name), params).await,
                    Act::Get | Act::Update | Act::Cancel => self.of_server(cx, &handle, act.errand(params)).await,
                };
                self.tell(cx, question, answered.map(|answer| in_our_words(answer, &name)))
            }
        }
    }

    async fn of_server(&self, cx: &Cx, handle: &Handle, errand: Errand) -> CoreResult<Answer> {
        self.0.setup.catalog.errand_to(&handle.server, cx, errand).await
    }

    /// Waits for what comes of a task. That takes as long as it takes: no clock of the server runs meanwhile, and what it
    /// asks goes to whoever waits.
    async fn result_of(&self, cx: &Cx, handle: &Handle, name: Option<&str>, params: Raw) -> CoreResult<Answer> {
        let _hold = cx.pulse().hold();
        let ours = name.map(str::to_owned);
        let related = Related { client: Arc::clone(cx.peer()), own: handle.id.clone(), ours };
        let cx = cx.clone().with_peer(Arc::new(related));
        let late = |_| {
            let error = Error::new(Kind::Deadline, "the task has not ended within 10 min").outcome_is(Outcome::Unknown);
            error.hint("ask for it again: it goes on")
        };
        timeout(RESULT_MAX, self.of_server(&cx, handle, Act::Result.errand(params))).await.map_err(late)?
    }

    /// The answer to a call that began a task: its name is ours, and whose it is, is taken down. Any other answer is told
    /// as it is.
    pub(super) fn tell_begun(&self, cx: &Cx, question: &Question, answer: Answer) -> Result<Told, RpcError> {
        let Some(server) = answer.provenance().upstream.clone() else { return self.tell(cx, question, Ok(answer)) };
        let (path, form): (&[&str], _) = match question.version {
            Version::Modern if is_task(&answer.result) => (&[ID], Form::Extension),
            Version::LastLegacy => (&["task", ID], Form::Core),
            Version::First | Version::Batching | Version::Elicitation | Version::Modern => {
                return self.tell(cx, question, Ok(answer));
            }
        };
        let Some(id) = fields::get_path(&answer.result, path).and_then(|id| fields::said(&id)) else {
            return self.tell(cx, question, Ok(answer));
        };
        let handle = Handle { form, server: server.to_string(), id };
        let name = self.enter_task(cx, &handle).map_err(|error| failure::of(&error, question.version))?;
        let result = fields::with_path(&answer.result, path, &rpc::quoted(&name));
        Ok(shape::told(&answer.told_as(result)))
    }

    /// Gives a task its name, and takes down whose it is.
    fn enter_task(&self, cx: &Cx, handle: &Handle) -> CoreResult<String> {
        let name = handle.name(&self.0.setup.seal, cx.caller())?;
        let caller = cx.caller();
        let owner = Owner {
            caller: Arc::clone(&caller.name),
            tenant: caller.tenant.clone(),
            session: cx.peer().session().map(|session| session.id),
            handle: name.as_str().into(),
        };
        self.0.setup.catalog.enter_task(&handle.server, &handle.id, owner);
        Ok(name)
    }

    /// The caller's own tasks, server after server.
    async fn list_tasks(&self, cx: &Cx, question: &Question) -> Result<Told, RpcError> {
        let seal = &self.0.setup.seal;
        let params = question.params.clone().unwrap_or_else(fields::empty);
        let bound = Bound::to_caller(LIST, cx.caller());
        let place = match fields::get(&params, "cursor").filter(|cursor| cursor.as_str() != "null") {
            None => Place::default(),
            Some(cursor) => {
                let opened = fields::said(&cursor).and_then(|cursor| seal.open(&bound, &cursor).ok());
                let wrong =
                    || RpcError::new(code::INVALID_PARAMS, "unknown cursor: it is none of ours, or has expired");
                opened.and_then(|place| Place::read(&place)).ok_or_else(wrong)?
            }
        };
        let of_ours = |error: Error| failure::of(&error, question.version);
        let (page, next) = self.0.setup.catalog.task_page(cx, &params, place).await.map_err(of_ours)?;
        let Some(next) = next else { return Ok(page.into()) };
        let cursor = seal.close(&bound, CURSOR_LASTS, &next.written()).map_err(of_ours)?;
        Ok(fields::with_field(&page, "nextCursor", &rpc::quoted(&cursor)).into())
    }
}

fn in_our_words(answer: Answer, name: &str) -> Answer {
    let result = renamed(&answer.result, name);
    answer.told_as(result)
}

/// The same under our name for the task, wherever it is named.
fn renamed(result: &Raw, name: &str) -> Raw {
    let name = rpc::quoted(name);
    let [meta, related] = RELATED;
    let mut result = result.clone();
    if fields::get(&result, ID).is_some() {
        result = fields::with_field(&result, ID, &name);
    }
    if fields::get_path(&result, &[meta, related, ID]).is_some() {
        result = fields::with_path(&result, &[meta, related, ID], &name);
    }
    result
}

/// A modern client has to say with each request that he takes tasks.
fn lacking() -> RpcError {
    let data = json!({ "requiredCapabilities": { "extensions": { TASKS_EXTENSION: {} } } });
    let message = format!("the client has to declare the extension {TASKS_EXTENSION}");
    RpcError::new(code::MISSING_CAPABILITY, message).with_data(Raw::trusted(data.to_string()))
}

fn unknown() -> RpcError {
    RpcError::new(code::INVALID_PARAMS, "unknown task: it was not given to this client, or by an earlier router")
}

/// The same without a word of the task that it belongs to.
fn unrelated(message: &Raw) -> Raw {
    let [meta, related] = RELATED;
    let Some(about) = fields::get(message, meta) else { return message.clone() };
    let about = fields::without_field(&about, related);
    match about.as_str() {
        "{}" => fields::without_field(message, meta),
        _ => fields::with_field(message, meta, &about),
    }
}

/// Whoever waits for a task's result, while its server asks him something about it: each side hears its own name of it.
struct Related {
    client: Arc<dyn Peer>,
    own: String,
    /// `None`: the client knows nothing of such names.
    ours: Option<String>,
}

impl Related {
    fn to_client(&self, params: &Raw) -> Raw {
        self.ours.as_ref().map_or_else(|| unrelated(params), |ours| renamed(params, ours))
    }

    fn to_server(&self, answer: &Raw) -> Raw {
        let [meta, related] = RELATED;
        match &self.ours {
            Some(_) => renamed(answer, &self.own),
            None => fields::with_path(answer, &[meta, related, ID], &rpc::quoted(&self.own)),
        }
    }
}

impl Peer for Related {
    fn notify(&self, note: Note) {
        self.client.notify(Note { params: self.to_client(&note.params), ..note });
    }

    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: Raw,
    ) -> std::pin::Pin<Box<dyn Future<Output = CoreResult<Raw>> + Send + 'a>> {
        Box::pin(async move {
            let answer = self.client.ask(method, self.to_client(&params)).await?;
            Ok(self.to_server(&answer))
        })
    }

    fn capabilities(&self) -> Raw {
        self.client.capabilities()
    }

    fn log_level(&self) -> Option<&'static str> {
        self.client.log_level()
    }

    fn session(&self) -> Option<SessionMark> {
        self.client.session()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_has_its_own_questions() {
        use Version::{Elicitation, LastLegacy, Modern};
        for (method, version, expected) in [
            ("tasks/get", Elicitation, None),
            ("tasks/get", LastLegacy, Some(Act::Get)),
            ("tasks/get", Modern, Some(Act::Get)),
            ("tasks/result", LastLegacy, Some(Act::Result)),
            ("tasks/result", Modern, None),
            ("tasks/update", LastLegacy, None),
            ("tasks/update", Modern, Some(Act::Update)),
            ("tasks/cancel", Modern, Some(Act::Cancel)),
            ("tasks/else", Modern, None),
        ] {
            assert_eq!(Act::of(method, version), expected, "{method} {version:?}");
        }
    }

    #[test]
    fn only_the_names_of_the_task_are_changed() {
        let raw = |json: &str| Raw::trusted(json.to_owned());
        for (result, expected) in [
            (r#"{"ttl":1.0,"taskId":"a","x":{"taskId":"a"}}"#, r#"{"ttl":1.0,"taskId":"n","x":{"taskId":"a"}}"#),
            (
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a","y":1.0}},"content":[]}"#,
                r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"n","y":1.0}},"content":[]}"#,
            ),
            (r#"{"content":[ ]}"#, r#"{"content":[ ]}"#),
        ] {
            assert_eq!(renamed(&raw(result), "n"), raw(expected));
        }
    }
}
