//! Commands that no shell ever reads: `lictor:upload` puts a file on a host, `lictor:download` reads one.
//!
//! They are words like those of any command, so that rules, plans, approvals and the audit treat them alike; what carries
//! them out is a file transfer.

use std::fmt;

use crate::{
    command::{Command, Simple, Word},
    context::{Context, Directory},
    limits::{MAX_DOWNLOAD_BYTES, MAX_OUTPUT_BYTES},
};

/// What every program begins with that is no program of a host.
pub const RESERVED: &str = "lictor:";
/// Puts a file on a host.
pub const UPLOAD: &str = "lictor:upload";
/// Reads a file of a host.
pub const DOWNLOAD: &str = "lictor:download";
/// The permissions of an uploaded file when the command does not say.
pub const DEFAULT_MODE: u32 = 0o644;
/// Most permissions that an uploaded file can have: those of owner, group and others. Set-uid programs come by packages.
const MAX_MODE: u32 = 0o777;
/// The option for them.
const MODE_OPTION: &str = "--mode=";

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// `lictor:upload [--mode=MODE] PATH`: what the job is given becomes the file.
    Upload {
        /// Which file; absolute and normalised.
        path: Directory,
        /// Its permissions.
        mode: u32,
    },
    /// `lictor:download PATH`: the file becomes the job's standard output.
    Download {
        /// Which file; absolute and normalised.
        path: Directory,
    },
}

/// Why a command that names a reserved program is no transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTransfer {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

// === impl Transfer ===

impl Transfer {
    /// The transfer that a command is; `None` for a command that a shell runs.
    ///
    /// # Errors
    /// [`InvalidTransfer`] when some part of it names a reserved program, and the whole is not exactly one transfer.
    pub fn of(command: &Command) -> Result<Option<Self>, InvalidTransfer> {
        if !command.simples().any(is_reserved) {
            return Ok(None);
        }
        let mut parts = command.simples();
        match (parts.next(), parts.next()) {
            (Some(only), None) if !only.stderr_to_stdout() => Self::read(only).map(Some),
            _ => Err(InvalidTransfer::new(
                "a transfer stands alone: it has no pipe, no other command beside it and no `2>&1`",
                "ask for it as a job of its own",
            )),
        }
    }

    fn read(simple: &Simple) -> Result<Self, InvalidTransfer> {
        let words: Option<Vec<&str>> = simple.words().iter().map(Word::literal).collect();
        let words = words.ok_or_else(|| {
            InvalidTransfer::new(
                "a transfer has no globs",
                "name one file; transfer several files one by one",
            )
        })?;
        match words.as_slice() {
            [UPLOAD, path] => Ok(Self::Upload { path: file(path)?, mode: DEFAULT_MODE }),
            [UPLOAD, option, path] => Ok(Self::Upload { path: file(path)?, mode: mode(option)? }),
            [DOWNLOAD, path] => Ok(Self::Download { path: file(path)? }),
            [UPLOAD | DOWNLOAD, ..] => Err(InvalidTransfer::new(
                format!("`{}` has other words than it takes", words.join(" ").escape_debug()),
                format!("write `{UPLOAD} PATH`, `{UPLOAD} {MODE_OPTION}0755 PATH` or `{DOWNLOAD} PATH`"),
            )),
            _ => Err(InvalidTransfer::new(
                format!("no program of a host begins with `{RESERVED}`"),
                format!("there are `{UPLOAD} PATH` and `{DOWNLOAD} PATH`"),
            )),
        }
    }

    /// Whether a command that may be a transfer has what it then needs, and nothing that it cannot have.
    ///
    /// # Errors
    /// [`InvalidTransfer`].
    pub fn check_command(
        command: &Command,
        context: &Context,
        detached: bool,
    ) -> Result<(), InvalidTransfer> {
        match Self::of(command)? {
            Some(transfer) => transfer.check(context, detached),
            None => Ok(()),
        }
    }

    /// Whether it can be carried out in `context`: an upload has the bytes of its file and nothing else, a download nothing.
    ///
    /// # Errors
    /// [`InvalidTransfer`].
    fn check(&self, context: &Context, detached: bool) -> Result<(), InvalidTransfer> {
        if context.shapes_process() || detached {
            return Err(InvalidTransfer::new(
                "a transfer runs as the site's login, and has no environment, working directory, other login or guard",
                "ask for it without them; move or chown the file with a command afterwards",
            ));
        }
        match (self, context.stdin) {
            (Self::Upload { .. }, None) => Err(InvalidTransfer::new(
                "an upload has no content",
                "give the bytes of the file as the job's standard input; `lictor upload` does",
            )),
            (Self::Download { .. }, Some(_)) => Err(InvalidTransfer::new(
                "a download reads no standard input",
                "ask for it without standard input",
            )),
            _ => Ok(()),
        }
    }
}

/// Most bytes that can be kept of what a command brings: a file goes from disk to disk, other output through memory.
pub fn most_output(command: &Command) -> u64 {
    match Transfer::of(command) {
        Ok(Some(Transfer::Download { .. })) => MAX_DOWNLOAD_BYTES,
        Ok(Some(Transfer::Upload { .. }) | None) | Err(_) => MAX_OUTPUT_BYTES,
    }
}

/// Whether its program is one of Lictor's own, which is no program of the host.
pub fn is_reserved(simple: &Simple) -> bool {
    simple.words().first().is_some_and(|program| program.as_str().starts_with(RESERVED))
}

fn file(text: &str) -> Result<Directory, InvalidTransfer> {
    let hint = "name one file by its absolute path, without `.`, `..`, `//` or a slash at its end";
    let path = Directory::new(text).map_err(|why| InvalidTransfer::new(why.to_string(), hint))?;
    if path.as_str() == "/" {
        return Err(InvalidTransfer::new("`/` is no file", hint));
    }
    Ok(path)
}

fn mode(option: &str) -> Result<u32, InvalidTransfer> {
    let digits = option.strip_prefix(MODE_OPTION).filter(|digits| {
        matches!(digits.len(), 3 | 4) && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'))
    });
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).filter(|mode| *mode <= MAX_MODE);
    mode.ok_or_else(|| {
        InvalidTransfer::new(
            format!("`{}` is not an option of an upload", option.escape_debug()),
            format!("write the permissions as {MODE_OPTION}0644, at most 0777"),
        )
    })
}

// === impl InvalidTransfer ===

impl InvalidTransfer {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for InvalidTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}
impl std::error::Error for InvalidTransfer {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    fn of(words: &[&str]) -> Result<Option<Transfer>, InvalidTransfer> {
        Transfer::of(&Command::from_argv(words).unwrap())
    }

    #[test]
    fn only_whole_transfers_are_taken_and_everything_else_is_a_command_or_refused() {
        let path: Directory = "/srv/app.conf".parse().unwrap();
        let upload = |mode| Ok(Some(Transfer::Upload { path: path.clone(), mode }));
        assert_eq!(of(&["lictor:upload", "/srv/app.conf"]), upload(0o644));
        assert_eq!(of(&["lictor:upload", "--mode=0600", "/srv/app.conf"]), upload(0o600));
        assert_eq!(of(&["lictor:upload", "--mode=755", "/srv/app.conf"]), upload(0o755));
        assert_eq!(of(&["lictor:download", "/srv/app.conf"]), Ok(Some(Transfer::Download { path })));
        assert_eq!(of(&["cat", "lictor:upload"]), Ok(None));
        for bad in [
            &["lictor:upload"][..],
            &["lictor:", "/a"],
            &["lictor:exec", "id"],
            &["lictor:upload", "a"],
            &["lictor:upload", "/a/../b"],
            &["lictor:upload", "/"],
            &["lictor:upload", "/a/"],
            &["lictor:upload", "/a", "/b"],
            &["lictor:upload", "--mode=4755", "/a"],
            &["lictor:upload", "--mode=+755", "/a"],
            &["lictor:upload", "--mode=", "/a"],
            &["lictor:upload", "--mode=0600", "--mode=0600", "/a"],
            &["lictor:download", "--mode=0600", "/a"],
            &["lictor:download"],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_download_brings_more_than_memory_holds() {
        let most = |words: &[&str]| most_output(&Command::from_argv(words).unwrap());
        assert_eq!(most(&["lictor:download", "/a"]), MAX_DOWNLOAD_BYTES);
        for other in [&["lictor:upload", "/a"][..], &["lictor:download"], &["cat", "lictor:download", "/a"]] {
            assert_eq!(most(other), MAX_OUTPUT_BYTES, "{other:?}");
        }
    }

    #[test]
    fn a_transfer_has_exactly_what_it_needs() {
        let file = Context { stdin: Some(Content::of(b"x").unwrap()), ..Context::default() };
        let login = Context { run_as: Some("deploy".parse().unwrap()), ..file.clone() };
        let transfer = |words: &[&str]| of(words).unwrap().unwrap();
        let (upload, download) = (transfer(&["lictor:upload", "/a"]), transfer(&["lictor:download", "/a"]));
        assert!(upload.check(&file, false).is_ok() && download.check(Context::none(), false).is_ok());
        assert!(upload.check(Context::none(), false).is_err() && download.check(&file, false).is_err());
        assert!(upload.check(&login, false).is_err() && upload.check(&file, true).is_err());
    }
}
