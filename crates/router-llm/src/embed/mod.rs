//! Vectors of texts: who is asked for them, and in which words.

mod route;

pub use route::EmbedRoute;
