//! References in the file: `${NAME}`, `${NAME:-default}`, `${file:path}`, resolved while it is loaded.

use super::{problem::Flaw, source::Source};

/// The largest file that `${file:...}` takes in.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Where variables are looked up.
pub(super) trait Lookup {
    /// The value of a variable, where it is set.
    fn variable(&self, name: &str) -> Option<&str>;

    /// Where one could set it, for a remedy.
    fn places(&self) -> String;
}

/// A text whose references were followed.
#[derive(Debug, PartialEq)]
pub(super) struct Resolved {
    pub(super) text: String,
    /// The first reference in it, as it is written. What came through one is not shown.
    pub(super) reference: Option<String>,
}

/// Follows the references in `text`; `$${` stands for a `${` that is none.
pub(super) fn resolve(text: &str, lookup: &dyn Lookup, source: &Source) -> Result<Resolved, Flaw> {
    let mut resolved = Resolved { text: String::with_capacity(text.len()), reference: None };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            resolved.text.push_str(literal);
            resolved.text.push_str("${");
            rest = after;
            continue;
        }
        let (inside, after) = after.split_once('}').ok_or_else(|| Flaw::new("a reference has no closing \"}\""))?;
        resolved.text.push_str(before);
        resolved.text.push_str(&follow(inside, lookup, source)?);
        resolved.reference.get_or_insert_with(|| shown(inside));
        rest = after;
    }
    resolved.text.push_str(rest);
    Ok(resolved)
}

/// Whether a text is nothing but a reference, which may be shown where what it leads to may not.
pub(super) fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains('}') && !inside.contains(":-"))
}

/// A reference without its default, which may be a secret.
fn shown(inside: &str) -> String {
    let name = inside.split_once(":-").map_or(inside, |(name, _)| name);
    format!("${{{name}}}")
}

fn follow(inside: &str, lookup: &dyn Lookup, source: &Source) -> Result<String, Flaw> {
    if inside.contains("${") {
        return Err(Flaw::new("a reference cannot hold another one").remedy("write one \"${NAME:-text}\""));
    }
    if let Some((name, default)) = inside.split_once(":-") {
        let set = lookup.variable(valid(name)?).filter(|value| !value.is_empty());
        return Ok(set.unwrap_or(default).to_owned());
    }
    match inside.split_once(':') {
        Some(("file", path)) => file(path, source),
        // What editors write for the same thing.
        Some(("env", name)) => variable(name, lookup),
        Some(("input", _)) => Err(Flaw::new(format!("${{{inside}}} is asked for by an editor, which we are not"))
            .remedy("write \"${NAME}\" and set the variable")),
        Some(("vault" | "aws", _)) => Err(Flaw::new(format!("${{{inside}}} is not available in this release yet"))
            .remedy("write \"${file:PATH}\" or \"${NAME}\"")),
        Some((scheme, _)) => Err(Flaw::new(format!("${{{scheme}:...}} is no source of values"))
            .remedy("write \"${NAME}\", \"${NAME:-default}\" or \"${file:PATH}\"")),
        None => variable(inside, lookup),
    }
}

fn variable(name: &str, lookup: &dyn Lookup) -> Result<String, Flaw> {
    let unset = || {
        Flaw::new(format!("${{{name}}} is not set"))
            .remedy(format!("set {name} in {}, or write \"${{{name}:-default}}\"", lookup.places()))
    };
    lookup.variable(valid(name)?).map(str::to_owned).ok_or_else(unset)
}

fn valid(name: &str) -> Result<&str, Flaw> {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(name);
    }
    Err(Flaw::new(format!("${{{name}}} does not name a variable"))
        .remedy("\"$${\" stands for a \"${\" that is no reference"))
}

fn file(path: &str, source: &Source) -> Result<String, Flaw> {
    let full = source.folder.join(path);
    let unread = |reason: String| Flaw::new(format!("${{file:{path}}} cannot be read: {reason}"));
    let size = fs_err::metadata(&full).map_err(|error| unread(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(unread(format!("{size} bytes are more than {MAX_FILE_BYTES}")));
    }
    let text = fs_err::read_to_string(&full).map_err(|error| unread(error.to_string()))?;
    // Whoever writes a secret to a file with an editor or `echo` leaves a newline behind.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    struct Two;

    impl Lookup for Two {
        fn variable(&self, name: &str) -> Option<&str> {
            match name {
                "KEY" => Some("k-123"),
                "EMPTY" => Some(""),
                _ => None,
            }
        }

        fn places(&self) -> String {
            "the environment".into()
        }
    }

    #[test]
    fn follows_references() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("token"), "from a file\n").unwrap();
        let source = Source::new(&folder.path().join("router.yaml"), "");
        let resolve = |text: &str| resolve(text, &Two, &source).map(|resolved| resolved.text).map_err(|flaw| flaw.says);
        let cases = [
            ("plain $HOME", Ok("plain $HOME")),
            ("${KEY}", Ok("k-123")),
            ("Bearer ${KEY}!${KEY}", Ok("Bearer k-123!k-123")),
            ("${env:KEY}", Ok("k-123")),
            ("${EMPTY}", Ok("")),
            ("${EMPTY:-x}", Ok("x")),
            ("${NONE:-}", Ok("")),
            ("${NONE:-http://a:1}", Ok("http://a:1")),
            ("$${KEY}", Ok("${KEY}")),
            ("${file:token}", Ok("from a file")),
            ("${NONE}", Err("${NONE} is not set")),
            ("${KEY", Err("a reference has no closing \"}\"")),
            ("${}", Err("${} does not name a variable")),
            ("${A:-${KEY}}", Err("a reference cannot hold another one")),
            ("${vault:kv/a#b}", Err("${vault:kv/a#b} is not available in this release yet")),
            ("${aws:name}", Err("${aws:name} is not available in this release yet")),
            ("${gcp:name}", Err("${gcp:...} is no source of values")),
            ("${input:token}", Err("${input:token} is asked for by an editor, which we are not")),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_too_large_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
        let source = Source::new(&folder.path().join("router.yaml"), "");
        let says = |text: &str| resolve(text, &Two, &source).unwrap_err().says;
        assert!(says("${file:none}").contains("cannot be read"));
        assert!(says("${file:large}").ends_with("70000 bytes are more than 65536"));
        let at_root = Source::new(Path::new("router.yaml"), "");
        assert!(resolve("${file:none}", &Two, &at_root).is_err());
    }
}
