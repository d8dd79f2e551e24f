//! Counting as OpenAI's models do, with the tables of their tokenizers.

use std::sync::Arc;

use router_core::chat::{Part, Prompt, ToolSpec};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use super::weight::Weight;
use crate::models::Tokenizer;

/// What is written around a message, and before the answer (OpenAI's cookbook, "how to count tokens").
const AROUND_MESSAGE: usize = 3;
const PRIMING: usize = 3;

/// What is written around a tool.
const AROUND_TOOL: usize = 8;

/// Counts the tokens of a question exactly, pictures by their size; `None` for families whose tables nobody publishes.
///
/// The first count of a family builds its table, which takes some hundred milliseconds; neither that nor the counting
/// holds up other work.
pub async fn exact(prompt: Arc<Prompt>, tokenizer: Tokenizer) -> Option<u64> {
    let table: fn() -> &'static CoreBPE = match tokenizer {
        Tokenizer::O200k => o200k_base_singleton,
        Tokenizer::Cl100k => cl100k_base_singleton,
        Tokenizer::Claude3 | Tokenizer::Claude5 | Tokenizer::Open => return None,
    };
    tokio::task::spawn_blocking(move || count(table(), &prompt, tokenizer)).await.ok()
}

fn count(table: &CoreBPE, prompt: &Prompt, tokenizer: Tokenizer) -> u64 {
    let messages = prompt.messages.iter().map(|message| {
        // The role is a word of its own.
        AROUND_MESSAGE + 1 + message.parts.iter().map(|part| said(table, part)).sum::<usize>()
    });
    let tools = prompt.tools.iter().map(|tool| offered(table, tool));
    let texts = messages.chain(tools).sum::<usize>() + PRIMING;
    texts as u64 + Weight::of_prompt(prompt).payload_tokens(tokenizer)
}

fn said(table: &CoreBPE, part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Thinking { text, .. } => table.count_ordinary(text),
        Part::ToolUse { name, input, .. } => table.count_ordinary(name) + AROUND_MESSAGE + raw(table, input.bytes()),
        Part::ToolResult { parts, .. } => AROUND_MESSAGE + parts.iter().map(|part| said(table, part)).sum::<usize>(),
        Part::Document(document) if document.media_type.starts_with("text/") => table.count_ordinary(&document.data),
        Part::Other { raw: other, .. } => raw(table, other.bytes()),
        Part::Image(_) | Part::Document(_) | Part::RedactedThinking(_) => 0,
    }
}

fn offered(table: &CoreBPE, tool: &ToolSpec) -> usize {
    let description = tool.description.as_deref().unwrap_or_default();
    AROUND_TOOL + table.count_ordinary(&tool.name) + table.count_ordinary(description) + raw(table, tool.schema.bytes())
}

fn raw(table: &CoreBPE, json: &[u8]) -> usize {
    std::str::from_utf8(json).map_or(0, |json| table.count_ordinary(json))
}

#[cfg(test)]
mod tests {
    use router_core::{
        Raw,
        chat::{Message, Role},
    };

    use super::*;

    #[tokio::test]
    async fn counts_as_openai_does() {
        let say = |role, text: &str| Message::text(role, text);
        let messages = vec![say(Role::System, "You are a helpful assistant."), say(Role::User, "hello world")];
        let prompt = Arc::new(Prompt { messages, ..Prompt::default() });
        let table =
            [(Tokenizer::O200k, Some(4 + 6 + 4 + 2 + 3)), (Tokenizer::Cl100k, Some(19)), (Tokenizer::Open, None)];
        for (tokenizer, expect) in table {
            assert_eq!(exact(Arc::clone(&prompt), tokenizer).await, expect, "{tokenizer:?}");
        }
        let tool = ToolSpec { name: "add".into(), description: None, schema: Raw::trusted("{}"), strict: None };
        let with_tool = Prompt { tools: vec![tool], ..Prompt::clone(&prompt) };
        assert!(exact(Arc::new(with_tool), Tokenizer::O200k).await > Some(19));
    }
}
