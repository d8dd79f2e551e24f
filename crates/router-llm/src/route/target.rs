//! A model at a provider.

use std::{fmt, sync::Arc};

use router_core::Name;

/// What stands for the name that was asked for, where a candidate has it in place of a model: `anthropic/*`.
const ASKED: &str = "*";

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The provider.
    pub provider: Name,
    /// The model, as the provider names it.
    pub model: Arc<str>,
}

impl Target {
    /// Reads `provider/model`; the model's name may hold slashes of its own.
    pub fn read(name: &str) -> Option<Self> {
        let (provider, model) = name.split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then(|| Self { provider: provider.into(), model: model.into() })
    }

    /// Whether it is the provider's model of whatever name is asked for.
    pub fn is_open(&self) -> bool {
        &*self.model == ASKED
    }

    /// The model that it is for who asks for `name`.
    pub(super) fn closed(&self, name: &str) -> Self {
        let model = if self.is_open() { name.into() } else { Arc::clone(&self.model) };
        Self { provider: Arc::clone(&self.provider), model }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}
