//! `mcp-router stdio`: the MCP half for a client that starts a command.

use std::{sync::Arc, time::Duration};

use router_core::{Caller, Cx};
use router_mcp::server::{Front, serve_stdio};

use crate::http::new_request_id;

/// How long any call may take, whatever its server is allowed.
const CALL_TIME: Duration = Duration::from_hours(1);

/// Whoever starts us on a pipe may have all that the configuration has: no key is bound by this name.
pub const CALLER: &str = "";

/// Serves until the client closes its end.
pub async fn serve(front: &Arc<Front>) {
    let context = || Cx::new(Arc::new(Caller::anonymous(new_request_id())), CALL_TIME);
    let served = serve_stdio(Front::clone(front), context, tokio::io::stdin(), tokio::io::stdout());
    if let Err(error) = served.await {
        tracing::warn!(%error, "the client's pipe broke");
    }
}
