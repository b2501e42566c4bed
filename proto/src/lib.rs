//! The wire: generated types and services ([`pb`]), and their conversions from and to the nouns of `lictor-core`.
//!
//! Wire types stop at the door: a receiver converts at once, and conversion refuses whatever is missing, unknown or
//! too large. This crate knows neither who calls nor how bytes travel or are stored.

pub mod convert;
pub mod limits;
pub mod status;

/// Generated from `protos/`; see the comments there.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod pb {
    tonic::include_proto!("lictor.v1");
}

/// The encoded descriptor set of every service, for reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");
