//! A signed note: text, an empty line, and lines with signatures. Source: C2SP signed-note.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_core::digest::Digest;

use crate::{
    checkpoint::{MAX_CHECKPOINT_BYTES, Origin},
    signer::{PUBLIC_KEY_BYTES, PublicKey},
};

/// The type of an Ed25519 key that signs notes; it goes into the key's id.
pub(crate) const ED25519_TYPE: u8 = 0x01;
/// The type of an Ed25519 key that cosigns checkpoints (C2SP tlog-cosignature).
pub(crate) const COSIGNATURE_TYPE: u8 = 0x04;
/// Bytes of a key id.
pub(crate) const KEY_ID_BYTES: usize = 4;
/// What a signature line starts with.
const MARK: &str = "\u{2014} ";

/// A line with a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Who is said to have signed.
    pub(crate) name: &'a str,
    /// With which key.
    pub(crate) key_id: [u8; KEY_ID_BYTES],
    /// The signature, with what its type puts before it.
    pub(crate) signature: Vec<u8>,
}

/// The text of a note without the end of its last line, and its signatures. `None` if it is not a note.
pub(crate) fn split(note: &str) -> Option<(&str, Vec<Line<'_>>)> {
    if note.len() > MAX_CHECKPOINT_BYTES || !note.ends_with('\n') {
        return None;
    }
    let (text, signatures) = note.rsplit_once("\n\n")?;
    // Not `lines`, which would take a line that ends otherwise.
    let lines = signatures.strip_suffix('\n').map_or_else(Vec::new, |lines| lines.split('\n').collect());
    Some((text, lines.into_iter().map(parse).collect::<Option<_>>()?))
}

/// One signature line.
pub(crate) fn parse(text: &str) -> Option<Line<'_>> {
    let (name, encoded) = text.strip_prefix(MARK)?.split_once(' ')?;
    let blob = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = blob.split_first_chunk::<KEY_ID_BYTES>()?;
    Some(Line { name, key_id: *key_id, signature: signature.to_vec() })
}

/// A signature line, without its end.
pub(crate) fn line(name: &Origin, key_id: [u8; KEY_ID_BYTES], signature: &[u8]) -> String {
    format!("{MARK}{name} {}", STANDARD.encode([key_id.as_slice(), signature].concat()))
}

/// The id of a key with this name and type.
pub(crate) fn key_id(name: &Origin, kind: u8, key: &PublicKey) -> [u8; KEY_ID_BYTES] {
    let input = [name.as_str().as_bytes(), b"\n", &[kind], key.as_bytes()].concat();
    let [a, b, c, d, ..] = *Digest::of(&input).as_bytes();
    [a, b, c, d]
}

/// `<name>+<key id>+<base64 of type and key>`.
pub(crate) fn verifier_key(name: &Origin, kind: u8, key: &PublicKey) -> String {
    let [a, b, c, d] = key_id(name, kind, key);
    let encoded = STANDARD.encode([&[kind], key.as_bytes().as_slice()].concat());
    format!("{name}+{a:02x}{b:02x}{c:02x}{d:02x}+{encoded}")
}

/// What [`verifier_key`] wrote for a key of this type.
pub(crate) fn parse_verifier_key(text: &str, kind: u8) -> Option<(Origin, PublicKey)> {
    let mut parts = text.splitn(3, '+');
    let (name, _id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let typed = STANDARD.decode(encoded).ok()?;
    let key = typed.strip_prefix(&[kind])?;
    let (name, key) =
        (Origin::new(name).ok()?, PublicKey::from_bytes(<[u8; PUBLIC_KEY_BYTES]>::try_from(key).ok()?));
    // The id, and the one way in which each part may be written.
    (verifier_key(&name, kind, &key) == text).then_some((name, key))
}
