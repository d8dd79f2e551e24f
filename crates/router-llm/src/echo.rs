//! The embedded provider that needs no key and no network: it repeats what it is told, and says so.
//!
//! What the last message is decides the answer:
//!
//! | last message | answer |
//! |---|---|
//! | a tool's result | the text of the result |
//! | `call NAME {...}`, where `NAME` is a tool on offer | a call of the tool with these arguments (`{}` where there are none) |
//! | `think TEXT` | the thought `TEXT`, then `TEXT` |
//! | anything else | the last text of the user, verbatim |

use std::sync::Arc;

use futures_util::stream;
use router_core::{
    Cx, Error, Kind, Result, Upstream,
    chat::{Block, Chat, ChatReply, Event, Message, Part, Prompt, Role, Shape, StopReason, Usage},
    embed::{Embed, Vectors},
};
use serde_json::{Map, Value};

use crate::models::ModelCard;

/// The provider's and the model's name, and the fingerprint of its answers.
pub const NAME: &str = "echo";

/// Bytes of text that count as one token: an estimate, as nothing is tokenized here.
const BYTES_PER_TOKEN: usize = 4;

/// What is said when there is nothing to repeat.
const SILENCE: &str = "(nothing was said)";

/// The embedded provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// Its only model.
pub fn card() -> ModelCard {
    ModelCard {
        display_name: "Echo (not a model: repeats what it is told)".to_owned(),
        description: Some(
            "An echo that is built into MCP Router. It repeats the last user text and knows nothing.".to_owned(),
        ),
        ..ModelCard::new(NAME, "mcp-router")
    }
}

impl Upstream<Chat> for Echo {
    async fn call(&self, _: &Cx, query: Chat) -> Result<ChatReply> {
        let prompt = query.prompt()?;
        let mut events = vec![Event::Start { id: None, model: Some(NAME.to_owned()) }];
        let stop = Answer::to(&prompt).tell(query.shape, &mut events);
        events.push(Event::Usage(estimate(&prompt, &events)));
        events.push(Event::Stop { reason: stop, sequence: None });
        let mut reply = ChatReply::events(query.shape, stream::iter(events.into_iter().map(Ok)));
        let provenance = router_core::Reply::provenance_mut(&mut reply);
        (provenance.upstream, provenance.model) = (Some(Arc::from(NAME)), Some(Arc::from(NAME)));
        Ok(reply)
    }
}

impl Upstream<Embed> for Echo {
    async fn call(&self, _: &Cx, _: Embed) -> Result<Vectors> {
        Err(Error::new(Kind::NotFound, "echo has no embeddings")
            .hint("configure a model that has: `models: { embed: [ollama/nomic-embed-text] }`, and ask for `embed`"))
    }
}

/// What the echo has to say.
#[derive(Debug, PartialEq)]
enum Answer {
    Text(String),
    Thought(String),
    Call { name: String, arguments: String },
}

impl Answer {
    fn to(prompt: &Prompt) -> Self {
        if let Some(result) = prompt.messages.last().and_then(result_text) {
            return Self::Text(result);
        }
        let said = prompt.last_user_text();
        if let Some(call) = called(&said, prompt) {
            return call;
        }
        match said.strip_prefix("think ") {
            Some(thought) => Self::Thought(thought.to_owned()),
            None if said.is_empty() => Self::Text(SILENCE.to_owned()),
            None => Self::Text(said),
        }
    }

    fn tell(self, shape: Shape, events: &mut Vec<Event>) -> StopReason {
        let pieces = |text: &str| match shape {
            Shape::Whole => vec![text.to_owned()],
            Shape::Stream => text.split_inclusive(char::is_whitespace).map(str::to_owned).collect(),
        };
        let mut block = |block: Block, text: &str, event: fn(String) -> Event| {
            events.push(Event::Open(block));
            events.extend(pieces(text).into_iter().map(event));
            events.push(Event::Close);
        };
        match self {
            Self::Text(text) => block(Block::Text, &text, Event::Text),
            Self::Thought(text) => {
                block(Block::Thinking, &text, Event::Thinking);
                block(Block::Text, &text, Event::Text);
            }
            Self::Call { name, arguments } => {
                // The same call has the same id, so that an answer can be repeated and compared.
                let digest = blake3::hash(format!("{name} {arguments}").as_bytes()).to_hex();
                let id = format!("call_{}", digest.get(..24).unwrap_or_default());
                block(Block::ToolUse { id, name }, &arguments, Event::Arguments);
                return StopReason::ToolUse;
            }
        }
        StopReason::EndTurn
    }
}

/// `call NAME {...}`, where the tool is on offer and the arguments are an object.
fn called(said: &str, prompt: &Prompt) -> Option<Answer> {
    let call = said.strip_prefix("call ")?.trim();
    let (name, arguments) = call.split_once(char::is_whitespace).unwrap_or((call, "{}"));
    let arguments = arguments.trim();
    let offered = prompt.tools.iter().any(|tool| tool.name == name);
    let is_object = serde_json::from_str::<Map<String, Value>>(arguments).is_ok();
    (offered && is_object).then(|| Answer::Call { name: name.to_owned(), arguments: arguments.to_owned() })
}

/// The text of the tools' results that a message brings; `None` when it brings none.
fn result_text(message: &Message) -> Option<String> {
    let results = message.parts.iter().filter_map(|part| match part {
        Part::ToolResult { parts, .. } => Some(Message { role: Role::User, parts: parts.clone() }.joined_text()),
        Part::Text(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::Thinking { .. }
        | Part::RedactedThinking(_)
        | Part::ToolUse { .. }
        | Part::Other { .. } => None,
    });
    results.reduce(|all, more| format!("{all}\n{more}"))
}

/// An estimate: one token for every four bytes of what is read and written, one more for each message and block.
fn estimate(prompt: &Prompt, events: &[Event]) -> Usage {
    let read = prompt.messages.iter().map(|message| 1 + tokens(message.parts.iter().map(part_bytes).sum())).sum();
    let (mut blocks, mut written, mut thought) = (0, 0, 0);
    for event in events {
        match event {
            Event::Open(_) => blocks += 1,
            Event::Text(text) | Event::Arguments(text) => written += text.len(),
            Event::Thinking(text) => thought += text.len(),
            Event::Start { .. } | Event::Signature(_) | Event::Close | Event::Usage(_) | Event::Stop { .. } => {}
        }
    }
    let thinking = tokens(thought);
    Usage { input: read, output: blocks + tokens(written) + thinking, thinking, ..Usage::default() }
}

fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

fn part_bytes(part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Thinking { text, .. } => text.len(),
        Part::ToolUse { name, input, .. } => name.len() + input.bytes().len(),
        Part::ToolResult { parts, .. } => parts.iter().map(part_bytes).sum(),
        Part::Image(_) | Part::Document(_) | Part::RedactedThinking(_) | Part::Other { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::TryStreamExt as _;
    use router_core::{
        Caller, Raw,
        chat::{Image, ToolSpec, fold},
    };

    use super::*;

    async fn events(prompt: Prompt, shape: Shape) -> Vec<Event> {
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let reply = Echo.call(&cx, Chat::of(prompt, NAME, shape)).await.unwrap();
        reply.into_events().try_collect().await.unwrap()
    }

    fn user(parts: Vec<Part>) -> Message {
        Message { role: Role::User, parts }
    }

    fn with_tool(text: &str) -> Prompt {
        let tool = ToolSpec { name: "add".into(), description: None, schema: Raw::trusted("{}"), strict: None };
        Prompt { tools: vec![tool], ..Prompt::ask(text) }
    }

    #[tokio::test]
    async fn repeats_in_small_pieces_what_the_user_said_last() {
        let mut prompt = Prompt::ask("first");
        prompt.messages.push(Message::text(Role::Assistant, "no"));
        prompt.messages.push(Message::text(Role::User, "two  words\n"));
        let usage = Usage { input: 3 + 2 + 1 + 3, output: 1 + 3, ..Usage::default() };
        let ending = [Event::Close, Event::Usage(usage), Event::Stop { reason: StopReason::EndTurn, sequence: None }];
        let begin = [Event::Start { id: None, model: Some("echo".into()) }, Event::Open(Block::Text)];
        let said = |pieces: &[&str]| -> Vec<Event> {
            let pieces = pieces.iter().map(|piece| Event::Text((*piece).to_owned()));
            begin.iter().cloned().chain(pieces).chain(ending.iter().cloned()).collect()
        };
        assert_eq!(events(prompt.clone(), Shape::Stream).await, said(&["two ", " ", "words\n"]));
        assert_eq!(events(prompt, Shape::Whole).await, said(&["two  words\n"]));
    }

    #[tokio::test]
    async fn answers_by_what_the_last_message_is() {
        let text = |text: &str| Part::Text(text.into());
        let call = |arguments: &str| {
            let digest = blake3::hash(format!("add {arguments}").as_bytes()).to_hex().to_string();
            let input = Raw::trusted(arguments.to_owned());
            Part::ToolUse { id: format!("call_{}", &digest[..24]), name: "add".into(), input }
        };
        let result = |parts| Part::ToolResult { id: "c".into(), parts, is_error: false };
        let cases = [
            (with_tool("call add {\"a\": 1}"), vec![call("{\"a\": 1}")]),
            (with_tool("call add"), vec![call("{}")]),
            (with_tool("call add [1]"), vec![text("call add [1]")]),
            (with_tool("call subtract {}"), vec![text("call subtract {}")]),
            (Prompt::ask("call add {}"), vec![text("call add {}")]),
            (Prompt::ask("think hard"), vec![Part::Thinking { text: "hard".into(), signature: None }, text("hard")]),
            (Prompt::default(), vec![text(SILENCE)]),
            (
                Prompt {
                    messages: vec![user(vec![result(vec![text("3")]), result(vec![text("4")])])],
                    ..with_tool("")
                },
                vec![text("3\n4")],
            ),
            (
                Prompt {
                    messages: vec![user(vec![Part::Image(Image::Url("u".into())), text("look")])],
                    ..Prompt::default()
                },
                vec![text("look")],
            ),
        ];
        for (prompt, expected) in cases {
            for shape in [Shape::Whole, Shape::Stream] {
                let folded = fold(events(prompt.clone(), shape).await);
                assert_eq!(folded.message.parts, expected, "{prompt:?}");
                let calls = matches!(expected[0], Part::ToolUse { .. });
                assert_eq!(folded.stop == StopReason::ToolUse, calls, "{prompt:?}");
            }
        }
    }

    #[tokio::test]
    async fn says_plainly_what_it_is() {
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let reply = Echo.call(&cx, Chat::of(Prompt::ask("hi"), "any", Shape::Whole)).await.unwrap();
        assert_eq!(router_core::Reply::provenance(&reply).model.as_deref(), Some("echo"));
        assert_eq!((card().id.as_str(), card().provider.as_str()), ("echo", "mcp-router"));
        assert!(card().display_name.contains("not a model"));
    }
}
