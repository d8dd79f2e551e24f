//! What a token is good for.

use std::fmt;

/// Scopes, each once, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

/// The scope that asks for a token to renew the token with.
const OFFLINE: &str = "offline_access";

impl Scopes {
    /// Reads words between spaces; what cannot be a scope (RFC 6749 section 3.3) is left out.
    pub fn read(text: &str) -> Self {
        Self::from_words(text.split(' '))
    }

    /// The scopes of a list.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scopes = Self::default();
        for word in words {
            let sound = !word.is_empty() && word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
            if sound && !scopes.0.iter().any(|known| known == word) {
                scopes.0.push(word.to_owned());
            }
        }
        scopes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of `other` are among them.
    pub fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|scope| self.0.contains(scope))
    }

    /// These and those of `other`.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self::from_words(self.0.iter().chain(&other.0).map(String::as_str))
    }

    /// These, and the one that asks for a token to renew the token with.
    #[must_use]
    pub fn offline(&self) -> Self {
        self.with(&Self(vec![OFFLINE.to_owned()]))
    }

    /// Whether that one is among them.
    pub fn are_offline(&self) -> bool {
        self.0.iter().any(|scope| scope == OFFLINE)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set_with_an_order() {
        let scopes = Scopes::read("b  a b \"x\" a\\b \u{e9}");
        assert_eq!(scopes.to_string(), "b a");
        assert_eq!(scopes.with(&Scopes::read("c a")).to_string(), "b a c");
        assert!(scopes.cover(&Scopes::read("a")) && !scopes.cover(&Scopes::read("a c")));
        assert!(scopes.offline().are_offline() && !scopes.are_offline());
    }
}
