//! The one cryptography provider of every TLS end, named explicitly so that no process-wide default decides.

use std::sync::Arc;

use rustls::crypto::{
    CryptoProvider,
    aws_lc_rs::{default_provider, kx_group},
};

/// What both ends speak above TLS; a peer that negotiated nothing else is refused.
pub(crate) const ALPN: &[u8] = b"h2";

/// aws-lc-rs with the post-quantum hybrid X25519MLKEM768 first, then X25519, then the NIST curves for SDKs in other
/// languages that know nothing else.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..default_provider()
    })
}
