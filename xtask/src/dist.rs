//! `cargo xtask dist`: the packaged binary, built by a compiler that has seen it work (profile-guided optimisation).
//!
//! It is built with counters, put through the scenarios of the bench, and built again with what they counted: what runs
//! for every request then lies together and is inlined, what hardly ever runs does not stand in its way.

use anyhow::{Context, Result, ensure};
use std::{
    env::consts,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// What the scenarios of the bench are put through: every front, both dialects, both transports of MCP.
const TRAINING: [(&str, &[&str]); 2] = [
    ("llm", &["ours", "ours, same dialect"]),
    ("mcp", &["ours->stdio", "ours->stdio, modern", "ours->http", "ours->http, modern"]),
];

/// Builds `target/dist/mcp-router`; without a profile where the tools for one are missing, which is said.
pub(crate) fn dist(root: &Path) -> Result<()> {
    let target = root.join("target");
    match Tools::find() {
        Ok(tools) => Build { root, target, tools }.guided(),
        Err(missing) => {
            say(&format!("built without a profile: {missing:#}"))?;
            run(cargo(root).args(["build", "--profile", "dist", "--target-dir"]).arg(target))
        }
    }
}

/// What a profile takes beside a compiler.
struct Tools {
    /// This machine, as the compiler names it.
    host: String,
    /// Joins what the counters wrote.
    profdata: PathBuf,
}

impl Tools {
    fn find() -> Result<Self> {
        let version = output(Command::new("rustc").arg("-vV"))?;
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not name its host")?;
        let library = output(Command::new("rustc").args(["--print", "target-libdir"]))?;
        let folder = Path::new(library.trim()).parent().context("rustc has no folder of tools")?;
        let profdata = folder.join("bin/llvm-profdata").with_extension(consts::EXE_EXTENSION);
        ensure!(profdata.exists(), "llvm-profdata is missing: rustup component add llvm-tools");
        output(Command::new("python3").arg("--version")).context("python3, which runs the bench, is missing")?;
        Ok(Self { host: host.to_owned(), profdata })
    }
}

struct Build<'a> {
    root: &'a Path,
    target: PathBuf,
    tools: Tools,
}

impl Build<'_> {
    fn guided(&self) -> Result<()> {
        let work = self.target.join("pgo");
        let (counts, profile) = (work.join("counts"), work.join("mcp-router.profdata"));
        // Counts of an older build would be taken for this one's.
        if counts.exists() {
            fs::remove_dir_all(&counts)?;
        }
        say("1 of 4: building with counters")?;
        let counting = self.build("generate", &counts)?;
        say("2 of 4: putting it through the scenarios of the bench")?;
        self.train(&counting, &work)?;
        say("3 of 4: joining what was counted")?;
        run(Command::new(&self.tools.profdata)
            .args(["merge".as_ref(), "-o".as_ref(), profile.as_os_str()])
            .arg(&counts))?;
        say("4 of 4: building with what was counted")?;
        let guided = self.build("use", &profile)?;
        let place = self.target.join("dist");
        fs::create_dir_all(&place)?;
        let binary = place.join("mcp-router");
        fs::copy(guided.join("mcp-router"), &binary)?;
        say(&format!("{} is ready", binary.display()))
    }

    /// Builds with `-Cprofile-STEP=FILE` into a folder of its own, which is returned. The target is named, so that the
    /// flag is not for build scripts and macros.
    fn build(&self, step: &str, file: &Path) -> Result<PathBuf> {
        let folder = self.target.join("pgo").join(step);
        let flag = format!("-Cprofile-{step}={}", file.display());
        let mut cargo = cargo(self.root);
        cargo.args(["build", "--profile", "dist", "--target", &self.tools.host]).env("RUSTFLAGS", flag);
        run(cargo.arg("--target-dir").arg(&folder))?;
        Ok(folder.join(&self.tools.host).join("dist"))
    }

    /// Every scenario once, for a second.
    fn train(&self, counting: &Path, work: &Path) -> Result<()> {
        let bench = self.root.join("bench");
        run(cargo(&bench).args(["build", "--release"]).env_remove("CARGO_TARGET_DIR"))?;
        for (kind, targets) in TRAINING {
            let mut runner = Command::new("python3");
            runner.current_dir(&bench).args(["run.py", kind]).args(targets);
            runner.args(["--targets", "ours.json", "--hasty", "--only", "c16,echo,churn"]);
            runner.args(["--duration", "1", "--reps", "1", "--starts", "1"]);
            runner.arg("--out").arg(work.join("training.jsonl"));
            // That is where the runner looks for what it starts.
            run(runner.env("CARGO_TARGET_DIR", counting.parent().unwrap_or(counting)))?;
        }
        Ok(())
    }
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    cargo
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(io::stderr().lock(), "dist: {text}")?)
}
