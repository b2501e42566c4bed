//! The nouns of Lictor, in the order in which a job meets them.
//!
//! A [`Principal`](principal::Principal) asks for a [`JobSpec`](job::JobSpec): a [`Command`](command::Command) on a
//! [`Target`](job::Target). What was decided becomes a [`Job`](job::Job) with one
//! [`Invocation`](invocation::Invocation) per host, each moved by [`step`](invocation::InvocationState::step) and
//! ended by exactly one [`Outcome`](outcome::Outcome). A [`Grant`](grant::Grant) tells one agent what it may start.
//! Every change is an [`AuditEvent`](audit::AuditEvent), a leaf of the tree in [`merkle`].
//!
//! This crate knows neither files, network, time of day, async nor any encoding: those live in the crates above it.

pub mod actor;
pub mod approval;
pub mod audit;
pub mod clock;
pub mod command;
pub mod content;
pub mod context;
pub mod denial;
pub mod digest;
pub mod erasure;
pub mod error;
pub mod frame;
pub mod freeze;
pub mod glob;
pub mod grant;
pub mod guard;
pub mod id;
pub mod invocation;
pub mod job;
pub mod label;
pub mod limits;
pub mod merkle;
pub mod name;
pub mod near;
pub mod outcome;
pub mod output;
pub mod principal;
pub mod retention;
pub mod revocation;
pub mod rollout;
pub mod secret;
pub mod target;
pub mod trace;
pub mod transfer;
