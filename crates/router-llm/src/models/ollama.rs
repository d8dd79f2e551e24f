//! The models, as Ollama's clients list them and look at one.

use serde_json::{Value, json};

use super::{
    card::{ModelCard, date},
    known::Abilities,
};

/// The tag that a name has when it has none.
const TAG: &str = ":latest";

impl ModelCard {
    /// One model of the list.
    pub fn ollama(&self) -> Value {
        let name = tagged(&self.id);
        json!({
            "name": name,
            "model": name,
            "modified_at": date(self.created),
            "size": 0,
            "digest": blake3::hash(self.id.as_bytes()).to_hex().as_str(),
            "details": self.details(),
            "capabilities": self.capabilities(),
        })
    }

    /// One model, looked at.
    pub fn ollama_shown(&self) -> Value {
        let mut about = json!({ "general.architecture": self.provider, "general.basename": self.id });
        if let (Some(fields), Some(window)) = (about.as_object_mut(), self.window) {
            // Clients look for the window under the name of the architecture.
            fields.insert(format!("{}.context_length", self.provider), window.into());
        }
        json!({
            "modelfile": format!("# MCP Router has this model from its configuration.\nFROM {}\n", self.id),
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": self.details(),
            "model_info": about,
            "capabilities": self.capabilities(),
            "modified_at": date(self.created),
        })
    }

    fn details(&self) -> Value {
        let mut details = json!({
            "parent_model": "",
            "format": "",
            "family": self.provider,
            "families": [self.provider],
            "parameter_size": "",
            "quantization_level": "",
        });
        if let (Some(fields), Some(window)) = (details.as_object_mut(), self.window) {
            fields.insert("context_length".into(), window.into());
        }
        details
    }

    /// What clients may ask of the model. They hide what is not in the list, so what nobody knows is in it, but for
    /// thoughts: clients ask for those unbidden, and some models refuse that.
    fn capabilities(&self) -> Vec<&'static str> {
        let Abilities { tools, images, thinking, .. } = self.abilities;
        let able = [
            ("completion", true),
            ("tools", tools.unwrap_or(true)),
            ("vision", images.unwrap_or(true)),
            ("thinking", thinking.unwrap_or(false)),
        ];
        able.into_iter().filter_map(|(word, able)| able.then_some(word)).collect()
    }
}

/// All models.
pub fn ollama_list(models: &[ModelCard]) -> Value {
    json!({ "models": models.iter().map(ModelCard::ollama).collect::<Vec<_>>() })
}

/// A name with its tag, as Ollama lists it.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') { name.to_owned() } else { format!("{name}{TAG}") }
}

/// The name of a listed model without the tag that Ollama's clients put behind it: `None` when there is no such tag,
/// or when the tag belongs to the name.
pub fn untagged<'a>(models: &[ModelCard], name: &'a str) -> Option<&'a str> {
    let bare = name.strip_suffix(TAG)?;
    let listed = |wanted: &str| models.iter().any(|card| card.id == wanted);
    (!listed(name) && listed(bare)).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_listed_and_shown_as_ollama_does() {
        let card = ModelCard { created: 1_700_000_000, window: Some(200_000), ..ModelCard::new("big", "mcp-router") };
        insta::assert_json_snapshot!(
            "listed",
            ollama_list(&[card.clone(), ModelCard::new("ollama/llama3:8b", "ollama")])
        );
        insta::assert_json_snapshot!("shown", card.ollama_shown());
    }

    #[test]
    fn a_model_is_said_to_do_what_nobody_knows_it_cannot() {
        let abilities = |tools, images, thinking| Abilities { tools, images, thinking, ..Abilities::default() };
        let (yes, no) = (Some(true), Some(false));
        let table = [
            (abilities(None, None, None), vec!["completion", "tools", "vision"]),
            (abilities(no, no, no), vec!["completion"]),
            (abilities(yes, no, yes), vec!["completion", "tools", "thinking"]),
        ];
        for (abilities, expected) in table {
            let card = ModelCard { abilities, ..ModelCard::new("m", "p") };
            assert_eq!(card.capabilities(), expected, "{abilities:?}");
        }
    }

    #[test]
    fn a_tag_that_says_nothing_is_no_part_of_a_name() {
        let models: Vec<_> =
            ["big", "ollama/llama3", "x:latest", "x"].iter().map(|id| ModelCard::new(*id, "p")).collect();
        let table = [
            ("big", None),
            ("big:latest", Some("big")),
            ("ollama/llama3:latest", Some("ollama/llama3")),
            ("ollama/llama3:8b", None),
            ("x:latest", None),
            ("unlisted:latest", None),
        ];
        for (name, expected) in table {
            assert_eq!(untagged(&models, name), expected, "{name}");
        }
        let table = [("big", "big:latest"), ("a:b/c", "a:b/c:latest"), ("ollama/llama3:8b", "ollama/llama3:8b")];
        for (name, expected) in table {
            assert_eq!(tagged(name), expected);
        }
    }
}
