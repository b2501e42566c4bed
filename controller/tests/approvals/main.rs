//! Consent: who may give it, what it covers, that it is used once, and that nothing begins without it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

mod ends;
mod parts;
mod restarts;
mod rights;
mod uses;
#[path = "../support/world.rs"]
#[allow(dead_code, reason = "each crate of tests needs another part of it")]
mod world;
