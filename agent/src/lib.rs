//! The agent of one site: takes signed grants over its link, runs them on the hosts near it, reports how they ended.
//!
//! The path of an invocation is the order of these files: [`link`] → [`admit`] → [`journal`] → [`ssh`] → [`exec`] →
//! [`output`], where secrets are [`redact`]ed. What is shared is [`work`], and what operators have [`frozen`]; what the site's owner says is [`site`], read from the files that [`config`]
//! names, with its [`secrets`]. An agent gets its identity by [`enroll`]; what it refuses it proves with [`evidence`]; what it
//! has seen of the audit log it keeps as a [`witness`].

pub mod admit;
pub mod config;
mod content;
pub mod enroll;
pub mod evidence;
pub mod inventory;
pub mod redact;
pub mod secrets;
pub mod site;
pub mod ssh;
pub mod witness;

mod agent;
mod ended;
mod exec;
mod frozen;
mod journal;
mod link;
mod output;
mod work;

pub use agent::{AgentError, run, run_with_clock};
pub use config::AgentConfig;
pub use config::examples::{EXAMPLE_AGENT, EXAMPLE_CREDENTIALS, EXAMPLE_FLOOR, EXAMPLE_HOSTS};
pub use journal::JournalError;
pub use ssh::host_key;

/// An error with its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
