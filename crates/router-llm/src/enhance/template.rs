//! A prompt with variables in it (Jinja's words). It is tried when it is configured, so that it can hardly fail later.

use std::{fmt, io, sync::Arc};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use router_core::{Error, Kind, Result};

/// What a prompt may name.
pub const VARIABLES: [&str; 5] = ["caller", "client", "date", "model", "prompt"];

/// The most steps that one rendering may take: some thousand lines of a loop.
const FUEL: u64 = 50_000;

/// The most that a prompt may become.
const MAX_BYTES: usize = 1 << 20;

/// A prompt, checked.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    /// `None` where there is nothing to fill in.
    engine: Option<Arc<Environment<'static>>>,
    takes_prompt: bool,
}

/// What a prompt is filled in with.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The name of the key, or `anonymous`.
    pub caller: &'a str,
    /// The client, by the name of its rule.
    pub client: &'a str,
    /// Today, as `2026-11-21`.
    pub date: &'a str,
    /// The model that is asked.
    pub model: &'a str,
    /// What the user said last.
    pub prompt: &'a str,
}

/// Why a prompt is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line of the prompt, from 1.
    pub line: usize,
    /// What is wrong.
    pub says: String,
}

impl Template {
    /// Reads a prompt, and tries it.
    pub fn parse(source: &str) -> Result<Self, Flaw> {
        let plain = !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark));
        if plain {
            return Ok(Self { source: source.into(), engine: None, takes_prompt: false });
        }
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_fuel(Some(FUEL));
        engine.add_template_owned(NAME, source.to_owned()).map_err(|error| Flaw::of(&error))?;
        let template = engine.get_template(NAME).map_err(|error| Flaw::of(&error))?;
        let names = template.undeclared_variables(false);
        let known = |name: &str| VARIABLES.contains(&name) || engine.globals().any(|(global, _)| global == name);
        if let Some(unknown) = names.iter().filter(|name| !known(name)).min() {
            let line = source.lines().position(|line| line.contains(unknown.as_str())).map_or(1, |at| at + 1);
            let says = format!("there is no variable \"{unknown}\"; there are {}", VARIABLES.join(", "));
            return Err(Flaw { line, says });
        }
        let takes_prompt = names.contains("prompt");
        let sample = Words { caller: "me", client: "client", date: "2026-01-01", model: "model", prompt: "prompt" };
        fill(&engine, sample).map_err(|error| Flaw::of(&error))?;
        Ok(Self { source: source.into(), engine: Some(Arc::new(engine)), takes_prompt })
    }

    /// What a small model is told that rewrites, where nobody says it: to keep to the meaning, and to say nothing else.
    pub fn usual_rewriting() -> Self {
        let source = "Rewrite the user's prompt to be clearer, more specific and more actionable. Keep its intent, its \
                      language and its tone. Return only the rewritten prompt.";
        Self { source: source.into(), engine: None, takes_prompt: false }
    }

    /// Whether it says itself where the user's prompt stands.
    pub fn takes_prompt(&self) -> bool {
        self.takes_prompt
    }

    /// The prompt, filled in.
    pub fn render(&self, words: Words<'_>) -> Result<String> {
        let Some(engine) = &self.engine else { return Ok(self.source.trim_end().to_owned()) };
        let filled = fill(engine, words).map_err(|error| {
            let message = format!("the prompt of client {:?} cannot be filled in", words.client);
            Error::new(Kind::Internal, message).because(error)
        })?;
        Ok(filled.trim_end().to_owned())
    }
}

const NAME: &str = "prompt";

fn fill(engine: &Environment<'_>, words: Words<'_>) -> Result<String, minijinja::Error> {
    let mut page = Page(Vec::new());
    let Words { caller, client, date, model, prompt } = words;
    let words = context! { caller, client, date, model, prompt };
    engine.get_template(NAME)?.render_captured_to(words, &mut page)?;
    Ok(String::from_utf8_lossy(&page.0).into_owned())
}

/// What is written, within its bounds.
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.0.len() + text.len() > MAX_BYTES {
            return Err(io::Error::other(format!("it grows longer than {} KiB", MAX_BYTES >> 10)));
        }
        self.0.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Flaw {
    fn of(error: &minijinja::Error) -> Self {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let detail = error.detail().map(|detail| format!(": {detail}"));
        let says = format!("{}{}{}", error.kind(), detail.unwrap_or_default(), source.unwrap_or_default());
        Self { line: error.line().unwrap_or(1), says }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words<'_> =
        Words { caller: "laptop", client: "raycast", date: "2026-11-21", model: "fast", prompt: "<b>Why?</b>" };

    #[test]
    fn is_filled_in() {
        let table = [
            ("Be short. $5 {a}\n", "Be short. $5 {a}", false),
            (
                "{{ client }}/{{ caller }} asks {{ model }} on {{ date }}",
                "raycast/laptop asks fast on 2026-11-21",
                false,
            ),
            ("Improve: {{ prompt }}", "Improve: <b>Why?</b>", true),
            ("{% if model == 'fast' %}Be quick.{% else %}Think.{% endif %}", "Be quick.", false),
            ("{# a note #}{% raw %}{{ mustache }}{% endraw %}", "{{ mustache }}", false),
            ("{% for n in range(3) %}{{ n }}{% endfor %}", "012", false),
        ];
        for (source, expected, takes_prompt) in table {
            let template = Template::parse(source).unwrap();
            assert_eq!(template.render(WORDS).unwrap(), expected);
            assert_eq!(template.takes_prompt(), takes_prompt, "{source}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_told_with_its_line() {
        let table = [
            ("{{ clientt }}", 1, "there is no variable \"clientt\"; there are caller, client, date, model, prompt"),
            ("One.\n{{ client.version }}", 2, "undefined value"),
            ("One.\n\n{% if client %}", 3, "syntax error"),
            ("{{ client | shout }}", 1, "unknown filter"),
            (
                "{% for n in range(9999) %}{% for m in range(9999) %}{{ n }}{% endfor %}{% endfor %}",
                1,
                "engine ran out of fuel",
            ),
            ("{{ 'long' * 1000000 }}", 1, "grows longer than 1024 KiB"),
        ];
        for (source, line, says) in table {
            let flaw = Template::parse(source).unwrap_err();
            assert!(flaw.line == line && flaw.says.contains(says), "{source}: {flaw:?}");
        }
    }

    #[test]
    fn what_a_user_says_cannot_make_it_grow_without_bound() {
        let template = Template::parse("{{ prompt }}").unwrap();
        let long = "x".repeat(MAX_BYTES + 1);
        assert!(template.render(Words { prompt: &long, ..WORDS }).is_err());
    }
}
