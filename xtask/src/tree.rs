//! Reads the project's own text files: whatever is not built, installed or measured into the tree.

use crate::source::Source;
use anyhow::{Context, Result};
use std::{fs, path::Path};

/// Folders that hold what machines made. In a worktree of git, `.git` is a file that points to one.
const NOT_OURS: &[&str] =
    &["target", "node_modules", ".venv", ".git", "results", "__pycache__", ".pytest_cache", ".ruff_cache", "coverage"];

/// Above this a file is data, not something a person wrote.
const LARGEST_BYTES: u64 = 2 * 1024 * 1024;

/// Every text file below `root`, with paths relative to it, in a stable order.
pub(crate) fn read(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    read_folder(root, "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn read_folder(folder: &Path, prefix: &str, found: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            read_folder(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if kind.is_file() && entry.metadata()?.len() <= LARGEST_BYTES {
            // What is not UTF-8 is an image or a model: nothing to check.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                found.push(Source::new(format!("{prefix}{name}"), text));
            }
        }
    }
    Ok(())
}
