//! A question in words that every dialect has: what only its own dialect's provider would understand is said otherwise,
//! named as lost, or refused. Each encoder asks for this first, so that no two of them do it differently.

mod fields;
mod pairs;
mod parts;
mod tools;

use std::borrow::Cow;

use router_core::{
    Error, Kind, Result,
    chat::{Losses, Prompt, Role},
};

pub(super) use fields::{CUSTOM_TOOLS, Field, named};

use super::Ask;

/// The prompt of `ask`, for an upstream that speaks `dialect` and takes the fields `taken` as the client wrote them. A
/// prompt of the same dialect, or of our own making, is what it was.
pub(super) fn said<'a>(
    ask: &Ask<'a>,
    dialect: &'static str,
    taken: &[&str],
    losses: &mut Losses,
) -> Result<Cow<'a, Prompt>> {
    let prompt = ask.prompt;
    if prompt.origin.is_none_or(|origin| origin == dialect) {
        return Ok(Cow::Borrowed(prompt));
    }
    if ask.quirks.no_prefill {
        refuse_prefill(prompt)?;
    }
    fields::refuse(prompt)?;
    let mut said = Cow::Borrowed(prompt);
    if let Some(tools) = tools::carried(prompt, ask.quirks, losses)? {
        said.to_mut().tools = tools;
    }
    if parts::has_foreign(prompt) {
        parts::carry(said.to_mut(), &parts::Abroad { dialect, quirks: ask.quirks }, losses)?;
    }
    pairs::settle(&mut said, ask.quirks.repairs_calls)?;
    fields::note(prompt, taken, ask.quirks, losses);
    Ok(said)
}

/// A conversation that ends with the model's own words is to be gone on with; an upstream that takes them for a turn like
/// any other would answer something else.
fn refuse_prefill(prompt: &Prompt) -> Result<()> {
    let last = prompt.messages.iter().rfind(|message| message.role != Role::System);
    match last {
        Some(last) if last.role == Role::Assistant => Err(Error::new(
            Kind::Invalid,
            "prefill not supported: this model does not go on with words put in its mouth",
        )
        .hint("end the conversation with a user message")),
        Some(_) | None => Ok(()),
    }
}
