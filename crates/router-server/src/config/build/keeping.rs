//! What is kept of models' answers.

use router_core::chat::{Keeping, Reach};

use super::super::{
    aliases::{KeepFile, PromptCacheFile},
    problem::Findings,
    read::Spanned,
    settings::PromptCacheSettings,
};

/// How many times as long as it is fresh a kept answer may stand in, unless something else is said.
const STALE_TIMES: u32 = 24;

/// How the answers of an alias, or of a client, are kept. What answers questions of the same meaning answers the same
/// question, too.
pub(super) fn keeping(file: &KeepFile, findings: &mut Findings) -> Keeping {
    let on = |switch: &Option<Spanned<_>>| {
        switch.as_ref().is_some_and(|switch: &Spanned<super::super::leaf::Switch>| switch.0)
    };
    if let Some(switch) = file.semantic.as_ref().filter(|switch| switch.value.0) {
        let message = "questions of the same meaning are not found yet: only the same question is answered";
        findings.warning(&switch.at, message).remedy("write exact: true");
    }
    let reach = match (on(&file.exact), on(&file.semantic)) {
        (_, true) => Reach::Semantic,
        (true, false) => Reach::Exact,
        (false, false) => Reach::Off,
    };
    Keeping { reach, ttl: file.ttl.as_ref().map(|ttl| ttl.0) }
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
