//! Where the binaries under test are: beside this test binary, of the same build.

use std::path::PathBuf;

use anyhow::Context as _;

/// The path of one of the workspace's binaries.
///
/// # Errors
/// When it has not been built.
pub fn path(name: &str) -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe()?;
    let here = me.parent().context("the test binary is in no folder")?;
    let folder = if here.ends_with("deps") { here.parent().unwrap_or(here) } else { here };
    let path = folder.join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is not there; build it first: cargo build --workspace",
        path.display()
    );
    Ok(path)
}
