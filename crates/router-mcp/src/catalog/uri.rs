//! Which URIs fit a template.

use router_core::stands_in;

/// Whether `uri` can be an expansion of a template (RFC 6570): its fixed parts stand in it, in their order, the first
/// at the beginning and the last at the end.
pub(super) fn fits_template(template: &str, uri: &str) -> bool {
    let literals = template.split('{').enumerate().map(|(index, part)| match part.split_once('}') {
        Some((_, literal)) if index > 0 => literal,
        _ => part,
    });
    template.contains('{') && stands_in(literals, uri)
}

#[cfg(test)]
mod tests {
    use super::*;

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
