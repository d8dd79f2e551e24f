//! `mcp-router servers`: what the running router says of its MCP servers, as text.

use std::fmt::Write as _;

use anyhow::Result;
use http::Method;
use serde_json::Value;

use crate::{
    cli::{CacheOrder, ServersOrder},
    config::Config,
    control,
};

/// Does what was ordered, and tells what came of it.
pub async fn obey(config: &Config, order: &ServersOrder) -> Result<String> {
    let (word, server) = match order {
        ServersOrder::List => return Ok(table(&control::ask(config, Method::GET, "/admin/servers").await?)),
        ServersOrder::Logs { server, lines } => {
            let target = format!("/admin/servers/{}/logs?lines={lines}", escaped(server));
            return Ok(log(&control::ask(config, Method::GET, &target).await?));
        }
        ServersOrder::Changes => return Ok(changes(&control::ask(config, Method::GET, "/admin/changes").await?)),
        ServersOrder::Approve { server, tool } => {
            let tool = tool.as_ref().map(|tool| format!("?tool={}", escaped(tool))).unwrap_or_default();
            let target = format!("/admin/servers/{}/approve{tool}", escaped(server));
            return Ok(approved(server, &control::ask(config, Method::POST, &target).await?));
        }
        ServersOrder::Start { server } => ("start", server),
        ServersOrder::Stop { server } => ("stop", server),
        ServersOrder::Restart { server } => ("restart", server),
    };
    control::ask(config, Method::POST, &format!("/admin/servers/{}/{word}", escaped(server))).await?;
    Ok(format!("{server}: told to {word}\n"))
}

/// Has answers forgotten, and tells how far that reached.
pub async fn forget(config: &Config, CacheOrder::Purge { server, tool, scope }: &CacheOrder) -> Result<String> {
    let said = [("server", server), ("tool", tool), ("scope", scope)];
    let query = said.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let target = format!("/admin/cache/purge?{}", query.collect::<Vec<_>>().join("&"));
    let said = control::ask(config, Method::POST, &target).await?;
    let everywhere = said.get("everywhere").and_then(Value::as_bool);
    Ok(if everywhere == Some(true) { "forgotten\n" } else { "forgotten here; other replicas could not be told\n" }
        .to_owned())
}

/// A name as a segment of a path; names of servers need no escapes, what somebody types may.
pub fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn log(said: &Value) -> String {
    let lines = said["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lines: Vec<String> = lines.map(printable).collect();
    if lines.is_empty() { "it has said nothing\n".to_owned() } else { lines.join("\n") + "\n" }
}

fn approved(server: &str, said: &Value) -> String {
    let mut text = String::new();
    for tool in said["approved"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(text, "{server}: {} is approved", printable(tool));
    }
    text
}

fn changes(said: &Value) -> String {
    let mut text = String::new();
    for tool in said["quarantined"].as_array().into_iter().flatten() {
        let word = |key: &str| printable(tool[key].as_str().unwrap_or_default());
        let _ = writeln!(text, "{} {}: kept away since it changed", word("server"), word("tool"));
        for line in tool["difference"].as_str().unwrap_or_default().lines() {
            let _ = writeln!(text, "    {}", printable(line));
        }
    }
    if text.is_empty() { "every tool is what it was\n".to_owned() } else { text }
}

/// A terminal obeys what it is sent: a server's words must not reach it.
fn printable(line: &str) -> String {
    line.chars().map(|found| if found.is_control() && found != '\t' { '\u{fffd}' } else { found }).collect()
}

fn table(said: &Value) -> String {
    let heads = ["SERVER", "STATE", "SPEAKS", "PID", "RESTARTS", "INSTANCES", "LAST ERROR"].map(str::to_owned);
    let servers = said["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if servers.is_empty() {
        return "there are no MCP servers\n".to_owned();
    }
    let rows: Vec<[String; 7]> = std::iter::once(heads).chain(servers.iter().map(row)).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            let width = width.unwrap_or_default() + 2;
            let _ = write!(text, "{cell:width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn row(server: &Value) -> [String; 7] {
    let cell = |key: &str| match &server[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Array(list) => list.len().to_string(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
    };
    let error = if server["state"] == "ready" { "-".to_owned() } else { cell("last_error") };
    ["name", "state", "protocol_version", "pid", "restarts", "instances"]
        .map(cell)
        .into_iter()
        .chain([error])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_stand_in_columns() {
        let said = json!({ "servers": [
            { "name": "fetch", "state": "ready", "protocol_version": "2025-11-25", "pid": 7, "restarts": 0, "instances": [], "last_error": "old" },
            { "name": "a", "state": "failed", "protocol_version": null, "pid": null, "restarts": 5, "instances": ["ready"], "last_error": "it\u{1b}[2J ended" },
        ] });
        let expected = "\
SERVER  STATE   SPEAKS      PID  RESTARTS  INSTANCES  LAST ERROR
fetch   ready   2025-11-25  7    0         0          -
a       failed  -           -    5         1          it\u{fffd}[2J ended
";
        assert_eq!(table(&said), expected);
        assert_eq!(escaped("a/b c"), "a%2Fb%20c");
    }
}
