//! OpenAI's legacy completions.

use serde_json::Value;

use super::{Verdict, events, is_filled, json, must, openai_chat::usage};

pub(super) fn stream(bytes: &[u8]) -> Verdict {
    let events = events(bytes)?;
    let (mut stopped, mut done) = (false, false);
    for (at, sent) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        if sent.data == "[DONE]" {
            done = stopped && is_last;
            break;
        }
        let chunk = json(sent.data.as_bytes())?;
        if chunk.get("error").is_some() {
            return must(chunk["error"]["message"].is_string() && is_last, "no error, or not the last", &chunk);
        }
        envelope(&chunk)?;
        match chunk["choices"].as_array().map(Vec::as_slice) {
            Some([]) if stopped => usage(&chunk["usage"])?,
            Some([choice]) if !stopped => stopped = stops(choice)?,
            _ => return Err(format!("out of order: {chunk}")),
        }
    }
    if done { Ok(()) } else { Err("the stream has no end".to_owned()) }
}

fn envelope(body: &Value) -> Verdict {
    let is_reply = body["object"] == "text_completion" && is_filled(&body["id"]) && is_filled(&body["model"]);
    must(is_reply && body["created"].is_i64(), "no reply", body)
}

/// Whether the reply stops with this choice.
fn stops(choice: &Value) -> Result<bool, String> {
    must(choice["index"] == 0 && choice["text"].is_string(), "no text", choice)?;
    let reason = &choice["finish_reason"];
    must(
        reason.is_null() || matches!(reason.as_str(), Some("stop" | "length" | "content_filter")),
        "no reason",
        reason,
    )?;
    Ok(!reason.is_null())
}

pub(super) fn whole(body: &Value) -> Verdict {
    envelope(body)?;
    usage(&body["usage"])?;
    must(stops(&body["choices"][0])?, "it has not stopped", body)
}
