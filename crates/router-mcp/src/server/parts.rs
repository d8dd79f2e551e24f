//! What the front itself reads of a request's parameters, found in one pass.

use router_core::Raw;

use super::meta::META;
use crate::fields;

/// Members of `params`, as they were written.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) meta: Option<Raw>,
    pub(super) name: Option<Raw>,
    pub(super) arguments: Option<Raw>,
    pub(super) uri: Option<Raw>,
    pub(super) task: Option<Raw>,
    /// How a call is to be a task.
    pub(super) wants_task: Option<Raw>,
}

impl Parts {
    pub(super) fn read(params: Option<&Raw>) -> Self {
        let picked = params.map(|params| fields::pick(params, [META, "name", "arguments", "uri", "taskId", "task"]));
        let [meta, name, arguments, uri, task, wants_task] = picked.unwrap_or_default();
        Self { meta, name, arguments, uri, task, wants_task }
    }
}
