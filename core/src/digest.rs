//! SHA-256 digests: of commands, requests, outputs and policies. Domain-separated and length-prefixed.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest; its text is 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Text that is not 64 lower-case hexadecimal characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidDigest;

/// Hashes parts so that no two different lists of parts give the same input.
#[derive(Debug)]
pub struct Sha256Builder(Sha256);

/// Hashes a byte stream as it passes, without separation: the digest anyone gets with `sha256sum`.
#[derive(Debug, Clone)]
pub struct Sha256Stream(Sha256);

// === impl Digest ===

impl Digest {
    /// Digest of exactly these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
        }
        // At once: digests are written several times for each host of a job.
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(InvalidDigest);
        }
        let mut out = [0; 32];
        for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let [high, low] = pair else { return Err(InvalidDigest) };
            *slot = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(out))
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

fn nibble(byte: u8) -> Result<u8, InvalidDigest> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(InvalidDigest),
    }
}

// === impl InvalidDigest ===

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a SHA-256 digest: expected 64 lower-case hexadecimal characters")
    }
}
impl std::error::Error for InvalidDigest {}

// === impl Sha256Builder ===

impl Sha256Builder {
    /// Starts a digest for one purpose; digests of different purposes never collide.
    pub fn new(purpose: &str) -> Self {
        Self(Sha256::new()).part(purpose.as_bytes())
    }
    /// Adds one part.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }
    /// The digest of all parts.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

// === impl Sha256Stream ===

impl Default for Sha256Stream {
    fn default() -> Self {
        Self(Sha256::new())
    }
}

impl Sha256Stream {
    /// Adds the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_digest_is_what_everybody_writes() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), text);
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 + at % 8).unwrap());
        let each: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Digest::from_bytes(bytes).to_string(), each);
    }

    #[test]
    fn moving_a_boundary_between_parts_changes_the_digest() {
        let one = Sha256Builder::new("t").part(b"ab").part(b"c").finish();
        let two = Sha256Builder::new("t").part(b"a").part(b"bc").finish();
        assert_ne!(one, two);
        assert_eq!(one.to_string().parse::<Digest>(), Ok(one));
        assert!("AB".repeat(32).parse::<Digest>().is_err());
    }
}
