//! What is known of every model of every provider: the table, what the providers tell, and the configuration over both.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use router_core::Name;

use super::{
    known::{Abilities, Known, Price, Tokenizer},
    said::Said,
};
use crate::{provider::Preset, route::fits};

/// Models of one provider that are remembered; their names come from clients and from the provider.
const MODELS: usize = 2048;

/// What is known of every model of every provider. A model is looked up once.
#[derive(Debug, Default)]
pub struct KnownModels {
    providers: HashMap<Name, Catalog>,
    said: Vec<Said>,
}

/// The models of one provider.
#[derive(Debug)]
struct Catalog {
    preset: &'static Preset,
    told: RwLock<HashMap<String, Told>>,
    looked_up: RwLock<HashMap<String, Arc<Known>>>,
}

/// What a provider tells of one of its models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Tokens that question and answer may have together.
    pub window: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What it can do.
    pub abilities: Abilities,
    /// What it costs.
    pub price: Option<Price>,
}

impl KnownModels {
    /// What is known of the models of these providers; `said` is what the configuration says of them, and of two of its
    /// patterns that fit, the one that spells out more counts.
    pub fn new(providers: impl IntoIterator<Item = (Name, &'static Preset)>, mut said: Vec<Said>) -> Self {
        let catalog = |preset| Catalog { preset, told: RwLock::default(), looked_up: RwLock::default() };
        said.sort_by_key(|said| said.pattern.len() - said.pattern.matches('*').count());
        Self { providers: providers.into_iter().map(|(name, preset)| (name, catalog(preset))).collect(), said }
    }

    /// What is known of `model`, by the name that `provider` has for it.
    pub fn of(&self, provider: &str, model: &str) -> Arc<Known> {
        let Some(catalog) = self.providers.get(provider) else { return Arc::default() };
        if let Some(known) = catalog.looked_up.read().get(model) {
            return Arc::clone(known);
        }
        let known = Arc::new(self.look_up(catalog, provider, model));
        let mut looked_up = catalog.looked_up.write();
        if looked_up.len() >= MODELS {
            looked_up.clear();
        }
        looked_up.insert(model.to_owned(), Arc::clone(&known));
        known
    }

    /// A provider has told of its models: what it told before is forgotten.
    pub fn tell(&self, provider: &str, told: impl IntoIterator<Item = (String, Told)>) {
        let Some(catalog) = self.providers.get(provider) else { return };
        *catalog.told.write() = told.into_iter().take(MODELS).collect();
        catalog.looked_up.write().clear();
    }

    fn look_up(&self, catalog: &Catalog, provider: &str, model: &str) -> Known {
        let mut known = Known::of(catalog.preset.kind, model);
        known.quirks = known.quirks.and(catalog.preset.quirks);
        // Ollama names the tag that everybody leaves out.
        let names = [model, &format!("{model}:latest")];
        let told = catalog.told.read();
        if let Some(told) = names.iter().find_map(|name| told.get(*name)) {
            told.correct(&mut known);
        }
        let full = format!("{provider}/{model}");
        let bare = model.rsplit('/').next().unwrap_or(model);
        for said in &self.said {
            if [model, bare, &full].iter().any(|name| fits(&said.pattern, name)) {
                said.correct(&mut known);
            }
        }
        known
    }
}

impl Told {
    fn correct(&self, known: &mut Known) {
        known.window = self.window.or(known.window);
        if let Some(most) = self.max_output {
            (known.max_output, known.quirks.max_output) = (Some(most), Some(most));
        }
        known.abilities = self.abilities.or(known.abilities);
        known.price = self.price.or(known.price);
    }
}

/// The tokenizer that a word of the configuration means.
pub fn tokenizer(word: &str) -> Option<Tokenizer> {
    Tokenizer::ALL.into_iter().find(|tokenizer| tokenizer.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{models::SaidQuirks, provider::ProviderKind};

    #[test]
    fn the_configuration_goes_before_the_provider_and_the_provider_before_the_table() {
        let preset = |kind| Preset::of(kind, None).unwrap();
        let providers = [("o".into(), preset(ProviderKind::OpenAi)), ("l".into(), preset(ProviderKind::Ollama))];
        let said = |pattern: &str, window| Said { pattern: pattern.into(), window, ..Said::default() };
        let quirks = SaidQuirks { no_effort: Some(false), ..SaidQuirks::default() };
        let models = KnownModels::new(
            providers,
            vec![
                said("l/llama3.2", Some(7)),
                said("llama*", Some(5)),
                Said { quirks, max_output: Some(99), ..said("gpt-4o", None) },
            ],
        );
        let window = |provider, model| models.of(provider, model).window;
        assert_eq!(
            (window("o", "gpt-4o"), window("l", "llama3"), window("l", "llama3.2")),
            (Some(128_000), Some(5), Some(7))
        );
        assert_eq!(
            (window("l", "qwen3:8b"), window("l", "own"), window("nobody", "gpt-4o")),
            (Some(40_960), None, None)
        );
        let gpt = models.of("o", "gpt-4o");
        let expect = (Some(99), Some(99), false, true);
        assert_eq!((gpt.max_output, gpt.quirks.max_output, gpt.quirks.no_effort, gpt.quirks.no_top_k), expect);
        let told = |window| Told { window: Some(window), max_output: Some(11), ..Told::default() };
        models.tell("l", [("llama3".to_owned(), told(1)), ("own:latest".to_owned(), told(2))]);
        assert_eq!(
            (window("l", "llama3"), window("l", "own"), window("l", "qwen3:8b")),
            (Some(5), Some(2), Some(40_960))
        );
        assert_eq!(models.of("l", "own").quirks.max_output, Some(11));
    }

    #[test]
    fn names_that_clients_make_up_fill_no_memory() {
        let preset = Preset::of(ProviderKind::OpenAi, None).unwrap();
        let models = KnownModels::new([("o".into(), preset)], Vec::new());
        for name in 0..MODELS * 2 {
            models.of("o", &name.to_string());
        }
        assert!(models.providers["o"].looked_up.read().len() <= MODELS);
    }
}
