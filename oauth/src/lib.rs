//! Access tokens of a foreign authorization server: who a user is, and what the user let a client do.
//!
//! A [`token`] is read from a request, a [`verify`]er proves it with keys that follow their source ([`source`], [`keys`],
//! [`fetch`]), and what it proves is a user with [`scope`]s. What the files of processes say of it is in [`config`].
//!
//! Sources: RFC 6750 (bearer tokens), RFC 7519 (JWT), RFC 8725 (its best practices), RFC 9068 (access tokens as JWT), RFC 8707
//! (resource indicators). This crate issues nothing and knows neither MCP nor gRPC.

pub mod config;
pub mod fetch;
pub mod keys;
pub mod scope;
pub mod source;
pub mod token;
pub mod verify;
