//! `degraded-mode.yaml`: what a predecessor did while a server was away.

use serde_json::{Map, Value};

use super::{Imported, notes::Notes, quoted};

/// Whether a file is one of these.
pub(super) fn is(top: &Map<String, Value>) -> bool {
    top.get("degradation").is_some_and(Value::is_object)
}

/// Reads one: what goes beside each server's own command or address.
pub(super) fn read(mut top: Map<String, Value>) -> Imported {
    let mut notes = Notes::default();
    let servers = top.shift_remove("degradation").map(|servers| notes.object(servers, "degradation"));
    notes.rest(&top, "");
    notes.servers("degradation", servers.unwrap_or_default(), |path, fields, notes| {
        let lines = Server { path, fields, notes }.lines();
        notes.add(path, "add the command or url of this server: the file does not tell it");
        lines
    })
}

/// What is done while one of their servers is away.
struct Server<'a> {
    path: &'a str,
    fields: Map<String, Value>,
    notes: &'a mut Notes,
}

impl Server<'_> {
    fn lines(mut self) -> Vec<String> {
        let stale_ok = self.fields.shift_remove("cache_stale_ok").is_none_or(|ok| ok != Value::Bool(false));
        let lists = ["on_timeout", "on_error"].map(|key| (key, self.list(key, stale_ok)));
        let mut lines = vec![];
        if let Some(milliseconds) = self.number("timeout_ms") {
            lines.push(format!("timeout: {milliseconds}ms"));
        }
        let stale = lists.iter().any(|(_, words)| words.contains(&"stale"));
        lines.extend(stale.then(|| "cache: {}".to_owned()));
        for (key, words) in lists.iter().filter(|(_, words)| !words.is_empty()) {
            lines.push(format!("{key}: [{}]", words.join(", ")));
        }
        if let Some(hours) = self.number("cache_stale_max_age_hours").filter(|_| stale) {
            lines.push(format!("stale_max_age: {hours}h"));
        }
        // Both are files or folders that answer: what a server keeps to is told as it lies there.
        for key in ["local_backup_path", "fallback_standards_path"] {
            if let Some(Value::String(folder)) = self.fields.shift_remove(key) {
                lines.push(format!("backup: {}", quoted(&folder)));
            }
        }
        self.notes.rest(&self.fields, self.path);
        lines
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        let value = self.fields.shift_remove(key);
        self.notes.fit(self.path, key, value, |value| value.as_u64().filter(|number| *number > 0))
    }

    /// Their word for one answer as our list of them.
    fn list(&mut self, key: &str, stale_ok: bool) -> Vec<&'static str> {
        let has_file = self.fields.contains_key("fallback_standards_path");
        let read = |value: Value| match value.as_str()? {
            // A copy that is still good was looked for before anybody was asked.
            "use_cache" | "use_stale_cache" if stale_ok => Some(vec!["stale", "skip"]),
            "use_cache" | "use_stale_cache" | "skip" => Some(vec!["skip"]),
            "use_local_backup" => Some(vec!["backup", "skip"]),
            "use_default" if has_file => Some(vec!["backup", "skip"]),
            _ => None,
        };
        let value = self.fields.shift_remove(key);
        self.notes.fit(self.path, key, value, read).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn what_was_done_while_a_server_was_away() {
        let text = "
degradation:
  context7: { timeout_ms: 5000, on_timeout: use_cache, on_error: skip, cache_stale_ok: true, cache_stale_max_age_hours: 24 }
  confluence: { timeout_ms: 5000, on_timeout: use_stale_cache, on_error: use_local_backup, local_backup_path: /data/confluence/ }
  notion: { timeout_ms: 0, on_timeout: use_cache, cache_stale_ok: false, on_error: shrug }
  standards: { timeout_ms: 2000, on_timeout: use_default, on_error: use_default, fallback_standards_path: /etc/standards.yaml, color: red }
";
        let imported = read(text).unwrap();
        insta::assert_snapshot!(format!("{}\n{}", imported.yaml, imported.findings.join("\n")));
    }
}
