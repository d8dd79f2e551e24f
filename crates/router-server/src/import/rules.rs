//! `enhancement-rules.json`: for each client a small local model that rewrites what its user says.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Imported, notes::Notes, quoted};

/// Where those systems asked their models, unless told otherwise by variables that are not in the file.
const OLLAMA: &str = "http://localhost:11434";

/// Whether a file is one of these.
pub(super) fn is(top: &Map<String, Value>) -> bool {
    let rules = |value: &Value| value.as_object().is_some_and(|rules| rules.values().all(Value::is_object));
    top.contains_key("fallback_chain")
        || top.get("default").is_some_and(|rule| rule.get("system_prompt").is_some() || rule.get("model").is_some())
        || top.get("clients").is_some_and(rules)
}

/// Reads one.
pub(super) fn read(mut top: Map<String, Value>) -> Imported {
    let mut notes = Notes::default();
    let default = top.shift_remove("default").map(|rule| Theirs::read(rule, "default", &mut notes));
    let clients = top.shift_remove("clients").map(|clients| notes.object(clients, "clients")).unwrap_or_default();
    let chain = chain(top.shift_remove("fallback_chain"), &mut notes);
    notes.rest(&top, "");
    let mut yaml = format!("providers:\n  ollama: {{ base_url: {OLLAMA:?} }}\nclients:\n");
    let unsaid = Theirs::default();
    let base = default.as_ref().unwrap_or(&unsaid);
    if default.is_some() {
        base.write("default", &chain, &mut yaml, &mut notes);
    }
    let mut seen = vec!["default".to_owned()];
    for (name, rule) in clients {
        let path = format!("clients.{name}");
        if seen.contains(&name.to_lowercase()) {
            notes.add(&path, "left out: there is one of this name already, and capitals make no difference here");
            continue;
        }
        seen.push(name.to_lowercase());
        Theirs::read(rule, &path, &mut notes).over(base).write(&name, &chain, &mut yaml, &mut notes);
    }
    Imported { yaml, findings: notes.told() }
}

/// One of their rules.
#[derive(Clone, Debug, Default)]
struct Theirs {
    path: String,
    enabled: Option<bool>,
    model: Option<String>,
    system_prompt: Option<String>,
    prompt_template: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
    privacy_level: Option<String>,
}

impl Theirs {
    fn read(rule: Value, path: &str, notes: &mut Notes) -> Self {
        let mut fields = notes.object(rule, path);
        let mut take = |name: &str| fields.shift_remove(name).filter(|value| !value.is_null());
        let (enabled, model, system_prompt) = (take("enabled"), take("model"), take("system_prompt"));
        let (prompt_template, privacy_level) = (take("prompt_template"), take("privacy_level"));
        let (temperature, max_tokens) = (take("temperature"), take("max_tokens"));
        let text = |value: Value| value.as_str().map(str::to_owned);
        let warm = |value: Value| value.as_f64().filter(|warm| (0.0..=2.0).contains(warm));
        let count = |value: Value| value.as_u64().filter(|count| (1..=u64::from(u32::MAX)).contains(count));
        let theirs = Self {
            path: path.to_owned(),
            enabled: notes.fit(path, "enabled", enabled, |value| value.as_bool()),
            model: notes.fit(path, "model", model, text),
            system_prompt: notes.fit(path, "system_prompt", system_prompt, text),
            prompt_template: notes.fit(path, "prompt_template", prompt_template, text),
            temperature: notes.fit(path, "temperature", temperature, warm),
            max_tokens: notes.fit(path, "max_tokens", max_tokens, count),
            privacy_level: notes.fit(path, "privacy_level", privacy_level, text),
        };
        notes.rest(&fields, path);
        theirs
    }

    /// What a client's rule does not say, it has from the default one.
    fn over(self, base: &Self) -> Self {
        let or = |own: Option<String>, base: &Option<String>| own.or_else(|| base.clone());
        Self {
            path: self.path,
            enabled: self.enabled.or(base.enabled),
            model: or(self.model, &base.model),
            system_prompt: or(self.system_prompt, &base.system_prompt),
            prompt_template: or(self.prompt_template, &base.prompt_template),
            temperature: self.temperature.or(base.temperature),
            max_tokens: self.max_tokens.or(base.max_tokens),
            privacy_level: or(self.privacy_level, &base.privacy_level),
        }
    }

    fn write(&self, name: &str, chain: &[String], yaml: &mut String, notes: &mut Notes) {
        let mut lines = Vec::new();
        let name = quoted(name);
        if self.enabled == Some(false) {
            lines.push("enabled: false".to_owned());
        }
        let Some(model) = &self.model else {
            notes.add(&self.path, "switched off: it names no model that could rewrite");
            let _ = writeln!(yaml, "  {name}: {{ enabled: false }}");
            return;
        };
        let others = chain.iter().filter(|other| *other != model).map(|other| format!("{}, ", here(other)));
        lines.push("mode: rewrite".to_owned());
        lines.push(format!("rewrite_model: {}", here(model)));
        lines.push(format!("fallback: [{}unchanged]", others.collect::<String>()));
        lines.extend(self.prompt(notes).map(|prompt| format!("prompt: {}", quoted(&prompt))));
        lines.extend(self.temperature.map(|warm| format!("temperature: {warm}")));
        lines.extend(self.max_tokens.map(|count| format!("max_tokens: {count}")));
        lines.extend(self.privacy(notes).map(|privacy| format!("privacy: {privacy}")));
        let _ = writeln!(yaml, "  {name}:\n    {}", lines.join("\n    "));
    }

    /// Their two texts as one template.
    fn prompt(&self, notes: &mut Notes) -> Option<String> {
        const PLACES: [&str; 3] = ["{prompt}", "{{prompt}}", "{{ prompt }}"];
        let told = self.system_prompt.as_deref().filter(|told| !told.trim().is_empty()).map(raw);
        let frame = self.prompt_template.as_deref().map(|frame| {
            let place = PLACES.iter().rev().find(|place| frame.contains(**place));
            let Some((before, after)) = place.and_then(|place| frame.split_once(place)) else {
                let path = format!("{}.prompt_template", self.path);
                notes.add(
                    &path,
                    "names no {prompt}: it follows the system_prompt, and the user's words stand by themselves",
                );
                return raw(frame);
            };
            format!("{}{{{{ prompt }}}}{}", raw(before), raw(after))
        });
        let parts: Vec<_> = told.into_iter().chain(frame).collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    fn privacy(&self, notes: &mut Notes) -> Option<&'static str> {
        let path = format!("{}.privacy_level", self.path);
        match self.privacy_level.as_deref()? {
            "any" => None,
            "free_ok" => {
                notes.add(&path, "\"free_ok\" became `any`: which models are free is not known here");
                None
            }
            "local_only" => {
                notes.add(
                    &path,
                    "\"local_only\" holds for the answering model here, too, not for the rewriting one alone",
                );
                Some("local_only")
            }
            other => {
                notes.add(&path, &format!("{other:?} is not known here, and became `local_only`"));
                Some("local_only")
            }
        }
    }
}

/// The models that follow a rule's own; `null`, where the prompt passes unchanged, is their end.
fn chain(value: Option<Value>, notes: &mut Notes) -> Vec<String> {
    let Some(value) = value else { return Vec::new() };
    let Value::Array(items) = value else {
        notes.add("fallback_chain", "left out: a list is expected there");
        return Vec::new();
    };
    let (mut models, mut ended) = (Vec::new(), false);
    for (at, item) in items.into_iter().enumerate() {
        let path = format!("fallback_chain[{at}]");
        match item {
            _ if ended => notes.add(&path, "left out: nothing comes after null"),
            Value::Null => ended = true,
            Value::String(model) => models.push(model),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                notes.add(&path, &format!("left out: {other} is no model"));
            }
        }
    }
    models
}

/// A model of theirs, by the name it has here.
fn here(model: &str) -> String {
    quoted(&format!("ollama/{model}"))
}

/// A text that is no template.
fn raw(text: &str) -> String {
    let marked = ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark));
    if marked { format!("{{% raw %}}{text}{{% endraw %}}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
  "version": 2,
  "default": { "enabled": false, "model": "llama3.2:latest", "system_prompt": "Improve it.", "privacy_level": "any" },
  "clients": {
    "claude-desktop": {
      "enabled": true, "model": "deepseek-r1", "system_prompt": "Structured, in \"Markdown\".\nUse ${HOME} and {{ this }}.",
      "temperature": 0.3, "max_tokens": 600, "privacy_level": "local_only", "icon": "x.png"
    },
    "raycast": {
      "enabled": true, "system_prompt": "Under 200 words.", "prompt_template": "Prompt: {prompt}!",
      "temperature": "warm", "max_tokens": 0, "privacy_level": "free_ok"
    },
    "Raycast": {},
    "obsidian": { "privacy_level": "secret", "enabled": true, "prompt_template": "Use wikilinks." },
    "odd": 3
  },
  "fallback_chain": ["llama3.2:latest", 7, "qwen 3", null, "never"]
}"#;

    #[test]
    fn a_file_in_full() {
        let Value::Object(top) = serde_json::from_str(FILE).expect("JSON") else { panic!("an object") };
        assert!(is(&top));
        let Imported { yaml, findings } = read(top);
        insta::assert_snapshot!(format!("{yaml}---\n{}", findings.join("\n")));
    }

    #[test]
    fn a_rule_without_a_model_is_switched_off() {
        let top = serde_json::from_str(r#"{"clients": {"a": {"system_prompt": "x"}}}"#).expect("JSON");
        let Imported { yaml, findings } = read(top);
        assert!(yaml.ends_with("clients:\n  \"a\": { enabled: false }\n"), "{yaml}");
        assert_eq!(findings, ["clients.a: switched off: it names no model that could rewrite"]);
    }
}
