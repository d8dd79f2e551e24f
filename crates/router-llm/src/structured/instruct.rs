//! What a model is told that cannot be given a schema.

use router_core::chat::{Message, Prompt, Role};

use super::schema::Schema;

/// What goes before the schema.
pub(super) const INSTRUCTION: &str = "Your answer must be one JSON value that is valid against the JSON Schema below, and nothing \
                           else: no explanation, no Markdown, no code fence. A call of a tool is not yet your answer.";

/// Puts the schema into words, after what the system says already: what stands before it stays as it was, and so does
/// what a provider keeps of it.
pub(super) fn tell(prompt: &mut Prompt, schema: &Schema) {
    prompt.format = None;
    let at = prompt.messages.iter().take_while(|message| message.role == Role::System).count();
    prompt.messages.insert(at, Message::text(Role::System, format!("{INSTRUCTION}\n\n{}", schema.as_str())));
}

/// Shows the model what it said and what is wrong with it.
pub(super) fn correct(prompt: &mut Prompt, said: &str, why: &str) {
    if !said.trim().is_empty() {
        prompt.messages.push(Message::text(Role::Assistant, said.trim()));
    }
    let complaint = format!("That answer does not keep to the JSON Schema: {why}\nAnswer again with the JSON alone.");
    prompt.messages.push(Message::text(Role::User, complaint));
}
