//! The lock file of tools: read once, written whenever a tool is new or not what it was.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use router_mcp::pins::{Lock, Pins};

use crate::store;

/// The pins in the file; none yet, where there is no file. One that cannot be read is not overwritten.
pub(super) fn at(path: &Path) -> Result<Arc<Pins>> {
    let lock = match fs_err::read(path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| {
            format!("{}: this is no lock file; mend it, or delete it to trust anew", path.display())
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Lock::default(),
        Err(error) => return Err(error.into()),
    };
    let path = path.to_owned();
    let keep = move |lock: &Lock| {
        if let Err(error) = write(&path, lock) {
            tracing::warn!(%error, "what tools look like is not remembered over a restart");
        }
    };
    Ok(Arc::new(Pins::new(lock, keep)))
}

fn write(path: &Path, lock: &Lock) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(lock)?;
    text.push(b'\n');
    store::replace(path, &text)
}
