//! What a model must be able to do for a question, as far as a glance at it tells.

use super::{Format, Part, Prompt, Thinking, ThinkingMode};

/// What a question asks of a model beside words. Whoever reads it at the door fills it from the one scan that is made
/// there; nothing is decoded for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of one another")]
pub struct Needs {
    /// Tools are on offer.
    pub tools: bool,
    /// Pictures are in it.
    pub images: bool,
    /// Documents are in it.
    pub documents: bool,
    /// The answer must keep to a JSON schema.
    pub schema: bool,
    /// The model is told to think first; to be left the choice is no need.
    pub thinking: bool,
    /// The most tokens that the answer may have, where that is said.
    pub max_tokens: Option<u64>,
}

impl Needs {
    /// What a decoded question needs.
    pub fn of(prompt: &Prompt) -> Self {
        let mut needs = Self {
            tools: !prompt.tools.is_empty(),
            schema: matches!(prompt.format, Some(Format::JsonSchema { .. })),
            thinking: prompt.thinking.as_ref().is_some_and(wants),
            max_tokens: prompt.max_tokens,
            ..Self::default()
        };
        prompt.messages.iter().for_each(|message| needs.see(&message.parts));
        needs
    }

    fn see(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Image(_) => self.images = true,
                Part::Document(_) => self.documents = true,
                Part::ToolResult { parts, .. } => self.see(parts),
                Part::Text(_)
                | Part::Thinking { .. }
                | Part::RedactedThinking(_)
                | Part::ToolUse { .. }
                | Part::Other { .. } => {}
            }
        }
    }
}

fn wants(thinking: &Thinking) -> bool {
    match thinking.mode {
        Some(ThinkingMode::On) => true,
        Some(ThinkingMode::Off | ThinkingMode::Adaptive) => false,
        None => thinking.budget.is_some() || thinking.effort.as_deref().is_some_and(|effort| effort != "none"),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Image, Message, Role},
        *,
    };

    #[test]
    fn a_picture_is_found_where_a_tool_gave_it() {
        let image = Part::Image(Image::Url("https://example.com/a.png".into()));
        let result = Part::ToolResult { id: "1".into(), parts: vec![image], is_error: false };
        let prompt = Prompt { messages: vec![Message { role: Role::User, parts: vec![result] }], ..Prompt::default() };
        assert_eq!(Needs::of(&prompt), Needs { images: true, ..Needs::default() });
        assert_eq!(Needs::of(&Prompt::ask("hi")), Needs::default());
    }

    #[test]
    fn to_be_left_the_choice_is_no_need() {
        let thinking =
            |mode, budget, effort: Option<&str>| Thinking { mode, budget, effort: effort.map(str::to_owned) };
        let table = [
            (thinking(Some(ThinkingMode::On), None, None), true),
            (thinking(Some(ThinkingMode::Adaptive), None, Some("high")), false),
            (thinking(Some(ThinkingMode::Off), Some(1), None), false),
            (thinking(None, None, Some("low")), true),
            (thinking(None, None, Some("none")), false),
            (thinking(None, Some(1024), None), true),
            (thinking(None, None, None), false),
        ];
        for (thinking, expect) in table {
            assert_eq!(wants(&thinking), expect, "{thinking:?}");
        }
    }
}
