//! News that what a server offers may have changed.

use tokio::sync::watch;

use crate::view::Revision;

/// Counts the times that each of a server's lists may have changed.
#[derive(Clone)]
pub(crate) struct Changes(watch::Sender<Revision>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Revision::default()))
    }

    /// All of them may have changed.
    pub(crate) fn tell(&self) {
        self.0.send_modify(|revision| *revision = revision.anew());
    }

    /// Takes note of a notification, when it is about a list.
    pub(crate) fn hear(&self, method: &str) {
        let change: fn(&mut Revision) = match method {
            "notifications/tools/list_changed" => |revision| revision.tools += 1,
            "notifications/resources/list_changed" => |revision| revision.resources += 1,
            "notifications/prompts/list_changed" => |revision| revision.prompts += 1,
            _ => return,
        };
        self.0.send_modify(change);
    }

    pub(crate) fn listen(&self) -> watch::Receiver<Revision> {
        self.0.subscribe()
    }
}
