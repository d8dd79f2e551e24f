//! What a client knows a task by: a name that says to nobody but us which server has it, and is of use to its caller only.

use router_core::{Caller, Result};

use crate::seal::{Bound, Seal};

const PURPOSE: &str = "task";

/// In which way its server does tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// That of the revision 2025-11-25.
    Core,
    /// That of the modern extension.
    Extension,
}

/// A task of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Handle {
    pub(super) form: Form,
    pub(super) server: String,
    /// Its server's own name for it.
    pub(super) id: String,
}

impl Handle {
    /// The task in words of ours.
    pub(super) fn name(&self, seal: &Seal, caller: &Caller) -> Result<String> {
        let form = match self.form {
            Form::Core => "c",
            Form::Extension => "x",
        };
        // No server's name holds a line break.
        let content = format!("{form}{}\n{}", self.server, self.id);
        seal.name(&Bound::to_caller(PURPOSE, caller), content.as_bytes())
    }

    /// The task that a name stands for, when it was given to this caller.
    pub(super) fn open(seal: &Seal, caller: &Caller, name: &str) -> Option<Self> {
        let content = seal.named(&Bound::to_caller(PURPOSE, caller), name)?;
        let content = String::from_utf8(content).ok()?;
        let (server, id) = content.split_once('\n')?;
        let (form, server) = match server.strip_prefix('c') {
            Some(server) => (Form::Core, server),
            None => (Form::Extension, server.strip_prefix('x')?),
        };
        Some(Self { form, server: server.to_owned(), id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_found_by_its_name_and_by_its_caller_alone() {
        let seal = Seal::new(None, || 0).unwrap();
        let caller = |name: &str| Caller { name: name.into(), ..Caller::anonymous("r") };
        let (alice, bob) = (caller("alice"), caller("bob"));
        for (form, id) in [(Form::Core, "7"), (Form::Extension, "a\nb\u{0}"), (Form::Extension, "")] {
            let handle = Handle { form, server: "s.1".to_owned(), id: id.to_owned() };
            let name = handle.name(&seal, &alice).unwrap();
            assert_eq!(Handle::open(&seal, &alice, &name), Some(handle.clone()));
            assert_eq!(Handle::open(&seal, &bob, &name), None);
            assert_eq!(Handle::open(&seal, &alice, id), None);
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{name}");
        }
    }
}
