//! The decision: which command may run where, for whom, within which limits. A pure function of its arguments.
//!
//! [`parse_command`] turns what a caller wrote into the [`Command`](lictor_core::command::Command) that will run, or
//! refuses it; [`PolicySet::parse`] reads the rules; [`evaluate()`] judges one by the other. What was judged is what
//! runs: only the parsed command reaches a host, and every word of it was compared with a rule.
//!
//! Nothing in this crate reads a clock, a file or the network, so the controller and every agent decide alike.

pub mod cases;
pub mod class;
pub(crate) mod condition;
pub mod decision;
pub mod diff;
pub mod evaluate;
pub mod explain;
pub mod file;
pub mod import;
pub mod imported;
pub(crate) mod judging;
pub(crate) mod labels;
pub mod lint;
pub mod parse;
pub mod pattern;
pub mod quota;
pub mod refusal;
pub mod request;
pub mod rule;
pub mod set;
pub mod simulate;
pub mod suggest;
pub mod time;
pub mod verdict;
pub mod view;

pub use decision::{ApprovalTerms, Decision, DecisionCode, Effect};
pub use evaluate::{evaluate, evaluate_briefly};
pub use explain::{Explanation, explain};
pub use file::json_schema;
pub use imported::{Dialect, Imported, ImportedLimits, PartVerdict};
pub use lint::{Finding, LintFinding, Severity, lint};
pub use parse::{check_command, parse_command, parse_command_with_globs};
pub use quota::{Quota, QuotaBound};
pub use refusal::{Refusal, RefusalCode};
pub use request::{HostFacts, Request, RequestedLimits};
pub use rule::Rule;
pub use set::{PolicyError, PolicyErrors, PolicySet};
pub use view::View;
