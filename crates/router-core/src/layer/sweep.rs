//! What is kept, and forgotten, by what it is about.

use std::sync::Arc;

use crate::{Scope, matches_glob};

/// What a kept answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Who may be given it.
    pub scope: Scope,
    /// What of its upstream it is about: the name of a tool.
    pub subject: Arc<str>,
}

/// Which of an upstream's answers are to be forgotten; all of them, unless it says less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Those that are about what fits this pattern with `*`.
    pub subject: Option<String>,
    /// Those of this tenant.
    pub tenant: Option<String>,
}

impl Sweep {
    /// Whether an answer is to be forgotten. One of which nobody knows what it is about is, whatever is meant.
    pub fn covers(&self, about: Option<&About>) -> bool {
        let Some(About { scope, subject }) = about else { return true };
        let of_tenant = |wanted: &String| matches!(scope, Scope::Tenant(tenant) if **tenant == **wanted);
        self.tenant.as_ref().is_none_or(of_tenant)
            && self.subject.as_ref().is_none_or(|pattern| matches_glob(pattern, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten() {
        let about = |scope: Scope| About { scope, subject: "list_issues".into() };
        let (everybody, ann) = (about(Scope::Shared), about(Scope::Tenant("ann".into())));
        let sweep = |subject: &str, tenant: &str| Sweep {
            subject: (!subject.is_empty()).then(|| subject.to_owned()),
            tenant: (!tenant.is_empty()).then(|| tenant.to_owned()),
        };
        for (sweep, expected) in [
            (sweep("", ""), [true, true]),
            (sweep("list_*", ""), [true, true]),
            (sweep("get_*", ""), [false, false]),
            (sweep("", "ann"), [false, true]),
            (sweep("", "bob"), [false, false]),
            (sweep("get_*", "ann"), [false, false]),
        ] {
            assert_eq!([&everybody, &ann].map(|about| sweep.covers(Some(about))), expected, "{sweep:?}");
            assert!(sweep.covers(None));
        }
    }
}
