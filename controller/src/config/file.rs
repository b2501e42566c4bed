//! The form of a controller's file.

use std::path::PathBuf;

use lictor_oauth::config::TokensFile;
use serde::Deserialize;

use super::retention::RetentionFile;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) listen: String,
    pub(super) enroll_listen: String,
    pub(super) advertise: Option<String>,
    pub(super) enroll_advertise: Option<String>,
    pub(super) pki: PathBuf,
    pub(super) passphrase_file: PathBuf,
    pub(super) identity: PathBuf,
    pub(super) state: PathBuf,
    pub(super) policy: PathBuf,
    pub(super) acting: Option<ActingFile>,
    #[serde(default)]
    pub(super) retention: RetentionFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActingFile {
    pub(super) services: Vec<String>,
    pub(super) tokens: TokensFile,
}
