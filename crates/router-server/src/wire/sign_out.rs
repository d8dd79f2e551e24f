//! Signing out of MCP servers: for everybody, and for each caller where each signs in for himself.

use std::slice;

use router_core::{Caller, Error, Kind, Result};
use router_mcp::oauth::{Per, Whose};
use serde::Serialize;

use super::sign_in::Office;
use crate::config::{KeySettings, ServerSettings};

/// Who may have signed in to one server.
pub struct SignOut {
    client_id: Option<String>,
    whose: Vec<Whose>,
}

/// Somebody who is signed out.
#[derive(Debug, PartialEq, Serialize)]
pub struct SignedOut {
    /// The caller, where it was not for everybody.
    caller: Option<String>,
    /// Why what he had may still be good for somebody who has it.
    problem: Option<String>,
}

impl SignOut {
    /// Who may have signed in to a server of the configuration; `None` where nobody does.
    pub fn of(settings: &ServerSettings, keys: &[KeySettings]) -> Option<Self> {
        let terms = settings.auth.as_ref()?;
        let key = |key: &KeySettings| Whose::Caller { tenant: key.tenant.to_string(), name: key.name.to_string() };
        let nameless = Whose::of(Per::Caller, Some(&Caller::anonymous("")));
        let each: Vec<Whose> = match terms.per {
            Per::Shared => Vec::new(),
            Per::Caller => keys.iter().map(key).chain([nameless]).collect(),
        };
        Some(Self { client_id: terms.client_id.clone(), whose: [Whose::Shared].into_iter().chain(each).collect() })
    }

    /// Signs all of them out of `server`, or `only` one caller. Whatever the authorization server says to it, they are.
    pub async fn end(&self, office: &Office, server: &str, only: Option<&str>) -> Result<Vec<SignedOut>> {
        let chosen = match only {
            None => &*self.whose,
            Some(name) => slice::from_ref(self.caller(name)?),
        };
        let mut ended = Vec::new();
        for whose in chosen {
            let forgotten = office.forget(server, whose, self.client_id.as_deref()).await?;
            if forgotten.was_signed_in {
                let caller = named(whose).map(str::to_owned);
                tracing::info!(server, caller, problem = forgotten.unrevoked, "signed out");
                ended.push(SignedOut { caller, problem: forgotten.unrevoked });
            }
        }
        Ok(ended)
    }

    fn caller(&self, name: &str) -> Result<&Whose> {
        let known: Vec<&str> = self.whose.iter().filter_map(named).collect();
        self.whose.iter().find(|whose| named(whose) == Some(name)).ok_or_else(|| {
            let hint = match &*known {
                [] => "all callers share one sign-in there".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            Error::new(Kind::NotFound, format!("no caller {name:?} signs in there")).hint(hint)
        })
    }
}

fn named(whose: &Whose) -> Option<&str> {
    match whose {
        Whose::Shared => None,
        Whose::Caller { name, .. } => Some(name),
    }
}
