//! The keys as they are written.

use super::{
    leaf::{Hidden, Switch, Text},
    read::{Spanned, section},
};

section! {
    /// A key that lets its bearer in.
    KeyFile {
        /// Whose it is.
        name: Text,
        /// The key itself.
        key: Hidden,
        /// Whose answers its bearer may share; otherwise only his own.
        tenant: Text,
        /// Whether it opens /admin, too.
        admin: Switch,
        /// The one view that its bearer sees, at `/mcp` as well.
        view: Text,
        /// The views that its bearer sees; at `/mcp` the first.
        views: Vec<Spanned<Text>>,
    }
}
