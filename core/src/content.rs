//! Bytes that a caller gives to a job, known by their digest: its standard input, or the file that it uploads.

use std::fmt;

use crate::digest::Digest;

/// Most bytes of one content: what an agent keeps on its disk while they are used, and what a site's link carries within
/// the life of a grant. Larger files belong in a package or an artefact store that the host reads itself.
pub const MAX_CONTENT_BYTES: u64 = 64 * 1024 * 1024;

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    digest: Digest,
    bytes: u64,
}

/// More bytes than [`MAX_CONTENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// How many there are.
    pub bytes: u64,
}

// === impl Content ===

impl Content {
    /// `bytes` bytes with this SHA-256.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub const fn new(digest: Digest, bytes: u64) -> Result<Self, TooLarge> {
        if bytes > MAX_CONTENT_BYTES { Err(TooLarge { bytes }) } else { Ok(Self { digest, bytes }) }
    }
    /// Exactly these bytes.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn of(bytes: &[u8]) -> Result<Self, TooLarge> {
        Self::new(Digest::of(bytes), bytes.len() as u64)
    }
    /// The SHA-256 of the bytes, as `sha256sum` gives it.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// How many they are.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{} ({} bytes)", self.digest, self.bytes)
    }
}

// === impl TooLarge ===

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there are {} bytes; at most {MAX_CONTENT_BYTES} can be given to a job: let the host fetch what is larger",
            self.bytes
        )
    }
}
impl std::error::Error for TooLarge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_digest_and_bounded() {
        let content = Content::of(b"abc").unwrap();
        assert_eq!((content.digest(), content.bytes()), (Digest::of(b"abc"), 3));
        assert!(
            content.to_string().starts_with("sha256:ba7816bf") && content.to_string().ends_with("(3 bytes)")
        );
        let digest = Digest::of(b"");
        assert!(Content::new(digest, MAX_CONTENT_BYTES).is_ok());
        let why = Content::new(digest, MAX_CONTENT_BYTES + 1).unwrap_err().to_string();
        assert!(why.contains("67108865") && why.contains("67108864"), "{why}");
    }
}
