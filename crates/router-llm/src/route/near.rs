//! The name that was probably meant.

/// The name that `written` was probably meant to be: the nearest one, when no more than a third of it is wrong.
pub(crate) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = written.chars().count() / 3;
    let near = names.map(|name| (distance(written, name), name)).filter(|(distance, _)| *distance <= far.max(1));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters have to be put in, left out or replaced to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other = other.chars().collect::<Vec<_>>();
    let mut row = (0..=other.len()).collect::<Vec<_>>();
    for (line, letter) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (line, line + 1);
        for (cell, theirs) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(letter != *theirs);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(cell) = row.first_mut() {
            *cell = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_letters_that_are_wrong() {
        for (one, other, expect) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ollama", "olama", 1)] {
            assert_eq!((distance(one, other), distance(other, one)), (expect, expect));
        }
    }
}
