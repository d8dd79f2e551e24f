//! Hearing when the lists of several servers change.

use futures_util::future::select_all;
use tokio::sync::watch;

use super::{Catalog, cursor::Digest, list::List};
use crate::view::Revision;

/// Tells of changes, one after the other; several that happened meanwhile are told as one.
pub struct Changes {
    servers: Vec<(watch::Receiver<Revision>, Revision)>,
    /// What has changed at the servers, and is not told yet.
    heard: Changed,
    narrow: Option<Narrow>,
}

/// Which lists have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The tools.
    pub tools: bool,
    /// The resources or their templates.
    pub resources: bool,
    /// The prompts.
    pub prompts: bool,
}

/// What is known of a catalog that does not show all that its servers have: what it does not show may change unheard.
struct Narrow {
    catalog: Catalog,
    told: [Digest; 4],
}

impl Changes {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let servers = catalog.view.servers.iter().map(|shown| shown.shelf.offer.view.revisions());
        let seen = |mut receiver: watch::Receiver<Revision>| {
            let revision = *receiver.borrow_and_update();
            (receiver, revision)
        };
        let narrow = catalog.view.is_narrow().then(|| Narrow {
            told: List::ALL.map(|list| catalog.view.told(&catalog.view.board(list))),
            catalog: catalog.clone(),
        });
        Self { servers: servers.map(seen).collect(), heard: Changed::default(), narrow }
    }

    /// The next change; never, when no server is left that could change. Nothing is lost when it is not waited for to
    /// the end.
    pub async fn next(&mut self) -> Changed {
        loop {
            if self.heard == Changed::default() {
                self.hear().await;
            }
            let changed = match &mut self.narrow {
                Some(narrow) => narrow.shown(self.heard).await,
                None => self.heard,
            };
            self.heard = Changed::default();
            if changed != Changed::default() {
                return changed;
            }
        }
    }

    async fn hear(&mut self) {
        if self.servers.is_empty() {
            std::future::pending::<()>().await;
        }
        let waits = self.servers.iter_mut().map(|(receiver, _)| Box::pin(receiver.changed()));
        let (outcome, index, _) = select_all(waits).await;
        if outcome.is_err() {
            self.servers.swap_remove(index);
        }
        for (receiver, seen) in &mut self.servers {
            let now = *receiver.borrow_and_update();
            self.heard.tools |= now.tools != seen.tools;
            self.heard.resources |= now.resources != seen.resources;
            self.heard.prompts |= now.prompts != seen.prompts;
            *seen = now;
        }
    }
}

impl Narrow {
    /// What of a change is to be seen. What cannot be found out counts as changed.
    async fn shown(&mut self, heard: Changed) -> Changed {
        let mut changed = Changed::default();
        for (list, told) in List::ALL.into_iter().zip(&mut self.told) {
            let (heard, changed) = match list {
                List::Tools => (heard.tools, &mut changed.tools),
                List::Resources | List::Templates => (heard.resources, &mut changed.resources),
                List::Prompts => (heard.prompts, &mut changed.prompts),
            };
            if !heard {
                continue;
            }
            let Ok((board, _)) = self.catalog.current(list).await else {
                *changed = true;
                continue;
            };
            let now = self.catalog.view.told(&board);
            *changed |= std::mem::replace(told, now) != now;
        }
        changed
    }
}
