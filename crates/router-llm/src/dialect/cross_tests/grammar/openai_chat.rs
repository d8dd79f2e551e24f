//! OpenAI's chat completions.

use serde_json::Value;

use super::{CallIds, Verdict, events, is_filled, json, must};

const STOPS: [&str; 4] = ["stop", "length", "tool_calls", "content_filter"];

#[derive(Default)]
struct Stream {
    /// What every chunk repeats.
    envelope: Option<[Value; 4]>,
    ids: CallIds,
    /// The arguments of each call, in the order they began.
    calls: Vec<String>,
    stopped: bool,
    counted: bool,
    done: bool,
}

pub(super) fn stream(bytes: &[u8]) -> Verdict {
    let mut stream = Stream::default();
    let events = events(bytes)?;
    for (at, sent) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        if sent.data == "[DONE]" {
            stream.done = stream.stopped && is_last;
            break;
        }
        let chunk = json(sent.data.as_bytes())?;
        must(sent.name.is_none(), "chunks have no names", &chunk)?;
        if chunk.get("error").is_some() {
            must(chunk["error"]["message"].is_string() && is_last, "no error, or not the last", &chunk)?;
            return Ok(());
        }
        stream.chunk(&chunk)?;
    }
    if stream.done { Ok(()) } else { Err("the stream has no end".to_owned()) }
}

impl Stream {
    fn chunk(&mut self, chunk: &Value) -> Verdict {
        let envelope = ["id", "object", "created", "model"].map(|field| chunk[field].clone());
        let is_first = self.envelope.is_none();
        let first: &[Value; 4] = self.envelope.get_or_insert_with(|| envelope.clone());
        let [id, object, created, model] = first;
        let is_chunk = object == "chat.completion.chunk" && is_filled(id) && is_filled(model) && created.is_i64();
        must(is_chunk && *first == envelope, "no chunk of this reply", chunk)?;
        let choices = chunk["choices"].as_array().ok_or_else(|| format!("no choices: {chunk}"))?;
        let [choice] = choices.as_slice() else {
            must(choices.is_empty() && self.stopped && !self.counted, "usage comes once, after the stop", chunk)?;
            self.counted = true;
            return usage(&chunk["usage"]);
        };
        must(choice["index"] == 0 && !self.stopped, "a delta after the stop", chunk)?;
        must(is_first == (choice["delta"]["role"] == "assistant"), "the role comes first, and once", chunk)?;
        self.delta(&choice["delta"])?;
        self.stop(&choice["finish_reason"])
    }

    fn delta(&mut self, delta: &Value) -> Verdict {
        let fields = delta.as_object().ok_or("no delta")?;
        for (name, value) in fields {
            match name.as_str() {
                "role" | "content" | "reasoning_content" | "refusal" => must(value.is_string(), "no text", delta)?,
                "tool_calls" => value.as_array().ok_or("no calls")?.iter().try_for_each(|call| self.call(call))?,
                _ => return Err(format!("{name} is no field of a delta: {delta}")),
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Value) -> Verdict {
        let index = call["index"].as_u64().and_then(|index| usize::try_from(index).ok()).ok_or("no index")?;
        if index == self.calls.len() {
            self.ids.take(&call["id"])?;
            must(call["type"] == "function" && is_filled(&call["function"]["name"]), "no beginning", call)?;
            self.calls.push(String::new());
        } else {
            must(index + 1 == self.calls.len(), "not the call that is open", call)?;
            must(call.get("id").is_none() && call["function"].get("name").is_none(), "it has begun", call)?;
        }
        let more = call["function"]["arguments"].as_str().ok_or("no arguments")?;
        self.calls.last_mut().ok_or("no call")?.push_str(more);
        Ok(())
    }

    fn stop(&mut self, reason: &Value) -> Verdict {
        let Some(reason) = reason.as_str() else { return must(reason.is_null(), "no reason", reason) };
        self.stopped = true;
        must(STOPS.contains(&reason), "an unknown reason", &reason.into())?;
        must(
            (reason == "tool_calls") <= !self.calls.is_empty(),
            "waits for tools that it did not call",
            &reason.into(),
        )?;
        let excused = matches!(reason, "length" | "content_filter");
        let broken = self.calls.iter().find(|arguments| json(arguments.as_bytes()).is_err());
        broken.filter(|_| !excused).map_or(Ok(()), |arguments| Err(format!("no JSON: {arguments:?}")))
    }
}

pub(super) fn usage(usage: &Value) -> Verdict {
    let [prompt, completion, total] =
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(|field| usage[field].as_u64());
    must(
        prompt.zip(completion).map(|(prompt, completion)| prompt.saturating_add(completion)) == total,
        "no usage",
        usage,
    )
}

pub(super) fn whole(body: &Value) -> Verdict {
    let is_reply = body["object"] == "chat.completion" && is_filled(&body["id"]) && is_filled(&body["model"]);
    must(is_reply && body["created"].is_i64(), "no reply", body)?;
    usage(&body["usage"])?;
    let choice = &body["choices"][0];
    let message = &choice["message"];
    must(message["role"] == "assistant" && message.get("content").is_some(), "no message", body)?;
    must(choice["finish_reason"].as_str().is_some_and(|word| STOPS.contains(&word)), "no finish reason", body)?;
    let mut ids = CallIds::default();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        ids.take(&call["id"])?;
        must(call["type"] == "function" && is_filled(&call["function"]["name"]), "no call", call)?;
        must(call["function"]["arguments"].is_string(), "no arguments", call)?;
    }
    Ok(())
}
