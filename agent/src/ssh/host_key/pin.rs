//! Writing keys into the site's `known_hosts`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::scan::{ScanError, ScannedKey};
use crate::{config::AgentConfig, ssh::known_hosts::KnownHosts};

/// Adds `keys` to the site's `known_hosts`, in one step. With `replace`, what was pinned for the host goes.
///
/// # Errors
/// When a pinned key differs and `replace` is false, or the file cannot be written.
pub fn pin(config: &AgentConfig, alias: &str, keys: &[ScannedKey], replace: bool) -> Result<(), ScanError> {
    let path = &config.site.known_hosts;
    let wrong = |source| ScanError::Write { path: path.display().to_string(), source };
    if keys.iter().any(|key| key.changed) && !replace {
        return Err(ScanError::WouldReplace(alias.to_owned()));
    }
    let old = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(wrong)?,
    };
    let names: Vec<&str> = keys.iter().filter_map(|key| key.line.split(' ').next()).collect();
    let mut text: String = old
        .lines()
        .filter(|line| !(replace && pins(line, &names)))
        .fold(String::new(), |all, line| all + line + "\n");
    for key in keys.iter().filter(|key| replace || !key.known) {
        text.push_str(&key.line);
        text.push('\n');
    }
    write_atomic(path, text.as_bytes()).map_err(wrong)
}

/// Whether `line` pins a key for one of `names`; lines with markers and patterns are a person's and stay.
fn pins(line: &str, names: &[&str]) -> bool {
    let Some(first) = line.split_ascii_whitespace().next() else { return false };
    if first.starts_with(['#', '@']) || first.contains(['*', '?', '!']) {
        return false;
    }
    let Ok(known) = KnownHosts::parse(line) else { return false };
    names.iter().any(|name| !known.trust_named(name).pinned.is_empty())
}

/// Writes beside the file, syncs, and gives it its name: a reader sees the old text or the new one.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = Path::new(&next);
    let mut file = fs::File::create(next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(next, path)?;
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => fs::File::open(directory)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}
