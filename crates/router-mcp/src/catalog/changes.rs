//! Hearing when the lists of several servers change.

use futures_util::future::select_all;
use tokio::sync::watch;

use crate::view::Revision;

/// Tells of changes, one after the other; several that happened meanwhile are told as one.
pub struct Changes {
    servers: Vec<(watch::Receiver<Revision>, Revision)>,
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

impl Changes {
    pub(super) fn of(servers: impl Iterator<Item = watch::Receiver<Revision>>) -> Self {
        let seen = |mut receiver: watch::Receiver<Revision>| {
            let revision = *receiver.borrow_and_update();
            (receiver, revision)
        };
        Self { servers: servers.map(seen).collect() }
    }

    /// The next change; never, when no server is left that could change.
    pub async fn next(&mut self) -> Changed {
        loop {
            if self.servers.is_empty() {
                std::future::pending::<()>().await;
            }
            let waits = self.servers.iter_mut().map(|(receiver, _)| Box::pin(receiver.changed()));
            let (outcome, index, _) = select_all(waits).await;
            if outcome.is_err() {
                self.servers.swap_remove(index);
                continue;
            }
            let changed = self.take();
            if changed != Changed::default() {
                return changed;
            }
        }
    }

    fn take(&mut self) -> Changed {
        let mut changed = Changed::default();
        for (receiver, seen) in &mut self.servers {
            let now = *receiver.borrow_and_update();
            changed.tools |= now.tools != seen.tools;
            changed.resources |= now.resources != seen.resources;
            changed.prompts |= now.prompts != seen.prompts;
            *seen = now;
        }
        changed
    }
}
