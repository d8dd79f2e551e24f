//! Names of tools in the letters and the length that OpenAI allows, and back.

use std::borrow::Cow;

use router_core::chat::Prompt;

/// The longest name of a tool, in bytes.
const LONGEST: usize = 64;

/// How many digits of the digest keep two respelled names apart.
const DIGITS: usize = 8;

/// `name` as OpenAI takes it: the same for the same name, in every request.
pub(in crate::dialect) fn spelled(name: &str) -> Cow<'_, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.len() <= LONGEST && name.chars().all(allowed) {
        return Cow::Borrowed(name);
    }
    let readable = name.chars().map(|letter| if allowed(letter) { letter } else { '_' }).take(LONGEST - DIGITS - 1);
    let digest = blake3::hash(name.as_bytes()).to_hex();
    let digits = digest.get(..DIGITS).unwrap_or_default();
    readable.chain(['_']).chain(digits.chars()).collect::<String>().into()
}

/// The tools that are spelled otherwise: as they are written, and as the client has them.
pub(in crate::dialect) fn respelled(prompt: &Prompt) -> Vec<(String, String)> {
    let names = prompt.tools.iter().map(|tool| (spelled(&tool.name), &tool.name));
    names
        .filter(|(spelled, name)| *spelled != name.as_str())
        .map(|(spelled, name)| (spelled.into(), name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_shortened_and_kept_apart() {
        let long = "mcp__github_enterprise_server__create_or_update_pull_request_review_comment";
        let other = format!("{long}s");
        assert_eq!(spelled("create_issue-2"), "create_issue-2");
        assert_eq!(spelled(long).len(), 64);
        assert_eq!(spelled(long), spelled(long));
        assert_ne!(spelled(long), spelled(&other));
        assert!(spelled(long).starts_with("mcp__github_enterprise_server__create_or_update_pull_re_"));
        assert!(spelled("github.create").starts_with("github_create_"));
    }
}
