//! Which names fit a pattern, and which URIs a template.

/// Whether `text` fits a pattern in which `*` stands for anything.
pub(super) fn matches_glob(pattern: &str, text: &str) -> bool {
    fits(pattern.split('*'), text)
}

/// Whether `uri` can be an expansion of a template (RFC 6570): its fixed parts stand in it, in their order, the first
/// at the beginning and the last at the end.
pub(super) fn fits_template(template: &str, uri: &str) -> bool {
    let literals = template.split('{').enumerate().map(|(index, part)| match part.split_once('}') {
        Some((_, literal)) if index > 0 => literal,
        _ => part,
    });
    template.contains('{') && fits(literals, uri)
}

fn fits<'a>(parts: impl Iterator<Item = &'a str>, text: &str) -> bool {
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

    #[test]
    fn templates() {
        for (template, uri, expected) in [
            ("file:///{path}", "file:///a/b", true),
            ("file:///{path}", "http:///a", false),
            ("test://{id}/data", "test://1/data", true),
            ("test://{id}/data", "test://1/date", false),
            ("test://fixed", "test://fixed", false),
            ("x{a}{b}y", "x12y", true),
        ] {
            assert_eq!(fits_template(template, uri), expected, "{template} {uri}");
        }
    }
}
