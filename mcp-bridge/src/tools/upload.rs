//! `ssh_upload`: puts a small file on a host. The same job as `lictor upload` makes, and policy judges it alike.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use lictor_client::{collect::Keep, transfer::Upload};
use lictor_core::{
    digest::Digest,
    error::{ErrorCode, Failure},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::{one_host, parse},
    ask::meant,
    file_run::{FileRun, MAX_INLINE_BYTES, with_key},
    follow::follow_on_host,
};

/// The tool.
#[derive(Debug)]
pub(super) enum UploadFile {}

/// What to put where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Alias of the host.
    alias: String,
    /// Absolute path there.
    path: String,
    /// The content; or else base64. At most 256 KiB.
    #[serde(default)]
    text: Option<String>,
    /// The content, in base64.
    #[serde(default)]
    base64: Option<String>,
    /// Permissions in octal; 0644 if left out.
    #[serde(default)]
    mode: Option<String>,
    /// Repeated with this key, it never runs twice.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Uploaded {
    #[serde(flatten)]
    run: FileRun,
}

impl BridgeTool for UploadFile {
    const NAME: &'static str = "ssh_upload";
    const TITLE: &'static str = "Put a file on a host";
    const DESCRIPTION: &'static str =
        "Replaces a file on a host in one step, if policy allows `lictor:upload PATH` with its content.";
    const EFFECT: Effect = Effect::Puts;
    const UNTRUSTED: &'static [&'static str] = &["stderr"];
    type Parameters = Parameters;
    type Result = Uploaded;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Uploaded>, Failure> {
        let Parameters { alias, path, text, base64, mode, idempotency_key } = parameters;
        let (target, path) = (one_host(&meant(call, alias)?)?, parse("path", &path)?);
        let bytes = content(text, base64)?;
        let mode = mode.as_deref().map(permissions).transpose()?;
        let (count, digest) = (bytes.len() as u64, Digest::of(&bytes));
        let upload = Upload { target, path, mode, bytes };
        let spec = with_key(call, call.client.upload(upload, call.origin()).await?, idempotency_key)?;
        let key = spec.idempotency_key.clone();
        let collector = follow_on_host(call, spec, |_| Keep::at_most(4 * 1024)).await?;
        let (run, refusal, _) = FileRun::of(&collector, key.as_ref())?;
        Ok(Answer::refused(Uploaded { run: run.with_file(count, digest) }, refusal))
    }
}

fn content(text: Option<String>, base64: Option<String>) -> Result<Bytes, Failure> {
    let bytes = match (text, base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(base64)) => {
            let why = "base64: it is not base64 (RFC 4648, with padding)";
            STANDARD.decode(base64).map_err(|_| invalid(why, "encode the bytes again, or give text"))?
        }
        _ => return Err(invalid("text: give either text or base64, and not both", "correct this")),
    };
    if bytes.len() > MAX_INLINE_BYTES {
        return Err(Failure::new(
            ErrorCode::LimitExceeded,
            format!("the file has {} bytes; a call takes at most {MAX_INLINE_BYTES}", bytes.len()),
            "tell the user to use `lictor upload`, or let the host fetch the file",
        ));
    }
    Ok(bytes.into())
}

fn permissions(text: &str) -> Result<u32, Failure> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
    mode.ok_or_else(|| invalid("mode: not one to four octal digits, at most 0777", "write it as 0644"))
}

fn invalid(message: &str, next_step: &str) -> Failure {
    Failure::new(ErrorCode::InvalidArgument, message, next_step)
}
