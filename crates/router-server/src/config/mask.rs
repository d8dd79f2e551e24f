//! Finds what looks like a credential in a line that is about to be shown, where no field says that it is one.

use std::ops::Range;

/// Parts of a key's name that say its value is nobody's business.
const TELLING: [&str; 8] = ["key", "token", "secret", "password", "passwd", "auth", "credential", "cookie"];

/// Names of keys of ours that hold such a part and keep no secret.
const HARMLESS: [&str; 2] = ["tokenizer", "max_tokens"];

/// How well-known credentials begin.
const PREFIXES: [&str; 12] =
    ["sk-", "sk_", "pk_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ", "AIza"];

/// Longer words with digits and letters are credentials as often as not.
const LONG: usize = 32;

/// The parts of `line` that had better not be shown.
pub(super) fn credentials(line: &str) -> Vec<Range<usize>> {
    let words = words(line).filter(|(_, word)| is_credential(word)).map(|(range, _)| range);
    words.chain(told(line)).chain(in_addresses(line)).collect()
}

/// Whether a text holds something that had better not be shown.
pub(super) fn may_be_secret(text: &str) -> bool {
    !credentials(text).is_empty()
}

/// Whether the value of a key called `name` is a secret, by the name alone.
pub(super) fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !HARMLESS.contains(&&*name) && TELLING.iter().any(|part| name.contains(part))
}

/// Whether a word looks like a credential by itself.
fn is_credential(word: &str) -> bool {
    let known = PREFIXES.iter().any(|prefix| word.len() > prefix.len() + 4 && word.starts_with(prefix));
    let mixed = word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte.is_ascii_alphabetic());
    known || (word.len() >= LONG && mixed)
}

fn words(line: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let part = |character: char| character.is_ascii_alphanumeric() || "-_+=".contains(character);
    let mut rest = 0;
    std::iter::from_fn(move || {
        let tail = line.get(rest..)?;
        let start = rest + tail.find(part)?;
        let length = line.get(start..)?.find(|character| !part(character)).unwrap_or(line.len() - start);
        rest = start + length;
        Some((start..rest, line.get(start..rest)?))
    })
}

/// The values of keys whose names say it; a reference (`${...}`) may be seen, and a collection is looked into instead.
fn told(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices([':', '=']).filter_map(|(colon, _)| {
        let before = line.get(..colon)?.trim_end_matches(['"', '\'', ' ']);
        let name =
            before.rsplit(|character: char| !(character.is_alphanumeric() || "-_".contains(character))).next()?;
        let after = line.get(colon + 1..)?;
        let start = colon + 1 + (after.len() - after.trim_start().len());
        let value = line.get(start..)?;
        let open = value.trim_start_matches(['"', '\'']).starts_with("${") || value.starts_with(['[', '{', '/']);
        let length = value.get(..value.find([',', '}', ']']).unwrap_or(value.len()))?.trim_end().len();
        (is_telling(name) && !open && length > 0).then(|| start..start + length)
    })
}

/// The parts of addresses that may be credentials: what stands before an `@`, and what follows a `?`.
fn in_addresses(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").flat_map(|(scheme, separator)| {
        let start = scheme + separator.len();
        let rest = line.get(start..).unwrap_or_default();
        let end = rest.find(|character: char| character.is_whitespace() || "\"',}]".contains(character));
        let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let user = address.find('@').map(|at| start..start + at);
        let query = address.find('?').map(|mark| start + mark + 1..start + address.len());
        user.into_iter().chain(query)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_nobody_should_read() {
        let cases = [
            ("    api_key: hunter2", vec!["hunter2"]),
            (r#"{ "GITHUB_TOKEN": "abc", x: 1 }"#, vec![r#""abc""#]),
            (r#"args: ["--k", "sk-live-0123456789"]"#, vec!["sk-live-0123456789"]),
            (r#"api_key: "${OPENAI_API_KEY}""#, vec![]),
            ("keys: [{ name: a }]", vec![]),
            ("tokenizer: o20k", vec![]),
            ("max_tokens: 2k, token: abc", vec!["abc"]),
            ("models: { big: anthropic/claude-opus-5-5 }", vec![]),
            ("url: https://mcp.example.com/mcp", vec![]),
            ("url: https://me:pw@example.com/x?k=v, b", vec!["me:pw", "k=v"]),
            ("Authorization: Bearer abc def", vec!["Bearer abc def"]),
            ("x: 0123456789abcdef0123456789abcdef", vec!["0123456789abcdef0123456789abcdef"]),
        ];
        for (line, expected) in cases {
            let found: Vec<_> = credentials(line).into_iter().map(|range| &line[range]).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
