//! Promises of the agent, kept against a real sshd and a scripted controller over real mutual TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod controller;
mod sshd;
mod world;

mod admission;
mod context;
mod detached;
mod detached_context;
mod enrolment;
mod floor;
mod freezing;
mod hosts;
mod jumps;
mod limits;
mod outcomes;
mod restart;
mod stopping;
mod transfers;
mod witness;
