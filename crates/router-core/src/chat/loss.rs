//! What could not be carried from one dialect to another, so that whoever asked is told.

use std::{borrow::Cow, fmt};

/// The parts of a question that its upstream has no words for, as the client's dialect names them: `top_k`,
/// `thinking.signature`. Each is named once, in the order in which they were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Cow<'static, str>>);

impl Losses {
    /// `what` was lost.
    pub fn note(&mut self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    /// `what` was lost, where it was there to lose.
    pub fn note_if(&mut self, lost: bool, what: &'static str) {
        if lost {
            self.note(what);
        }
    }

    /// Whether all was carried.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was lost.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// As the header tells it: `top_k, thinking.signature`.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// What is done with a question of which something would be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It is asked without that, and the answer says so.
    #[default]
    Degrade,
    /// It is refused.
    Reject,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let mut losses = Losses::default();
        assert!(losses.is_empty());
        losses.note("top_k");
        losses.note_if(false, "seed");
        losses.note(format!("thinking.{}", "signature"));
        losses.note_if(true, "top_k");
        assert_eq!(losses.to_string(), "top_k, thinking.signature");
        assert_eq!(losses.iter().count(), 2);
    }
}
