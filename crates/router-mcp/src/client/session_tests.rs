//! Conversations with a server that is a few lines of test.

use router_core::{
    Caller, Note, Peer, Pulse,
    tool::{Lookup, ToolCall, What},
};
use tokio::{net::unix::pipe, time::timeout};
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    client::{
        Protocol, QUESTIONS, Reach, ServerSpec, greet,
        lines::{Line, Lines},
        outbox::Outbox,
    },
    fields,
};

/// A server whose words the test puts into its mouth.
struct Talk {
    session: Arc<Session>,
    heard: Lines<pipe::Receiver>,
}

impl Talk {
    fn start() -> Self {
        Self::with(None)
    }

    fn with(roots: Option<Raw>) -> Self {
        let (sender, receiver) = pipe::pipe().unwrap();
        let tasks = TaskTracker::new();
        let spec = ServerSpec { roots, ..ServerSpec::new("s", Reach::Absent(String::new())) };
        let outbox = Arc::new(Outbox::new(sender));
        let outlet = Outlet::Pipe(Arc::clone(&outbox));
        let session = Arc::new(Session::new(&"s".into(), outlet, &Surroundings::new(&spec, &tasks)));
        tasks.spawn(async move { outbox.drain().await });
        Self { session, heard: Lines::new(receiver, 1 << 20) }
    }

    async fn hears(&mut self) -> Raw {
        match self.heard.next().await.unwrap() {
            Some(Line::Whole(line)) => Raw::trusted(line),
            other => panic!("{other:?}"),
        }
    }

    /// Answers each ping with `says`, and nothing else with anything.
    async fn answers_pings(&mut self, says: &str, pings: &std::cell::Cell<u32>) {
        loop {
            let heard = self.hears().await;
            if fields::text(&heard, "method").as_deref() == Some("ping") {
                pings.set(pings.get() + 1);
                let line = says.replace("ID", &fields::number(&heard, "id").unwrap().to_string());
                assert!(line.is_empty() || self.says(&line) != Heard::Nothing);
            }
        }
    }

    fn says(&self, line: &str) -> Heard {
        self.session.receive(&Bytes::copy_from_slice(line.as_bytes()))
    }
}

fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(5))
}

fn call(name: &str) -> ToolCall {
    ToolCall::new(name, None)
}

#[derive(Default)]
struct Ears {
    notes: Mutex<Vec<(String, String)>>,
}

impl Peer for Ears {
    fn notify(&self, note: Note) {
        self.notes.lock().push((note.method.to_string(), note.params.as_str().to_owned()));
    }

    fn ask<'a>(&'a self, method: &'a str, _: Raw) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(async move { Ok(Raw::trusted(format!("{{\"asked\":\"{method}\"}}"))) })
    }

    fn capabilities(&self) -> Raw {
        Raw::trusted("{}")
    }
}

#[tokio::test]
async fn answers_in_any_order_reach_their_callers() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let (cx, calls) = (cx(), [call("a"), call("b"), call("c")]);
    let ask = async {
        let [a, b, c] = &calls;
        tokio::join!(
            session.call(&cx, Question::Tool(a)),
            session.call(&cx, Question::Tool(b)),
            session.call(&cx, Question::Tool(c))
        )
    };
    let serve = async {
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(talk.hears().await);
        }
        for request in asked.iter().rev() {
            let id = fields::number(request, "id").unwrap();
            let name = fields::get_path(request, &["params", "name"]).unwrap();
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"for":{}}}}}"#, name.as_str());
            assert_eq!(talk.says(&answer), Heard::Message);
            assert_eq!(talk.says(&answer), Heard::Message, "said twice");
        }
        talk
    };
    let ((a, b, c), talk) = tokio::join!(ask, serve);
    let said = [a, b, c].map(|answer| answer.unwrap().result.as_str().to_owned());
    assert_eq!(said, [r#"{"for":"a"}"#, r#"{"for":"b"}"#, r#"{"for":"c"}"#]);
    assert_eq!(talk.session.around.tally.strays.load(Ordering::Relaxed), 3);
    assert!(talk.session.waiting.lock().callers.is_empty());
}

#[tokio::test]
async fn progress_and_questions_find_the_caller() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let (ears, pulse) = (Arc::new(Ears::default()), Pulse::default());
    let cx = cx().with_peer(Arc::clone(&ears) as Arc<dyn Peer>).with_pulse(pulse.clone());
    let mut call = call("slow");
    call.extra = Some(Raw::trusted(r#"{"_meta":{"progressToken":"mine"}}"#));
    let serve = async {
        let request = talk.hears().await;
        let id = fields::number(&request, "id").unwrap();
        assert_eq!(
            fields::get(&request, "params").unwrap().as_str(),
            format!(r#"{{"_meta":{{"progressToken":{id}}},"name":"slow","arguments":{{}}}}"#)
        );
        talk.says(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":0.50}}}}"#
        ));
        talk.says(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":999,"progress":1}}"#);
        talk.says(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#);
        talk.says(r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{}}"#);
        let answered = talk.hears().await;
        talk.says(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
        let pinged = talk.hears().await;
        talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        (answered, pinged)
    };
    let (answer, (answered, pinged)) = tokio::join!(session.call(&cx, Question::Tool(&call)), serve);
    assert!(answer.is_ok());
    assert_eq!(
        *ears.notes.lock(),
        [
            ("notifications/progress".to_owned(), r#"{"progressToken":"mine","progress":0.50}"#.to_owned()),
            ("notifications/message".to_owned(), r#"{"level":"info"}"#.to_owned()),
        ]
    );
    assert_eq!(answered.as_str(), r#"{"jsonrpc":"2.0","id":"q1","result":{"asked":"elicitation/create"}}"#);
    assert_eq!(pinged.as_str(), r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    assert_eq!(pulse.beats(), 4);
}

#[tokio::test]
async fn a_list_of_the_routers_own_takes_no_word_from_the_caller() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let ears = Arc::new(Ears::default());
    let caller = cx().with_peer(Arc::clone(&ears) as Arc<dyn Peer>);
    let router = Cx::new(Arc::new(Caller::router("catalog")), Duration::from_secs(10));
    let (lists, call) = (Lookup::new(What::Prompts), call("slow"));
    let serve = async {
        let asked = [talk.hears().await, talk.hears().await];
        talk.says(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#);
        talk.says(r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#);
        let answered = talk.hears().await;
        for request in asked {
            let id = fields::number(&request, "id").unwrap();
            talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        }
        answered
    };
    let (list, result, answered) = tokio::join!(
        session.call(&router, Question::Lookup(&lists)),
        session.call(&caller, Question::Tool(&call)),
        serve
    );
    assert!(list.is_ok() && result.is_ok());
    assert_eq!(answered.as_str(), r#"{"jsonrpc":"2.0","id":"q","result":{"asked":"sampling/createMessage"}}"#);
    assert_eq!(*ears.notes.lock(), [("notifications/message".to_owned(), r#"{"level":"info"}"#.to_owned())]);
}

#[tokio::test]
async fn a_question_outside_any_call_is_refused_but_for_roots() {
    let mut talk = Talk::start();
    talk.says(r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}"#);
    let refused = talk.hears().await;
    assert_eq!(
        refused.as_str(),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the client cannot answer sampling/createMessage"}}"#
    );
    for (configured, told) in [(None, "[]"), (Some(r#"[{"uri":"file:///x"}]"#), r#"[{"uri":"file:///x"}]"#)] {
        let mut talk = Talk::with(configured.map(Raw::trusted));
        talk.says(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
        assert_eq!(talk.hears().await.as_str(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"roots":{told}}}}}"#));
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_forgotten() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let (cx, call) = (cx(), call("slow"));
    let id = tokio::select! {
        _ = session.call(&cx, Question::Tool(&call)) => panic!("nobody answered"),
        request = talk.hears() => fields::number(&request, "id").unwrap(),
    };
    let cancelled = talk.hears().await;
    assert_eq!(fields::text(&cancelled, "method").as_deref(), Some("notifications/cancelled"));
    assert_eq!(fields::get_path(&cancelled, &["params", "requestId"]).unwrap().as_str(), id.to_string());
    assert!(talk.session.waiting.lock().callers.is_empty());
    talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    assert_eq!(talk.session.around.tally.strays.load(Ordering::Relaxed), 1);
}

const TICK: Duration = Duration::from_millis(50);

/// Lets time go by slowly enough for pipes: left to itself, a paused clock jumps before they are looked at.
async fn tick() {
    loop {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(TICK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_up_call_is_the_one_reason_to_doubt() {
    for (says, dies) in [
        (r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#, false),
        (r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no ping here"}}"#, false),
        (r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#, false),
        ("a line of its log", true),
        ("", true),
    ] {
        let mut talk = Talk::start();
        let session = Arc::clone(&talk.session);
        let mut death = std::pin::pin!(session.death());
        let long = 3 * SILENT_MAX;
        let left = cx();
        left.cancel().cancel();
        let given_up = timeout(Duration::from_millis(1), session.call(&left, Question::Tool(&call("slow")))).await;
        assert!(given_up.is_err());
        assert!(timeout(long, &mut death).await.is_err(), "a caller who leaves is no reason to doubt");
        for _ in 0..3 {
            let given_up = timeout(Duration::from_millis(1), session.call(&cx(), Question::Tool(&call("slow")))).await;
            assert!(given_up.is_err());
        }
        let probes = std::cell::Cell::new(0);
        let start = Instant::now();
        let died = tokio::select! {
            died = timeout(long, &mut death) => died.is_ok(),
            () = talk.answers_pings(says, &probes) => false,
            () = tick() => false,
        };
        assert_eq!((died, probes.get()), (dies, 1), "{says}: one probe is enough for all three");
        let silence = start.elapsed();
        assert!(!dies || (SILENT_MAX..SILENT_MAX + TICK * 2).contains(&silence), "{silence:?}");
    }
}

#[tokio::test]
async fn the_end_is_told_to_everybody() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let (cx, call) = (cx(), call("t"));
    let serve = async {
        talk.hears().await;
        talk.session.close(&Error::new(Kind::Unavailable, "it died"));
    };
    let (answer, ()) = tokio::join!(session.call(&cx, Question::Tool(&call)), serve);
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.outcome(), error.message()), (Kind::Unavailable, Outcome::Unknown, "it died"));
    let later = session.call(&cx, Question::Tool(&call)).await.unwrap_err();
    assert_eq!((later.kind(), later.outcome()), (Kind::Unavailable, Outcome::NotSent));
}

#[tokio::test]
async fn what_is_no_message_is_counted_and_what_is_unreadable_is_told() {
    let talk = Talk::start();
    for garbage in ["INFO starting", "{\"a\":1}", "{\"jsonrpc\":\"2.0\",\"id\":77,", "\u{feff}{}"] {
        assert_eq!(talk.says(garbage), Heard::Garbage, "{garbage}");
    }
    assert_eq!(talk.says("  \r"), Heard::Nothing);
    assert_eq!(talk.session.around.tally.garbage.load(Ordering::Relaxed), 4);
    for (head, tail) in
        [(r#"{"jsonrpc":"2.0","id":1,"result":"#, "}"), (r#"{"result":"#, r#","id":1, "jsonrpc": "2.0"}"#)]
    {
        let mut talk = Talk::start();
        let session = Arc::clone(&talk.session);
        let (cx, call) = (cx(), call("deep"));
        let serve = async {
            talk.hears().await;
            talk.says(&format!("{head}{}{}{tail}", "[".repeat(70), "]".repeat(70)))
        };
        let (answer, heard) = tokio::join!(session.call(&cx, Question::Tool(&call)), serve);
        assert_eq!(heard, Heard::Message);
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
        assert_eq!(error.message(), "the server's answer is nested deeper than 64 levels");
    }
}

#[test]
fn the_id_of_a_line_too_long_is_at_one_of_its_ends() {
    for (head, tail, id) in [
        (r#"{"jsonrpc":"2.0","id":12,"result":{"#, "}}", Some(12)),
        (r#"{"jsonrpc": "2.0", "id": 12, "result":{"#, "}}", Some(12)),
        (r#"{"id":3,"result":"#, "", Some(3)),
        (r#"{"id":3,"jsonrpc":"2.0","error":"#, "", Some(3)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":"#, "}", None),
        (r#"{"result":{"content":["#, r#"]},"jsonrpc":"2.0","id":4}"#, Some(4)),
        (r#"{"result":{"id":5,"#, r#"],"id":6}}"#, None),
        (r#"{"jsonrpc":"2.0","method":"n","params":{"#, r#""id":7}}"#, None),
        ("garbage", r#","id":6}"#, None),
    ] {
        let edges = Edges { head: head.into(), tail: tail.into() };
        assert_eq!(id_at_the_edge(&edges), id, "{head} {tail}");
    }
}

#[tokio::test]
async fn batches_are_read() {
    let mut talk = Talk::start();
    assert_eq!(
        talk.says(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#),
        Heard::Message
    );
    for id in [1, 2] {
        assert_eq!(fields::number(&talk.hears().await, "id"), Some(id));
    }
}

/// A server that is slow to start finds both questions waiting, and its answer to the first still counts.
#[tokio::test(start_paused = true)]
async fn a_late_discovery_means_modern() {
    for (answers, era) in [
        (["discovered", "refused"], Era::Modern),
        (["refused", "initialized"], Era::Legacy),
        (["nothing", "initialized"], Era::Legacy),
    ] {
        let mut talk = Talk::start();
        let session = Arc::clone(&talk.session);
        let serve = async {
            let asked = [talk.hears().await, talk.hears().await];
            let methods = asked.each_ref().map(|request| fields::text(request, "method").unwrap());
            assert_eq!(methods, ["server/discover", "initialize"]);
            for (request, answer) in asked.iter().zip(answers) {
                let id = fields::number(request, "id").unwrap();
                let outcome = match answer {
                    "discovered" => r#""result":{"supportedVersions":["2026-07-28"]}"#,
                    "initialized" => r#""result":{"protocolVersion":"2024-11-05"}"#,
                    "refused" => r#""error":{"code":-32000,"message":"no"}"#,
                    _ => continue,
                };
                talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#));
            }
            talk
        };
        let until = Instant::now() + Duration::from_mins(1);
        let (greeting, _talk) = tokio::join!(greet::greet(&session, Protocol::Auto, until), serve);
        assert_eq!(greeting.unwrap().era, era, "{answers:?}");
    }
}

#[tokio::test]
async fn what_belongs_to_no_request_is_told_to_nobody_whom_it_is_not_about() {
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let mut remarks = session.around.remarks();
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#;
    talk.says(log);
    assert_eq!(remarks.recv().await.unwrap().to, None, "nobody asks: everybody may hear it");
    let who = |name: &str| {
        let caller = Caller { name: name.into(), ..Caller::anonymous("r") };
        Cx::new(Arc::new(caller), Duration::from_secs(5))
    };
    let (ann, bob, call) = (who("ann"), who("bob"), call("slow"));
    for (second, expected) in [(&ann, Some("ann")), (&bob, None)] {
        let both = async {
            tokio::join!(session.call(&ann, Question::Tool(&call)), session.call(second, Question::Tool(&call)))
        };
        let meanwhile = async {
            talk.hears().await;
            talk.hears().await;
            talk.says(log);
            remarks.try_recv().ok().and_then(|remark| remark.to)
        };
        let heard = tokio::select! {
            _ = both => panic!("nobody answered"),
            heard = meanwhile => heard,
        };
        assert_eq!(heard.as_deref(), expected);
        talk.hears().await;
        talk.hears().await;
    }
    assert!(remarks.try_recv().is_err());
}

#[tokio::test]
async fn a_server_is_told_the_most_talkative_level_and_no_other() {
    let mut talk = Talk::start();
    let capabilities = Raw::trusted(r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{}}}"#);
    talk.session.settle(Greeting::from_initialize(&capabilities).unwrap());
    for (level, told) in [("warning", true), ("error", false), ("warning", false), ("debug", true), ("nonsense", false)]
    {
        talk.session.want_level(level);
        talk.session.notify("mark", None).unwrap();
        let heard = talk.hears().await;
        if told {
            assert_eq!(fields::text(&heard, "method").as_deref(), Some("logging/setLevel"), "{level}");
            assert_eq!(fields::get_path(&heard, &["params", "level"]), Some(rpc::quoted(level)));
            talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, fields::number(&heard, "id").unwrap()));
            talk.hears().await;
        } else {
            assert_eq!(fields::text(&heard, "method").as_deref(), Some("mark"), "{level}");
        }
    }
    assert_eq!(talk.session.around.tally.strays.load(Ordering::Relaxed), 0);
    assert!(talk.session.waiting.lock().callers.is_empty());
}

#[tokio::test]
async fn a_question_is_put_to_whoever_it_can_only_be_of() {
    let who = |name: &str, asked: bool| {
        let caller = Caller { name: name.into(), ..Caller::anonymous("r") };
        let cx = Cx::new(Arc::new(caller), Duration::from_secs(5)).with_peer(Arc::new(Ears::default()));
        let hold = asked.then(|| cx.pulse().hold());
        (cx, hold)
    };
    for (in_flight, answered) in [
        (vec![], false),
        (vec![("ann", false)], true),
        (vec![("ann", true)], true),
        (vec![("ann", true), ("ann", false)], true),
        (vec![("ann", true), ("ann", false), ("ann", true)], true),
        (vec![("ann", false), ("ann", false)], false),
        (vec![("ann", true), ("ann", true)], true),
        (vec![("ann", true), ("bob", false)], false),
        (vec![("ann", true), ("ann", false), ("bob", true)], false),
    ] {
        let mut talk = Talk::start();
        let (session, call) = (Arc::clone(&talk.session), call("slow"));
        let callers: Vec<_> = in_flight.iter().map(|(name, asked)| who(name, *asked)).collect();
        let calls = callers.iter().map(|(cx, _)| session.call(cx, Question::Tool(&call)));
        let meanwhile = async {
            for _ in &callers {
                talk.hears().await;
            }
            talk.says(r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}"#);
            talk.hears().await
        };
        let calls = async {
            futures_util::future::join_all(calls).await;
            std::future::pending::<()>().await;
        };
        let heard = tokio::select! {
            () = calls => panic!("nobody answered"),
            heard = meanwhile => heard,
        };
        assert_eq!(fields::get(&heard, "result").is_some(), answered, "{in_flight:?}: {heard:?}");
    }
}

/// Whose user has gone for lunch.
struct Absent;

impl Peer for Absent {
    fn notify(&self, _: Note) {}

    fn ask<'a>(&'a self, _: &'a str, _: Raw) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(std::future::pending())
    }

    fn capabilities(&self) -> Raw {
        Raw::trusted("{}")
    }
}

#[tokio::test]
async fn t_29_a_server_cannot_ask_without_end() {
    const TOO_MANY: usize = 100;
    let mut talk = Talk::start();
    let session = Arc::clone(&talk.session);
    let (cx, call) = (cx().with_peer(Arc::new(Absent)), call("a"));
    let serve = async {
        talk.hears().await;
        for id in 0..QUESTIONS + TOO_MANY {
            talk.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{}}}}"#));
        }
        for id in QUESTIONS..QUESTIONS + TOO_MANY {
            let refusal = talk.hears().await;
            let message = fields::get_path(&refusal, &["error", "message"]);
            assert_eq!(fields::number(&refusal, "id"), u64::try_from(id).ok());
            assert_eq!(message.as_ref().map(Raw::as_str), Some("\"too much is asked at once\""));
        }
    };
    tokio::select! {
        answer = session.call(&cx, Question::Tool(&call)) => panic!("{answer:?}"),
        () = serve => {}
    }
}
