//! Servers that are looked after: pinged when they are silent, and given to one caller or session alone.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{pin::Pin, sync::Arc, time::Duration};

use router_core::{
    Caller, Cx, Error, Kind, Note, Outcome, Peer, Raw, Result, SessionMark, Upstream,
    tool::{Lookup, ToolCall, What},
};
use router_mcp::client::{
    Era, HealthCheck, InstanceLimits, Instances, Isolated, Isolation, Launch, Order, Program, Protocol, Reach,
    ServerSpec, ServerState,
};
use router_mcp::view::ServerView;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");
const LONG: Duration = Duration::from_mins(10);

struct Bench {
    servers: Arc<Instances>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Bench {
    fn start(isolation: Isolation, limits: InstanceLimits, change: impl FnOnce(&mut ServerSpec)) -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let args = vec!["server".to_owned()];
        let program = Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None };
        let mut spec = ServerSpec::new("fixture", Reach::Program(program));
        change(&mut spec);
        let launch = Launch::new(FIXTURE, [("PATH".into(), "/usr/bin:/bin".into())]);
        let servers = Instances::start(spec, launch, (isolation, limits), (&tasks, shutdown.clone()));
        Self { servers, tasks, shutdown }
    }

    async fn pid(&self, cx: &Cx) -> Result<i32> {
        let answer = Isolated(Arc::clone(&self.servers)).call(cx, ToolCall::new("pid", None)).await?;
        let said: serde_json::Value = serde_json::from_str(answer.result.as_str()).unwrap();
        Ok(i32::try_from(said.get("pid").and_then(serde_json::Value::as_i64).unwrap()).unwrap())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Instances) -> bool) {
        let start = Instant::now();
        while !holds(&self.servers) {
            assert!(start.elapsed() < Duration::from_secs(10), "never {what}: {:?}", self.servers.shared().status());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

/// A client in a session, and what it can do.
struct InSession(SessionMark, &'static str);

impl Peer for InSession {
    fn notify(&self, _: Note) {}

    fn ask<'a>(&'a self, _: &'a str, _: Raw) -> Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(async { Err(Error::new(Kind::Refused, "nobody answers")) })
    }

    fn capabilities(&self) -> Raw {
        Raw::trusted(self.1)
    }

    fn session(&self) -> Option<SessionMark> {
        Some(self.0.clone())
    }
}

fn of(caller: &str) -> Cx {
    let named = Caller { name: caller.into(), ..Caller::anonymous("r") };
    Cx::new(Arc::new(named), Duration::from_secs(10))
}

fn within(session: &str, over: &CancellationToken) -> Cx {
    able(session, over, "{}")
}

fn able(session: &str, over: &CancellationToken, capabilities: &'static str) -> Cx {
    let mark = SessionMark { id: session.into(), over: over.clone() };
    of("alice").with_peer(Arc::new(InSession(mark, capabilities)))
}

async fn gone(pid: i32) {
    let start = Instant::now();
    while test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5), "{pid} is still there");
        sleep(Duration::from_millis(5)).await;
    }
}

fn limits(most: usize) -> InstanceLimits {
    InstanceLimits { most, idle: LONG }
}

#[tokio::test]
async fn each_caller_has_a_process_to_himself_and_lists_come_from_the_shared_one() {
    let bench = Bench::start(Isolation::PerCaller, limits(8), |_| {});
    let (over, other) = (CancellationToken::new(), CancellationToken::new());
    let alice = bench.pid(&of("alice")).await.unwrap();
    assert_eq!(bench.pid(&of("alice")).await.unwrap(), alice);
    assert_eq!(bench.pid(&within("1", &over)).await.unwrap(), alice, "a session of hers is hers");
    assert_eq!(bench.pid(&within("2", &other)).await.unwrap(), alice);
    assert_ne!(bench.pid(&of("bob")).await.unwrap(), alice);
    assert_eq!(bench.servers.states(), [ServerState::Ready; 2]);
    let nobody = Cx::new(Arc::new(Caller::router("catalog")), Duration::from_secs(10));
    Isolated(Arc::clone(&bench.servers)).call(&nobody, Lookup::new(What::Tools)).await.unwrap();
    assert_eq!(bench.servers.states().len(), 2);
    bench.end().await;
}

#[tokio::test]
async fn a_session_takes_its_process_along() {
    let bench = Bench::start(Isolation::PerSession, limits(8), |_| {});
    let (one, two) = (CancellationToken::new(), CancellationToken::new());
    let first = bench.pid(&within("1", &one)).await.unwrap();
    let second = bench.pid(&within("2", &two)).await.unwrap();
    assert_ne!(first, second);
    one.cancel();
    gone(first).await;
    bench.until("one left", |servers| servers.states().len() == 1).await;
    assert_eq!(bench.pid(&within("2", &two)).await.unwrap(), second);
    bench.servers.order(Order::Restart).await;
    gone(second).await;
    assert_ne!(bench.pid(&within("2", &two)).await.unwrap(), second);
    bench.servers.order(Order::Stop).await;
    bench.until("stopped", |servers| servers.shared().status().state == ServerState::Stopped).await;
    let error = bench.pid(&within("2", &two)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent));
    bench.end().await;
}

#[tokio::test]
async fn a_server_of_ones_own_is_told_what_its_client_can_do() {
    let bench = Bench::start(Isolation::PerSession, limits(8), |_| {});
    let server = Isolated(Arc::clone(&bench.servers));
    let over = CancellationToken::new();
    for (session, capabilities, met) in [
        ("1", r#"{"elicitation":{},"tasks":{},"roots":{"listChanged":true}}"#, r#"{"elicitation":{},"roots":{}}"#),
        ("2", "{}", "{}"),
    ] {
        let cx = able(session, &over, capabilities);
        let said = server.call(&cx, ToolCall::new("met", None)).await.unwrap();
        assert_eq!(said.result.as_str(), format!(r#"{{"met":{met}}}"#));
    }
    bench.end().await;
}

#[tokio::test]
async fn what_somebody_watches_is_his_own_servers_and_keeps_it() {
    let short = InstanceLimits { most: 8, idle: Duration::from_millis(50) };
    let bench = Bench::start(Isolation::PerCaller, short, |spec| {
        let Reach::Program(program) = &mut spec.reach else { return };
        program.args.push("watch".to_owned());
    });
    let server = Isolated(Arc::clone(&bench.servers));
    let mut remarks = server.remarks();
    let watch = server.watch(&of("alice"), "x:1").await.unwrap();
    let touch = ToolCall::new("touch", Some(Raw::trusted(r#"{"uri":"x:1"}"#)));
    for caller in ["bob", "alice"] {
        server.call(&of(caller), touch.clone()).await.unwrap();
    }
    let told = tokio::time::timeout(Duration::from_secs(5), remarks.recv()).await.expect("news").unwrap();
    assert_eq!((&*told.note.method, told.to.as_deref()), ("notifications/resources/updated", Some("alice")));
    assert!(remarks.try_recv().is_err(), "bob's is another resource, and nobody watches it");
    bench.until("alice's left", |servers| servers.states().len() == 1).await;
    server.call(&of("alice"), touch).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(5), remarks.recv()).await.is_ok(), "it was kept");
    drop(watch);
    bench.until("nobody's left", |servers| servers.states().is_empty()).await;
    bench.end().await;
}

#[tokio::test]
async fn the_idle_make_room_and_the_busy_do_not() {
    let bench = Bench::start(Isolation::PerCaller, limits(1), |_| {});
    let alice = bench.pid(&of("alice")).await.unwrap();
    let bob = bench.pid(&of("bob")).await.unwrap();
    gone(alice).await;
    let (busy, hung) = (of("bob"), Isolated(Arc::clone(&bench.servers)));
    let (cancel, watched) = (busy.cancel().clone(), busy.clone());
    let calls = async { hung.call(&watched, ToolCall::new("hang", None)).await };
    let rest = async {
        bench.until("busy", |servers| servers.states().len() == 1).await;
        sleep(Duration::from_millis(50)).await;
        let refused = bench.pid(&of("carol")).await.unwrap_err();
        assert_eq!((refused.kind(), refused.outcome()), (Kind::Shed, Outcome::NotSent));
        assert_eq!(bench.pid(&of("bob")).await.unwrap(), bob);
        cancel.cancel();
    };
    tokio::select! {
        _ = calls => {}
        () = rest => {}
    }
    bench.end().await;
}

#[tokio::test]
async fn an_instance_that_nobody_uses_ends() {
    let idle = Duration::from_millis(300);
    let bench = Bench::start(Isolation::PerCaller, InstanceLimits { most: 8, idle }, |_| {});
    gone(bench.pid(&of("alice")).await.unwrap()).await;
    bench.until("none left", |servers| servers.states().is_empty()).await;
    bench.end().await;
}

#[tokio::test]
async fn a_silent_server_is_asked_and_a_dead_one_started_again() {
    let health = HealthCheck { interval: Duration::from_millis(100), timeout: Duration::from_millis(400) };
    let bench = Bench::start(Isolation::Shared, limits(1), |spec| spec.health = Some(health));
    let pid = bench.pid(&of("alice")).await.unwrap();
    sleep(Duration::from_millis(600)).await;
    assert_eq!(bench.pid(&of("alice")).await.unwrap(), pid, "pings do it no harm");
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    bench.until("noticed", |servers| servers.shared().status().restarts == 1).await;
    bench.until("back", |servers| servers.shared().status().state == ServerState::Ready).await;
    assert_ne!(bench.pid(&of("alice")).await.unwrap(), pid);
    gone(pid).await;
    let error = bench.servers.shared().status().last_error.unwrap();
    assert!(error.starts_with("no sign of life within 400ms"), "{error}");
    bench.end().await;
}

#[tokio::test]
async fn a_server_at_work_is_not_disturbed() {
    let health = HealthCheck { interval: Duration::from_millis(50), timeout: Duration::from_millis(50) };
    let bench = Bench::start(Isolation::Shared, limits(1), |spec| spec.health = Some(health));
    let pid = bench.pid(&of("alice")).await.unwrap();
    let frozen = Isolated(Arc::clone(&bench.servers));
    let cx = of("alice");
    let call = tokio::time::timeout(Duration::from_millis(500), frozen.call(&cx, ToolCall::new("hang", None))).await;
    assert!(call.is_err(), "it hangs");
    assert_eq!(bench.pid(&of("alice")).await.unwrap(), pid);
    bench.end().await;
}

#[tokio::test]
async fn what_a_server_spoke_is_told_and_believed_until_it_is_wrong() {
    for (known, words, spoken, restarts) in [
        (None, "both", Era::Modern, 0),
        (Some(Era::Legacy), "both", Era::Legacy, 0),
        (Some(Era::Modern), "legacy", Era::Legacy, 1),
    ] {
        let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let bench = Bench::start(Isolation::Shared, limits(1), |spec| {
            let Reach::Program(program) = &mut spec.reach else { unreachable!() };
            program.args.push(words.to_owned());
            spec.protocol = Protocol::Auto;
            spec.era = known;
            spec.on_era = Arc::new(move |era| heard.lock().push(era));
        });
        bench.until("ready", |servers| servers.shared().status().state == ServerState::Ready).await;
        assert_eq!((&**told.lock(), bench.servers.shared().status().restarts), (&[spoken][..], restarts), "{words}");
        bench.end().await;
    }
}

#[tokio::test]
async fn what_is_missing_is_told_at_once_and_not_waited_for() {
    let bench = Bench::start(Isolation::Shared, limits(1), |spec| {
        spec.reach = Reach::Absent("there is no Python 3.11 here".to_owned());
    });
    let error = bench.pid(&of("alice")).await.unwrap_err();
    assert!(error.message().contains("there is no Python 3.11 here"), "{error}");
    assert_eq!((error.outcome(), bench.servers.shared().status().state), (Outcome::NotSent, ServerState::Failed));
    bench.end().await;
}
