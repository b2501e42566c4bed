//! Trust: who a peer is, how it gets a certificate, how connections prove it, and what the controller signs.
//!
//! An [`Identity`](lictor_core::principal::Identity) is a URI in a certificate ([`identity`], [`peer`]). The
//! [`ca`] issues certificates for keys made elsewhere ([`csr`]); they are kept as [`files`]. [`server`], [`client`] and
//! [`enrolment`] are the TLS ends, all of them [`live`]: new connections use the newest files. [`signer`] signs grants
//! and [`checkpoint`]s, which witnesses sign as well ([`cosignature`]) and whose key may change ([`rotation`]); [`evidence`] is what agents sign; a [`token`] lets a new agent in.
//!
//! Everything is TLS 1.3 with the aws-lc-rs provider named explicitly; the process-wide default is never used. This
//! crate knows neither gRPC nor jobs.

pub mod ca;
pub mod checkpoint;
pub mod client;
pub mod cosignature;
pub mod csr;
pub mod enrolment;
pub mod evidence;
pub mod files;
pub mod identity;
pub mod live;
pub mod peer;
pub mod provider;
pub mod rotation;
pub mod sealed;
pub mod server;
pub mod signer;
pub mod token;

mod accept;
mod atomic;
mod note;
