//! The lists of the protocol.

use router_core::tool::What;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl List {
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::Templates, Self::Prompts];

    /// The list that a question asks for; `None` when it asks for something else.
    pub(crate) fn asked(what: What) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.what() == what)
    }

    pub(crate) const fn what(self) -> What {
        match self {
            Self::Tools => What::Tools,
            Self::Resources => What::Resources,
            Self::Templates => What::ResourceTemplates,
            Self::Prompts => What::Prompts,
        }
    }

    /// The capability without which a server has no such list.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::Templates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// Where the items stand in a result.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    pub(crate) const fn singular(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Resources => "resource",
            Self::Templates => "resource template",
            Self::Prompts => "prompt",
        }
    }

    /// What identifies an item.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// Whether names are given to its items; a URI is the same everywhere.
    pub(super) const fn is_named(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }

    /// One of four things, by list.
    pub(super) fn of<T>(self, each: &[T; 4]) -> &T {
        let [tools, resources, templates, prompts] = each;
        match self {
            Self::Tools => tools,
            Self::Resources => resources,
            Self::Templates => templates,
            Self::Prompts => prompts,
        }
    }
}
