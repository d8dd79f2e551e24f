//! A text with a gap, asked of a model that only chats: editors complete code this way.

/// The order to fill the gap and nothing else.
pub(super) const ORDER: &str = "You complete text and code at the cursor. The user sends what stands before the cursor \
                                and what stands after it. Answer with exactly the text to insert between them: no \
                                explanation, no code fence, nothing of what is already there.";

/// The two sides of the gap.
pub(super) fn sides(before: &str, after: &str) -> String {
    format!("<before_cursor>\n{before}\n</before_cursor>\n<after_cursor>\n{after}\n</after_cursor>")
}
