//! Lazy discovery's helpers from the other half of the gateway: what a text is in tokens, and what it means.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use router_core::{BoxUpstream, Caller, Cx, Name, Result, Upstream, embed::Embed};
use router_llm::{models::Tokenizer, tokens::Weight};
use router_mcp::catalog::{Laziness, Lazy, Meaning};

use crate::{config::Config, telemetry::metrics::Metrics};

/// The alias whose models tell what tools mean.
const EMBED: &str = "embed";
/// How long they may take.
const EMBED_TIME: Duration = Duration::from_secs(30);

/// Who tells meanings, where the configuration has an alias for it.
pub fn meaning(config: &Config, embeddings: &BoxUpstream<Embed>) -> Option<Arc<dyn Meaning>> {
    let alias = config.models.iter().find(|alias| &*alias.name == EMBED)?;
    Some(Arc::new(Embedding { embeddings: embeddings.clone(), model: Arc::clone(&alias.name) }))
}

/// How a view is lazy.
pub fn laziness(when: Lazy, meaning: Option<&Arc<dyn Meaning>>, metrics: &Arc<Metrics>) -> Laziness {
    let metrics = Arc::clone(metrics);
    Laziness {
        when,
        tokens,
        meaning: meaning.cloned(),
        counted: Arc::new(move |view, tokens| metrics.lazily(view, tokens)),
    }
}

/// What a text of definitions is to a model: what offers it as its tools has that many more tokens.
fn tokens(definitions: &[u8]) -> u64 {
    let offered = [b"{\"tools\":", definitions, b"}"].concat();
    Weight::of_bytes(&offered).tokens(Tokenizer::default())
}

struct Embedding {
    embeddings: BoxUpstream<Embed>,
    model: Name,
}

impl Meaning for Embedding {
    fn vectors(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        let cx = Cx::new(Arc::new(Caller::router("catalog")), EMBED_TIME);
        let (embeddings, query) = (self.embeddings.clone(), Embed::of(texts, Arc::clone(&self.model)));
        async move {
            let vectors = embeddings.call(&cx, query).await?;
            Ok(vectors.matrix()?.rows().map(<[f32]>::to_vec).collect())
        }
        .boxed()
    }
}
