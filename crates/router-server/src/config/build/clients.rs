//! The clients' rules: every model and key they name is there, and every prompt can be filled in.

use std::time::Duration;

use router_llm::enhance::Template;

use super::{
    super::{
        clients::ClientFile,
        file::Choices,
        leaf::Text,
        problem::At,
        read::{Map, Spanned},
        settings::{Alias, ClientSettings, KeySettings, Manner, ModelName, Privacy, RewriteSettings},
        suggest,
    },
    Build, keeping, name,
    providers::Accounts,
};

/// A longer prompt is not rewritten, in tokens.
const INPUT_CAP: u32 = 4096;

/// How long rewriting may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The end of a fallback, which is its end in any case.
const UNCHANGED: &str = "unchanged";

/// What rules may refer to.
pub(super) struct Known<'a> {
    pub(super) aliases: &'a [Alias],
    pub(super) keys: &'a [KeySettings],
    pub(super) accounts: &'a mut Accounts,
}

impl Build<'_> {
    /// The clients' rules.
    pub(super) fn clients(
        &mut self,
        file: Option<Spanned<Map<ClientFile>>>,
        mut known: Known<'_>,
    ) -> Vec<ClientSettings> {
        let mut clients: Vec<ClientSettings> = Vec::new();
        for (entry, Spanned { value: file, .. }) in file.into_iter().flat_map(|file| file.value.0) {
            if let Some(twin) = clients.iter().find(|client| client.name.to_lowercase() == entry.to_lowercase()) {
                let says = format!("\"{}\" is the same client: capitals make no difference", twin.name);
                self.findings.problem(&entry.at, says).remedy("remove one of the two");
                continue;
            }
            let taken = |key: &&Spanned<Text>| clients.iter().find(|other| other.key.as_deref() == Some(&*key.value.0));
            if let Some((key, other)) = file.key.as_ref().and_then(|key| Some((key, taken(&key)?))) {
                let says = format!("whoever has this key is \"{}\" already", other.name);
                self.findings.problem(&key.at, says).remedy("give every client a key of its own");
            }
            clients.push(self.client(&entry, file, &mut known));
        }
        clients
    }

    fn client(&mut self, entry: &Spanned<String>, file: ClientFile, known: &mut Known<'_>) -> ClientSettings {
        let on = |switch: &Option<Spanned<super::super::leaf::Switch>>| switch.as_ref().map(|switch| switch.0);
        let (enabled, touch_tools) = (on(&file.enabled).unwrap_or(true), on(&file.touch_tools).unwrap_or(false));
        let rewriting = self.rewriting(entry, &file, known);
        let prompt = file.prompt.and_then(|prompt| self.template(&prompt.value.0, &prompt.at));
        let settings = ClientSettings {
            name: name(entry),
            key: file.key.as_ref().and_then(|key| self.key_of(key, known.keys)),
            model: file.model.and_then(|model| self.model_of(&model, known)),
            prompt: prompt.or_else(|| rewriting.is_some().then(Template::usual_rewriting)),
            rewriting,
            temperature: file.temperature.map(|temperature| temperature.0),
            max_tokens: file.max_tokens.map(|tokens| tokens.0),
            privacy: file.privacy.map_or(Privacy::Any, |privacy| privacy.value),
            touch_tools,
            keeping: file.cache.map(|cache| keeping::keeping(&cache.value)),
        };
        if enabled {
            return settings;
        }
        ClientSettings { name: settings.name, key: settings.key, ..ClientSettings::default() }
    }

    fn key_of(&mut self, key: &Spanned<Text>, keys: &[KeySettings]) -> Option<router_core::Name> {
        let wanted = key.value.0.as_str();
        let names = || keys.iter().map(|key| &*key.name);
        if names().any(|key| key == wanted) {
            return Some(name(wanted));
        }
        if !self.findings.is_broken("keys") {
            let remedy = suggest::nearest(wanted, names())
                .map_or_else(|| "add it under keys".to_owned(), |near| format!("did you mean \"{near}\"?"));
            self.findings.problem(&key.at, format!("there is no key called \"{wanted}\"")).remedy(remedy);
        }
        None
    }

    fn model_of(&mut self, model: &Spanned<Text>, known: &mut Known<'_>) -> Option<ModelName> {
        self.model_name(&model.value.0, &model.at, known.aliases, known.accounts)
    }

    /// What is wrong with a prompt is told with the line in it, where it has several.
    fn template(&mut self, source: &str, at: &At) -> Option<Template> {
        match Template::parse(source) {
            Ok(template) => Some(template),
            Err(flaw) => {
                let line =
                    if source.contains('\n') { format!("line {} of the prompt: ", flaw.line) } else { String::new() };
                let finding = self.findings.problem(at, format!("{line}{}", flaw.says));
                finding.remedy("what is no template at all stands between {% raw %} and {% endraw %}");
                None
            }
        }
    }

    fn rewriting(
        &mut self,
        entry: &Spanned<String>,
        file: &ClientFile,
        known: &mut Known<'_>,
    ) -> Option<RewriteSettings> {
        let rewrites = file.mode.as_ref().is_some_and(|mode| mode.value == Manner::Rewrite);
        if !rewrites {
            let first = file.rewrite_model.as_ref().map(|model| &model.at);
            let first = first.or(file.fallback.as_ref().map(|fallback| &fallback.at));
            let first = first.or(file.input_cap.as_ref().map(|cap| &cap.at));
            if let Some(at) = first.or(file.timeout.as_ref().map(|timeout| &timeout.at)) {
                self.findings
                    .warning(at, "this has no effect where nothing is rewritten")
                    .remedy("write mode: rewrite");
            }
            return None;
        }
        if file.rewrite_model.is_none() && !self.findings.is_broken(&entry.at.path) {
            self.findings
                .problem(&entry.at, "it is not said who rewrites")
                .remedy("write rewrite_model: a small model");
        }
        let first = file.rewrite_model.as_ref().and_then(|model| self.model_of(model, known));
        let others = file.fallback.as_ref().map_or_else(Vec::new, |list| self.fallback(list, known));
        Some(RewriteSettings {
            models: first.into_iter().chain(others).collect(),
            input_cap: file.input_cap.as_ref().map_or(INPUT_CAP, |cap| cap.0),
            timeout: file.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.0),
        })
    }

    fn fallback(&mut self, list: &Choices, known: &mut Known<'_>) -> Vec<ModelName> {
        let end = list.0.len().saturating_sub(1);
        let mut models = Vec::new();
        for (at, model) in list.0.iter().enumerate() {
            if model.value.0 != UNCHANGED {
                models.extend(self.model_of(model, known));
            } else if at < end {
                let finding = self.findings.problem(&model.at, "nothing comes after a prompt that passes unchanged");
                finding.remedy("write it at the end");
            }
        }
        models
    }
}
