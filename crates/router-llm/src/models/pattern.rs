//! Patterns of names: `*` stands for any text, everything else for itself, in either case.

/// Whether `name` is one of those that `pattern` means.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern.eq_ignore_ascii_case(name) };
    let Some(name) = after(name, start) else { return false };
    if rest.is_empty() {
        return true;
    }
    (0..=name.len()).filter_map(|at| name.get(at..)).any(|tail| matches(rest, tail))
}

/// What follows `start`, where the text begins with it.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let table = [
            ("gpt-4", "gpt-4", true),
            ("gpt-4", "gpt-4o", false),
            ("gpt-4*", "GPT-4o", true),
            ("gpt-4*", "gpt-4", true),
            ("*-chat*", "gpt-5-chat-latest", true),
            ("gpt-5*-chat*", "gpt-5.1-chat", true),
            ("gpt-5*-chat", "gpt-5.1-chat-latest", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*é", "aé", true),
            ("é*", "e", false),
            ("", "a", false),
        ];
        for (pattern, name, expect) in table {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }
}
