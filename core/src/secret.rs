//! A value that must not be seen: it prints as a mark, cannot be compared or encoded, and is overwritten when dropped.

use std::fmt;

/// Secret bytes: a password, a token, a passphrase.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps `bytes`.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
    /// The bytes, for the one place that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
    /// The bytes as text, if they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from removing the overwrite as a dead store.
        std::hint::black_box(&self.0);
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(format!("{:?}", Some(Secret::new(b"hunter2".to_vec()))), "Some(<secret>)");
    }
}
