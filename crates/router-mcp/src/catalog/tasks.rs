//! The tasks of many servers as those of one: what they can do together, and a list of which each caller sees his own.

use router_core::{
    Caller, Cx, Error, Raw, Repeat, Result,
    tool::{Answer, Errand, ToolCall},
};
use serde_json::{Value, json};

use super::{
    Catalog, Owner,
    item::{Item, TaskSupport},
    shelf::{Company, Shelf},
};
use crate::{
    client::failure,
    fields,
    rpc::{RpcError, code},
};

/// How the modern revision names the extension.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The capability of the revision 2025-11-25.
const TASKS: &str = "tasks";
/// How many pages of servers are read for one of ours, when there is nothing for the caller on them.
const PAGES_MAX: usize = 20;

/// What servers can do with tasks that have been reached.
#[expect(clippy::struct_excessive_bools, reason = "each is a capability by itself")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tasks {
    /// A tool can be called as a task, in the way of 2025-11-25.
    pub(crate) calls: bool,
    pub(crate) list: bool,
    pub(crate) cancel: bool,
    /// A tool may answer with a task, in the way of the modern extension.
    pub(crate) extension: bool,
}

impl Tasks {
    /// The capability of 2025-11-25; `None` where no tool can be called as a task: the rest is of no use then.
    pub(crate) fn core(self) -> Option<Value> {
        let mut core = json!({ "requests": { "tools": { "call": {} } } });
        let more = [("list", self.list), ("cancel", self.cancel)].into_iter().filter(|(_, has)| *has);
        core.as_object_mut()?.extend(more.map(|(name, _)| (name.to_owned(), json!({}))));
        self.calls.then_some(core)
    }

    /// Whether a modern client can be given tasks: those of the other way are told in his.
    pub(crate) fn for_modern(self) -> bool {
        self.calls || self.extension
    }
}

/// Where a list of tasks goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// The server; empty: the first.
    pub(crate) server: String,
    /// Its own cursor, as it wrote it.
    pub(crate) cursor: Option<Raw>,
}

impl Place {
    pub(crate) fn written(&self) -> Vec<u8> {
        let cursor = self.cursor.as_ref().map_or("", Raw::as_str);
        // No server's name holds a line break.
        format!("{}\n{cursor}", self.server).into_bytes()
    }

    pub(crate) fn read(written: &[u8]) -> Option<Self> {
        let (server, cursor) = std::str::from_utf8(written).ok()?.split_once('\n')?;
        let cursor = (!cursor.is_empty()).then(|| Raw::trusted(cursor.to_owned()));
        Some(Self { server: server.to_owned(), cursor })
    }
}

impl Catalog {
    /// What can be done with tasks here. Only what a server has said counts: nobody is promised more.
    pub(crate) fn tasks(&self) -> Tasks {
        let mut all = Tasks::default();
        for shelf in self.view.servers.iter().map(|shown| &shown.shelf) {
            let Some(said) = shelf.capabilities() else { continue };
            let has = |path: &[&str]| fields::get_path(&said, path).is_some();
            all.calls |= shelf.does_tasks();
            all.list |= has(&[TASKS, "list"]);
            all.cancel |= has(&[TASKS, "cancel"]);
            all.extension |= has(&["extensions", EXTENSION]);
        }
        all
    }

    /// Takes down whose a task is.
    pub(crate) fn enter_task(&self, server: &str, id: &str, owner: Owner) {
        let shown = self.view.servers.iter().find(|shown| *shown.shelf.offer.name == *server);
        if let Some(shown) = shown {
            shown.shelf.ledger.enter(id, owner);
        }
    }

    /// A page of a caller's tasks, and where the next begins. A server that stands alone has its own words around them.
    pub(crate) async fn task_page(&self, cx: &Cx, params: &Raw, place: Place) -> Result<(Raw, Option<Place>)> {
        let lists = |shelf: &&Shelf| shelf.said(&[TASKS, "list"]).is_some();
        let shelves: Vec<&Shelf> = self.view.servers.iter().map(|shown| &*shown.shelf).filter(lists).collect();
        let is_alone = self.view.company == Company::Alone;
        let mut page = fields::with_field(&fields::empty(), TASKS, &fields::array([]));
        let mut next = Some(place);
        for _ in 0..PAGES_MAX {
            let Some(Place { server, cursor }) = next.take() else { break };
            let at = shelves.iter().position(|shelf| server.is_empty() || *shelf.offer.name == *server);
            let Some((at, here)) = at.and_then(|at| Some((at, shelves.get(at)?))) else { break };
            let after = shelves.get(at + 1).map(|shelf| Place { server: shelf.offer.name.to_string(), cursor: None });
            let told = match list(here, cx, params, cursor).await {
                Ok(told) => told.result,
                Err(error) if is_alone => return Err(error),
                Err(error) => {
                    tracing::warn!(server = %here.offer.name, %error, "left out of a list of tasks");
                    next = after;
                    continue;
                }
            };
            let cursor = fields::get(&told, "nextCursor").filter(|cursor| cursor.as_str() != "null");
            next = cursor.map(|cursor| Place { server: here.offer.name.to_string(), cursor: Some(cursor) }).or(after);
            let own = own_tasks(here, cx.caller(), &told);
            let frame = if is_alone { fields::without_field(&told, "nextCursor") } else { page };
            page = fields::with_field(&frame, TASKS, &fields::array(&own));
            if !own.is_empty() {
                break;
            }
        }
        Ok((page, next))
    }
}

async fn list(shelf: &Shelf, cx: &Cx, params: &Raw, cursor: Option<Raw>) -> Result<Answer> {
    let params = fields::without_field(params, "cursor");
    let params = cursor.iter().fold(params, |params, cursor| fields::with_field(&params, "cursor", cursor));
    let errand = Errand { repeat: Repeat::Safe, ..Errand::new("tasks/list", Some(params)) };
    shelf.errand(cx, errand).await
}

/// A caller's own tasks of a page, under the names that he knows.
fn own_tasks(shelf: &Shelf, caller: &Caller, page: &Raw) -> Vec<Raw> {
    let all = fields::get(page, TASKS).map(|tasks| fields::elements(&tasks)).unwrap_or_default();
    let own = |task: Raw| {
        let owner = shelf.ledger.owner(&fields::text(&task, "taskId")?).filter(|owner| owner.is(caller))?;
        Some(fields::with_field(&task, "taskId", &crate::rpc::quoted(&owner.handle)))
    };
    all.into_iter().filter_map(own).collect()
}

impl Shelf {
    /// Whether its tools can be called as tasks in the way of 2025-11-25.
    pub(super) fn does_tasks(&self) -> bool {
        self.said(&[TASKS, "requests", "tools", "call"]).is_some()
    }
}

/// Whether a call that is none should be a task: where it has to, and where a client takes tasks who, in his era, leaves it
/// to the server.
pub(super) fn is_wanted(cx: &Cx, call: &ToolCall, (shelf, tool): (&Shelf, &Item)) -> bool {
    let is_one = call.extra.as_ref().is_some_and(|extra| fields::get(extra, "task").is_some());
    let takes = || fields::get_path(&cx.peer().capabilities(), &["extensions", EXTENSION]).is_some();
    !is_one && shelf.does_tasks() && (tool.task == TaskSupport::Required || takes())
}

/// What stands in the data of [`required`].
const REQUIRED: &str = r#"{"taskSupport":"required"}"#;

/// What 2025-11-25 has for a call that should have been a task. Its server need not be asked to say so.
pub(super) fn required(tool: &str) -> Error {
    let message = format!("the tool {tool} runs as a task: call it with `task`");
    failure(&RpcError::new(code::METHOD_NOT_FOUND, message).with_data(Raw::trusted(REQUIRED)))
}

/// Whether an error says that.
pub(crate) fn is_required(error: &RpcError) -> bool {
    error.code == code::METHOD_NOT_FOUND && error.data.as_ref().is_some_and(|data| data.as_str() == REQUIRED)
}
