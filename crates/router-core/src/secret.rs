//! A value that must never be read by anybody but the upstream it is meant for.

use std::{fmt, sync::Arc};

use zeroize::Zeroize;

/// A secret from the moment it is read: `Debug` and `Display` print `****`, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Arc<Hidden<T>>);

struct Hidden<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Hidden(value)))
    }

    /// Shows it: only where it is sent or compared.
    pub fn expose(&self) -> &T {
        &self.0.0
    }
}

impl<T: Zeroize> Drop for Hidden<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl<T: Zeroize + PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let secret = Secret::new(String::from("sk-canary"));
        assert_eq!(format!("{secret} {secret:?}"), "**** ****");
        assert_eq!(secret.expose(), "sk-canary");
    }
}
