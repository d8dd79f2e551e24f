//! The built-in tools and their sandbox: to come. The crate stands here so that its direction is kept from the start.
