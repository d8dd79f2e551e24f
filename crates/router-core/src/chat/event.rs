//! An answer, piece by piece, in no vendor's words.

use std::ops::Add;

use super::{Message, Part, Role};
use crate::Raw;

/// One thing that happens in a reply. A decoder promises this order: `Start`, then blocks, each opened, filled and
/// closed before the next, `Usage` anywhere (each one replaces the former), `Stop` once, after the last block.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The reply begins.
    Start {
        /// The provider's id for it.
        id: Option<String>,
        /// The model as the provider names it.
        model: Option<String>,
    },
    /// A block begins.
    Open(Block),
    /// More text of the open text block.
    Text(String),
    /// More of the open thinking block.
    Thinking(String),
    /// The proof of the open thinking block.
    Signature(String),
    /// More of the arguments of the open tool call: a fragment of JSON text.
    Arguments(String),
    /// The open block ends.
    Close,
    /// What it cost so far.
    Usage(Usage),
    /// Why the model stopped.
    Stop {
        /// The reason.
        reason: StopReason,
        /// The text that ended it, where one did.
        sequence: Option<String>,
    },
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text for the person.
    Text,
    /// A thought.
    Thinking,
    /// A thought that only its provider can read.
    RedactedThinking(String),
    /// A call of a tool.
    ToolUse {
        /// Pairs it with its result.
        id: String,
        /// The tool.
        name: String,
    },
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// It said what it had to say.
    EndTurn,
    /// The limit of the answer.
    MaxTokens,
    /// A text that ends it came.
    StopSequence,
    /// It waits for its tools.
    ToolUse,
    /// It, or a filter, refused.
    Refusal,
    /// The context window was full.
    ContextWindow,
    /// The provider paused a long turn; ask again to go on.
    Pause,
}

/// Tokens. All zero means that nobody told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read by the model at full price: without what came from, or went into, the provider's prompt cache.
    pub input: u64,
    /// Written by the model, thoughts included.
    pub output: u64,
    /// Read from the provider's prompt cache.
    pub cache_read: u64,
    /// Written to the provider's prompt cache.
    pub cache_write: u64,
    /// The part of `output` that was thought.
    pub thinking: u64,
}

impl Usage {
    /// Whether anybody told.
    pub fn is_known(&self) -> bool {
        *self != Self::default()
    }

    /// What is known after `more` was told: counts only grow, and a later word may leave some of them out.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            input: self.input.max(more.input),
            output: self.output.max(more.output),
            cache_read: self.cache_read.max(more.cache_read),
            cache_write: self.cache_write.max(more.cache_write),
            thinking: self.thinking.max(more.thinking),
        }
    }

    /// All that the model read.
    pub fn total_input(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    /// The counts that do not overlap, by the names that meters have for them.
    pub fn by_kind(&self) -> [(&'static str, u64); 4] {
        [
            ("input", self.input),
            ("output", self.output),
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
        ]
    }
}

/// What two replies cost together.
impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            thinking: self.thinking + other.thinking,
        }
    }
}

/// The one message that a sequence of events amounts to, with its stop reason and usage.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The provider's id for the reply.
    pub id: Option<String>,
    /// The model as the provider names it.
    pub model: Option<String>,
    /// The message.
    pub message: Message,
    /// Why it stopped; `EndTurn` when nobody told.
    pub stop: StopReason,
    /// The text that ended it.
    pub sequence: Option<String>,
    /// What it cost.
    pub usage: Usage,
}

/// Folds events into one message.
pub fn fold(events: impl IntoIterator<Item = Event>) -> Folded {
    let mut folded = Folded {
        id: None,
        model: None,
        message: Message { role: Role::Assistant, parts: Vec::new() },
        stop: StopReason::EndTurn,
        sequence: None,
        usage: Usage::default(),
    };
    let mut arguments = String::new();
    for event in events {
        match (event, folded.message.parts.last_mut()) {
            (Event::Start { id, model }, _) => (folded.id, folded.model) = (id, model),
            (Event::Open(block), _) => folded.message.parts.push(opened(block)),
            (Event::Text(more), Some(Part::Text(text)))
            | (Event::Thinking(more), Some(Part::Thinking { text, .. })) => text.push_str(&more),
            (Event::Signature(more), Some(Part::Thinking { signature, .. })) => {
                signature.get_or_insert_default().push_str(&more);
            }
            (Event::Arguments(more), _) => arguments.push_str(&more),
            (Event::Close, Some(Part::ToolUse { input, .. })) if !arguments.is_empty() => {
                *input = Raw::trusted(std::mem::take(&mut arguments));
            }
            (Event::Usage(usage), _) => folded.usage = usage,
            (Event::Stop { reason, sequence }, _) => (folded.stop, folded.sequence) = (reason, sequence),
            (Event::Close | Event::Text(_) | Event::Thinking(_) | Event::Signature(_), _) => {}
        }
    }
    folded
}

fn opened(block: Block) -> Part {
    match block {
        Block::Text => Part::Text(String::new()),
        Block::Thinking => Part::Thinking { text: String::new(), signature: None },
        Block::RedactedThinking(data) => Part::RedactedThinking(data),
        Block::ToolUse { id, name } => Part::ToolUse { id, name, input: Raw::trusted("{}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_blocks_in_their_order() {
        let folded = fold([
            Event::Start { id: Some("m1".into()), model: Some("m".into()) },
            Event::Open(Block::Thinking),
            Event::Thinking("hm".into()),
            Event::Signature("s".into()),
            Event::Close,
            Event::Open(Block::Text),
            Event::Text("a".into()),
            Event::Text("b".into()),
            Event::Close,
            Event::Open(Block::ToolUse { id: "t1".into(), name: "x".into() }),
            Event::Arguments("{\"a\":".into()),
            Event::Arguments("1}".into()),
            Event::Close,
            Event::Open(Block::ToolUse { id: "t2".into(), name: "y".into() }),
            Event::Close,
            Event::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
            Event::Stop { reason: StopReason::ToolUse, sequence: None },
        ]);
        assert_eq!(
            folded.message.parts,
            [
                Part::Thinking { text: "hm".into(), signature: Some("s".into()) },
                Part::Text("ab".into()),
                Part::ToolUse { id: "t1".into(), name: "x".into(), input: Raw::trusted("{\"a\":1}") },
                Part::ToolUse { id: "t2".into(), name: "y".into(), input: Raw::trusted("{}") },
            ]
        );
        assert_eq!((folded.stop, folded.usage.output), (StopReason::ToolUse, 4));
    }
}
