//! The project's own chores. `cargo xtask tidy` reports every breach of the rules of ARCHITECTURE.md at once, and
//! `cargo xtask dist` builds what is packaged.

mod dist;
mod rules;
mod source;
mod tree;

use anyhow::{Context, Result, bail};
use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a folder around it")?;
    match env::args().nth(1).as_deref() {
        Some("tidy") => tidy(root),
        Some("dist") => dist::dist(root).map(|()| ExitCode::SUCCESS),
        _ => bail!("usage: cargo xtask tidy | dist"),
    }
}

/// Checks every file of the project; exit code 1 when a rule is broken anywhere.
fn tidy(root: &Path) -> Result<ExitCode> {
    let sources = tree::read(root)?;
    let mut findings: Vec<_> = sources.iter().flat_map(rules::check).collect();
    findings.sort();

    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "tidy: {} files, {} findings", sources.len(), findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
