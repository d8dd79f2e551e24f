//! Real children, and what they can do to us.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use router_core::{
    Caller, Cx, Error, Kind, Outcome, Raw, Result, Secret, Upstream,
    tool::{Answer, Lookup, ToolCall, What},
};
use router_mcp::client::{Era, Launch, McpServer, Order, Program, Protocol, Reach, ServerSpec, ServerState};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");

struct Bench {
    server: Arc<McpServer>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Bench {
    fn start(words: &[&str]) -> Self {
        Self::with(Protocol::Auto, words, |_| {})
    }

    fn with(protocol: Protocol, words: &[&str], change: impl FnOnce(&mut Program)) -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let args = ["server"].iter().chain(words).map(|&word| word.to_owned()).collect();
        let mut program = Program { command: FIXTURE.to_owned(), args, env: Vec::new(), cwd: None };
        change(&mut program);
        let spec = ServerSpec { protocol, ..ServerSpec::new("fixture", Reach::Program(program)) };
        let environment = [("PATH", "/usr/bin:/bin"), ("ROUTER_CANARY", "inherited")];
        let launch = Launch::new(FIXTURE, environment.map(|(name, value)| (name.into(), value.into())));
        Self { server: McpServer::start(spec, launch, &tasks, shutdown.clone()), tasks, shutdown }
    }

    async fn call(&self, tool: &str, arguments: &str) -> Result<Answer> {
        self.server.call(&cx(), ToolCall::new(tool, Some(Raw::trusted(arguments.to_owned())))).await
    }

    async fn echo(&self) -> String {
        self.call("echo", r#"{"z":1.50}"#).await.unwrap().result.as_str().to_owned()
    }

    async fn failure(&self, tool: &str) -> Error {
        self.call(tool, "{}").await.unwrap_err()
    }

    async fn state(&self, wanted: ServerState) {
        let start = Instant::now();
        while self.server.status().state != wanted {
            assert!(start.elapsed() < Duration::from_secs(10), "never {wanted:?}: {:?}", self.server.status());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(10))
}

const ECHO: &str = r#"{"echo":{"name":"echo","arguments":{"z":1.5}}}"#;

#[tokio::test]
async fn every_era_and_every_manner_of_writing_answers() {
    for (protocol, words, era) in [
        (Protocol::Auto, &["legacy"][..], Era::Legacy),
        (Protocol::Auto, &["both"], Era::Modern),
        (Protocol::Auto, &["modern"], Era::Modern),
        (Protocol::Legacy, &["both"], Era::Legacy),
        (Protocol::Modern, &["both"], Era::Modern),
        (Protocol::Auto, &["legacy", "split"], Era::Legacy),
        (Protocol::Auto, &["legacy", "crlf", "noise"], Era::Legacy),
        (Protocol::Auto, &["modern", "slow=700"], Era::Modern),
        (Protocol::Auto, &["legacy", "dies=server/discover"], Era::Legacy),
    ] {
        let bench = Bench::with(protocol, words, |_| {});
        if words.contains(&"dies=server/discover") {
            bench.state(ServerState::BackingOff).await;
            bench.state(ServerState::Ready).await;
        }
        let echo = bench.echo().await;
        let status = bench.server.status();
        assert_eq!((status.state, status.era), (ServerState::Ready, Some(era)), "{words:?}");
        assert_eq!(status.server_name.as_deref(), Some("fixture"));
        match era {
            Era::Legacy => assert_eq!(echo, ECHO, "{words:?}"),
            Era::Modern => {
                assert!(echo.contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#), "{echo}");
            }
        }
        let lookup = Lookup::new(What::Tools);
        assert_eq!(bench.server.call(&cx(), lookup).await.unwrap().result.as_str(), r#"{"tools":[{"name":"echo"}]}"#);
        bench.end().await;
    }
}

#[tokio::test]
async fn answers_keep_what_they_say_about_errors() {
    let bench = Bench::start(&[]);
    assert!(bench.call("fail", "{}").await.unwrap().is_error);
    let error = bench.call("refuse", r#"{"code":-32602}"#).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Invalid, Outcome::Failed));
    assert_eq!(error.words().unwrap().body, r#"{"code":-32602,"message":"refused"}"#);
    assert_eq!(error.upstream().map(|name| &**name), Some("fixture"));
    bench.end().await;
}

/// News that waits for nothing; what a server is granted to end by itself is twice as long.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_death_is_told_at_once_and_mended() {
    for (tool, reason) in [
        ("crash", "the server ended with code 9; it said: Traceback: | ValueError: crashed as told"),
        ("die", "the server was ended by signal 9"),
    ] {
        let bench = Bench::start(&[]);
        bench.echo().await;
        let start = Instant::now();
        let (other, dead) = tokio::join!(bench.failure("hang"), bench.failure(tool));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        for error in [dead, other] {
            assert_eq!((error.kind(), error.outcome(), error.message()), (Kind::Unavailable, Outcome::Unknown, reason));
        }
        let refused = bench.failure("echo").await;
        assert_eq!((refused.kind(), refused.outcome()), (Kind::Unavailable, Outcome::NotSent));
        assert!(refused.message().starts_with(reason) && refused.message().contains("next start in"), "{refused}");
        assert!(refused.wait().is_some());
        bench.state(ServerState::Ready).await;
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        assert_eq!(bench.echo().await, ECHO);
        assert_eq!(bench.server.status().restarts, 1);
        bench.end().await;
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let bench = Bench::with(Protocol::Auto, &[], |program| "no-such-program".clone_into(&mut program.command));
    bench.state(ServerState::BackingOff).await;
    let error = bench.failure("echo").await;
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::NotSent));
    assert!(error.message().contains("cannot start no-such-program: No such file"), "{error}");
    bench.end().await;
}

#[tokio::test]
async fn what_ends_at_its_start_is_quoted_once() {
    let bench = Bench::with(Protocol::Auto, &[], |program| {
        "/bin/sh".clone_into(&mut program.command);
        program.args = ["-c", "echo no token >&2; exit 3"].map(str::to_owned).to_vec();
    });
    bench.state(ServerState::BackingOff).await;
    let said = bench.server.status().last_error.unwrap_or_default();
    assert_eq!(said, "the server ended with code 3; it said: no token");
    bench.end().await;
}

#[tokio::test]
async fn a_stopped_output_ends_the_connection() {
    let bench = Bench::start(&["stay"]);
    bench.echo().await;
    let start = Instant::now();
    let error = bench.failure("silence").await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!((error.outcome(), error.message()), (Outcome::Unknown, "the server closed its output"));
    bench.end().await;
}

#[tokio::test]
async fn noise_is_skipped_and_too_much_of_it_is_a_disease() {
    let bench = Bench::start(&[]);
    bench.call("noise", r#"{"lines":900}"#).await.unwrap();
    assert_eq!(bench.server.status().garbage, 900);
    let error = bench.call("noise", r#"{"lines":1100}"#).await.unwrap_err();
    assert!(error.message().starts_with("the server wrote 1001 lines in a row that are no messages"), "{error}");
    bench.end().await;
}

#[tokio::test]
async fn a_line_above_the_cap_fails_its_own_call_only() {
    let bench = Bench::start(&[]);
    let cap = 16 * 1024 * 1024;
    let too_much = format!(r#"{{"bytes":{cap}}}"#);
    let (big, _) = tokio::join!(bench.call("big", &too_much), bench.echo());
    let error = big.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Protocol, "the server's answer is longer than 16 MiB"));
    let large = bench.call("big", &format!(r#"{{"bytes":{}}}"#, cap - 1000)).await.unwrap();
    assert_eq!(large.bytes().len(), cap - 1000 + r#"{"text":""}"#.len());
    assert_eq!(bench.echo().await, ECHO);
    bench.end().await;
}

#[tokio::test]
async fn stderr_cannot_block_a_server() {
    let bench = Bench::start(&[]);
    bench.call("stderr", r#"{"kib":10240}"#).await.unwrap();
    assert_eq!(bench.echo().await, ECHO);
    bench.end().await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled() {
    let bench = Bench::start(&[]);
    bench.echo().await;
    let hanging = tokio::time::timeout(Duration::from_millis(50), bench.call("hang", "{}")).await;
    assert!(hanging.is_err());
    let cancelled = bench.call("cancelled", "{}").await.unwrap();
    assert_eq!(cancelled.result.as_str(), r#"{"cancelled":[4]}"#);
    bench.end().await;
}

/// A call that is given up after a moment, as the layer in front does it.
async fn given_up(bench: &Bench, tool: &str) {
    assert!(tokio::time::timeout(Duration::from_millis(50), bench.call(tool, "{}")).await.is_err());
}

#[tokio::test]
async fn a_server_that_hears_nothing_any_more_is_started_again() {
    tokio::join!(dies_of_silence("legacy", false), dies_of_silence("modern", false), dies_of_silence("legacy", true));
}

async fn dies_of_silence(era: &str, stopped: bool) {
    let bench = Bench::start(&[era]);
    let world = bench.call("pid", "{}").await.unwrap().result.decode::<serde_json::Value>().unwrap();
    if stopped {
        let pid = i32::try_from(world.get("pid").and_then(serde_json::Value::as_i64).unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    }
    given_up(&bench, "freeze").await;
    let start = Instant::now();
    let error = bench.failure("echo").await;
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Unknown), "{error}");
    assert_eq!(error.message(), "the server gives no sign of life");
    assert!((4_900..6_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    bench.state(ServerState::Ready).await;
    assert!(bench.echo().await.contains("echo"));
    assert_eq!(bench.server.status().restarts, 1);
    bench.end().await;
}

#[tokio::test]
async fn a_server_that_is_merely_slow_is_left_alone() {
    let bench = Bench::start(&[]);
    for _ in 0..3 {
        given_up(&bench, "hang").await;
    }
    sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.echo().await, ECHO);
    assert_eq!(bench.server.status().restarts, 0);
    bench.end().await;
}

#[tokio::test]
async fn calls_wait_for_a_start_and_no_longer_than_they_may() {
    let bench = Bench::start(&["slow=600"]);
    let hasty = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_millis(10));
    let error = bench.server.call(&hasty, ToolCall::new("echo", None)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Deadline, Outcome::NotSent));
    assert_eq!(bench.echo().await, ECHO);
    bench.end().await;
}

#[tokio::test]
async fn changes_are_told() {
    let bench = Bench::start(&[]);
    let mut changed = bench.server.changed();
    changed.changed().await.unwrap();
    bench.echo().await;
    let before = *changed.borrow_and_update();
    bench.call("changed", "{}").await.unwrap();
    let after = *changed.borrow_and_update();
    assert_eq!((after.tools, after.resources, after.prompts), (before.tools + 1, before.resources, before.prompts));
    bench.end().await;
}

#[tokio::test]
async fn a_modern_server_is_asked_for_news_again_and_again() {
    let bench = Bench::start(&["modern", "news"]);
    let mut changed = bench.server.changed();
    for round in 0..2 {
        bench.state(ServerState::Ready).await;
        let start = Instant::now();
        while bench.call("changed", "{}").await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(3), "never listened to, round {round}");
            sleep(Duration::from_millis(10)).await;
        }
        let before = *changed.borrow_and_update();
        bench.call("changed", "{}").await.unwrap();
        assert_eq!(changed.borrow_and_update().tools, before.tools + 1);
        bench.call("hush", "{}").await.unwrap();
        changed.changed().await.unwrap();
        assert_eq!(changed.borrow().prompts, before.prompts + 1, "while nobody listened, anything may have changed");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_child_sees_what_was_declared_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    let bench = Bench::with(Protocol::Auto, &[], |program| {
        program.env.push(("DECLARED".to_owned(), Secret::new("yes".to_owned())));
        program.cwd = Some(place.clone());
    });
    let world = bench.call("world", "{}").await.unwrap().result.decode::<serde_json::Value>().unwrap();
    let environment = world["environment"].as_str().unwrap();
    // The runtime that measures coverage leaves a mark of its own in the environment.
    let foreign = |entry: &&str| entry.is_empty() || entry.starts_with("__LLVM_PROFILE");
    let mut names: Vec<_> = environment.split('\0').filter(|entry| !foreign(entry)).collect();
    names.sort_unstable();
    assert_eq!(names, ["DECLARED=yes", "PATH=/usr/bin:/bin"]);
    assert_eq!(world["folder"].as_str().map(Path::new), Some(&*place));
    let files: Vec<_> = world["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    let pipes = files.iter().filter(|file| file.starts_with("pipe:")).count();
    assert_eq!((pipes, files.len()), (3, 4), "its three pipes, and the folder being read: {files:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_restart_forgives_and_a_stop_lasts_until_the_next_start() {
    let bench = Bench::with(Protocol::Auto, &["dies=tools/list"], |_| {});
    bench.echo().await;
    bench.server.order(Order::Restart).await;
    let mut changed = bench.server.changed();
    changed.borrow_and_update();
    changed.changed().await.unwrap();
    assert_eq!(bench.echo().await, ECHO);
    bench.server.stop().await;
    assert_eq!(bench.server.status().state, ServerState::Stopped);
    assert_eq!(bench.failure("echo").await.message(), "the server was stopped");
    bench.server.order(Order::Start).await;
    bench.state(ServerState::Ready).await;
    assert_eq!(bench.echo().await, ECHO);
    bench.end().await;
}

/// Processes whose command line holds `tag`.
fn alive(tag: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<_> = processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| memchr::memmem::find(&line, tag.as_bytes()).is_some())
        })
        .collect();
    found.sort_unstable();
    found
}

/// Waits until `count` of them are there: a brood takes its time.
async fn born(tag: &str, count: usize) -> Vec<i32> {
    let start = Instant::now();
    loop {
        let alive = alive(tag);
        if alive.len() == count && start.elapsed() > Duration::from_millis(100) {
            return alive;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{count} expected: {alive:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn gone(tag: &str, within: Duration) {
    let start = Instant::now();
    while !alive(tag).is_empty() {
        assert!(start.elapsed() < within, "still there after {within:?}: {:?}", alive(tag));
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_router_that_is_killed_leaves_nobody_behind() {
    for round in 0..3 {
        let tag = format!("orphan-{}-{round}", std::process::id());
        let mut router =
            Command::new(FIXTURE).args(["router", &tag]).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(router.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        let pid = Pid::from_child(&router);
        // The router, the server, and the last of its descendants.
        born(&tag, 3).await;
        let guards = format!("--router={}\0", router.id());
        assert_eq!(alive(&guards).len(), 2, "the keeper and the guard that it forked");
        kill_process(pid, Signal::KILL).unwrap();
        router.wait().unwrap();
        gone(&tag, Duration::from_secs(2)).await;
        gone(&guards, Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn a_stop_ends_what_will_not_end() {
    let tag = format!("stubborn-{}", std::process::id());
    let bench = Bench::start(&["stay", "deaf", &format!("brood={tag}")]);
    bench.echo().await;
    born(&tag, 2).await;
    bench.end().await;
    assert_eq!(alive(&tag), [0; 0]);
}

#[tokio::test]
async fn a_dead_servers_descendants_are_ended_and_do_not_delay_the_news() {
    let tag = format!("leftover-{}", std::process::id());
    let bench = Bench::start(&[&format!("brood={tag}")]);
    bench.echo().await;
    let before = born(&tag, 2).await;
    let start = Instant::now();
    let error = bench.failure("die").await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(error.outcome(), Outcome::Unknown);
    bench.state(ServerState::Ready).await;
    assert!(before.iter().all(|pid| !alive(&tag).contains(pid)), "of the first life nobody is left");
    bench.end().await;
    assert_eq!(alive(&tag), [0; 0]);
}

/// Whoever signals every process of ours must not make the guards leave their work undone.
#[tokio::test]
async fn a_guard_cannot_be_asked_away() {
    let tag = format!("asked-{}", std::process::id());
    let bench = Bench::start(&["stay", "deaf", &format!("brood={tag}")]);
    bench.echo().await;
    born(&tag, 2).await;
    let guard = Pid::from_raw(i32::try_from(bench.server.status().pid.unwrap()).unwrap()).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process(guard, signal).unwrap();
    }
    assert_eq!(bench.echo().await, ECHO);
    bench.end().await;
    assert_eq!(alive(&tag), [0; 0]);
}

#[tokio::test]
async fn a_line_break_in_a_question_begins_no_message() {
    let bench = Bench::start(&[]);
    let smuggled = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"exit"}}"#;
    let answer = bench.call("echo", &format!("{{\"z\":[\n{smuggled}\r\n]}}")).await.unwrap();
    let expected = format!(r#"{{"echo":{{"name":"echo","arguments":{{"z":[{smuggled}]}}}}}}"#);
    assert_eq!(answer.result.as_str(), expected);
    bench.end().await;
}
