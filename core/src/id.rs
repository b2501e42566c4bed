//! Every identifier type, from one list; and the seam by which fresh ones are made.

use std::{fmt, str::FromStr};

use crate::digest::Sha256Builder;

/// Where fresh identifiers come from; the real one lives in `lictor-runtime`.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// Sixteen bytes that were never returned before: a UUIDv7-like layout (48 bits of milliseconds, then random).
    fn fresh(&self) -> [u8; 16];
}

/// Text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Bytes at the start of a fresh identifier that say when it was made ([`IdSource::fresh`]).
const MILLISECOND_BYTES: usize = 6;
/// 128 bits in base 32.
const ENCODED_LEN: usize = 26;

fn encode(bytes: &[u8; 16]) -> [u8; ENCODED_LEN] {
    let mut value = u128::from_be_bytes(*bytes);
    let mut out = [b'0'; ENCODED_LEN];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'0');
        value >>= 5;
    }
    out
}

fn write_id(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8; 16]) -> fmt::Result {
    f.write_str(prefix)?;
    f.write_str("_")?;
    f.write_str(std::str::from_utf8(&encode(bytes)).map_err(|_| fmt::Error)?)
}

fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|a| *a == byte)?;
        if value >> 123 != 0 {
            return None;
        }
        value = (value << 5) | digit as u128;
    }
    Some(value.to_be_bytes())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What every identifier of this kind starts with.
            pub const PREFIX: &'static str = $prefix;
            /// Makes a fresh one.
            pub fn fresh(source: &dyn IdSource) -> Self {
                Self(source.fresh())
            }
            /// From its sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// Its sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(f, $prefix, &self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(InvalidId { kind: stringify!($name), prefix: $prefix })
            }
        }
    )*};
}

ids! {
    /// One erasure of payloads.
    ErasureId = "era";
    /// One freeze.
    FreezeId = "frz";
    /// One grant: what one agent may start.
    GrantId = "grant";
    /// One legal hold.
    HoldId = "hold";
    /// One attempt at one host.
    InvocationId = "inv";
    /// What a principal asked for.
    JobId = "job";
    /// One join token (not its secret).
    TokenId = "token";
}

impl InvocationId {
    /// The identifier of attempt `attempt` of `job` on `host`: derived, so that it can never be handed out twice.
    ///
    /// It begins with the job's milliseconds, so that what is recorded of one job lies together in a store; the other 80 bits
    /// are of a digest over all of the job's identifier, the host and the attempt.
    pub fn derive(job: JobId, host: &str, attempt: u32) -> Self {
        let digest = Sha256Builder::new("lictor invocation v2")
            .part(job.as_bytes())
            .part(host.as_bytes())
            .part(&attempt.to_be_bytes())
            .finish();
        let mut bytes = *job.as_bytes();
        for (to, from) in bytes.iter_mut().skip(MILLISECOND_BYTES).zip(digest.as_bytes()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}: expected {}_ and {ENCODED_LEN} characters of 0-9a-z", self.kind, self.prefix)
    }
}
impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_nothing_else_parses() {
        for seed in [[0u8; 16], [255; 16], *b"0123456789abcdef"] {
            let id = JobId::from_bytes(seed);
            assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        }
        for bad in [
            "",
            "job_",
            "inv_00000000000000000000000000",
            "job_0000000000000000000000000u",
            "job_zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "JOB_00000000000000000000000000",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn invocation_ids_differ_by_job_host_and_attempt() {
        let job = JobId::from_bytes([1; 16]);
        let base = InvocationId::derive(job, "web-1", 1);
        assert_eq!(base, InvocationId::derive(job, "web-1", 1));
        assert_ne!(base, InvocationId::derive(job, "web-1", 2));
        assert_ne!(base, InvocationId::derive(job, "web-2", 1));
        assert_ne!(base, InvocationId::derive(JobId::from_bytes([2; 16]), "web-1", 1));
    }
}
