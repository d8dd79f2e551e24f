//! `mcp-router import FILE`: what other systems keep in files of their own, as a configuration of ours.
//!
//! A file is known by what stands in it. Whatever has no place here is named, with its path in the file: nothing is lost
//! in silence.

mod rules;

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
const KINDS: [Kind; 1] = [Kind { name: "enhancement-rules.json", is: rules::is, read: rules::read }];

/// Reads the file at `path`, or says why it cannot be.
pub fn import(path: &Path) -> Result<Imported, String> {
    let shown = path.display();
    let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
    read(&text).map_err(|why| format!("{shown}: {why}"))
}

fn read(text: &str) -> Result<Imported, String> {
    let known = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let top = match serde_json::from_str(text) {
        Ok(Value::Object(top)) => top,
        Ok(_) => return Err(format!("this is no object of JSON; files that can be imported: {known}")),
        Err(error) => return Err(format!("this is not JSON ({error}); files that can be imported: {known}")),
    };
    match KINDS.iter().find(|kind| (kind.is)(&top)) {
        Some(kind) => Ok((kind.read)(top)),
        None => Err(format!("nothing in it tells what it is; files that can be imported: {known}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told_with_what_is() {
        let table = [
            (
                "servers:\n  a: {}",
                "this is not JSON (expected value at line 1 column 1); files that can be imported: enhancement-rules.json",
            ),
            ("[]", "this is no object of JSON; files that can be imported: enhancement-rules.json"),
            ("{\"servers\": {}}", "nothing in it tells what it is; files that can be imported: enhancement-rules.json"),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Err(expected.to_owned()));
        }
    }
}
