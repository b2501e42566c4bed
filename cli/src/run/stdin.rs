//! Content for a job, read from a file or from this program's own standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use lictor_core::content::{Content, MAX_CONTENT_BYTES};

use crate::trouble::Trouble;

/// Stands for this program's own standard input.
const OWN: &str = "-";

/// Reads `path`, or standard input for `-`, whole.
pub(crate) fn read(path: &Path) -> Result<(Content, Vec<u8>), Trouble> {
    let bytes = if path.as_os_str() == OWN {
        bounded(io::stdin().lock())
    } else {
        File::open(path).and_then(bounded)
    };
    let bytes = bytes.map_err(|e| Trouble::file("read", path, &e))?;
    let content = Content::of(&bytes).map_err(|_| {
        Trouble::usage(
            format!("{} has more than {MAX_CONTENT_BYTES} bytes", path.display()),
            "give a smaller file, or let the hosts fetch it themselves",
        )
    })?;
    Ok((content, bytes))
}

/// No more than one byte beyond the bound, so that what is too large is seen and not read.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_CONTENT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
