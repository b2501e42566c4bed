//! The directory of a CA: reading, writing and opening what is in it.

use std::{fs, io, path::Path};

use lictor_core::{clock::Timestamp, secret::Secret};
use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{CaError, ISSUING_VALIDITY, params::ca_params};
use crate::{
    atomic::{self, PUBLIC_MODE, SECRET_MODE},
    peer, sealed,
};

pub(super) const ROOT_CERTIFICATE: &str = "root.pem";
pub(super) const ROOT_KEY: &str = "root.key";
pub(super) const ISSUING_CERTIFICATE: &str = "issuing.pem";
pub(super) const ISSUING_KEY: &str = "issuing.key";
pub(super) const TRUST_DOMAIN: &str = "trust-domain";

pub(super) fn write_issuing(
    dir: &Path,
    root: &Issuer<'_, KeyPair>,
    passphrase: &Secret,
    now: Timestamp,
) -> Result<(), CaError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = ca_params("Lictor issuing", 0, now, ISSUING_VALIDITY)?.signed_by(&key, root)?;
    write(dir, ISSUING_KEY, &seal(ISSUING_KEY, &key, passphrase)?, SECRET_MODE)?;
    write(dir, ISSUING_CERTIFICATE, &certificate.pem(), PUBLIC_MODE)
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> CaError + use<> {
    let path = path.display().to_string();
    move |source| CaError::File { path: path.clone(), source }
}

pub(super) fn read(dir: &Path, file: &str) -> Result<String, CaError> {
    let path = dir.join(file);
    fs::read_to_string(&path).map_err(at(&path))
}

pub(super) fn write(dir: &Path, file: &str, text: &str, mode: u32) -> Result<(), CaError> {
    let path = dir.join(file);
    atomic::replace(&path, text.as_bytes(), mode).map_err(at(&path))
}

pub(super) fn decode(file: &'static str, pem: &str) -> Result<CertificateDer<'static>, CaError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CaError::Damaged { file })
}

pub(super) fn seal(file: &'static str, key: &KeyPair, passphrase: &Secret) -> Result<String, CaError> {
    sealed::seal(key.serialized_der(), passphrase).map_err(|source| CaError::Key { file, source })
}

pub(super) fn open(
    dir: &Path,
    file: &'static str,
    certificate: &CertificateDer<'_>,
    passphrase: &Secret,
) -> Result<KeyPair, CaError> {
    let der = sealed::open(&read(dir, file)?, passphrase).map_err(|source| CaError::Key { file, source })?;
    let key = KeyPair::try_from(der.as_slice()).map_err(|_| CaError::Damaged { file })?;
    let certificate = peer::parse(certificate).map_err(|_| CaError::KeyMismatch { file })?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err(CaError::KeyMismatch { file });
    }
    Ok(key)
}

pub(super) fn check_issued_by(
    issuing: &CertificateDer<'_>,
    root: &CertificateDer<'_>,
) -> Result<Timestamp, CaError> {
    let damaged = |file| move |_| CaError::Damaged { file };
    let root = peer::parse(root).map_err(damaged(ROOT_CERTIFICATE))?;
    let issuing = peer::parse(issuing).map_err(damaged(ISSUING_CERTIFICATE))?;
    if issuing.verify_signature(Some(root.public_key())).is_err() {
        return Err(CaError::Damaged { file: ISSUING_CERTIFICATE });
    }
    Ok(peer::seconds(issuing.validity().not_after.timestamp()))
}
