//! The way back to a client while his request is under way: notes and questions go where its answer will go.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use router_core::{Error, Kind, Note, Peer, Raw, Result, SessionMark};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{meta::Level, session::Session};
use crate::{fields, rpc};

const PROGRESS: &str = "notifications/progress";
const LOG: &str = "notifications/message";

/// How many questions of one call may be open.
const QUESTIONS: usize = 16;

/// The client of one call.
pub(super) struct Requester {
    capabilities: Raw,
    way: Way,
    present: Mutex<Present>,
    /// Questions that the answer to the present request has to carry.
    open: Mutex<Vec<Ask>>,
    rings: Notify,
    /// What he was asked for, and has not declared.
    lacked: Mutex<Vec<&'static str>>,
}

/// How a client is asked.
pub(super) enum Way {
    /// In his session, beside his request.
    Session(Arc<Session>),
    /// Instead of the answer to his request, which he makes again with what is wanted.
    Answer,
    /// Not at all.
    None,
}

/// Where the client listens at present, and to what.
pub(super) struct Present {
    /// The stream of his request, while there is one.
    pub(super) out: Option<mpsc::Sender<Bytes>>,
    /// His own token; without one he wants no progress.
    pub(super) progress: Option<Raw>,
    /// From which level on he wants log lines; `None`: none at all.
    pub(super) level: Option<Level>,
}

/// A question that waits for its answer.
pub(super) struct Ask {
    pub(super) method: Box<str>,
    pub(super) params: Raw,
    pub(super) answer: oneshot::Sender<Raw>,
}

impl Requester {
    pub(super) fn new(capabilities: Raw, way: Way, present: Present) -> Self {
        let (open, rings, lacked) = (Mutex::default(), Notify::new(), Mutex::default());
        Self { capabilities, way, present: Mutex::new(present), open, rings, lacked }
    }

    /// The client is back, or away.
    pub(super) fn meet(&self, present: Present) {
        *self.present.lock() = present;
    }

    /// Waits until something is asked that the answer has to carry.
    pub(super) async fn rings(&self) {
        while self.open.lock().is_empty() {
            self.rings.notified().await;
        }
    }

    /// What is asked.
    pub(super) fn questions(&self) -> Vec<Ask> {
        std::mem::take(&mut *self.open.lock())
    }

    /// How many questions wait for the answer that carries them.
    pub(super) fn pending(&self) -> usize {
        self.open.lock().len()
    }

    /// The capabilities that he would have needed to be asked all that he was to be asked, by their paths.
    pub(super) fn lacked(&self) -> Vec<&'static str> {
        self.lacked.lock().clone()
    }

    async fn put(&self, method: &str, params: Raw) -> Result<Raw> {
        let refuse = |why: &str| Error::new(Kind::Refused, format!("the client cannot be asked for {method}: {why}"));
        if let Some(capability) = lacking(&self.capabilities, method, &params) {
            self.lacked.lock().push(capability);
            return Err(refuse(&format!("it did not declare the capability {capability}")));
        }
        match &self.way {
            Way::None => Err(refuse("its requests stand alone")),
            Way::Session(session) => {
                let out = self.present.lock().out.clone();
                session.ask(&out.ok_or_else(|| refuse("it has left"))?, method, &params).await
            }
            Way::Answer => {
                let (answer, answered) = oneshot::channel();
                {
                    let mut open = self.open.lock();
                    if open.len() >= QUESTIONS {
                        return Err(refuse("too much is asked at once"));
                    }
                    open.push(Ask { method: method.into(), params, answer });
                }
                self.rings.notify_one();
                answered.await.map_err(|_| Error::new(Kind::Cancelled, format!("nobody came back to answer {method}")))
            }
        }
    }
}

/// The capability that a client would need to be asked this, when it has not declared it.
pub(super) fn lacking(capabilities: &Raw, method: &str, params: &Raw) -> Option<&'static str> {
    let has = |path: &[&str]| fields::get_path(capabilities, path).is_some();
    match method {
        "elicitation/create" if fields::text(params, "mode").as_deref() == Some("url") => {
            (!has(&["elicitation", "url"])).then_some("elicitation.url")
        }
        // Before there were addresses to visit, the capability had no members, and meant forms.
        "elicitation/create" => {
            let forms = has(&["elicitation", "form"]) || (has(&["elicitation"]) && !has(&["elicitation", "url"]));
            (!forms).then_some("elicitation")
        }
        "sampling/createMessage" if !has(&["sampling"]) => Some("sampling"),
        "sampling/createMessage" if ["tools", "toolChoice"].iter().any(|key| fields::get(params, key).is_some()) => {
            (!has(&["sampling", "tools"])).then_some("sampling.tools")
        }
        "roots/list" => (!has(&["roots"])).then_some("roots"),
        _ => None,
    }
}

impl Present {
    fn wants(&self, level: &Raw) -> bool {
        let level = fields::text(level, "level").and_then(|level| Level::parse(&level)).unwrap_or(Level::ALL);
        self.level.is_some_and(|wanted| level >= wanted)
    }
}

impl Peer for Requester {
    fn notify(&self, note: Note) {
        let present = self.present.lock();
        let params = match (&*note.method, &present.progress) {
            (PROGRESS, Some(token)) => fields::with_field(&note.params, "progressToken", token),
            (PROGRESS, None) => return,
            (LOG, _) if !present.wants(&note.params) => return,
            _ => note.params,
        };
        let Some(out) = &present.out else { return };
        if out.try_send(rpc::notification(&note.method, Some(&params))).is_err() {
            tracing::debug!(method = %note.method, "a note is lost: the client reads too slowly, or not at all");
        }
    }

    fn ask<'a>(&'a self, method: &'a str, params: Raw) -> Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(self.put(method, params))
    }

    fn capabilities(&self) -> Raw {
        self.capabilities.clone()
    }

    fn session(&self) -> Option<SessionMark> {
        let Way::Session(session) = &self.way else { return None };
        Some(SessionMark { id: Arc::from(&*session.id), over: session.over.clone() })
    }

    fn log_level(&self) -> Option<&'static str> {
        match &self.way {
            Way::Session(session) => session.wanted_level().map(Level::as_str),
            Way::Answer | Way::None => self.present.lock().level.map(Level::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_only_what_it_said_it_can_answer() {
        const FORM: (&str, &str) = ("elicitation/create", r#"{"message":"m"}"#);
        const URL: (&str, &str) = ("elicitation/create", r#"{"mode":"url"}"#);
        const SAMPLE: (&str, &str) = ("sampling/createMessage", "{}");
        const TOOLS: (&str, &str) = ("sampling/createMessage", r#"{"tools":[]}"#);
        for (capabilities, (method, params), expected) in [
            ("{}", FORM, Some("elicitation")),
            (r#"{"elicitation":{}}"#, FORM, None),
            (r#"{"elicitation":{"form":{}}}"#, FORM, None),
            (r#"{"elicitation":{"url":{}}}"#, FORM, Some("elicitation")),
            (r#"{"elicitation":{}}"#, URL, Some("elicitation.url")),
            (r#"{"elicitation":{"url":{}}}"#, URL, None),
            ("{}", SAMPLE, Some("sampling")),
            (r#"{"sampling":{}}"#, SAMPLE, None),
            (r#"{"sampling":{}}"#, TOOLS, Some("sampling.tools")),
            (r#"{"sampling":{"tools":{}}}"#, TOOLS, None),
            ("{}", ("roots/list", "{}"), Some("roots")),
            (r#"{"roots":{}}"#, ("roots/list", "{}"), None),
        ] {
            let raw = |json: &str| Raw::trusted(json.to_owned());
            assert_eq!(lacking(&raw(capabilities), method, &raw(params)), expected, "{capabilities} {method} {params}");
        }
    }
}
