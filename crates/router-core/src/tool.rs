//! What an MCP server is asked: to act through a tool, to tell what it has, or something that only it and its client
//! understand.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::{Done, End, Fingerprint, Pace, Provenance, Query, Raw, Repeat, Reply, chat::Usage};

/// A tool is to act.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The tool: with its server's prefix at the catalog, by the server's own name behind it.
    pub name: Arc<str>,
    /// Its arguments: one JSON object, as the client wrote it; `None` when he wrote none.
    pub arguments: Option<Raw>,
    /// The parameters of the call as the client wrote them, with what newer revisions add: an object in which the name and
    /// the arguments are set, where they stand, on the way to the server.
    pub extra: Option<Raw>,
    /// Whether it may be put again; the catalog knows, from the tool's annotations and the trust in its server.
    pub repeat: Repeat,
    /// Whether its result may be kept: a read-only tool that the configuration trusts.
    pub keep: bool,
}

impl ToolCall {
    /// A call of which nothing is known but what it says.
    pub fn new(name: impl Into<Arc<str>>, arguments: Option<Raw>) -> Self {
        Self { name: name.into(), arguments, extra: None, repeat: Repeat::Unsafe, keep: false }
    }
}

impl Query for ToolCall {
    type Reply = Answer;

    fn operation(&self) -> &'static str {
        "tools/call"
    }

    fn subject(&self) -> &str {
        &self.name
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let arguments = self.arguments.as_ref().map_or(&b"{}"[..], |raw| raw.bytes());
        self.keep.then(|| Fingerprint::of([&b"tools/call"[..], self.name.as_bytes(), arguments]))
    }

    fn say(&self, text: &str) -> Option<Answer> {
        let body = json!({ "content": [{ "type": "text", "text": text }] });
        Some(Answer::new(Raw::trusted(body.to_string())))
    }

    fn words(&self) -> String {
        self.arguments.as_ref().map(|raw| raw.as_str().to_owned()).unwrap_or_default()
    }
}

/// A server is to tell something: what it offers, or what a resource or prompt says. Never acts on the world.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// What is asked.
    pub what: What,
    /// The parameters, as the client wrote them: an object; `None` when he wrote none.
    pub params: Option<Raw>,
    /// What travels with the question and changes nothing about its answer: who asks, where progress is to be told.
    pub extra: Option<Raw>,
}

impl Lookup {
    /// A question without parameters.
    pub const fn new(what: What) -> Self {
        Self { what, params: None, extra: None }
    }
}

/// What can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The tools on offer.
    Tools,
    /// The resources on offer.
    Resources,
    /// The templates of resources on offer.
    ResourceTemplates,
    /// The prompts on offer.
    Prompts,
    /// The content of a resource.
    Resource,
    /// The text of a prompt.
    Prompt,
    /// Proposals for an argument.
    Completion,
}

impl What {
    /// The protocol's name for it.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
            Self::Prompts => "prompts/list",
            Self::Resource => "resources/read",
            Self::Prompt => "prompts/get",
            Self::Completion => "completion/complete",
        }
    }
}

impl Query for Lookup {
    type Reply = Answer;

    fn operation(&self) -> &'static str {
        self.what.method()
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let params = self.params.as_ref().map_or(&b"{}"[..], |raw| raw.bytes());
        Some(Fingerprint::of([self.what.method().as_bytes(), params]))
    }

    fn say(&self, _: &str) -> Option<Answer> {
        None
    }

    fn words(&self) -> String {
        self.params.as_ref().map(|raw| raw.as_str().to_owned()).unwrap_or_default()
    }
}

/// A server is asked something else: how its long work goes, or what an extension of the protocol gives a meaning to. Nobody
/// in between knows what that does, so it is never kept, and repeated only where it is known to read.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The protocol's, or the extension's, name for it.
    pub method: Cow<'static, str>,
    /// The parameters, as the client wrote them: an object; `None` when he wrote none.
    pub params: Option<Raw>,
    /// Whether it may be put again.
    pub repeat: Repeat,
}

impl Errand {
    /// One of which nothing is known but what it says.
    pub fn new(method: impl Into<Cow<'static, str>>, params: Option<Raw>) -> Self {
        Self { method: method.into(), params, repeat: Repeat::Unsafe }
    }
}

impl Query for Errand {
    type Reply = Answer;

    /// A method of an extension can be any word: telemetry counts all of them as one.
    fn operation(&self) -> &'static str {
        match self.method {
            Cow::Borrowed(method) => method,
            Cow::Owned(_) => "extension",
        }
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        None
    }

    fn say(&self, _: &str) -> Option<Answer> {
        None
    }

    fn words(&self) -> String {
        self.params.as_ref().map(|raw| raw.as_str().to_owned()).unwrap_or_default()
    }
}

/// What a server answered: the protocol's `result`, as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result: an object.
    pub result: Raw,
    /// Whether a tool told its failure as a result (`isError`): an answer, not a fault.
    pub is_error: bool,
    /// Whether it is but a step towards the answer, such as a question back: of use to this one call only.
    pub is_interim: bool,
    provenance: Provenance,
}

impl Answer {
    /// An answer of an upstream.
    pub fn new(result: Raw) -> Self {
        Self { result, is_error: false, is_interim: false, provenance: Provenance::default() }
    }

    /// The same answer, told otherwise.
    #[must_use]
    pub fn told_as(self, result: Raw) -> Self {
        Self { result, ..self }
    }

    /// The result's bytes.
    pub fn bytes(&self) -> &Bytes {
        self.result.bytes()
    }
}

impl Reply for Answer {
    type Recording = Self;

    fn watch(self, done: Done) -> Self {
        done(End::Complete(Usage::default()));
        self
    }

    fn paced(self, _: Pace) -> Self {
        self
    }

    fn record(self, bound: usize, _: &TaskTracker, kept: Box<dyn FnOnce(bool) + Send>) -> Self {
        kept(Self::weight(&self) <= bound);
        self
    }

    fn replay(recording: &Self) -> Option<Self> {
        Some(recording.clone())
    }

    fn weight(recording: &Self) -> usize {
        recording.bytes().len() + 128
    }

    fn keepable(&self) -> bool {
        !self.is_error && !self.is_interim
    }

    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    fn provenance_mut(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: &'static str) -> ToolCall {
        ToolCall { keep: true, ..ToolCall::new(name, Some(Raw::trusted(arguments))) }
    }

    #[test]
    fn a_result_is_found_by_tool_and_arguments_if_it_may_be_kept() {
        let bare = ToolCall { keep: true, ..ToolCall::new("a", None) };
        assert_eq!(bare.fingerprint(), call("a", "{}").fingerprint());
        let distinct = [call("a", "{}"), call("b", "{}"), call("a", r#"{"x":1}"#), call("a{}", "")];
        let prints: std::collections::HashSet<_> = distinct.iter().map(|call| call.fingerprint().unwrap().0).collect();
        assert_eq!(prints.len(), distinct.len());
        assert_eq!(ToolCall::new("a", None).fingerprint(), None);
    }

    #[test]
    fn a_default_is_a_text_result() {
        let said = call("a", "{}").say("Say \"please\".").unwrap();
        assert_eq!(said.result.as_str(), r#"{"content":[{"type":"text","text":"Say \"please\"."}]}"#);
    }

    #[test]
    fn neither_a_failure_told_as_a_result_nor_a_step_towards_one_is_kept() {
        let good = Answer::new(Raw::trusted("{}"));
        let bad = Answer { is_error: true, ..good.clone() };
        let asks = Answer { is_interim: true, ..good.clone() };
        assert_eq!([good, bad, asks].map(|answer| answer.keepable()), [true, false, false]);
    }

    #[test]
    fn who_asks_does_not_change_what_is_asked() {
        let plain = Lookup { params: Some(Raw::trusted(r#"{"uri":"x:1"}"#)), ..Lookup::new(What::Resource) };
        let marked = Lookup { extra: Some(Raw::trusted(r#"{"progressToken":7}"#)), ..plain.clone() };
        assert_eq!(plain.fingerprint(), marked.fingerprint());
        assert_ne!(plain.fingerprint(), Lookup::new(What::Resource).fingerprint());
        let call = call("a", "{}");
        let marked = ToolCall { extra: marked.extra, ..call.clone() };
        assert_eq!(call.fingerprint(), marked.fingerprint());
    }

    #[test]
    fn an_errand_is_never_kept_and_counted_under_a_name_of_ours() {
        let known = Errand { repeat: Repeat::Safe, ..Errand::new("tasks/get", None) };
        let foreign = Errand::new("com.example/x".to_owned(), Some(Raw::trusted("{}")));
        for (errand, operation, repeat) in [(known, "tasks/get", Repeat::Safe), (foreign, "extension", Repeat::Unsafe)]
        {
            assert_eq!((errand.operation(), errand.repeat()), (operation, repeat));
            assert!(errand.fingerprint().is_none() && errand.say("no").is_none());
        }
    }

    #[test]
    fn a_whole_answer_is_recorded_within_its_bound() {
        for (bound, expected) in [(1000, true), (100, false)] {
            let (told, kept) = std::sync::mpsc::channel();
            let tell = Box::new(move |whole| told.send(whole).unwrap());
            let copy = Answer::new(Raw::trusted("{\"a\":1}")).record(bound, &TaskTracker::new(), tell);
            assert_eq!((kept.recv(), Answer::replay(&copy).unwrap().result.as_str()), (Ok(expected), "{\"a\":1}"));
        }
    }
}
