//! Whether the answer to a question may be kept, and whether a kept one will do.

use std::time::Duration;

/// What is said about keeping the answer to one question: by whoever asks, and by the rules for him.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keep {
    /// How it is kept; `None` leaves that to the model that is asked for.
    pub keeping: Option<Keeping>,
    /// The oldest kept answer that will do: none at all when it is zero (`no-cache`), any when nothing is said.
    pub max_age: Option<Duration>,
    /// The question and its answer leave no trace, and no kept one is looked for (`no-store`).
    pub never: bool,
}

/// How answers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keeping {
    /// For which questions a kept answer will do.
    pub reach: Reach,
    /// How long it does; `None` is as long as is usual.
    pub ttl: Option<Duration>,
}

/// For which questions a kept answer will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// For none.
    #[default]
    Off,
    /// For the same question, to the byte.
    Exact,
    /// For questions that mean the same, too.
    Semantic,
}
