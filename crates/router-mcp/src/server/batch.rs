//! Batches of the revision 2025-03-26: several messages in, the answers to its requests out, all at once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use router_core::Cx;
use tokio::sync::mpsc;

use super::{Front, Question, failure, reply, session::Session};
use crate::rpc::{self, Message, RpcError};

impl Front {
    /// Answers what wants an answer; `None` when nothing does.
    pub(super) async fn answer_all(
        &self,
        cx: &Cx,
        messages: Vec<Result<Message, RpcError>>,
        session: Option<Arc<Session>>,
        out: &mpsc::Sender<Bytes>,
    ) -> Option<Bytes> {
        let each = messages.into_iter().map(|message| self.answer_one(cx, message, session.clone(), out.clone()));
        let answers: Vec<Bytes> = join_all(each).await.into_iter().flatten().collect();
        (!answers.is_empty()).then(|| listed(&answers))
    }

    async fn answer_one(
        &self,
        cx: &Cx,
        message: Result<Message, RpcError>,
        session: Option<Arc<Session>>,
        out: mpsc::Sender<Bytes>,
    ) -> Option<Bytes> {
        match message {
            Ok(Message::Request { id, method, .. }) if &*method == "initialize" => {
                Some(rpc::error(Some(&id), &failure::no_such_method("initialize in a batch")))
            }
            Ok(Message::Request { id, method, params }) => {
                let question = Question { session, ..Question::new(id.clone(), method, params) };
                let outcome = self.clone().run(cx.clone(), question, out).await;
                outcome.map(|outcome| reply(&id, &outcome))
            }
            Ok(Message::Notification { method, params }) => {
                if let (Some(session), "notifications/cancelled") = (session, &*method) {
                    session.cancel(params.as_ref());
                }
                None
            }
            Ok(Message::Response { id, outcome }) => {
                session.inspect(|session| session.answered(id.as_ref(), outcome));
                None
            }
            Err(error) => Some(rpc::error(None, &error)),
        }
    }
}

fn listed(answers: &[Bytes]) -> Bytes {
    let mut json = vec![b'['];
    for answer in answers {
        if json.len() > 1 {
            json.push(b',');
        }
        json.extend_from_slice(answer);
    }
    json.push(b']');
    json.into()
}
