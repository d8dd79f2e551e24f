//! The tasks that a server was given, by its own ids: many callers share the server, and its list is of all of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use router_core::{Caller, Scope};

/// How many tasks of a server are remembered; of more the oldest are neither listed nor told of.
const TASKS_MAX: usize = 10_000;
/// The longest id that is remembered, in bytes.
const ID_MAX: usize = 512;

/// Whose tasks are whose.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    owners: HashMap<Arc<str>, Owner>,
    /// The oldest first.
    order: VecDeque<Arc<str>>,
}

/// Who had a task made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owner {
    pub(crate) caller: Arc<str>,
    pub(crate) tenant: Scope,
    /// His session, where he has one.
    pub(crate) session: Option<Arc<str>>,
    /// The name under which he knows the task.
    pub(crate) handle: Arc<str>,
}

impl Owner {
    /// Whether it is this caller.
    pub(super) fn is(&self, caller: &Caller) -> bool {
        self.caller == caller.name && self.tenant == caller.tenant
    }
}

impl Ledger {
    pub(super) fn enter(&self, id: &str, owner: Owner) {
        if id.len() > ID_MAX {
            return;
        }
        let mut kept = self.0.lock();
        if kept.order.len() >= TASKS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.owners.remove(&oldest);
        }
        let id: Arc<str> = id.into();
        if kept.owners.insert(Arc::clone(&id), owner).is_none() {
            kept.order.push_back(id);
        }
    }

    pub(super) fn owner(&self, id: &str) -> Option<Owner> {
        self.0.lock().owners.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let ledger = Ledger::default();
        let owner =
            |handle: &str| Owner { caller: "a".into(), tenant: Scope::Shared, session: None, handle: handle.into() };
        ledger.enter("twice", owner("1"));
        ledger.enter("twice", owner("2"));
        assert_eq!(ledger.owner("twice"), Some(owner("2")));
        (1..TASKS_MAX).for_each(|number| ledger.enter(&number.to_string(), owner("n")));
        assert!(ledger.owner("twice").is_some());
        ledger.enter("one more", owner("n"));
        assert_eq!(ledger.owner("twice"), None);
        assert!(ledger.owner("1").is_some() && ledger.owner("one more").is_some());
        ledger.enter(&"x".repeat(ID_MAX + 1), owner("n"));
        assert_eq!(ledger.owner(&"x".repeat(ID_MAX + 1)), None);
    }
}
