//! A request body, read into a chat of one user message.

use bytes::Bytes;
use router_core::chat::{Message, Part, Prompt, Role};

use crate::dialect::{
    fields::{Fields, Json, Misfit, list, read},
    infill,
};

/// The dialect whose words the further fields are: `presence_penalty`, `logit_bias`, `service_tier`.
const KIN: &str = "openai";

/// Reads a question.
pub(super) fn decode(body: &Bytes) -> Result<Prompt, Misfit> {
    let mut fields = Fields::of_body(body)?;
    // The envelope speaks for these: the model is routed by, the shape answered in, and usage told as it is wanted.
    for name in ["model", "stream", "stream_options"] {
        fields.take_value(name);
    }
    refuse_what_no_chat_can(&mut fields)?;
    refuse_what_only_chats_have(&mut fields)?;
    let echo = fields.take::<bool>("echo")? == Some(true);
    let mut prompt = Prompt {
        messages: messages(&mut fields, echo)?,
        max_tokens: fields.take("max_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: stops(&mut fields)?,
        seed: fields.take("seed")?,
        user: fields.take("user")?,
        origin: Some(KIN),
        ..Prompt::default()
    };
    prompt.extra = fields.rest()?;
    Ok(prompt)
}

/// The prompt, where the answer is to repeat it first.
pub fn echoed(body: &Bytes) -> Option<String> {
    let mut fields = Fields::of_body(body).ok()?;
    let echo = fields.take::<bool>("echo").ok()??;
    echo.then(|| said(&mut fields).ok()).flatten()
}

/// One prompt, one text: everything else would be made up.
fn refuse_what_no_chat_can(fields: &mut Fields<'_>) -> Result<(), Misfit> {
    for (name, one) in [("n", "1"), ("best_of", "1")] {
        if fields.take_value(name).is_some_and(|value| value.get() != one) {
            return Err(Misfit::new(name, "only one answer is given to a prompt; send it again for another"));
        }
    }
    if fields.take_value("logprobs").is_some_and(|value| value.get() != "false") {
        return Err(Misfit::new("logprobs", "are not told here; leave it out"));
    }
    Ok(())
}

/// They would go to the upstream beside the message that the prompt becomes, or in its place.
fn refuse_what_only_chats_have(fields: &mut Fields<'_>) -> Result<(), Misfit> {
    let mut is_said = |name: &&str| fields.take_value(name).is_some_and(|value| value.get() != "[]");
    match ["messages", "tools"].into_iter().find(&mut is_said) {
        Some(name) => Err(Misfit::new(name, "belong to a chat; send them to /v1/chat/completions")),
        None => Ok(()),
    }
}

fn messages(fields: &mut Fields<'_>, echo: bool) -> Result<Vec<Message>, Misfit> {
    let prompt = said(fields)?;
    let suffix = fields.take::<String>("suffix")?.unwrap_or_default();
    if suffix.is_empty() {
        return Ok(vec![Message { role: Role::User, parts: vec![Part::Text(prompt)] }]);
    }
    if echo {
        return Err(Misfit::new("echo", "cannot be had with a suffix"));
    }
    let order = Message::text(Role::System, infill::ORDER);
    Ok(vec![order, Message::text(Role::User, infill::sides(&prompt, &suffix))])
}

/// The prompt: a text, or a list of one.
fn said(fields: &mut Fields<'_>) -> Result<String, Misfit> {
    let value = fields.need_value("prompt")?;
    text(value).map_err(|misfit| misfit.within("prompt"))
}

fn text(value: Json<'_>) -> Result<String, Misfit> {
    if !value.get().starts_with('[') {
        return read(value);
    }
    let list = list(value)?;
    match list.as_slice() {
        [one] if one.get().starts_with('"') => read(*one),
        [first, ..] if first.get().starts_with('"') => {
            Err(Misfit::new("", format!("{} prompts at once are not taken; send one at a time", list.len())))
        }
        [] => Err(Misfit::new("", "the list is empty; send a text")),
        [_, ..] => Err(Misfit::new("", "tokens are not taken, as models differ in them; send a text")),
    }
}

fn stops(fields: &mut Fields<'_>) -> Result<Vec<String>, Misfit> {
    match fields.take_value("stop") {
        None => Ok(Vec::new()),
        Some(value) if value.get().starts_with('"') => Ok(vec![read(value).map_err(|misfit| misfit.within("stop"))?]),
        Some(value) => read(value).map_err(|misfit| misfit.within("stop")),
    }
}
