//! What stands between the clients and the servers of these tests.

use std::sync::Arc;

use router_core::Upstream;
use router_mcp::{
    catalog::{Catalog, Offer, Terms},
    client::McpServer,
    seal::Seal,
    server::{Front, Setup},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// These servers, by their names, as they are.
pub(crate) fn catalog(servers: &[(&str, &Arc<McpServer>)], tasks: &TaskTracker) -> Catalog {
    let offers = servers.iter().map(|(name, server)| Offer {
        name: (*name).into(),
        tools: Arc::clone(server).boxed(),
        lookups: Arc::clone(server).boxed(),
        errands: Arc::clone(server).boxed(),
        view: Arc::clone(server) as _,
        trusted: false,
        cached_tools: Vec::new(),
        terms: Terms::default(),
        pinned: None,
    });
    Catalog::new(offers.collect(), tasks, [7; 32])
}

/// A front that shows them.
pub(crate) fn front(catalog: Catalog, tasks: &TaskTracker, shutdown: &CancellationToken) -> Front {
    Front::new(Setup {
        tools: catalog.clone().boxed(),
        lookups: catalog.clone().boxed(),
        catalog,
        name: "router".to_owned(),
        version: "1".to_owned(),
        tasks: tasks.clone(),
        closing: shutdown.clone(),
        seal: Arc::new(Seal::new(None, || 0).unwrap()),
    })
}
