//! What a provider answers to a question for vectors.

use router_core::{
    Cx, Error, Kind, Result, Upstream,
    embed::{Embed, Vectors},
};

use super::Provider;

impl Upstream<Embed> for Provider {
    async fn call(&self, _: &Cx, _: Embed) -> Result<Vectors> {
        Err(self.told(Error::new(Kind::NotFound, "it has no embeddings")))
    }
}
