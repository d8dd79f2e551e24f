//! Ollama's lines.

use serde_json::Value;

use super::{CallIds, Verdict, is_filled, json, must};

/// A stream whose lines say what they say in `field`.
pub(super) fn stream(bytes: &[u8], field: &str) -> Verdict {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.strip_suffix('\n').ok_or("the last line is not ended")?.split('\n').collect();
    let mut ids = CallIds::default();
    for (at, text) in lines.iter().enumerate() {
        let is_last = at + 1 == lines.len();
        let said = json(text.as_bytes())?;
        if said.get("error").is_some() {
            return must(is_filled(&said["error"]) && is_last, "no error, or not the last", &said);
        }
        line(&said, field, is_last)?;
        calls(&said, &mut ids)?;
    }
    Ok(())
}

/// A line of a stream, or a whole reply.
pub(super) fn line(said: &Value, field: &str, done: bool) -> Verdict {
    must(is_filled(&said["model"]) && is_filled(&said["created_at"]), "no line", said)?;
    must(said["done"] == done, "it is done with its last line, and not before", said)?;
    let reason = said["done_reason"].as_str();
    must(if done { matches!(reason, Some("stop" | "length")) } else { reason.is_none() }, "no reason", said)?;
    if field == "response" {
        return must(said["response"].is_string() && said.get("message").is_none(), "no response", said);
    }
    let message = &said["message"];
    must(message["role"] == "assistant" && message["content"].is_string(), "no message", said)?;
    calls(said, &mut CallIds::default())
}

fn calls(said: &Value, ids: &mut CallIds) -> Verdict {
    for call in said["message"]["tool_calls"].as_array().into_iter().flatten() {
        ids.take(&call["id"])?;
        let function = &call["function"];
        must(is_filled(&function["name"]) && function["arguments"].is_object(), "no call", call)?;
    }
    Ok(())
}
