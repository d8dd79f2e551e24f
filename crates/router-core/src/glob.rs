//! Patterns of names.

/// Whether `text` fits a pattern in which `*` stands for anything.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    stands_in(pattern.split('*'), text)
}

/// Whether the parts stand in `text` in their order, the first at its beginning and the last at its end.
pub fn stands_in<'a>(parts: impl Iterator<Item = &'a str>, text: &str) -> bool {
    let mut parts = parts.peekable();
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("get", "get", true),
            ("get", "gets", false),
            ("*", "", true),
            ("get_*", "get_x", true),
            ("get_*", "set_x", false),
            ("*_x", "get_x", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
