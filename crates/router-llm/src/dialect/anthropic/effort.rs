//! How hard to think, in the fields that the model asked takes.

use router_core::chat::{Message, Part, Prompt, Role, Thinking, ThinkingMode, ToolChoice};
use serde_json::{Map, Value};

use super::NAME;
use crate::dialect::{Ask, Quirks, proof};

/// The least that a budget of thinking may be.
const LEAST_BUDGET: u64 = 1024;

/// The limit of an answer where nobody names one; a model of a compatible server may have a small window.
const USUAL_OUTPUT: u64 = 4096;

/// What a request says of thinking, fitted to the model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fitted {
    /// The limit of the answer, thoughts included; `None` is the default.
    pub(super) max_tokens: Option<u64>,
    /// `thinking`.
    pub(super) thinking: Map<String, Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<String>,
    /// Whether temperature and the like may be set: thinking models refuse them.
    pub(super) may_sample: bool,
}

/// Fits what is asked for to the model; `further` are fields of `thinking` that the vocabulary has no word for.
pub(super) fn fit(ask: &Ask<'_>, further: Map<String, Value>) -> Fitted {
    let prompt = ask.prompt;
    let asked = prompt.thinking.clone().unwrap_or_default();
    if prompt.origin == Some(NAME) {
        return as_asked(prompt.max_tokens, asked, further);
    }
    let plain = Fitted { max_tokens: prompt.max_tokens, may_sample: !ask.quirks.reasoning_model, ..Fitted::default() };
    let wants = match asked.mode {
        Some(ThinkingMode::Off) => false,
        Some(ThinkingMode::On | ThinkingMode::Adaptive) => true,
        None => asked.budget.is_some() || asked.effort.as_deref().is_some_and(|effort| effort != "none"),
    };
    let forced = matches!(prompt.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_)));
    if !wants || forced || ask.quirks.no_effort {
        return plain;
    }
    if ask.quirks.takes_effort {
        let effort = asked.effort.map(|word| if word == "minimal" { "low".to_owned() } else { word });
        return Fitted { thinking: mode("adaptive", Map::new()), effort, may_sample: false, ..plain };
    }
    match budget(ask, &asked) {
        Some((budget, max_tokens)) if !lacks_thoughts(prompt) => Fitted {
            max_tokens: Some(max_tokens),
            thinking: enabled(Some(budget), Map::new()),
            effort: None,
            may_sample: false,
        },
        Some(_) | None => plain,
    }
}

/// A client of this dialect knows what he asks for.
fn as_asked(max_tokens: Option<u64>, asked: Thinking, further: Map<String, Value>) -> Fitted {
    let thinking = match asked.mode {
        Some(ThinkingMode::On) => enabled(asked.budget, further),
        Some(ThinkingMode::Adaptive) => mode("adaptive", further),
        Some(ThinkingMode::Off) => mode("disabled", further),
        None => further,
    };
    Fitted { max_tokens, thinking, effort: asked.effort, may_sample: true }
}

/// The limit of an answer of which `asked` tokens are wanted. The field is required here, while other dialects' clients
/// who name none expect no cut; and one that is too high is refused, which clients cannot recover from.
pub(super) fn limit(quirks: &Quirks, asked: Option<u64>) -> u64 {
    let asked = asked.or(quirks.usual_output).unwrap_or(USUAL_OUTPUT);
    asked.min(quirks.max_output.unwrap_or(u64::MAX))
}

fn mode(name: &str, further: Map<String, Value>) -> Map<String, Value> {
    std::iter::once(("type".to_owned(), name.into())).chain(further).collect()
}

fn enabled(budget: Option<u64>, further: Map<String, Value>) -> Map<String, Value> {
    let budget = budget.map(|tokens| ("budget_tokens".to_owned(), tokens.into()));
    mode("enabled", budget.into_iter().chain(further).collect())
}

/// The budget, and the limit of the answer that has room for it; `None` when there is no room.
fn budget(ask: &Ask<'_>, asked: &Thinking) -> Option<(u64, u64)> {
    let by_effort = || match asked.effort.as_deref() {
        Some("minimal" | "low") => LEAST_BUDGET,
        Some("high" | "xhigh" | "max") => 24_576,
        Some(_) | None => 8192,
    };
    let budget = asked.budget.unwrap_or_else(by_effort).max(LEAST_BUDGET);
    // Who only says how hard to think wants an answer too.
    let room = |most: u64| if asked.budget.is_some() { 1 } else { most / 4 };
    match ask.prompt.max_tokens {
        Some(most) => (most > LEAST_BUDGET).then(|| (budget.min(most - room(most)).max(LEAST_BUDGET), most)),
        None => Some((budget, limit(ask.quirks, None).max(budget + 4096))),
    }
}

/// Whether the turn that the model is in the middle of began without a signed thought: with a budget, the provider
/// refuses to go on thinking there.
fn lacks_thoughts(prompt: &Prompt) -> bool {
    let is_result = |message: &Message| message.parts.iter().any(|part| matches!(part, Part::ToolResult { .. }));
    if !prompt.messages.iter().rfind(|message| message.role == Role::User).is_some_and(is_result) {
        return false;
    }
    let turn = prompt.messages.iter().rfind(|message| message.role == Role::Assistant);
    !turn.is_some_and(|message| {
        message.parts.iter().any(|part| match part {
            Part::Thinking { signature, .. } => signature.as_deref().is_some_and(proof::is_anthropics),
            Part::RedactedThinking(_) => true,
            Part::Text(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::ToolUse { .. }
            | Part::ToolResult { .. }
            | Part::Other { .. } => false,
        })
    })
}
