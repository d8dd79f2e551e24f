//! "It does not fit the context window", in the words that clients of this dialect act on.

/// What Anthropic says when the question alone is too long: clients then shorten the conversation.
const PROMPT: &str = "prompt is too long";
/// What it says when question and answer together are: clients then ask for a shorter answer.
const TOGETHER: &str = "exceed context limit";

/// Another provider's message in Anthropic's words; `None` when it already is in them.
pub(super) fn reworded(message: &str) -> Option<String> {
    if message.contains(PROMPT) || message.contains(TOGETHER) {
        return None;
    }
    let numbers = numbers(message);
    let counts: Vec<u64> = numbers.iter().map(|(number, _)| *number).collect();
    let of_context = numbers.iter().filter(|(_, before)| before.contains("context")).map(|(number, _)| *number);
    let Some(window) = of_context.min().or(counts.iter().copied().min()) else { return Some(PROMPT.to_owned()) };
    if let Some((prompt, answer)) = question_and_answer(&counts, window) {
        return Some(format!("input length and `max_tokens` {TOGETHER}: {prompt} + {answer} > {window}"));
    }
    Some(match counts.iter().max() {
        Some(tokens) if *tokens > window => format!("{PROMPT}: {tokens} tokens > {window} maximum"),
        Some(_) | None => PROMPT.to_owned(),
    })
}

/// The two numbers that together are a third one which is too much, though the first alone would fit.
fn question_and_answer(counts: &[u64], window: u64) -> Option<(u64, u64)> {
    let total = |sum: u64| sum > window && counts.contains(&sum);
    counts.iter().enumerate().find_map(|(at, prompt)| {
        let answers = counts.iter().skip(at + 1);
        let answer = answers.copied().find(|answer| *prompt < window && total(prompt.saturating_add(*answer)))?;
        Some((*prompt, answer))
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
    fn says_it_in_anthropics_words() {
        let cases = [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
                "prompt is too long: 9001 tokens > 8192 maximum",
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the \
                 messages, 4000 in the completion). Please reduce the length of the messages or completion.",
                "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192",
            ),
            (
                "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a \
                 total of 140000 tokens: 12000 tokens from the input messages and 128000 tokens for the completion.",
                "input length and `max_tokens` exceed context limit: 12000 + 128000 > 131072",
            ),
            (
                "the request exceeds the available context size: 5,120 tokens > context size 4,096",
                "prompt is too long: 5120 tokens > 4096 maximum",
            ),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                "prompt is too long: 537812 tokens > 131072 maximum",
            ),
            ("The input is longer than the model's context length", "prompt is too long"),
        ];
        for (message, expected) in cases {
            assert_eq!(reworded(message).as_deref(), Some(expected), "{message}");
        }
        assert_eq!(reworded("prompt is too long: 5 tokens > 4 maximum"), None);
    }
}
