//! The JSON in what a model said: models that were told to write nothing else still put words or a fence around it.

use serde_json::{Deserializer, Value};

use super::schema::Found;

/// How many places are tried at which an object or a list may begin: no text makes this slow.
const MOST_BEGINNINGS: usize = 64;

/// What may be meant as the answer, the likeliest first: all of it, what stands in its fence, and then the objects and
/// lists within, from the last to the first, because a model that quotes or thinks aloud does so before it answers.
pub(super) fn candidates(said: &str) -> Vec<Found<'_>> {
    let said = said.trim();
    let whole = [Some(said), fenced(said)].into_iter().flatten().find_map(|text| {
        let value = serde_json::from_str(text).ok()?;
        Some(Found { text, value })
    });
    match whole {
        Some(whole) => vec![whole],
        None => {
            let mut within = within(said);
            within.reverse();
            within
        }
    }
}

/// The content of a fence that is all that is said.
fn fenced(said: &str) -> Option<&str> {
    let (_language, content) = said.strip_prefix("```")?.split_once('\n')?;
    content.strip_suffix("```").map(str::trim)
}

/// Objects and lists that stand in a text, none within another.
fn within(said: &str) -> Vec<Found<'_>> {
    let (mut found, mut rest) = (Vec::new(), said);
    for _ in 0..MOST_BEGINNINGS {
        let Some(tail) = rest.find(['{', '[']).and_then(|at| rest.get(at..)) else { break };
        let mut values = Deserializer::from_str(tail).into_iter::<Value>();
        let length = match values.next() {
            Some(Ok(value)) => {
                let length = values.byte_offset();
                found.extend(tail.get(..length).map(|text| Found { text, value }));
                length
            }
            Some(Err(_)) | None => 1,
        };
        rest = tail.get(length..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_comes_first() {
        let table: [(&str, &[&str]); 10] = [
            (r#" {"a": 1} "#, &[r#"{"a": 1}"#]),
            ("```json\n{\"a\": 1}\n```", &[r#"{"a": 1}"#]),
            ("```\n7\n```", &["7"]),
            ("```json {\"a\": 1}```", &[r#"{"a": 1}"#]),
            ("one [1] two {\"b\": [2]} three", &[r#"{"b": [2]}"#, "[1]"]),
            ("{{\"a\": 1}}", &[r#"{"a": 1}"#]),
            (r#"{"a": "}{"} [2"#, &[r#"{"a": "}{"}"#]),
            ("{'a': 1}", &[]),
            ("nothing", &[]),
            ("", &[]),
        ];
        for (said, expect) in table {
            let found: Vec<_> = candidates(said).iter().map(|found| found.text).collect();
            assert_eq!(found, expect, "{said}");
        }
    }

    #[test]
    fn no_text_makes_it_slow() {
        for text in ["[".repeat(1 << 20), "{\"".repeat(1 << 19)] {
            assert!(candidates(&text).is_empty());
        }
    }
}
