//! Who answers when a server cannot.

use std::time::Duration;

use router_core::Name;

use super::{
    super::{
        leaf::{FilePath, Text},
        problem::At,
        read::Spanned,
        settings::{ServerSettings, StandbySource},
        standby::{Standby, StandbyFile, StandbyWord, Standbys},
        suggest,
    },
    Build, name,
};

/// What is said of it.
pub(super) struct StandInFile<'a> {
    pub(super) server: &'a str,
    pub(super) on_error: Option<Spanned<Standbys>>,
    pub(super) on_timeout: Option<Spanned<Standbys>>,
    /// How old stale answers may be.
    pub(super) oldest: Option<Duration>,
    pub(super) backup: Option<Spanned<FilePath>>,
    pub(super) default: Option<Spanned<Text>>,
    pub(super) is_cached: bool,
}

/// Who answers.
pub(super) struct StandingIn {
    pub(super) on_error: Vec<StandbySource>,
    pub(super) on_timeout: Option<Vec<StandbySource>>,
}

impl Build<'_> {
    pub(super) fn standing_in(&mut self, mut file: StandInFile<'_>) -> StandingIn {
        let (on_error, on_timeout) = (file.on_error.take(), file.on_timeout.take());
        let unused = |this: &mut Self, at: &At, word: &str| {
            let finding = this.findings.warning(at, "nobody asks for it");
            finding.remedy(format!("name {word} in on_error or on_timeout"));
        };
        let lists = [&on_error, &on_timeout];
        let names = |word: StandbyWord| {
            let mut all = lists.iter().filter_map(|list| list.as_ref()).flat_map(|list| &list.value.0);
            all.any(|one| matches!(one.value, Standby::Word(found) if found == word))
        };
        let (asks_backup, asks_default) = (names(StandbyWord::Backup), names(StandbyWord::Default));
        if let Some(backup) = file.backup.as_ref().filter(|_| !asks_backup) {
            unused(self, &backup.at, "backup");
        }
        if let Some(default) = file.default.as_ref().filter(|_| !asks_default) {
            unused(self, &default.at, "default");
        }
        StandingIn {
            on_error: self.sources(on_error, &file).unwrap_or_default(),
            on_timeout: self.sources(on_timeout, &file),
        }
    }

    fn sources(&mut self, list: Option<Spanned<Standbys>>, file: &StandInFile<'_>) -> Option<Vec<StandbySource>> {
        let list = list?.value.0;
        Some(list.into_iter().filter_map(|one| self.source(one, file)).collect())
    }

    fn source(&mut self, Spanned { value, at }: Spanned<Standby>, file: &StandInFile<'_>) -> Option<StandbySource> {
        match value {
            Standby::Word(StandbyWord::Skip) => Some(StandbySource::Skip),
            Standby::Word(StandbyWord::Stale) => {
                if !file.is_cached {
                    let finding = self.findings.warning(&at, "there is no cache that could hold stale answers");
                    finding.remedy("add cache: { fresh: 5m, stale: 2h }");
                }
                Some(StandbySource::Stale(file.oldest.unwrap_or(Duration::MAX)))
            }
            Standby::Word(StandbyWord::Backup) => match &file.backup {
                Some(backup) => Some(self.backup(backup)),
                None => self.missing(&at, "backup: PATH"),
            },
            Standby::Word(StandbyWord::Default) => match &file.default {
                Some(text) => Some(StandbySource::Default(text.value.0.clone())),
                None => self.missing(&at, "default: TEXT"),
            },
            Standby::File(one) => self.written_out(*one, file.server, &at),
        }
    }

    /// An answer with what gives it.
    fn written_out(&mut self, file: StandbyFile, server: &str, at: &At) -> Option<StandbySource> {
        match file {
            StandbyFile { backup: Some(backup), server: None, default: None } => Some(self.backup(&backup)),
            StandbyFile { backup: None, server: Some(other), default: None } => {
                let named = name(&other.value.0);
                self.standing_in.push((name(server), Spanned { value: Name::clone(&named), at: other.at }));
                Some(StandbySource::Server(named))
            }
            StandbyFile { backup: None, server: None, default: Some(text) } => {
                Some(StandbySource::Default(text.value.0))
            }
            _ if self.findings.is_broken(&at.path) => None,
            _ => {
                let finding = self.findings.problem(at, "each item is one answer");
                finding.remedy("write stale, skip, { backup: PATH }, { server: NAME } or { default: TEXT }");
                None
            }
        }
    }

    fn backup(&mut self, backup: &Spanned<FilePath>) -> StandbySource {
        if !backup.value.0.exists() {
            self.findings.warning(&backup.at, "there is no such file or folder yet");
        }
        StandbySource::Backup(backup.value.0.clone())
    }

    fn missing(&mut self, at: &At, key: &str) -> Option<StandbySource> {
        self.findings.problem(at, "what would answer is not here").remedy(format!("add {key} to the server"));
        None
    }

    /// Whoever stands in for another one has to be there, and must not be stood in for by it in the end.
    pub(super) fn stand_ins(&mut self, servers: &[ServerSettings]) {
        let all: Vec<&str> = servers.iter().map(|server| &*server.name).collect();
        for (server, Spanned { value: other, at }) in std::mem::take(&mut self.standing_in) {
            if !all.contains(&&*other) {
                let finding = self.findings.problem(&at, format!("there is no server {other:?} to stand in"));
                finding.remedy(suggest::remedy(&other, &all));
            } else if leads_to(servers, &other, &server, servers.len()) {
                let finding = self.findings.problem(&at, format!("{server} stands in for {other} in the end"));
                finding.remedy("let one of them go on to something else");
            }
        }
    }
}

fn others(server: &ServerSettings) -> impl Iterator<Item = &Name> {
    let sources = server.on_error.iter().chain(server.on_timeout.iter().flatten());
    sources.filter_map(|source| if let StandbySource::Server(other) = source { Some(other) } else { None })
}

/// Whether who is asked in place of `from` may be `to` in the end.
fn leads_to(servers: &[ServerSettings], from: &str, to: &str, steps: usize) -> bool {
    let found = servers.iter().find(|server| &*server.name == from);
    let further = |found: &ServerSettings| others(found).any(|next| leads_to(servers, next, to, steps - 1));
    from == to || steps > 0 && found.is_some_and(further)
}
