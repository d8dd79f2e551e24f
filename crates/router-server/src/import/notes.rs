//! What became of the parts of a file that could not be carried over as they were.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Imported, quoted};

/// What has to be told, by its place in the file.
#[derive(Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    pub(super) fn told(self) -> Vec<String> {
        self.0
    }

    pub(super) fn add(&mut self, path: &str, says: &str) {
        let note = format!("{path}: {says}");
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub(super) fn object(&mut self, value: Value, path: &str) -> Map<String, Value> {
        if let Value::Object(fields) = value {
            return fields;
        }
        self.add(path, "left out: an object is expected there");
        Map::new()
    }

    pub(super) fn fit<T>(
        &mut self,
        path: &str,
        name: &str,
        value: Option<Value>,
        read: impl Fn(Value) -> Option<T>,
    ) -> Option<T> {
        let value = value?;
        let fit = read(value.clone());
        if fit.is_none() {
            self.add(&format!("{path}.{name}"), &format!("left out: {value} is not what belongs there"));
        }
        fit
    }

    /// Writes down each of `servers`, which stand under `key`, by the lines that `lines` makes of it.
    pub(super) fn servers(
        mut self,
        key: &str,
        servers: Map<String, Value>,
        lines: impl Fn(&str, Map<String, Value>, &mut Self) -> Vec<String>,
    ) -> Imported {
        let mut yaml = "mcpServers:\n".to_owned();
        for (name, server) in servers {
            let path = format!("{key}.{name}");
            let fields = self.object(server, &path);
            let lines = lines(&path, fields, &mut self);
            let _ = writeln!(yaml, "  {}:\n    {}", quoted(&name), lines.join("\n    "));
        }
        Imported { yaml, findings: self.told() }
    }

    pub(super) fn rest(&mut self, fields: &Map<String, Value>, path: &str) {
        for name in fields.keys() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.add(&path, "left out: there is nothing like it here");
        }
    }
}
