//! Finds the word that somebody may have meant.

/// The word of `known` that is nearest to `written`, if one is near enough to be meant.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let tolerated = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (distance(&written, &word.to_lowercase()), word))
        .filter(|&(distance, _)| distance <= tolerated)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

/// What to say instead of a word that is not known: the one that was meant, or all there are.
pub(super) fn remedy(written: &str, known: &[&str]) -> String {
    nearest(written, known.iter().copied())
        .map_or_else(|| format!("one of: {}", known.join(", ")), |word| format!("did you mean \"{word}\"?"))
}

/// How many letters have to be inserted, removed, replaced, or swapped with their neighbour (Damerau, restricted).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in right.iter().enumerate() {
            let cell = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&last, column) + usize::from(letter != other);
            let mut best = replaced.min(cell(&last, column + 1) + 1).min(cell(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(&other) && right.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(cell(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in
            [("", "abc", 3), ("abc", "abc", 0), ("timout", "timeout", 1), ("lisetn", "listen", 1)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["openai", "anthropic", "ollama"];
        assert_eq!(nearest("opnai", known), Some("openai"));
        assert_eq!(nearest("OpenAI", known), Some("openai"));
        assert_eq!(nearest("mistral", known), None);
        assert_eq!(remedy("mistral", &known), "one of: openai, anthropic, ollama");
    }
}
