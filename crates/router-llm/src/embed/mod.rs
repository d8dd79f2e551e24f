//! Vectors of texts: who is asked for them, and in which words.

mod model2vec;
mod route;

pub use model2vec::{Files, Model2Vec, StaticModel};
pub use route::EmbedRoute;
