//! What a person does about a refusal, on the agent's own machine: look at both heads, and go on from the one that was
//! shown if that is meant. No controller can do it.

use std::{fmt, io, path::Path};

use lictor_certs::checkpoint::{Origin, verify_checkpoint};
use lictor_core::{digest::Digest, merkle::TreeHead};

use super::files::{self, FileError, Kept, Refusal, Resolution};

/// Longest login that is told, in bytes.
const MAX_BY_BYTES: usize = 64;

/// What this agent holds, and what it refused last.
#[derive(Debug)]
pub struct Standing {
    /// The newest head that was proved.
    pub kept: Option<Kept>,
    /// The last head that was refused and not accepted since.
    pub refusal: Option<Refusal>,
}

/// What is kept in the state directory `dir` of the log `origin`.
///
/// # Errors
/// [`FileError`] when a file cannot be read.
pub fn show(dir: &Path, origin: &Origin) -> Result<Standing, FileError> {
    let refusal = files::load_refusal(&files::refusal_file(dir))?;
    Ok(Standing { kept: files::load_kept(dir, origin)?, refusal })
}

/// Lets the witness in `dir` go on from the head that it refused, which must have the root `root`. The refusal is kept
/// under another name. A running agent takes it over with its next heartbeat; the controller records who did it.
///
/// # Errors
/// With what to do, when there is no such refusal or a file cannot be written.
pub fn accept(dir: &Path, origin: &Origin, root: &Digest) -> Result<TreeHead, String> {
    let Standing { kept, refusal } = show(dir, origin).map_err(|e| crate::error_chain(&e))?;
    let refusal = refusal.ok_or("this agent refuses nothing; there is nothing to accept")?;
    let shown = TreeHead::from(&refusal.shown);
    if shown.root != *root {
        return Err(format!("the head that was refused has the root {}, not {root}", shown.root));
    }
    let key = refusal.shown_key.parse().map_err(|_| "the head that was refused names no key")?;
    match verify_checkpoint(&refusal.shown_note, origin, &key) {
        Ok(signed) if signed == shown => {}
        _ => {
            return Err(
                "the head that was refused is not signed as a head of this log; it is accepted by nobody"
                    .into(),
            );
        }
    }
    let known = kept.as_ref().map_or_else(TreeHead::empty, Kept::head);
    let resolution = Resolution { known, accepted: shown, by: login() };
    let next = Kept::new(origin, key, refusal.shown_note.clone(), shown, Some(resolution));
    let write = |e: io::Error| format!("{}: {e}", dir.display());
    // The evidence first, so that it is there whatever happens.
    let name = format!("witness-resolved-{}-{}.json", known.size, shown.size);
    std::fs::copy(files::refusal_file(dir), dir.join(name)).map_err(write)?;
    files::save_kept(dir, &next).map_err(write)?;
    std::fs::remove_file(files::refusal_file(dir)).map_err(write)?;
    Ok(shown)
}

/// Who does it: the name that `sudo` or the login says, and the number that the system knows.
fn login() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name: String = name.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).collect();
    let id = rustix::process::getuid().as_raw();
    let by = if name.is_empty() { format!("uid {id}") } else { format!("{name} (uid {id})") };
    by.chars().take(MAX_BY_BYTES).collect()
}

// === impl Standing ===

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kept {
            Some(kept) => {
                let head = kept.head();
                writeln!(f, "known:   {} records, root {}", head.size, head.root)?;
            }
            None => writeln!(f, "known:   nothing yet")?,
        }
        let Some(refusal) = &self.refusal else { return writeln!(f, "refused: nothing") };
        let shown = TreeHead::from(&refusal.shown);
        writeln!(f, "refused: {} records, root {}", shown.size, shown.root)?;
        writeln!(f, "at:      {}", refusal.at)?;
        writeln!(f, "why:     {}", refusal.reason)?;
        writeln!(f)?;
        writeln!(
            f,
            "If the controller was not restored from a backup by you, treat this as an attack: leave it so, keep"
        )?;
        writeln!(
            f,
            "witness-refused.json, and show it to whoever verifies the log (lictor audit verify --fork FILE)."
        )?;
        writeln!(
            f,
            "If it was, and what it lost is known and accounted for, let this agent go on from there:"
        )?;
        writeln!(f, "  lictor-agent witness accept --root {}", shown.root)
    }
}
