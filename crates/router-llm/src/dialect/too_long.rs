//! "It does not fit the context window": by how much, from the words of any vendor.

use router_core::Excess;

/// What a message says of a window and of what should have fit into it; `None` where it names no numbers.
pub(super) fn read(message: &str) -> Option<Excess> {
    let numbers = numbers(message);
    let counts: Vec<u64> = numbers.iter().map(|(number, _)| *number).collect();
    let of_context = numbers.iter().filter(|(_, before)| before.contains("context")).map(|(number, _)| *number);
    let window = stated_sum(message, &counts).or_else(|| of_context.min()).or_else(|| counts.iter().copied().min())?;
    if let Some((question, answer)) = question_and_answer(&counts, window) {
        return Some(Excess { question, answer: Some(answer), window });
    }
    let question = counts.iter().copied().max().filter(|tokens| *tokens > window)?;
    Some(Excess { question, answer: None, window })
}

/// The window of `question + answer > window`, as Anthropic writes it.
fn stated_sum(message: &str, counts: &[u64]) -> Option<u64> {
    match counts {
        [_, _, window] if message.contains(" + ") && message.contains(" > ") => Some(*window),
        _ => None,
    }
}

/// The two numbers that together are too much, though the first alone would fit: where a third number is their sum, or
/// where there are no others.
fn question_and_answer(counts: &[u64], window: u64) -> Option<(u64, u64)> {
    if let [question, answer, last] = counts
        && *last == window
        && *question < window
        && question.saturating_add(*answer) > window
    {
        return Some((*question, *answer));
    }
    let total = |sum: u64| sum > window && counts.contains(&sum);
    counts.iter().enumerate().find_map(|(at, question)| {
        let answers = counts.iter().skip(at + 1);
        let answer = answers.copied().find(|answer| *question < window && total(question.saturating_add(*answer)))?;
        Some((*question, answer))
    })
}

/// The numbers of a message, each with the words since the one before. Short ones are parts of names, not counts.
fn numbers(message: &str) -> Vec<(u64, &str)> {
    let mut numbers = Vec::new();
    let mut words = 0;
    let mut at = 0;
    while let Some(start) = message.get(at..).and_then(|rest| rest.find(|letter: char| letter.is_ascii_digit())) {
        let start = at + start;
        let digits = message.get(start..).unwrap_or_default();
        let length = digits.find(|letter: char| !letter.is_ascii_digit() && letter != ',').unwrap_or(digits.len());
        let number: String = digits.chars().take(length).filter(char::is_ascii_digit).collect();
        at = start + length;
        if let (Ok(number @ 256..), Some(before)) = (number.parse::<u64>(), message.get(words..start)) {
            numbers.push((number, before));
            words = at;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_every_vendors_words() {
        let alone = |question, window| Some(Excess { question, answer: None, window });
        let both = |question, answer, window| Some(Excess { question, answer: Some(answer), window });
        let cases = [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
                alone(9001, 8192),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the \
                 messages, 4000 in the completion). Please reduce the length of the messages or completion.",
                both(5000, 4000, 8192),
            ),
            (
                "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a \
                 total of 140000 tokens: 12000 tokens from the input messages and 128000 tokens for the completion.",
                both(12_000, 128_000, 131_072),
            ),
            ("the request exceeds the available context size: 5,120 tokens > context size 4,096", alone(5120, 4096)),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                alone(537_812, 131_072),
            ),
            ("prompt is too long: 210000 tokens > 200000 maximum", alone(210_000, 200_000)),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or \
                 `max_tokens` and try again",
                both(188_240, 21_333, 200_000),
            ),
            ("The input is longer than the model's context length", None),
            ("prompt is too long: 5 tokens > 4 maximum", None),
        ];
        for (message, expected) in cases {
            assert_eq!(read(message), expected, "{message}");
        }
    }
}
