//! The one caller of the controller's API, in the nouns of `lictor-core`.
//!
//! [`Client`](connect::Client) is for everybody, for themselves or [on behalf](connect::Client::on_behalf) of a user: [`jobs`], [`run`], [`fleet`], [`policy`].
//! [`Operator`](operator::Operator) has the calls that only operators may make ([`operator`], [`audit`]); who must not
//! administer does not name it. What a job printed is put together by a [`Collector`](collect::Collector).
//!
//! Every failure is a [`Failure`](lictor_core::error::Failure) with a code and a next step. This crate knows neither MCP
//! nor policies.

pub mod approval;
pub mod audit;
pub mod collect;
pub mod connect;
pub mod content;
pub mod fleet;
pub mod grep;
pub mod groups;
pub mod jobs;
pub mod kept;
pub mod operator;
pub mod policy;
pub mod ranges;
pub mod records;
pub mod run;
pub mod transfer;
pub mod views;

mod behalf;
mod carried;
mod failure;
