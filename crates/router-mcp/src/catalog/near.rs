//! The known name that somebody most likely meant.

/// How many letters a name may differ in.
const NEAR: usize = 3;
/// Beyond this no name is compared: the comparison is quadratic, and the name is a stranger's.
const LONGEST: usize = 128;

/// The nearest of `names`, when one is near: it ends with what was asked, or differs in a few letters.
pub(super) fn nearest<'a>(asked: &str, names: &'a [String]) -> Option<&'a str> {
    if asked.is_empty() || asked.len() > LONGEST {
        return None;
    }
    let ends = |name: &&String| name.strip_suffix(asked).is_some_and(|server| server.ends_with(super::naming::JOINT));
    if let Some(name) = names.iter().find(ends) {
        return Some(name);
    }
    let near = names.iter().filter(|name| name.len().abs_diff(asked.len()) <= NEAR);
    let (distance, name) = near.map(|name| (distance(asked, name), name)).min_by_key(|(distance, _)| *distance)?;
    (distance <= NEAR && distance < asked.len() / 2).then_some(name)
}

/// In how many letters two names differ (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.bytes().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, against) in cells.zip(other.bytes()) {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["github__create_issue", "github__list_issues", "time__now"].map(str::to_owned);
        for (asked, expected) in [
            ("github__create_isue", Some("github__create_issue")),
            ("github_create_issue", Some("github__create_issue")),
            ("create_issue", Some("github__create_issue")),
            ("time__new", Some("time__now")),
            ("weather__today", None),
            ("", None),
        ] {
            assert_eq!(nearest(asked, &names), expected, "{asked}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
