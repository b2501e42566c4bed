//! As whom the controller is called where a request brings no token: as the bridge's certificate, or for the user whose token
//! is in a file.

use std::path::PathBuf;

use lictor_client::connect::Client;
use lictor_core::error::{ErrorCode, Failure};
use lictor_oauth::token::MAX_TOKEN_BYTES;

use crate::private_file;

/// Bytes of a token's file: the longest token, and the end of its line.
const MAX_FILE_BYTES: u64 = MAX_TOKEN_BYTES as u64 + 2;

/// The bridge towards the controller.
#[derive(Debug, Clone)]
pub struct Identity {
    client: Client,
    token_file: Option<PathBuf>,
}

// === impl Identity ===

impl Identity {
    /// Calls with the certificate of `client`; with a `token_file`, for the user whose token it holds. Rename a new token
    /// into its place: it is read for every request.
    pub const fn new(client: Client, token_file: Option<PathBuf>) -> Self {
        Self { client, token_file }
    }

    /// The client, calling as the certificate's service.
    pub(crate) const fn service(&self) -> &Client {
        &self.client
    }

    /// The client for a request that brings no token.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for a file that cannot be read, that others can read, or that holds no token.
    pub fn client(&self) -> Result<Client, Failure> {
        let Some(path) = &self.token_file else { return Ok(self.client.clone()) };
        let next_step = "tell the user: `identity.token_file` of the bridge has to hold their access token, with mode 600";
        let refused = |what: String| {
            Failure::new(ErrorCode::Unauthenticated, format!("identity.token_file: {what}"), next_step)
        };
        let bytes = private_file::read(path, MAX_FILE_BYTES).map_err(|error| refused(error.to_string()))?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_ascii();
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(refused(format!("{}: it is not one access token", path.display())));
        }
        self.client.on_behalf(text)
    }
}
