//! What policy asks for beyond yes and no: plans that hold, consent, quotas, and policies that are proposed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

mod consent;
mod contents;
mod contexts;
mod parts;
mod plans;
mod proposed;
mod quotas;
mod versions;
#[path = "../support/world.rs"]
#[allow(dead_code, reason = "each crate of tests needs another part of it")]
mod world;
