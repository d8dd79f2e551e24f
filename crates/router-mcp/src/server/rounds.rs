//! A legacy client and a modern server: what the server answers that it needs is asked in the client's session, and
//! then the call is put again with the answers.

use std::time::Duration;

use futures_util::future::try_join_all;
use router_core::{
    BoxUpstream, Cx, Error, Kind, Query, Raw, Reply, Result, Upstream,
    tool::{Answer, Lookup, ToolCall},
};
use tokio::time::sleep;

use super::session::unguessable;
use crate::{fields, rpc};

/// How often one call may be put.
const ROUNDS: usize = 10;
/// The first pause before a call is put again whose server only wants to be asked again; each one after it is twice as
/// long.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A query that can be put again with what its server wanted to know.
pub(super) trait Again: Query<Reply = Answer> + Clone {
    /// The same with `answered`: the fields of the next round.
    fn again(&self, answered: &[(&str, &Raw)]) -> Self;
}

impl Again for ToolCall {
    fn again(&self, answered: &[(&str, &Raw)]) -> Self {
        Self { extra: Some(merged(self.extra.as_ref(), answered)), ..self.clone() }
    }
}

impl Again for Lookup {
    fn again(&self, answered: &[(&str, &Raw)]) -> Self {
        Self { params: Some(merged(self.params.as_ref(), answered)), ..self.clone() }
    }
}

fn merged(fields: Option<&Raw>, more: &[(&str, &Raw)]) -> Raw {
    fields::with_fields(fields.unwrap_or(&fields::empty()), more)
}

/// Asks until the answer is complete. Each round begins from the query as it was: of the rounds before only the state
/// travels, and that is the server's.
pub(super) async fn complete<Q: Again>(cx: &Cx, upstream: &BoxUpstream<Q>, query: Q) -> Result<Answer> {
    let mut answer = upstream.call(cx, query.clone()).await?;
    let mut pause = PAUSE;
    for _ in 1..ROUNDS {
        if !answer.is_interim || is_task(&answer.result) {
            return Ok(answer);
        }
        let wanted = fields::get(&answer.result, "inputRequests").map(|it| fields::entries(&it)).unwrap_or_default();
        let responses = if wanted.is_empty() {
            cx.wait(sleep(pause)).await?;
            pause = (pause * 2).min(PAUSE_MAX);
            None
        } else {
            Some(ask_all(cx, &wanted).await.map_err(|error| at(error, &answer))?)
        };
        let state = fields::get(&answer.result, "requestState");
        let told = [("inputResponses", responses.as_ref()), ("requestState", state.as_ref())];
        let told: Vec<_> = told.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        answer = upstream.call(cx, query.again(&told)).await?;
    }
    if answer.is_interim && !is_task(&answer.result) {
        let message = format!("the server wanted to know more {ROUNDS} times, and gave no answer");
        return Err(at(Error::new(Kind::Refused, message), &answer));
    }
    Ok(answer)
}

/// Whether a result is a task, which more rounds lead nowhere with: only whoever can follow one has asked for it.
pub(super) fn is_task(result: &Raw) -> bool {
    fields::text(result, "resultType").as_deref() == Some("task")
}

fn at(error: Error, answer: &Answer) -> Error {
    match &answer.provenance().upstream {
        Some(server) => error.at(server),
        None => error,
    }
}

/// Puts all questions to the client at once; his answers under the same keys. No clock of the call runs meanwhile.
pub(super) async fn ask_all(cx: &Cx, wanted: &[(String, Raw)]) -> Result<Raw> {
    let _hold = cx.pulse().hold();
    let each = wanted.iter().map(async |(key, request)| Ok::<_, Error>((key.as_str(), ask(cx, request).await?)));
    let answers = try_join_all(each).await?;
    let answers: Vec<_> = answers.iter().map(|(key, answer)| (*key, answer)).collect();
    Ok(fields::with_fields(&fields::empty(), &answers))
}

async fn ask(cx: &Cx, request: &Raw) -> Result<Raw> {
    let method = fields::text(request, "method").unwrap_or_default();
    if !matches!(&*method, "elicitation/create" | "sampling/createMessage" | "roots/list") {
        return Err(Error::new(Kind::Refused, format!("the server asks for {method:?}, which nobody knows")));
    }
    let params = fields::get(request, "params").unwrap_or_else(fields::empty);
    let answered = cx.peer().ask(&method, legacy_question(&method, params)?).await;
    answered.map_err(|error| {
        if error.kind() != Kind::Refused {
            return error;
        }
        // The client's own words are about our question, and he did not see that he asked it of himself.
        Error::new(Kind::Refused, format!("the server asks for {method}: {}", error.message()))
            .hint("use a client that can answer, or a tool that need not ask")
    })
}

/// A question as the last legacy revision has it: there, an address to visit comes with an id.
fn legacy_question(method: &str, params: Raw) -> Result<Raw> {
    let visits = method == "elicitation/create" && fields::text(&params, "mode").as_deref() == Some("url");
    if !visits || fields::get(&params, "elicitationId").is_some() {
        return Ok(params);
    }
    Ok(fields::with_field(&params, "elicitationId", &rpc::quoted(&unguessable()?)))
}
