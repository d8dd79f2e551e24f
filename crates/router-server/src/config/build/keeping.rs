//! What is kept of models' answers.

use router_core::chat::{Keeping, Reach};

use super::super::{
    aliases::{KeepFile, PromptCacheFile},
    file::File,
    problem::Findings,
    read::Spanned,
    settings::PromptCacheSettings,
};

/// How many times as long as it is fresh a kept answer may stand in, unless something else is said.
const STALE_TIMES: u32 = 24;

/// How the answers of an alias, or of a client, are kept. What answers questions of the same meaning answers the same
/// question, too.
pub(super) fn keeping(file: &KeepFile) -> Keeping {
    let on = |switch: &Option<Spanned<_>>| {
        switch.as_ref().is_some_and(|switch: &Spanned<super::super::leaf::Switch>| switch.0)
    };
    let reach = match (on(&file.exact), on(&file.semantic)) {
        (_, true) => Reach::Semantic,
        (true, false) => Reach::Exact,
        (false, false) => Reach::Off,
    };
    Keeping { reach, ttl: file.ttl.as_ref().map(|ttl| ttl.0) }
}

/// Warns of questions that nothing is found for, because nobody tells what they mean.
pub(super) fn meanings(file: &File, findings: &mut Findings) {
    let usual = PromptCacheSettings::default().embed;
    let aliases = file.models.iter().flat_map(|models| &models.value.0);
    let is_chosen = file.prompt_cache.as_ref().is_some_and(|file| file.value.embed.is_some());
    if is_chosen || aliases.clone().any(|(name, _)| *name.value == *usual) {
        return;
    }
    let clients = file.clients.iter().flat_map(|clients| &clients.value.0);
    let caches = aliases.filter_map(|(_, alias)| alias.value.0.cache.as_ref());
    let caches = caches.chain(clients.filter_map(|(_, client)| client.value.cache.as_ref()));
    for switch in caches.filter_map(|cache| cache.value.semantic.as_ref()).filter(|switch| switch.value.0) {
        let finding =
            findings.warning(&switch.at, format!("nobody tells what questions mean: there is no alias {usual:?}"));
        finding.remedy("add models: { embed: ollama/nomic-embed-text }, or name another in prompt_cache.embed");
    }
}

/// What is kept at all.
pub(super) fn prompt_cache(file: Option<Spanned<PromptCacheFile>>) -> PromptCacheSettings {
    let usual = PromptCacheSettings::default();
    let Some(Spanned { value: file, .. }) = file else { return usual };
    let ttl = file.ttl.map_or(usual.ttl, |ttl| ttl.0);
    let max_entry_bytes = file.max_entry_bytes.and_then(|bytes| usize::try_from(bytes.0).ok());
    let max_questions = file.max_questions.and_then(|count| usize::try_from(count.0).ok());
    PromptCacheSettings {
        ttl,
        stale: file.stale.map_or(ttl.saturating_mul(STALE_TIMES), |stale| stale.0),
        max_bytes: file.max_bytes.map_or(usual.max_bytes, |bytes| bytes.0),
        max_entry_bytes: max_entry_bytes.unwrap_or(usual.max_entry_bytes),
        key: file.key.map(|key| key.value.0),
        max_questions: max_questions.unwrap_or(usual.max_questions),
        threshold: file.threshold.map_or(usual.threshold, |threshold| threshold.0),
        max_temperature: file.max_temperature.map_or(usual.max_temperature, |highest| highest.0),
        embed: file.embed.map_or(usual.embed, |embed| embed.value.0.into()),
        embed_timeout: file.embed_timeout.map_or(usual.embed_timeout, |timeout| timeout.0),
    }
}
