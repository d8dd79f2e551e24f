//! `mcp_servers.yaml` and `mcp-servers.json`: MCP servers as this product's predecessors wrote them down.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Imported, notes::Notes, quoted};

/// Their words for one server; another kind of file has none of them.
const THEIRS: [&str; 8] = [
    "python_version",
    "node_version",
    "environment",
    "health_check",
    "restart_policy",
    "max_restarts",
    "transport",
    "health_endpoint",
];

/// Whether a file is one of these.
pub(super) fn is(top: &Map<String, Value>) -> bool {
    let theirs = |server: &Value| {
        let Some(server) = server.as_object() else { return false };
        let typed = server.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "python" || kind == "nodejs");
        typed || THEIRS.iter().any(|word| server.contains_key(*word))
    };
    top.get("servers").and_then(Value::as_object).is_some_and(|servers| servers.values().any(theirs))
}

/// Reads one.
pub(super) fn read(mut top: Map<String, Value>) -> Imported {
    let mut notes = Notes::default();
    let servers = top.shift_remove("servers").map(|servers| notes.object(servers, "servers")).unwrap_or_default();
    if let Some(global) = top.shift_remove("global") {
        let global = notes.object(global, "global");
        for name in global.keys() {
            notes.add(&format!("global.{name}"), "left out: each server has times of its own here, with good defaults");
        }
    }
    notes.rest(&top, "");
    notes.servers("servers", servers, |path, fields, notes| Server { path, fields, notes }.lines())
}

/// One server of theirs.
struct Server<'a> {
    path: &'a str,
    fields: Map<String, Value>,
    notes: &'a mut Notes,
}

impl Server<'_> {
    fn lines(mut self) -> Vec<String> {
        let kind = self.text("type");
        let runtime = self.runtime();
        let mut lines = match self.text("url").filter(|url| !url.is_empty()) {
            Some(url) => vec![format!("url: {}", quoted(&url))],
            None => self.command(kind.as_deref(), runtime.is_some()),
        };
        lines.extend(self.environment());
        lines.extend(runtime);
        lines.extend(self.health());
        lines.extend(self.restarts());
        for unused in ["name", "description", "transport", "log_level"] {
            if let Some(value) = self.fields.shift_remove(unused).filter(|_| unused == "log_level") {
                self.note(
                    "log_level",
                    &format!("left out: {value}; what a server says is at `mcp-router servers logs`"),
                );
            }
        }
        self.notes.rest(&self.fields, self.path);
        lines
    }

    /// A command line, or a list of words. A bare script gets its interpreter, unless a version finds one.
    fn command(&mut self, kind: Option<&str>, versioned: bool) -> Vec<String> {
        let words: Vec<String> = match self.fields.shift_remove("command") {
            Some(Value::String(line)) => split(&line),
            Some(Value::Array(words)) => {
                words.into_iter().map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        let more = self.fields.shift_remove("args").and_then(|args| serde_json::from_value::<Vec<String>>(args).ok());
        let interpreter = match (kind, words.first()) {
            (Some("python"), Some(script)) if has_extension(script, &["py"]) && !versioned => Some("python3"),
            (Some("nodejs"), Some(script)) if has_extension(script, &["js", "mjs", "cjs"]) && !versioned => {
                Some("node")
            }
            _ => None,
        };
        let all = interpreter.map(str::to_owned).into_iter().chain(words).chain(more.unwrap_or_default());
        let all: Vec<String> = all.map(|word| Value::from(word).to_string()).collect();
        let Some((program, args)) = all.split_first() else {
            self.note("command", "there is none, and no url either: this server cannot be started");
            return vec!["disabled: true".to_owned()];
        };
        let args = (!args.is_empty()).then(|| format!("args: [{}]", args.join(", ")));
        std::iter::once(format!("command: {program}")).chain(args).collect()
    }

    /// References to variables mean the same here.
    fn environment(&mut self) -> Option<String> {
        let (one, other) = (self.fields.shift_remove("environment"), self.fields.shift_remove("env"));
        let variables = one.or(other).map(|variables| {
            let path = format!("{}.environment", self.path);
            self.notes.object(variables, &path)
        })?;
        let pair = |(name, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}: {}", Value::from(name.as_str()), Value::from(value))
        };
        (!variables.is_empty())
            .then(|| format!("env: {{ {} }}", variables.iter().map(pair).collect::<Vec<_>>().join(", ")))
    }

    fn runtime(&mut self) -> Option<String> {
        let (python, node) = (self.version("python_version"), self.version("node_version"));
        let (language, version) = python.map(|version| ("python", version)).or(node.map(|version| ("node", version)))?;
        Some(format!("runtime: {{ {language}: {} }}", quoted(&version)))
    }

    fn version(&mut self, name: &str) -> Option<String> {
        match self.fields.shift_remove(name)? {
            Value::String(version) => Some(version),
            // Without quotes 3.10 is the number 3.1, and there is nobody left who means that one.
            Value::Number(number) if name == "python_version" && number.to_string() == "3.1" => {
                self.note(name, "the number 3.1 became \"3.10\": put versions in quotes");
                Some("3.10".to_owned())
            }
            Value::Number(number) => Some(number.to_string()),
            other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                self.note(name, &format!("left out: {other} is no version"));
                None
            }
        }
    }

    fn health(&mut self) -> Option<String> {
        if self.fields.shift_remove("health_endpoint").is_some() {
            self.note("health_endpoint", ASKED_BY_PROTOCOL);
        }
        let path = format!("{}.health_check", self.path);
        let check = self.fields.shift_remove("health_check")?;
        let mut check = self.notes.object(check, &path);
        if check.shift_remove("endpoint").is_some() {
            self.notes.add(&format!("{path}.endpoint"), ASKED_BY_PROTOCOL);
        }
        let mut said = Vec::new();
        if check.shift_remove("enabled") == Some(Value::Bool(false)) {
            said.push("enabled: false".to_owned());
        }
        for name in ["interval", "timeout"] {
            let seconds = check.shift_remove(name);
            let seconds = self.notes.fit(&path, name, seconds, |value| value.as_f64().filter(|time| *time > 0.0));
            said.extend(seconds.map(|seconds| format!("{name}: {seconds}s")));
        }
        self.notes.rest(&check, &path);
        (!said.is_empty()).then(|| format!("health_check: {{ {} }}", said.join(", ")))
    }

    fn restarts(&mut self) -> Option<String> {
        let policy = self.text("restart_policy");
        let most = self.fields.shift_remove("max_restarts").and_then(|most| most.as_u64());
        match policy.as_deref() {
            Some("never" | "no") => Some("max_restarts: 0".to_owned()),
            None | Some("always" | "on-failure" | "on_failure" | "unless-stopped") => {
                most.map(|most| format!("max_restarts: {most}"))
            }
            Some(other) => {
                self.note("restart_policy", &format!("left out: {other:?} is not known; servers are restarted here"));
                most.map(|most| format!("max_restarts: {most}"))
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.fields.shift_remove(name).filter(|value| !value.is_null());
        self.notes.fit(self.path, name, value, |value| value.as_str().map(str::to_owned))
    }

    fn note(&mut self, name: &str, says: &str) {
        self.notes.add(&format!("{}.{name}", self.path), says);
    }
}

const ASKED_BY_PROTOCOL: &str = "left out: servers are asked by MCP's own ping";

fn has_extension(word: &str, known: &[&str]) -> bool {
    Path::new(word).extension().is_some_and(|extension| known.iter().any(|known| extension == *known))
}

/// The words of a command line, with its quotes taken off.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for found in line.chars() {
        match (quote, found) {
            (Some(open), _) if open == found => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(found), true),
            (None, _) if found.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(found);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
servers:
  standards:
    name: Standards
    description: What we agreed on
    type: python
    command: "python -m standards --title 'two words'"
    python_version: "3.11"
    environment: { API_KEY: "${STANDARDS_KEY}", DEPTH: 3 }
    health_check: { enabled: true, endpoint: /health, timeout: 5, interval: 60 }
    log_level: INFO
    restart_policy: on-failure
    max_restarts: 3
  old:
    type: python
    command: server.py
    python_version: 3.10
    restart_policy: never
    health_check: { enabled: false }
  script: { type: nodejs, command: tools.mjs --fast, ports: [1] }
  remote: { transport: http, url: "http://127.0.0.1:9/mcp", health_endpoint: /h }
  listed: { transport: stdio, command: [npx, -y, "@x/y"], env: {} }
  empty: { type: nodejs }
global: { startup_timeout: 30 }
"#;

    #[test]
    fn a_file_in_full() {
        let Value::Object(top) = serde_saphyr::from_str(FILE).expect("YAML") else { panic!("an object") };
        assert!(is(&top));
        let Imported { yaml, findings } = read(top);
        insta::assert_snapshot!(format!("{yaml}---\n{}", findings.join("\n")));
    }
}
