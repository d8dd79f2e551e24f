//! `mcp-router import FILE`: what other systems keep in files of their own, as a configuration of ours.
//!
//! A file is known by what stands in it. Whatever has no place here is named, with its path in the file: nothing is lost
//! in silence.

mod degraded;
mod notes;
mod rules;
mod servers;

use std::path::Path;

use serde_json::{Map, Value};

/// A file, read.
#[derive(Debug, PartialEq)]
pub struct Imported {
    /// The configuration, as YAML.
    pub yaml: String,
    /// What could not be carried over, or means something else here: `path: what became of it`.
    pub findings: Vec<String>,
}

/// A kind of file.
struct Kind {
    name: &'static str,
    /// Whether a file is one, by its top.
    is: fn(&Map<String, Value>) -> bool,
    read: fn(Map<String, Value>) -> Imported,
}

/// Every kind there is.
const KINDS: [Kind; 3] = [
    Kind { name: "enhancement-rules.json", is: rules::is, read: rules::read },
    Kind { name: "mcp_servers.yaml", is: servers::is, read: servers::read },
    Kind { name: "degraded-mode.yaml", is: degraded::is, read: degraded::read },
];

/// Reads the file at `path`, or says why it cannot be.
pub fn import(path: &Path) -> Result<Imported, String> {
    let shown = path.display();
    let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
    read(&text).map_err(|why| format!("{shown}: {why}"))
}

fn read(text: &str) -> Result<Imported, String> {
    let known = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = serde_json::from_str(text).or_else(|_| serde_saphyr::from_str(text));
    let top = match parsed {
        Ok(Value::Object(top)) => top,
        Ok(_) => return Err(format!("this is no object; files that can be imported: {known}")),
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            return Err(format!("this is neither JSON nor YAML ({first}); files that can be imported: {known}"));
        }
    };
    match KINDS.iter().find(|kind| (kind.is)(&top)) {
        Some(kind) => Ok((kind.read)(top)),
        None => Err(format!("nothing in it tells what it is; files that can be imported: {known}")),
    }
}

/// A text as YAML has it within quotes, which is how JSON has it; what looks like a reference to a variable is none.
fn quoted(text: &str) -> String {
    Value::from(text.replace("${", "$${")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told_with_what_is() {
        const KNOWN: &str = "files that can be imported: enhancement-rules.json, mcp_servers.yaml, degraded-mode.yaml";
        let table = [
            ("[]", "this is no object; "),
            ("{\"tools\": {}}", "nothing in it tells what it is; "),
            ("a: [", "this is neither JSON nor YAML ("),
        ];
        for (text, expected) in table {
            let told = read(text).expect_err("it cannot be read");
            assert!(told.starts_with(expected) && told.ends_with(KNOWN), "{told}");
        }
    }
}
