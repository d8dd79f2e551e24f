//! Small files of state, written whole.

use std::{io, path::Path};

/// Puts `bytes` in the place of a file, so that whoever reads it finds the old or the new, and never a part.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    fs_err::write(&fresh, bytes)?;
    fs_err::rename(fresh, path)
}
