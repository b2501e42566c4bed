//! A channel on which files are read and written (SFTP version 3, with the extensions of OpenSSH).

use std::{collections::HashMap, sync::Arc, time::Duration};

use russh::{Channel, ChannelMsg, client::Msg};
use russh_sftp::{
    client::{Config, RawSftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, Packet, StatusCode},
};
use tokio::task::JoinSet;

use super::pool::Lease;

/// Bytes in one write: what every server takes (draft-ietf-secsh-filexfer-02, section 3).
const WRITE_BYTES: usize = 32 * 1024;
/// Writes that are under way at once: hides the way to the host, in half a megabyte.
const WRITES: usize = 16;
/// Bytes asked for in one read; servers may give less.
const READ_BYTES: u32 = 128 * 1024;
/// Answers are bounded by the job's own time; this only has to be longer.
const NO_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Renames over a file that is there, in one step.
const POSIX_RENAME: &str = "posix-rename@openssh.com";
/// Syncs a file to the host's disk.
const FSYNC: &str = "fsync@openssh.com";
/// Longest message of a host that is passed on.
const MAX_SAID: usize = 512;

/// Files of a host.
pub(crate) struct Sftp {
    raw: Arc<RawSftpSession>,
    extensions: HashMap<String, String>,
    /// For as long as the channel is used.
    _lease: Lease,
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The host said no, in these words: it was not done.
    Refused(String),
    /// No answer came, and none will.
    Lost,
}

/// An open file.
#[derive(Debug, Clone)]
pub(crate) struct Handle(String);

impl Sftp {
    /// Begins; the host must offer it.
    pub(super) async fn begin(mut channel: Channel<Msg>, lease: Lease) -> Result<Self, Fault> {
        channel.request_subsystem(true, "sftp").await.map_err(|_| Fault::Lost)?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => {
                    return Err(Fault::Refused(
                        "the host offers no file transfer (sshd_config: Subsystem sftp)".into(),
                    ));
                }
                None | Some(ChannelMsg::Close | ChannelMsg::Eof) => return Err(Fault::Lost),
                Some(_) => {}
            }
        }
        let config = Config { request_timeout_secs: NO_TIMEOUT.as_secs(), ..Config::default() };
        let raw = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version = raw.init().await.map_err(|_| {
            Fault::Refused(
                "the host's file transfer does not answer (its login prints something, or has no shell)"
                    .into(),
            )
        })?;
        Ok(Self { raw: Arc::new(raw), extensions: version.extensions, _lease: lease })
    }

    /// Makes a file that is not there, for its owner only.
    pub(crate) async fn create(&self, path: &str) -> Result<Handle, Fault> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        let attributes = permissions(0o600);
        Ok(Handle(self.raw.open(path, flags, attributes).await.map_err(fault)?.handle))
    }

    /// Opens a file to read it.
    pub(crate) async fn open(&self, path: &str) -> Result<Handle, Fault> {
        Ok(Handle(self.raw.open(path, OpenFlags::READ, FileAttributes::empty()).await.map_err(fault)?.handle))
    }

    /// How many bytes a regular file says it has; `None` for one that does not say.
    pub(crate) async fn size(&self, path: &str) -> Result<Option<u64>, Fault> {
        let attributes = self.raw.stat(path).await.map_err(fault)?.attrs;
        if attributes.permissions.is_some_and(|mode| mode & 0o170_000 != 0o100_000) {
            return Err(Fault::Refused("it is not a regular file".into()));
        }
        Ok(attributes.size)
    }

    /// Writes everything that `source` gives to the file.
    pub(crate) async fn write_all(
        &self,
        handle: &Handle,
        source: &mut (impl tokio::io::AsyncRead + Unpin),
    ) -> Result<u64, Fault> {
        use tokio::io::AsyncReadExt as _;
        let (mut offset, mut writes) = (0, JoinSet::new());
        loop {
            let mut piece = Vec::with_capacity(WRITE_BYTES);
            let read = source.take(WRITE_BYTES as u64).read_to_end(&mut piece).await;
            let length =
                read.map_err(|error| Fault::Refused(format!("the agent cannot read the content: {error}")))?;
            if length == 0 {
                break;
            }
            if writes.len() >= WRITES {
                written(writes.join_next().await)?;
            }
            let (raw, handle) = (Arc::clone(&self.raw), handle.0.clone());
            writes.spawn(async move { raw.write(handle, offset, piece).await });
            offset += length as u64;
        }
        while let Some(done) = writes.join_next().await {
            written(Some(done))?;
        }
        Ok(offset)
    }

    /// The next bytes of a file from `offset` on; empty at its end.
    pub(crate) async fn read(&self, handle: &Handle, offset: u64) -> Result<Vec<u8>, Fault> {
        match self.raw.read(handle.0.as_str(), offset, READ_BYTES).await {
            Ok(data) => Ok(data.data),
            Err(Error::Status(status)) if status.status_code == StatusCode::Eof => Ok(Vec::new()),
            Err(error) => Err(fault(error)),
        }
    }

    /// Gives an open file its permissions, syncs it where the host can, and closes it.
    pub(crate) async fn complete(&self, handle: Handle, mode: u32) -> Result<(), Fault> {
        self.raw.fsetstat(handle.0.as_str(), permissions(mode)).await.map_err(fault)?;
        if self.extensions.contains_key(FSYNC) {
            self.raw.fsync(handle.0.as_str()).await.map_err(fault)?;
        }
        self.close(handle).await
    }

    /// Closes a file.
    pub(crate) async fn close(&self, handle: Handle) -> Result<(), Fault> {
        self.raw.close(handle.0).await.map_err(fault).map(|_| ())
    }

    /// Gives a file another name, over a file that has it, in one step. A host that cannot do that refuses when there is one.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        if !self.extensions.contains_key(POSIX_RENAME) {
            return self.raw.rename(from, to).await.map_err(fault).map(|_| ());
        }
        let mut data = Vec::with_capacity(from.len() + to.len() + 8);
        for name in [from, to] {
            data.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(name.as_bytes());
        }
        match self.raw.extended(POSIX_RENAME, data).await.map_err(fault)? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(fault(Error::Status(status))),
            _ => Err(Fault::Lost),
        }
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.raw.remove(path).await.map_err(fault).map(|_| ())
    }
}

impl std::fmt::Debug for Sftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sftp").field("extensions", &self.extensions).finish_non_exhaustive()
    }
}

fn permissions(mode: u32) -> FileAttributes {
    FileAttributes { permissions: Some(mode), ..FileAttributes::empty() }
}

fn written<T>(done: Option<Result<Result<T, Error>, tokio::task::JoinError>>) -> Result<(), Fault> {
    match done {
        Some(Ok(Ok(_))) | None => Ok(()),
        Some(Ok(Err(error))) => Err(fault(error)),
        Some(Err(_)) => Err(Fault::Lost),
    }
}

/// Only what the host itself answered is a refusal.
fn fault(error: Error) -> Fault {
    match error {
        Error::Status(status) => {
            let said: String =
                status.error_message.chars().filter(|c| !c.is_control()).take(MAX_SAID).collect();
            let code = status.status_code.to_string();
            Fault::Refused(if said.is_empty() || said == code { code } else { format!("{code}: {said}") })
        }
        Error::Limited(why) => Fault::Refused(why),
        _ => Fault::Lost,
    }
}
