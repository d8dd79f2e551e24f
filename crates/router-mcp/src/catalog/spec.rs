//! What the configuration says of what is offered: of one server, and of a view over several.

use std::{collections::BTreeMap, sync::Arc};

use router_core::Name;

use super::{amend::Override, filter::Filters, lazy::Laziness, naming::Prefix};

/// On which terms one server's things are offered, in whatever view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// When its name stands before those of its tools and prompts.
    pub prefix: Prefix,
    /// What of it may be seen and called, by its own names.
    pub filters: Filters,
    /// What is said otherwise of its tools, by its own names.
    pub overrides: BTreeMap<String, Override>,
}

impl Terms {
    /// The server's own name for what goes by `shown`.
    pub(super) fn own<'a>(&'a self, shown: &'a str) -> &'a str {
        let renamed = self.overrides.iter().find(|(_, said)| said.name.as_deref() == Some(shown));
        renamed.map_or(shown, |(own, _)| own)
    }
}

/// The longest name of a tool that models take, less what most clients put in front of it.
const MAX_NAME: usize = 64 - "mcp__mcp-router__".len();
/// How many things are on one page. Many clients read the first page only, so it holds what any of them can use.
const PAGE_SIZE: usize = 1_000;

/// What is offered under one path.
#[derive(Clone, Debug)]
pub struct ViewSpec {
    /// Its name.
    pub name: Name,
    /// Which servers it shows, in this order; `None` is all of them.
    pub servers: Option<Vec<Name>>,
    /// What of them it shows: by their own names, or with their name before it.
    pub filters: Filters,
    /// When servers' names stand before those of their tools; `None` leaves that to each of them.
    pub prefix: Option<Prefix>,
    /// How long a name may be.
    pub max_name: usize,
    /// Names of our own for tools of servers.
    pub aliases: Arc<BTreeMap<String, Alias>>,
    /// How many things are on one page.
    pub page_size: usize,
    /// How what is offered wants to be used, in place of what the servers say.
    pub instructions: Option<String>,
    /// Whether it is only for some callers, so that nobody may keep its lists for others.
    pub private: bool,
    /// Whether tools are to be searched for instead of listed.
    pub lazy: Laziness,
}

/// What a name of our own stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The server.
    pub server: Name,
    /// Its own name for the tool.
    pub tool: String,
}

impl Default for ViewSpec {
    fn default() -> Self {
        Self {
            name: "".into(),
            servers: None,
            filters: Filters::default(),
            prefix: None,
            max_name: MAX_NAME,
            aliases: Arc::default(),
            page_size: PAGE_SIZE,
            instructions: None,
            private: false,
            lazy: Laziness::default(),
        }
    }
}
