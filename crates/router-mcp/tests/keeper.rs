//! The keeper, and the guards that it forks: what they share, what they do not, and that nobody depends on it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use router_core::{Caller, Cx, Raw, Secret, Upstream, tool::ToolCall};
use router_mcp::client::{Launch, McpServer, Order, Program, Reach, ServerSpec, ServerState};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const FIXTURE: &str = env!("CARGO_BIN_EXE_mcp-fixture");

/// What starts servers; `program` is what it takes for its own.
struct Router {
    launch: Launch,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Router {
    fn new(program: impl Into<PathBuf>) -> Self {
        let launch = Launch::new(program, [("PATH".into(), "/usr/bin:/bin".into())]);
        Self { launch, tasks: TaskTracker::new(), shutdown: CancellationToken::new() }
    }

    fn begin(&self, change: impl FnOnce(&mut Program)) -> Arc<McpServer> {
        let mut program =
            Program { command: FIXTURE.to_owned(), args: vec!["server".to_owned()], env: Vec::new(), cwd: None };
        change(&mut program);
        let spec = ServerSpec::new("fixture", Reach::Program(program));
        McpServer::start(spec, self.launch.clone(), &self.tasks, self.shutdown.clone())
    }

    /// Starts a server, and waits until it can be used.
    async fn start(&self) -> Arc<McpServer> {
        let server = self.begin(|_| {});
        until("the server is ready", || server.status().state == ServerState::Ready).await;
        server
    }

    /// Ends the servers; the keeper goes with the last that could ask it for a guard.
    async fn end(self) {
        self.shutdown.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(8), self.tasks.wait()).await.expect("every task ends");
    }
}

async fn ask(server: &McpServer, tool: &str) -> Value {
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(10));
    let call = ToolCall::new(tool, Some(Raw::trusted("{}".to_owned())));
    server.call(&cx, call).await.unwrap().result.decode().unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn guard_of(server: &McpServer) -> u32 {
    server.status().pid.expect("a guard")
}

/// The state of a process and its parent; none if it is not even on the process table.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn parent(pid: u32) -> Option<u32> {
    Some(stat(pid)?.1)
}

/// Whether it lives. Whoever takes the dead of a killed keeper off the process table is not ours to judge.
fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn thread_name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned()
}

/// What a process has open, without standing in it already.
fn files(pid: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut open: Vec<_> =
        files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.to_string_lossy().into_owned())).collect();
    open.sort();
    open
}

/// The same, and only what kind of file it is.
fn kinds(pid: u32) -> Vec<String> {
    files(pid).iter().map(|file| file.split(":[").next().unwrap_or_default().to_owned()).collect()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_keeper_takes_nobody_along() {
    let router = Router::new(FIXTURE);
    let (one, two) = (router.start().await, router.start().await);
    let keeper = parent(guard_of(&one)).unwrap();
    assert_eq!(parent(keeper), Some(std::process::id()));
    assert_eq!([guard_of(&one), keeper].map(thread_name), ["mcp-guard", "mcp-keeper"]);
    assert_eq!(children(keeper), [guard_of(&one), guard_of(&two)]);
    kill(keeper);
    until("the keeper is off the process table", || parent(keeper).is_none()).await;

    let left = guard_of(&one);
    ask(&one, "echo").await;
    ask(&two, "echo").await;
    let three = router.start().await;
    let next = parent(guard_of(&three)).unwrap();
    assert_eq!(thread_name(next), "mcp-keeper");
    one.order(Order::Restart).await;
    until("it was started again", || one.status().pid.is_some_and(|pid| pid != left)).await;
    assert_eq!(parent(guard_of(&one)), Some(next));
    assert_eq!(one.status().restarts, 1);
    ask(&one, "echo").await;

    let guards = [&one, &two, &three].map(|server| guard_of(server));
    drop((one, two, three));
    router.end().await;
    until("nobody is left", || !guards.into_iter().chain([left, next]).any(runs)).await;
}

#[tokio::test]
async fn a_killed_guard_is_told_and_its_server_started_again() {
    let router = Router::new(FIXTURE);
    let server = router.start().await;
    let orphan = u32::try_from(ask(&server, "pid").await["pid"].as_u64().unwrap()).unwrap();
    kill(guard_of(&server));
    until("it is told", || server.status().last_error.as_deref() == Some("the server's guard was killed")).await;
    until("the server ends with its input", || !runs(orphan)).await;
    until("it was started again", || server.status().state == ServerState::Ready).await;
    ask(&server, "echo").await;
    router.end().await;
}

#[tokio::test]
async fn a_guard_holds_its_own_files_and_the_keeper_none() {
    let router = Router::new(FIXTURE);
    let servers = [router.start().await, router.start().await, router.start().await];
    let guards = [0, 1, 2].map(|number| guard_of(&servers[number]));
    let keeper = parent(guards[0]).unwrap();
    // What became of the outputs, the router's life, and the deaths of children.
    let own = ["/dev/null", "/dev/null", "anon_inode", "anon_inode"];
    let expected = |others: &[&str]| own.iter().chain(others).map(|&kind| kind.to_owned()).collect::<Vec<_>>();
    for guard in guards {
        // The server's input, and the pipe for its report.
        until("a guard holds nothing but its own", || kinds(guard) == expected(&["pipe", "pipe"])).await;
    }
    let mut pipes: Vec<_> = guards.into_iter().flat_map(files).filter(|file| file.starts_with("pipe:")).collect();
    pipes.sort();
    pipes.dedup();
    assert_eq!(pipes.len(), 6, "no pipe is open in two guards: {pipes:?}");
    for server in &servers {
        let world = ask(server, "world").await;
        let files = world["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap());
        assert_eq!(files.filter(|file| !file.starts_with("/proc/")).count(), 3, "a server has its pipes: {world}");
    }
    assert_eq!(kinds(keeper), expected(&["socket"]));

    for server in &servers {
        server.stop().await;
    }
    until("the keeper forgets guards that are gone", || children(keeper).is_empty()).await;
    assert_eq!(kinds(keeper), expected(&["socket"]));
    drop(servers);
    router.end().await;
    until("the keeper is gone", || parent(keeper).is_none()).await;
}

#[tokio::test]
async fn an_order_may_be_longer_than_a_packet() {
    let router = Router::new(FIXTURE);
    let long = "x".repeat(100 * 1024);
    let declared: Vec<_> = (0..8).map(|number| format!("LONG_{number}={long}")).collect();
    let server = router.begin(|program| {
        let pair = |entry: &String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pairs = declared.iter().filter_map(pair);
        program.env = pairs.map(|(name, value)| (name, Secret::new(value))).collect();
        program.args.push(long.clone());
    });
    until("the server is ready", || server.status().state == ServerState::Ready).await;
    assert_eq!(thread_name(parent(guard_of(&server)).unwrap()), "mcp-keeper");
    let world = ask(&server, "world").await;
    let environment = world["environment"].as_str().unwrap().split('\0');
    let mut environment: Vec<_> = environment.filter(|entry| entry.starts_with("LONG_")).collect();
    environment.sort_unstable();
    assert!(environment == declared, "{:?}", environment.iter().map(|entry| entry.len()).collect::<Vec<_>>());
    router.end().await;
}

/// A program that guards, but is no keeper: it does `otherwise`.
fn no_keeper(folder: &Path, otherwise: &str) -> PathBuf {
    let script = format!("#!/bin/sh\ncase \"$*\" in *' -- '*) exec {FIXTURE} \"$@\";; esac\n{otherwise}\n");
    let path = folder.join("router");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn without_a_keeper_each_guard_is_a_program_of_its_own() {
    // One that ends, and one that does not move.
    for otherwise in ["exit 1", "exec /bin/sleep 5"] {
        let folder = tempfile::tempdir().unwrap();
        let router = Router::new(no_keeper(folder.path(), otherwise));
        let servers = [router.start().await, router.start().await];
        for server in &servers {
            assert_eq!(parent(guard_of(server)), Some(std::process::id()), "{otherwise}");
            ask(server, "echo").await;
        }
        router.end().await;
    }
}

type Change = fn(&mut Program);

#[tokio::test]
async fn a_start_that_fails_is_told_in_the_same_words_with_and_without_a_keeper() {
    let folder = tempfile::tempdir().unwrap();
    let routers = [Router::new(FIXTURE), Router::new(no_keeper(folder.path(), "exit 1"))];
    let changes: [(Change, &str); 4] = [
        (
            |program| "no-such-program".clone_into(&mut program.command),
            "the server ended with code 127; it said: cannot start no-such-program: No such file or directory (os error 2)",
        ),
        (
            |program| "/etc/passwd".clone_into(&mut program.command),
            "the server ended with code 127; it said: cannot start /etc/passwd: Permission denied (os error 13)",
        ),
        (
            |program| program.cwd = Some("/no/where".into()),
            " cannot be started in /no/where: No such file or directory (os error 2)",
        ),
        (|program| program.args.push("a\0b".to_owned()), " cannot be started: nul byte found in provided data"),
    ];
    for (change, expected) in changes {
        for router in &routers {
            let server = router.begin(change);
            until("it fails", || server.status().state == ServerState::BackingOff).await;
            let said = server.status().last_error.unwrap_or_default();
            assert!(said.ends_with(expected), "{said}");
        }
    }
    for router in routers {
        router.end().await;
    }
}

/// What was written of a guard's memory: by itself, and by the keeper before the fork; both in KiB.
fn private_and_shared(guard: u32) -> (u64, u64) {
    let rollup = fs::read_to_string(format!("/proc/{guard}/smaps_rollup")).unwrap();
    let kib = |field: &str| -> u64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (kib("Private_Dirty:"), kib("Shared_Dirty:"))
}

#[tokio::test]
async fn a_guard_has_its_stack_to_itself_and_shares_the_rest() {
    let router = Router::new(FIXTURE);
    let servers = [router.start().await, router.start().await];
    for server in &servers {
        let (private, shared) = private_and_shared(guard_of(server));
        assert!(private < shared, "{private} KiB of its own, {shared} KiB shared");
    }
    router.end().await;
}
