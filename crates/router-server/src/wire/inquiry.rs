//! What providers tell of their models is asked for in the background: soon after the start, and from time to time.

use std::{sync::Arc, time::Duration};

use router_llm::{models::KnownModels, provider::Provider};
use tokio::time::sleep;

use crate::shutdown::Shutdown;

/// How long what a provider told is taken to hold.
const FRESH: Duration = Duration::from_hours(1);

/// After how long a provider is asked again that did not answer. It may just be starting.
const AGAIN: Duration = Duration::from_mins(1);

/// Asks every provider that tells of its models, until the end.
pub fn ask(providers: impl IntoIterator<Item = Arc<Provider>>, known: &Arc<KnownModels>, shutdown: &Shutdown) {
    for provider in providers.into_iter().filter(|provider| provider.tells()) {
        let (known, begin) = (Arc::clone(known), shutdown.begin.clone());
        shutdown.tasks.spawn(async move {
            // A whole exchange is a large future: one place on the heap for as long as the program runs.
            let asking = Box::pin(keep_asking(&provider, &known));
            begin.run_until_cancelled(asking).await
        });
    }
}

async fn keep_asking(provider: &Provider, known: &KnownModels) {
    loop {
        let wait = match provider.told_of_models().await {
            Some(told) => {
                tracing::debug!(provider = &**provider.name(), models = told.len(), "told of its models");
                known.tell(provider.name(), told);
                FRESH
            }
            None => AGAIN,
        };
        sleep(wait).await;
    }
}
