//! Signing webhooks, so that a receiver knows who sent them and when: Standard Webhooks (standardwebhooks.com), symmetric.
//!
//! `webhook-signature: v1,BASE64(HMAC-SHA256(key, ID "." TIMESTAMP "." BODY))`, with `webhook-id` and `webhook-timestamp`
//! (seconds since 1970) beside it. Libraries in most languages verify it.

use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::trouble::Trouble;

/// Fewest bytes of a key, as the standard has it.
const MIN_KEY_BYTES: usize = 24;
/// More than any key needs: the standard allows 64 bytes.
const MAX_FILE_BYTES: u64 = 1024;
/// How libraries of the standard mark keys.
const PREFIX: &str = "whsec_";
/// How to make one.
const MAKE_ONE: &str =
    "make one: (umask 077; openssl rand -base64 32 > FILE), and give the same text to the receiver";

/// The key that webhooks are signed with.
pub(crate) struct WebhookKey(hmac::Key);

// === impl WebhookKey ===

impl WebhookKey {
    /// Reads the key: base64, with or without `whsec_` before it, in a file that only its owner may read.
    pub(crate) fn load(path: &Path) -> Result<Self, Trouble> {
        let wrong =
            |what: &str, next_step: &str| Trouble::usage(format!("{}: {what}", path.display()), next_step);
        let unread = |e| Trouble::file("read", path, &e);
        let meta = fs::metadata(path).map_err(unread)?;
        if !meta.is_file() {
            return Err(wrong("it is not a regular file", MAKE_ONE));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(wrong(
                "it can be read by others",
                "run chmod 600 on it, and replace the key if it was there for long",
            ));
        }
        let mut text = String::new();
        let file = fs::File::open(path).map_err(unread)?;
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unread)?;
        Self::parse(&text).ok_or_else(|| wrong("it is no key of 24 bytes or more in base64", MAKE_ONE))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok()?;
        (key.len() >= MIN_KEY_BYTES).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl std::fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<webhook key>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // The example of the standard's reference libraries.
        let key = WebhookKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{key:?}"), "<webhook key>");
    }

    #[test]
    fn a_key_is_long_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            WebhookKey::load(&path).is_ok()
        };
        let good = STANDARD.encode([7; 32]);
        assert!(write(&good, 0o600) && write(&format!("whsec_{good}\n"), 0o400));
        assert!(!write(&good, 0o640) && !write("c2hvcnQ=", 0o600) && !write("no base64!", 0o600));
        assert!(WebhookKey::load(dir.path()).is_err());
    }
}
