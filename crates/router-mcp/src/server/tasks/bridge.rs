//! Tasks across the eras. A modern client has the tasks of a server of 2025-11-25 in the words of the extension; what can be
//! done as a task only, and a client who knows no tasks wants, is waited for here ([`whole`](super::whole)).

use router_core::{
    Cx, Raw, Reply, Result as CoreResult, Upstream,
    tool::{Answer, ToolCall},
};

use super::{Act, Form, Front, Handle, ID, Question, Told, Version, failure, renamed, rpc, shape, unknown, unrelated};
use crate::{
    catalog::{TASKS_EXTENSION, is_required},
    client::without_modern_keys,
    fields,
    rpc::{RpcError, code},
    server::state::keyed,
};

/// What 2025-11-25 calls a thing, and what the extension does.
const WORDS: [(&str, &str); 2] = [("ttl", "ttlMs"), ("pollInterval", "pollIntervalMs")];

impl Front {
    /// A call that was refused because it has to be a task, as a task; `None` when it was refused for another reason, or
    /// its client could have said so himself.
    pub(in crate::server) async fn mended(
        &self,
        cx: &Cx,
        question: &Question,
        call: ToolCall,
        error: &router_core::Error,
    ) -> Option<Result<Told, RpcError>> {
        let said = failure::words(error)?;
        let is_modern = question.version.is_modern();
        let done = if is_required(&said) && question.version != Version::LastLegacy {
            self.core_task(cx, question, call).await
        } else if wants_extension(&said) && !is_modern {
            self.extension_to_its_end(cx, call).await.map(Done::Whole)
        } else {
            return None;
        };
        Some(match done {
            Ok(Done::Begun(answer)) => Ok(shape::told(&answer)),
            Ok(Done::Whole(answer)) => self.tell(cx, question, Ok(answer)),
            Err(error) => self.tell(cx, question, Err(error)),
        })
    }

    /// Calls a tool as a task of 2025-11-25. A modern client who can have tasks is given this one.
    async fn core_task(&self, cx: &Cx, question: &Question, call: ToolCall) -> CoreResult<Done> {
        let extra = call.extra.as_ref().map_or_else(fields::empty, in_legacy_words);
        let call = ToolCall { extra: Some(fields::with_field(&extra, "task", &fields::empty())), ..call };
        let answer = self.0.setup.tools.call(cx, call).await?;
        let task = fields::get(&answer.result, "task");
        let begun = task.as_ref().and_then(|task| fields::text(task, ID)).zip(answer.provenance().upstream.clone());
        let (Some(task), Some((id, server))) = (task, begun) else { return Ok(Done::Whole(answer)) };
        let handle = Handle { form: Form::Core, server: server.to_string(), id };
        if !question.takes_tasks() {
            let result = self.core_to_its_end(cx, &handle).await?;
            return Ok(Done::Whole(answer.told_as(result)));
        }
        let name = self.enter_task(cx, &handle)?;
        let result = fields::with_field(&modernized(&task, &name), "resultType", &Raw::trusted("\"task\""));
        Ok(Done::Begun(answer.told_as(result)))
    }

    /// Answers what a modern client asks of a task of 2025-11-25.
    pub(super) async fn ask_core(
        &self,
        cx: &Cx,
        question: &Question,
        (act, handle, name): (Act, &Handle, &str),
    ) -> Result<Told, RpcError> {
        let params = question.params.clone().unwrap_or_else(fields::empty);
        let answered = match act {
            Act::Get => self.core_state(cx, question, (handle, name)).await,
            Act::Update => return self.answer_core(name, &params),
            Act::Cancel => self.cancel_core(cx, (handle, name), params).await,
            Act::Result => return Err(unknown()),
        };
        self.tell(cx, question, answered)
    }

    /// How a task goes, with what came of it, or what its server wants to know.
    async fn core_state(&self, cx: &Cx, question: &Question, (handle, name): (&Handle, &str)) -> CoreResult<Answer> {
        let params = renamed(question.params.as_ref().unwrap_or(&fields::empty()), &handle.id);
        let answer = self.of_server(cx, handle, Act::Get.errand(params)).await?;
        let task = modernized(&answer.result, name);
        let result = match fields::text(&task, "status").as_deref() {
            Some("completed" | "failed") => self.with_end(cx, handle, &task).await?,
            Some("input_required") => self.with_questions(cx, question, (handle, name), &task).await,
            // What is asked is asked, although the server thinks of something else meanwhile.
            _ => self.with_open_questions(name, task),
        };
        Ok(answer.told_as(result))
    }

    /// Cancels a task. That one has ended before is no error here, as it is there.
    async fn cancel_core(&self, cx: &Cx, (handle, name): (&Handle, &str), params: Raw) -> CoreResult<Answer> {
        self.0.talks.end(name);
        let params = renamed(&params, &handle.id);
        let cancelled = self.of_server(cx, handle, Act::Cancel.errand(params.clone())).await;
        let answer = match cancelled {
            Err(error) if failure::words(&error).is_some_and(|said| said.code == code::INVALID_PARAMS) => {
                let answer = self.of_server(cx, handle, Act::Get.errand(params)).await?;
                let status = fields::text(&answer.result, "status");
                let is_over = matches!(status.as_deref(), Some("completed" | "failed" | "cancelled"));
                if is_over { answer } else { return Err(error) }
            }
            cancelled => cancelled?,
        };
        Ok(answer.told_as(fields::empty()))
    }

    /// A task that has ended, with its result. There, a tool that tells its failure has failed; here, it has answered.
    async fn with_end(&self, cx: &Cx, handle: &Handle, task: &Raw) -> CoreResult<Raw> {
        let (status, key, value) = match self.core_result(cx, handle).await {
            Ok(result) => ("completed", "result", result),
            Err(error) => match error.words() {
                Some(words) => ("failed", "error", Raw::trusted(words.body.clone())),
                None => return Err(error),
            },
        };
        Ok(fields::with_fields(task, &[("status", &rpc::quoted(status)), (key, &value)]))
    }

    /// What came of a task, as whoever knows nothing of tasks would have been told.
    pub(super) async fn core_result(&self, cx: &Cx, handle: &Handle) -> CoreResult<Raw> {
        let params = fields::with_field(&fields::empty(), ID, &rpc::quoted(&handle.id));
        let answer = self.result_of(cx, handle, None, params).await?;
        Ok(unrelated(&answer.result))
    }
}

/// What became of a call that had to be a task.
enum Done {
    /// Its client has the task now, in his own words.
    Begun(Answer),
    /// It is over.
    Whole(Answer),
}

impl Question {
    /// Whether a modern client can be answered with a task.
    pub(super) fn takes_tasks(&self) -> bool {
        let capabilities = self.meta.capabilities.as_ref().filter(|_| self.version.is_modern());
        capabilities.is_some_and(|all| fields::get_path(all, &["extensions", TASKS_EXTENSION]).is_some())
    }
}

/// The parameters of a call without what only a modern client says: what is added to them means something then.
fn in_legacy_words(params: &Raw) -> Raw {
    match fields::get(params, "_meta") {
        Some(meta) => fields::with_field(params, "_meta", &without_modern_keys(&meta)),
        None => params.clone(),
    }
}

/// Whether a modern server can only answer somebody who takes tasks.
fn wants_extension(said: &RpcError) -> bool {
    let wanted = said.data.as_ref().filter(|_| said.code == code::MISSING_CAPABILITY);
    wanted
        .is_some_and(|data| fields::get_path(data, &["requiredCapabilities", "extensions", TASKS_EXTENSION]).is_some())
}

/// A task of 2025-11-25 in the words of the extension.
fn modernized(task: &Raw, name: &str) -> Raw {
    let renamed = renamed(task, name);
    let fit = |key: String| match WORDS.iter().find(|(old, _)| *old == key) {
        Some((_, new)) => (*new).to_owned(),
        None => key,
    };
    let members: Vec<_> = fields::entries(&renamed).into_iter().map(|(key, value)| (fit(key), value)).collect();
    keyed(&members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_told_in_the_words_of_the_extension() {
        let task = r#"{"x":1.0,"taskId":"a","status":"working","ttl":1E3,"pollInterval":5,"createdAt":"t"}"#;
        let expected = r#"{"x":1.0,"taskId":"n","status":"working","ttlMs":1E3,"pollIntervalMs":5,"createdAt":"t"}"#;
        assert_eq!(modernized(&Raw::trusted(task), "n"), Raw::trusted(expected));
    }

    #[test]
    fn only_a_lack_of_the_extension_is_mended() {
        for (number, data, expected) in [
            (-32021, r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#, true),
            (-32021, r#"{"requiredCapabilities":{"elicitation":{}}}"#, false),
            (-32602, r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#, false),
        ] {
            let said = RpcError::new(number, "no").with_data(Raw::trusted(data));
            assert_eq!(wants_extension(&said), expected, "{number} {data}");
        }
    }
}
