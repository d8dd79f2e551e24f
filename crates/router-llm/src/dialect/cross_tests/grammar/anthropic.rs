//! Anthropic's messages.

use serde_json::Value;

use super::{CallIds, Sent, Verdict, events, is_filled, json, must};

const STOPS: [&str; 7] =
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"];

/// How far the stream is.
#[derive(PartialEq)]
enum Place {
    Before,
    Between,
    Within(Block),
    Stopping,
    After,
}

/// The open block.
#[derive(PartialEq)]
struct Block {
    kind: String,
    /// The arguments of a call.
    arguments: String,
    signed: bool,
}

struct Stream {
    place: Place,
    index: u64,
    ids: CallIds,
    calls: usize,
    /// The arguments of a call are not whole, which only a limit excuses.
    cut: Option<String>,
}

pub(super) fn stream(bytes: &[u8]) -> Verdict {
    let mut stream = Stream { place: Place::Before, index: 0, ids: CallIds::default(), calls: 0, cut: None };
    let events = events(bytes)?;
    for (at, Sent { name, data }) in events.iter().enumerate() {
        let event = json(data.as_bytes())?;
        must(event["type"].as_str() == *name, "the event's name is not its type", &event)?;
        if *name == Some("error") {
            must(is_filled(&event["error"]["type"]) && event["error"]["message"].is_string(), "no error", &event)?;
            return must(at + 1 == events.len(), "something follows an error", &event);
        }
        stream.event(name.unwrap_or_default(), &event)?;
    }
    if stream.place == Place::After { Ok(()) } else { Err("the stream has no end".to_owned()) }
}

impl Stream {
    fn event(&mut self, name: &str, event: &Value) -> Verdict {
        let place = std::mem::replace(&mut self.place, Place::After);
        self.place = match (name, place) {
            ("ping", place) => place,
            ("message_start", Place::Before) => {
                start(&event["message"])?;
                Place::Between
            }
            ("content_block_start", Place::Between) => {
                must(event["index"] == self.index, "not the next block", event)?;
                Place::Within(self.open(&event["content_block"])?)
            }
            ("content_block_delta", Place::Within(mut block)) => {
                must(event["index"] == self.index, "not the open block", event)?;
                block.fill(&event["delta"])?;
                Place::Within(block)
            }
            ("content_block_stop", Place::Within(block)) => {
                must(event["index"] == self.index, "not the open block", event)?;
                self.close(block, event)?;
                Place::Between
            }
            ("message_delta", Place::Between) => {
                self.stop(&event["delta"])?;
                usage(&event["usage"])?;
                Place::Stopping
            }
            ("message_stop", Place::Stopping) => Place::After,
            _ => return Err(format!("out of order: {event}")),
        };
        Ok(())
    }

    fn open(&mut self, block: &Value) -> Result<Block, String> {
        must(!is_filled(&block["text"]) && !is_filled(&block["thinking"]), "a block begins empty", block)?;
        if block["type"] == "tool_use" {
            must(block["input"].as_object().is_some_and(serde_json::Map::is_empty), "arguments begin empty", block)?;
            self.calls += 1;
        }
        content(block, &mut self.ids)?;
        let kind = block["type"].as_str().unwrap_or_default().to_owned();
        Ok(Block { kind, arguments: String::new(), signed: false })
    }

    fn close(&mut self, block: Block, event: &Value) -> Verdict {
        must(block.signed || block.kind != "thinking", "a thought without a signature is not sent back", event)?;
        let is_whole = block.arguments.is_empty() || json(block.arguments.as_bytes()).is_ok();
        must(self.cut.is_none(), "something follows arguments that are cut", event)?;
        self.cut = (!is_whole).then_some(block.arguments);
        self.index += 1;
        Ok(())
    }

    fn stop(&self, delta: &Value) -> Verdict {
        stop(delta)?;
        let reason = delta["stop_reason"].as_str().unwrap_or_default();
        let is_cut = !matches!(reason, "end_turn" | "stop_sequence" | "tool_use");
        must(self.calls > 0 || reason != "tool_use", "waits for tools that it did not call", delta)?;
        must(is_cut || self.cut.is_none(), "arguments that are not JSON", delta)
    }
}

impl Block {
    fn fill(&mut self, delta: &Value) -> Verdict {
        let (of, field) = match delta["type"].as_str() {
            Some("text_delta") => ("text", "text"),
            Some("thinking_delta") => ("thinking", "thinking"),
            Some("signature_delta") => ("thinking", "signature"),
            Some("input_json_delta") => ("tool_use", "partial_json"),
            _ => return Err(format!("an unknown delta: {delta}")),
        };
        must(self.kind == of && delta[field].is_string(), "no delta of this block", delta)?;
        match field {
            "signature" => self.signed = true,
            "partial_json" => self.arguments.push_str(delta[field].as_str().unwrap_or_default()),
            _ => {}
        }
        Ok(())
    }
}

fn start(message: &Value) -> Verdict {
    envelope(message)?;
    must(message["content"].as_array().is_some_and(Vec::is_empty), "a message begins empty", message)?;
    must(message["stop_reason"].is_null() && message["stop_sequence"].is_null(), "it has not stopped", message)
}

fn envelope(message: &Value) -> Verdict {
    let is_message = message["type"] == "message" && message["role"] == "assistant";
    must(is_message && is_filled(&message["id"]) && is_filled(&message["model"]), "no message", message)?;
    usage(&message["usage"])
}

fn usage(usage: &Value) -> Verdict {
    must(usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64(), "no usage", usage)
}

fn stop(of: &Value) -> Verdict {
    let word = of["stop_reason"].as_str().is_some_and(|word| STOPS.contains(&word));
    must(word && (of["stop_sequence"].is_null() || of["stop_sequence"].is_string()), "no stop reason", of)
}

fn content(block: &Value, ids: &mut CallIds) -> Verdict {
    match block["type"].as_str() {
        Some("text") => must(block["text"].is_string(), "no text", block),
        Some("thinking") => must(block["thinking"].is_string() && block["signature"].is_string(), "no thought", block),
        Some("redacted_thinking") => must(block["data"].is_string(), "no redacted thought", block),
        Some("tool_use") => {
            ids.take(&block["id"])?;
            must(is_filled(&block["name"]) && !block["input"].is_null(), "no call", block)
        }
        _ => Err(format!("an unknown block: {block}")),
    }
}

pub(super) fn whole(message: &Value) -> Verdict {
    envelope(message)?;
    stop(message)?;
    let mut ids = CallIds::default();
    let blocks = message["content"].as_array().ok_or("no content")?;
    blocks.iter().try_for_each(|block| content(block, &mut ids))
}
