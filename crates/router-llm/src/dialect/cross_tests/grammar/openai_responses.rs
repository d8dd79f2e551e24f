//! OpenAI's responses.

use serde_json::{Value, json};

use super::{CallIds, Sent, Verdict, events, is_filled, json as read, must};

/// A stream, as far as it has been followed.
#[derive(Default)]
struct Stream {
    /// The number of the next event.
    number: u64,
    open: Option<Open>,
    /// The items that are over.
    output: Vec<Value>,
    ended: bool,
}

/// The open item.
struct Open {
    id: Value,
    kind: String,
    /// What its deltas said.
    said: String,
    /// What of it has been told, event by event.
    told: Vec<&'static str>,
}

/// What is told within an item, in this order; a delta as often as there are any, the rest once.
const WITHIN: [(&str, &[&str]); 4] = [
    ("message", &["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]),
    (
        "reasoning",
        &[
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
        ],
    ),
    ("function_call", &["function_call_arguments.delta", "function_call_arguments.done"]),
    ("custom_tool_call", &["custom_tool_call_input.delta", "custom_tool_call_input.done"]),
];

pub(super) fn stream(bytes: &[u8]) -> Verdict {
    let mut stream = Stream::default();
    let events = events(bytes)?;
    for (at, Sent { name, data }) in events.iter().enumerate() {
        let event = read(data.as_bytes())?;
        must(event["type"].as_str() == *name, "the event's name is not its type", &event)?;
        match name.unwrap_or_default() {
            // Two ways to say the same: some clients wait for the one, some for the other.
            "error" => {
                must(is_filled(&event["message"]) && at + 2 == events.len(), "no error, or not at the end", &event)?;
            }
            "response.failed" => {
                let response = &event["response"];
                let failed = response["status"] == "failed" && is_filled(&response["error"]["message"]);
                return must(failed && is_filled(&response["id"]) && at + 1 == events.len(), "no failure", &event);
            }
            name => stream.event(name.strip_prefix("response.").unwrap_or(name), &event)?,
        }
    }
    if stream.ended { Ok(()) } else { Err("the stream has no end".to_owned()) }
}

impl Stream {
    fn event(&mut self, kind: &str, event: &Value) -> Verdict {
        must(event["sequence_number"] == self.number && !self.ended, "out of order", event)?;
        let is_first = self.number < 2;
        self.number += 1;
        match (kind, self.open.take()) {
            ("created" | "in_progress", None) => {
                must((kind == "created") == (self.number == 1) && is_first, "it has begun", event)?;
                let response = &event["response"];
                must(response["status"] == "in_progress" && response["output"] == json!([]), "no beginning", event)?;
                envelope(response)
            }
            (_, _) if is_first => Err(format!("it has not begun: {event}")),
            ("output_item.added", None) => {
                must(event["output_index"] == self.output.len(), "not the next item", event)?;
                self.open = Some(begun(&event["item"])?);
                Ok(())
            }
            ("output_item.done", Some(open)) => {
                must(event["output_index"] == self.output.len(), "not the open item", event)?;
                open.over(&event["item"])?;
                self.output.push(event["item"].clone());
                Ok(())
            }
            ("completed" | "incomplete", None) => {
                self.ended = true;
                must(event["response"]["status"] == kind, "another status", event)?;
                must(event["response"]["output"] == json!(self.output), "not the items that were told", event)?;
                whole(&event["response"])
            }
            (_, Some(mut open)) => {
                must(event["output_index"] == self.output.len(), "not the open item", event)?;
                open.told(kind, event)?;
                self.open = Some(open);
                Ok(())
            }
            (_, None) => Err(format!("out of order: {event}")),
        }
    }
}

fn begun(item: &Value) -> Result<Open, String> {
    must(is_filled(&item["id"]) && content(item).is_empty(), "an item begins empty", item)?;
    let kind = item["type"].as_str().unwrap_or_default().to_owned();
    if kind.ends_with("_call") {
        must(is_filled(&item["call_id"]) && is_filled(&item["name"]), "no call", item)?;
    }
    Ok(Open { id: item["id"].clone(), kind, said: String::new(), told: Vec::new() })
}

/// What an item says, of whatever kind it is.
fn content(item: &Value) -> &str {
    let places = ["/content/0/text", "/summary/0/text", "/arguments", "/input"];
    places.iter().find_map(|place| item.pointer(place)).and_then(Value::as_str).unwrap_or_default()
}

impl Open {
    fn told(&mut self, kind: &str, event: &Value) -> Verdict {
        let steps = WITHIN.iter().find(|(of, _)| *of == self.kind).map_or(&[][..], |(_, steps)| steps);
        let Some(step) = steps.iter().find(|step| **step == kind) else {
            return Err(format!("nothing of a {}: {event}", self.kind));
        };
        must(event["item_id"] == self.id, "of another item", event)?;
        let repeats = self.told.last() == Some(step) && step.ends_with("delta");
        if !repeats {
            let mut next = steps.iter().skip_while(|step| self.told.last().is_some_and(|last| last != *step));
            must(next.nth(usize::from(!self.told.is_empty())) == Some(step), "not what follows", event)?;
            self.told.push(step);
        }
        if let Some(more) = event["delta"].as_str() {
            self.said.push_str(more);
        }
        let part = &event["part"]["text"];
        let whole = [&event["text"], &event["arguments"], &event["input"], part];
        let whole = whole.into_iter().find_map(Value::as_str);
        let expected = if step.ends_with("added") { "" } else { &self.said };
        must(whole.is_none_or(|whole| whole == expected), "not what its deltas said", event)
    }

    fn over(&self, item: &Value) -> Verdict {
        let steps = WITHIN.iter().find(|(of, _)| *of == self.kind).map_or(0, |(_, steps)| steps.len());
        // A thought may be all proof.
        let is_told = self.told.len() == steps || (self.kind == "reasoning" && self.told.is_empty());
        must(is_told && item["id"] == self.id && item["type"] == self.kind, "not all of it was told", item)?;
        must(content(item) == self.said, "not what its deltas said", item)
    }
}

fn envelope(response: &Value) -> Verdict {
    let is_reply =
        response["object"] == "response" && response["id"].as_str().is_some_and(|id| id.starts_with("resp_"));
    must(is_reply && is_filled(&response["model"]) && response["created_at"].is_i64(), "no reply", response)
}

pub(super) fn whole(response: &Value) -> Verdict {
    envelope(response)?;
    let reason = response["incomplete_details"]["reason"].as_str();
    let stopped = match response["status"].as_str() {
        Some("completed") => reason.is_none(),
        Some("incomplete") => matches!(reason, Some("max_output_tokens" | "content_filter")),
        _ => false,
    };
    must(stopped && response["error"].is_null(), "no end", response)?;
    let usage = &response["usage"];
    let [input, output, total] = ["input_tokens", "output_tokens", "total_tokens"].map(|field| usage[field].as_u64());
    let counted = input.zip(output).map(|(input, output)| input.saturating_add(output));
    must(usage.is_null() || (total.is_some() && counted == total), "no usage", usage)?;
    let items = response["output"].as_array().ok_or("no output")?;
    let mut ids = CallIds::default();
    items.iter().enumerate().try_for_each(|(at, item)| self::item(item, at + 1 == items.len(), &mut ids))
}

fn item(item: &Value, is_last: bool, ids: &mut CallIds) -> Verdict {
    must(is_filled(&item["id"]), "an item without an id", item)?;
    match item["type"].as_str() {
        Some("message") => {
            let text = &item["content"][0];
            must(item["role"] == "assistant" && text["type"] == "output_text", "no message", item)?;
            must(is_filled(&text["text"]), "a message that says nothing", item)
        }
        Some("reasoning") => {
            must(item["summary"].is_array() && is_filled(&item["encrypted_content"]), "no thought", item)
        }
        Some("function_call") => {
            ids.take(&item["call_id"])?;
            must(is_filled(&item["name"]), "no call", item)?;
            let is_cut = item["status"] == "incomplete" && is_last;
            let arguments = item["arguments"].as_str().unwrap_or_default();
            must(is_cut || read(arguments.as_bytes()).is_ok(), "arguments that are not JSON", item)
        }
        Some("custom_tool_call") => {
            ids.take(&item["call_id"])?;
            must(is_filled(&item["name"]) && item["input"].is_string(), "no call", item)
        }
        _ => Err(format!("an unknown item: {item}")),
    }
}
