//! The words of a text, as a search compares them: `list_pullRequests` is about listing pull requests.

/// The words in their order: lower case, cut where letters and digits change and where a capital begins a new word,
/// without the endings of plurals.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    let mut last = Sort::Other;
    while let Some(letter) = letters.next() {
        let sort = Sort::of(letter);
        let next = letters.peek().map_or(Sort::Other, |next| Sort::of(*next));
        let begins = match (last, sort) {
            // The last capital of several belongs to the word that follows: `HTTPServer`.
            (Sort::Large, Sort::Large) => next == Sort::Small,
            (Sort::Small, Sort::Large | Sort::Digit)
            | (Sort::Large, Sort::Digit)
            | (Sort::Digit, Sort::Small | Sort::Large) => true,
            _ => false,
        };
        if begins || sort == Sort::Other {
            finish(&mut word, &mut words);
        }
        if sort != Sort::Other {
            word.extend(letter.to_lowercase());
        }
        last = sort;
    }
    finish(&mut word, &mut words);
    words
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Small,
    Large,
    Digit,
    Other,
}

impl Sort {
    fn of(letter: char) -> Self {
        if letter.is_numeric() {
            Self::Digit
        } else if letter.is_uppercase() {
            Self::Large
        } else if letter.is_alphabetic() {
            Self::Small
        } else {
            Self::Other
        }
    }
}

fn finish(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(stem(std::mem::take(word)));
    }
}

/// `issues` is `issue`, `queries` is `query`; `status` and `class` are what they are.
fn stem(mut word: String) -> String {
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_fashion_are_words() {
        for (text, expected) in [
            ("list_pullRequests", "list pull request"),
            ("HTTPServer", "http server"),
            ("get-issue.v2", "get issue v 2"),
            ("search repositories", "search repository"),
            ("status of the class", "status of the class"),
            ("Größe ändern", "größe ändern"),
            ("  __  ", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }
}
