//! The revisions of the protocol that clients may speak to us, and what changes with them.

/// A revision, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// 2024-11-05.
    First,
    /// 2025-03-26: the only one with batches, and what a client speaks that does not say what it speaks.
    Batching,
    /// 2025-06-18.
    Elicitation,
    /// 2025-11-25: the last with `initialize`.
    LastLegacy,
    /// 2026-07-28: every request says everything.
    Modern,
}

impl Version {
    /// All that are served, the newest first.
    pub(super) const ALL: [Self; 5] = [Self::Modern, Self::LastLegacy, Self::Elicitation, Self::Batching, Self::First];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::First => "2024-11-05",
            Self::Batching => "2025-03-26",
            Self::Elicitation => "2025-06-18",
            Self::LastLegacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// What `initialize` agrees on: what was asked for, or the last that has an `initialize`.
    pub(super) fn agreed(asked: &str) -> Self {
        Self::parse(asked).filter(|version| !version.is_modern()).unwrap_or(Self::LastLegacy)
    }

    pub(super) fn is_modern(self) -> bool {
        self >= Self::Modern
    }
}
