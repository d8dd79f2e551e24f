//! `runtime: { python: "3.11" }`: a server that is started with an interpreter of that version, or not at all.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use router_core::Secret;
use router_mcp::client::Program;

use crate::config::{Language, Runtime};

/// What is installed here, as far as it concerns interpreters.
pub(super) struct Machine {
    /// Where programs are looked for.
    path: Option<OsString>,
    /// Where version managers put theirs.
    home: Option<PathBuf>,
}

impl Machine {
    /// The machine as started programs see it.
    pub(super) fn of(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let environment: Vec<_> = environment.into_iter().collect();
        let get = |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        Self { path: get("PATH"), home: get("HOME").map(PathBuf::from) }
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(self.path.as_ref()?).collect::<Vec<_>>();
        folders.into_iter().map(|folder| folder.join(program)).find(|path| is_program(path))
    }

    /// The folder of a Node.js of that version: the first in `PATH`, or what a version manager keeps.
    fn node(&self, version: &str) -> Option<PathBuf> {
        let usual = self.find("node").filter(|node| is_version(&version_of(node).unwrap_or_default(), version));
        let folder = usual.and_then(|node| node.parent().map(Path::to_owned));
        folder.or_else(|| self.managed_node(version))
    }

    fn managed_node(&self, version: &str) -> Option<PathBuf> {
        const KEPT: [(&str, &str); 4] = [
            (".nvm/versions/node", "bin"),
            (".volta/tools/image/node", "bin"),
            (".local/share/fnm/node-versions", "installation/bin"),
            (".asdf/installs/nodejs", "bin"),
        ];
        let home = self.home.as_ref()?;
        let mut found: Vec<(Vec<u64>, PathBuf)> = Vec::new();
        for (folder, inside) in KEPT {
            for entry in std::fs::read_dir(home.join(folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().trim_start_matches('v').to_owned();
                let programs = entry.path().join(inside);
                if is_version(&name, version) && is_program(&programs.join("node")) {
                    found.push((numbers(&name), programs));
                }
            }
        }
        found.into_iter().max().map(|(_, programs)| programs)
    }
}

/// The program as it is started with the interpreter that it needs; or what is missing, and what would mend it.
pub(super) fn fit(program: &Program, wanted: &Runtime, machine: &Machine) -> Result<Program, String> {
    match wanted.language {
        Language::Python => python(program, &wanted.version, machine),
        Language::Node => node(program, &wanted.version, machine),
    }
}

fn python(program: &Program, version: &str, machine: &Machine) -> Result<Program, String> {
    let ours = ["--python".to_owned(), version.to_owned()];
    let Program { command, args, .. } = program;
    let name = file_name(command);
    if name == "uvx" {
        return Ok(with(program, command, ours.iter().chain(args)));
    }
    // `uv run`, `uv tool run`.
    let verbs = match args.first().map(String::as_str) {
        Some("run") => 1,
        Some("tool") => args.len().min(2),
        _ => 0,
    };
    if name == "uv" && verbs > 0 {
        let (before, after) = args.split_at(verbs);
        return Ok(with(program, command, before.iter().chain(&ours).chain(after)));
    }
    let script = has_extension(command, "py");
    if !script && !is_python(name) {
        return Err(format!(
            "runtime.python has no way into {command}: write command: python (or uvx, uv), or leave runtime out"
        ));
    }
    let rest: Vec<String> = script.then(|| command.clone()).into_iter().chain(args.iter().cloned()).collect();
    if let Some(found) = machine.find(&format!("python{version}")) {
        return Ok(with(program, &found.to_string_lossy(), rest.iter()));
    }
    let usual = ["python3", "python"].into_iter().filter_map(|name| machine.find(name));
    if let Some(found) = usual.into_iter().find(|found| is_version(&version_of(found).unwrap_or_default(), version)) {
        return Ok(with(program, &found.to_string_lossy(), rest.iter()));
    }
    match machine.find("uv") {
        Some(uv) => {
            let run = ["run", "--no-project", "--python", version, "python"].map(str::to_owned);
            Ok(with(program, &uv.to_string_lossy(), run.iter().chain(&rest)))
        }
        None => Err(format!("there is no Python {version} here: install python{version}, or uv, which fetches it")),
    }
}

fn node(program: &Program, version: &str, machine: &Machine) -> Result<Program, String> {
    let Program { command, args, .. } = program;
    let name = file_name(command);
    let script = ["js", "mjs", "cjs"].iter().any(|extension| has_extension(command, extension));
    if !script && !matches!(name, "node" | "nodejs" | "npx" | "npm") {
        return Err(format!(
            "runtime.node has no way into {command}: write command: node (or npx), or leave runtime out"
        ));
    }
    let Some(folder) = machine.node(version) else {
        return Err(format!(
            "there is no Node.js {version} here: put it first in PATH, or install it with nvm, fnm, volta or asdf"
        ));
    };
    let rest: Vec<String> = script.then(|| command.clone()).into_iter().chain(args.iter().cloned()).collect();
    let called = if script || name == "nodejs" { "node" } else { name };
    let mut fitted = with(program, &folder.join(called).to_string_lossy(), rest.iter());
    // What npx starts looks for `node` by itself.
    if !fitted.env.iter().any(|(name, _)| name == "PATH") {
        let usual = machine.path.clone().unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&usual)));
        let path = path.ok().and_then(|path| path.into_string().ok());
        fitted.env.extend(path.map(|path| ("PATH".to_owned(), Secret::new(path))));
    }
    Ok(fitted)
}

fn with<'a>(program: &Program, command: &str, args: impl Iterator<Item = &'a String>) -> Program {
    Program { command: command.to_owned(), args: args.cloned().collect(), ..program.clone() }
}

fn file_name(command: &str) -> &str {
    Path::new(command).file_name().and_then(|name| name.to_str()).unwrap_or(command)
}

fn has_extension(command: &str, extension: &str) -> bool {
    Path::new(command).extension().is_some_and(|found| found == extension)
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Asks an interpreter: `Python 3.11.2`, `v22.3.0`.
fn version_of(program: &Path) -> Option<String> {
    let asked = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    said.split_whitespace().last().map(|version| version.trim_start_matches('v').to_owned())
}

/// Whether `found` is `wanted`, or a version below it: `3.11.2` is a `3.11`.
fn is_version(found: &str, wanted: &str) -> bool {
    let (found, wanted) = (numbers(found), numbers(wanted));
    !found.is_empty() && found.starts_with(&wanted)
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A machine with these programs; each says that it is of the version behind its name.
    fn machine(folder: &Path, programs: &[(&str, &str)]) -> Machine {
        for (name, version) in programs {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("#!/bin/sh\necho {version}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (path, home) = (folder.join("bin").into_os_string(), folder.join("home").into_os_string());
        Machine::of([("PATH".into(), path), ("HOME".into(), home)])
    }

    /// What is started for a command line, without the folder of this test.
    fn started(line: &str, runtime: (Language, &str), programs: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let machine = machine(folder.path(), programs);
        let mut words = line.split(' ').map(str::to_owned);
        let program = Program { command: words.next().unwrap(), args: words.collect(), env: Vec::new(), cwd: None };
        let wanted = Runtime { language: runtime.0, version: runtime.1.to_owned() };
        let place = format!("{}/", folder.path().display());
        match fit(&program, &wanted, &machine) {
            Ok(Program { command, args, .. }) => format!("{command} {}", args.join(" ")).replace(&place, ""),
            Err(missing) => missing,
        }
    }

    #[test]
    fn python_is_found_fetched_or_missed() {
        const UV: (&str, &str) = ("bin/uv", "uv 0.9");
        for (line, programs, expected) in [
            ("python server.py -v", &[("bin/python3.11", "")][..], "bin/python3.11 server.py -v"),
            ("python3 -m x", &[("bin/python3", "Python 3.11.4"), UV], "bin/python3 -m x"),
            (
                "python3 -m x",
                &[("bin/python3", "Python 3.12.1"), UV],
                "bin/uv run --no-project --python 3.11 python -m x",
            ),
            ("./server.py a", &[("bin/python3.11", "")], "bin/python3.11 ./server.py a"),
            ("uvx mcp-server-fetch", &[], "uvx --python 3.11 mcp-server-fetch"),
            ("uv run server.py", &[], "uv run --python 3.11 server.py"),
            ("uv tool run x y", &[], "uv tool run --python 3.11 x y"),
            (
                "python server.py",
                &[("bin/python3", "Python 3.1.1")],
                "there is no Python 3.11 here: install python3.11, or uv, which fetches it",
            ),
            (
                "mcp-server",
                &[UV],
                "runtime.python has no way into mcp-server: write command: python (or uvx, uv), or leave runtime out",
            ),
        ] {
            assert_eq!(started(line, (Language::Python, "3.11"), programs), expected, "{line}");
        }
    }

    #[test]
    fn node_is_the_first_in_the_path_or_a_managed_one() {
        const OLD: (&str, &str) = ("bin/node", "v18.2.0");
        let kept = "home/.nvm/versions/node/v22.3.0/bin/node";
        let newer = "home/.nvm/versions/node/v22.21.1/bin/node";
        for (line, programs, expected) in [
            ("node s.js", &[("bin/node", "v22.1.0")][..], "bin/node s.js"),
            ("s.mjs", &[OLD, (kept, "")], "home/.nvm/versions/node/v22.3.0/bin/node s.mjs"),
            ("npx -y x", &[OLD, (kept, ""), (newer, "")], "home/.nvm/versions/node/v22.21.1/bin/npx -y x"),
            (
                "npx -y x",
                &[OLD],
                "there is no Node.js 22 here: put it first in PATH, or install it with nvm, fnm, volta or asdf",
            ),
        ] {
            assert_eq!(started(line, (Language::Node, "22"), programs), expected, "{line}");
        }
    }
}
