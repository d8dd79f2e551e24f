//! What is let through by its name: patterns of what is allowed, and of what is not.

use router_core::matches_glob;

use super::{list::List, naming::JOINT};

/// What passes of one kind of thing: what a pattern allows (everything, where there is none) and no pattern denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Patterns with `*` of what passes; `None` is everything.
    pub allow: Option<Vec<String>>,
    /// Patterns with `*` of what does not.
    pub deny: Vec<String>,
}

/// What passes of everything that servers offer. Resources and their templates go by their URIs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Of the tools.
    pub tools: Filter,
    /// Of the resources and templates.
    pub resources: Filter,
    /// Of the prompts.
    pub prompts: Filter,
}

impl Filters {
    /// Whether everything passes.
    pub(super) fn is_open(&self) -> bool {
        self.tools.is_open() && self.resources.is_open() && self.prompts.is_open()
    }

    pub(super) fn of(&self, list: List) -> &Filter {
        match list {
            List::Tools => &self.tools,
            List::Resources | List::Templates => &self.resources,
            List::Prompts => &self.prompts,
        }
    }
}

impl Filter {
    /// Whether everything passes.
    pub(super) fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Whether a thing passes by its server's own name for it.
    pub(super) fn passes(&self, own: &str) -> bool {
        self.judged_by(|pattern| matches_glob(pattern, own))
    }

    /// Whether a thing of one of several servers passes: a pattern is about its own name, or, with a server's name
    /// before it (`github__get_*`), about that server's.
    pub(super) fn passes_of<'a>(
        &self,
        server: &str,
        own: &str,
        servers: &(impl Iterator<Item = &'a str> + Clone),
    ) -> bool {
        self.judged_by(|pattern| match pattern.split_once(JOINT) {
            Some((theirs, rest)) if servers.clone().any(|name| matches_glob(theirs, name)) => {
                matches_glob(theirs, server) && matches_glob(rest, own)
            }
            _ => matches_glob(pattern, own),
        })
    }

    fn judged_by(&self, fits: impl Fn(&str) -> bool) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern));
        self.allow.as_deref().is_none_or(any) && !any(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: Option<&[&str]>, deny: &[&str]) -> Filter {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Filter { allow: allow.map(owned), deny: owned(deny) }
    }

    #[test]
    fn what_is_denied_does_not_pass_even_where_it_is_allowed() {
        for (allow, deny, own, expected) in [
            (None, &[][..], "rm", true),
            (Some(&[][..]), &[], "rm", false),
            (Some(&["get_*", "put"]), &[], "get_x", true),
            (Some(&["get_*", "put"]), &[], "puts", false),
            (Some(&["*"]), &["rm*"], "rm_all", false),
            (None, &["rm*"], "farm", true),
        ] {
            assert_eq!(filter(allow, deny).passes(own), expected, "{allow:?} {deny:?} {own}");
        }
    }

    #[test]
    fn a_servers_name_before_a_pattern_is_that_servers() {
        for (pattern, server, own, expected) in [
            ("github__get_*", "github", "get_issue", true),
            ("github__get_*", "gitlab", "get_issue", false),
            ("github__*", "evil", "github__get_issue", false),
            ("get_*", "gitlab", "get_issue", true),
            ("git*__get_*", "gitlab", "get_issue", true),
            ("a__b", "evil", "a__b", true),
        ] {
            let servers = ["github", "gitlab", "evil"].into_iter();
            assert_eq!(
                filter(Some(&[pattern]), &[]).passes_of(server, own, &servers),
                expected,
                "{pattern} {server} {own}"
            );
        }
    }
}
