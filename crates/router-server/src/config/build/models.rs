//! Our names for models: every reference leads somewhere.

use router_core::chat::OnLoss;
use router_llm::route::fits;

use super::{
    super::{
        aliases::{AliasFile, AliasMap, LossWord},
        environment::{ANTHROPIC_MODEL, ANTHROPIC_SMALL_FAST_MODEL, Variable},
        problem::At,
        read::{Map, Spanned},
        settings::{Alias, Choice, ModelName},
        suggest,
    },
    Build, keeping, name,
    providers::Accounts,
};

/// The aliases that variables of older systems name.
const NAMED_BY_VARIABLES: [(&str, Variable); 2] = [("big", ANTHROPIC_MODEL), ("small", ANTHROPIC_SMALL_FAST_MODEL)];

impl Build<'_> {
    /// The aliases of the file; the environment's go before those of the same name.
    pub(super) fn aliases(&mut self, file: Option<Spanned<Map<AliasFile>>>, accounts: &mut Accounts) -> Vec<Alias> {
        let entries = file.map(|file| file.value.0).unwrap_or_default();
        let names: Vec<String> = entries.iter().map(|(entry, _)| entry.value.clone()).collect();
        let mut aliases = Vec::new();
        for (entry, Spanned { value: AliasFile(AliasMap { candidates, on_loss, cache, default }), at }) in entries {
            if entry.is_empty() || entry.contains('/') {
                let finding = self.findings.problem(&entry.at, "this cannot be an alias");
                finding.remedy("a name without \"/\", which stands between provider and model");
            }
            let choices = candidates.map(|candidates| candidates.value.0).unwrap_or_default();
            if choices.is_empty() && !self.findings.is_broken(&at.path) {
                self.findings.problem(&entry.at, "there is no model in this list").remedy("write [provider/model]");
            }
            let choices =
                choices.iter().filter_map(|model| self.choice(&model.0, &model.at, &names, accounts)).collect();
            let keeping = cache.map(|cache| keeping::keeping(&cache.value));
            let on_loss = on_loss.map(|word| match word.value {
                LossWord::Degrade => OnLoss::Degrade,
                LossWord::Reject => OnLoss::Reject,
            });
            let default = default.map(|text| text.value.0.into());
            aliases.push((Alias { name: name(&entry.value), choices, on_loss, keeping, default }, entry.at));
        }
        for (alias, variable) in NAMED_BY_VARIABLES {
            self.alias_of_variable(alias, &variable, &mut aliases, accounts);
        }
        aliases.into_iter().map(|(alias, _)| alias).collect()
    }

    fn alias_of_variable(
        &mut self,
        alias: &str,
        variable: &Variable,
        aliases: &mut Vec<(Alias, At)>,
        accounts: &mut Accounts,
    ) {
        let Some(set) = self.given.variables.get(variable) else { return };
        let known = |model: &str| aliases.iter().any(|(alias, _)| alias.name.as_ref() == model);
        if known(set.value) || set.value == alias {
            // Whoever points a client at the router sets its model to one of our aliases.
            self.findings.warning(&set.at, format!("\"{}\" is an alias already: it is meant for a client", set.value));
            return;
        }
        // Older systems name OpenRouter's models, which have a "/" of their own.
        let split = set.value.split_once('/').filter(|(provider, model)| !model.is_empty() && accounts.has(provider));
        let (provider, model) = split.unwrap_or((accounts.default.as_ref(), set.value));
        let choice = Choice { provider: name(provider), model: model.to_owned() };
        let entry = Alias { name: name(alias), choices: vec![choice], on_loss: None, keeping: None, default: None };
        match aliases.iter_mut().find(|(known, _)| known.name.as_ref() == alias) {
            None => aliases.push((entry, set.at)),
            Some((known, at)) => {
                self.findings.warning(at, format!("{} goes before it", set.at.path));
                *known =
                    Alias { on_loss: known.on_loss, keeping: known.keeping, default: known.default.clone(), ..entry };
            }
        }
    }

    /// `provider/model`, or a model of the default provider.
    fn choice(&mut self, text: &str, at: &At, aliases: &[String], accounts: &mut Accounts) -> Option<Choice> {
        let Some((provider, model)) = text.split_once('/') else {
            if aliases.iter().any(|alias| alias == text) {
                let finding = self.findings.problem(at, format!("\"{text}\" is an alias itself"));
                finding.remedy("list its models here");
                return None;
            }
            return Some(Choice { provider: name(&accounts.default), model: text.to_owned() });
        };
        if provider.is_empty() || model.is_empty() {
            self.findings.problem(at, format!("\"{text}\" does not name a model")).remedy("write provider/model");
            return None;
        }
        if accounts.has(provider) {
            return Some(Choice { provider: name(provider), model: model.to_owned() });
        }
        let known = accounts.names();
        let remedy = suggest::nearest(provider, known.iter().copied()).map_or_else(
            || format!("add it under providers, or take one of: {}", known.join(", ")),
            |provider| format!("did you mean \"{provider}/{model}\"?"),
        );
        self.findings.problem(at, format!("there is no provider \"{provider}\"")).remedy(remedy);
        None
    }

    /// An alias, or a model of a provider.
    pub(super) fn model_name(
        &mut self,
        text: &str,
        at: &At,
        aliases: &[Alias],
        accounts: &mut Accounts,
    ) -> Option<ModelName> {
        if aliases.iter().any(|alias| fits(&alias.name, text)) && !text.contains('/') {
            return Some(ModelName::Alias(name(text)));
        }
        if !text.contains('/')
            && let Some(alias) = suggest::nearest(text, aliases.iter().map(|alias| alias.name.as_ref()))
        {
            let says = format!("\"{text}\" is no alias, and goes to {} as it is", accounts.default);
            self.findings.warning(at, says).remedy(format!("did you mean \"{alias}\"?"));
        }
        self.choice(text, at, &[], accounts).map(ModelName::Choice)
    }
}
