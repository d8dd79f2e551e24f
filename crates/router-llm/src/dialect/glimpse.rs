//! What a question holds that not every model reads, found while its body is walked over for the first time.

use std::ops::Range;

use router_core::{
    chat::Needs,
    scan::{Flaw, Scanner},
};

/// The keys of an envelope under which messages stand, in any of the dialects.
pub(super) const HOLDERS: [&str; 2] = ["messages", "input"];

/// How far below the list of messages a part may stand: in a message, and in the result of a tool in it.
const LEVELS: usize = 3;

/// Steps over a value, which may be a list of messages or of their parts, and notes what it needs.
pub(super) fn see(scanner: &mut Scanner<'_>, needs: &mut Needs) -> Result<Range<usize>, Flaw> {
    list(scanner, needs, LEVELS)
}

fn list(scanner: &mut Scanner<'_>, needs: &mut Needs, levels: usize) -> Result<Range<usize>, Flaw> {
    if levels == 0 || scanner.peek() != Some(b'[') {
        return scanner.value();
    }
    let start = scanner.at();
    let mut place = scanner.array()?;
    while scanner.element(&mut place)? {
        if scanner.peek() == Some(b'{') {
            member(scanner, needs, levels)?;
        } else {
            scanner.value()?;
        }
    }
    Ok(start..scanner.at())
}

/// A message or a part of one.
fn member(scanner: &mut Scanner<'_>, needs: &mut Needs, levels: usize) -> Result<(), Flaw> {
    let mut place = scanner.object()?;
    while let Some(key) = scanner.key(&mut place)? {
        let key = scanner.seen(key);
        let below = if key == br#""content""# { levels - 1 } else { 0 };
        let value = list(scanner, needs, below)?;
        match (key, scanner.seen(value)) {
            (br#""type""#, kind) => note(kind, needs),
            // Ollama's messages have their pictures beside the text.
            (br#""images""#, pictures) => needs.images |= is_filled(pictures),
            _ => {}
        }
    }
    Ok(())
}

/// The types of parts that not every model reads, as the dialects call them.
fn note(kind: &[u8], needs: &mut Needs) {
    match kind {
        br#""image""# | br#""image_url""# | br#""input_image""# => needs.images = true,
        br#""document""# | br#""file""# | br#""input_file""# => needs.documents = true,
        _ => {}
    }
}

/// Whether a list is there that holds anything.
pub(super) fn is_filled(value: &[u8]) -> bool {
    value.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().first() != Some(&b']'))
}

/// A whole number.
pub(super) fn count(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_stands_among_the_messages_and_nowhere_else() {
        let image = Needs { images: true, ..Needs::default() };
        let document = Needs { documents: true, ..Needs::default() };
        let table = [
            (r#"[{"role":"user","content":"an \"image\" of \"type\":\"image\""}]"#, Needs::default()),
            (r#"[{"role":"user","content":[{"type":"text","text":"x"}, {"type" : "image" ,"source":{}}]}]"#, image),
            (r#"[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]"#, image),
            (
                r#"[{"content":[{"type":"tool_use","input":{"type":"image","content":[{"type":"image"}]}}]}]"#,
                Needs::default(),
            ),
            (r#"[{"content":[{"image_url":{"url":"u"},"type":"image_url"}]}]"#, image),
            (r#"[{"type":"message","content":[{"type":"input_image"}]}]"#, image),
            (r#"[{"content":[{"type":"document"}]}]"#, document),
            (r#"[{"content":[{"type":"file"}]}]"#, document),
            (r#"[{"content":"x","images":["aGk="]}]"#, image),
            (r#"[{"content":"x","images":[]}]"#, Needs::default()),
            (r#"["x", 1, null, [{"type":"image"}]]"#, Needs::default()),
            (r#""one text""#, Needs::default()),
        ];
        for (json, expect) in table {
            let mut needs = Needs::default();
            let mut scanner = Scanner::trusted(json.as_bytes());
            assert_eq!(see(&mut scanner, &mut needs).unwrap(), 0..json.len(), "{json}");
            assert_eq!(needs, expect, "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_found_as_in_any_other_value() {
        for json in [r#"[{"content":[{"type":tru}]}]"#, r#"[{"content":[{"type":"image"}"#, "[{]", r#"[{"a":1,}]"#] {
            let mut scanner = Scanner::trusted(json.as_bytes());
            let flaw = Scanner::trusted(json.as_bytes()).value().unwrap_err();
            assert_eq!(see(&mut scanner, &mut Needs::default()).unwrap_err(), flaw, "{json}");
        }
    }
}
