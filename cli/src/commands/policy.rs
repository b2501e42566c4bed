//! `lictor policy`: everything about the rules, on files and on the controller.

mod check;
mod circumstances;
mod decide;
mod diff;
mod explain;
mod history;
mod past;
mod put;
mod shadow;
mod show;
mod simulate;
mod source;
mod suggest;
mod test;

use clap::{Args, Subcommand};

use crate::{Done, context::Context};

/// Check, test, compare and change the policy
///
/// Files are judged on this machine, without a connection. What is in force is kept by the controller:
/// `live` names it, a number names an earlier version.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Arguments),
    /// Print the JSON schema of policy files, for editors
    Schema,
    Test(test::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Simulate(simulate::Arguments),
    Suggest(suggest::Arguments),
    Decide(decide::Arguments),
    /// Print the policy in force, or an earlier version
    Show {
        /// The version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// List the versions that have been in force, newest first
    History {
        /// How many
        #[arg(short, value_name = "N", default_value_t = history::DEFAULT_VERSIONS)]
        n: usize,
    },
    Put(put::Arguments),
    Rollback(put::RollbackArguments),
    #[command(subcommand)]
    Shadow(shadow::Verb),
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Verb::Check(arguments) => check::run(&arguments, context),
        Verb::Schema => check::schema(context),
        Verb::Test(arguments) => test::run(&arguments, context),
        Verb::Explain(arguments) => explain::run(arguments, context).await,
        Verb::Diff(arguments) => diff::run(&arguments, context).await,
        Verb::Simulate(arguments) => simulate::run(&arguments, context).await,
        Verb::Suggest(arguments) => suggest::run(&arguments, context).await,
        Verb::Decide(arguments) => decide::run(&arguments),
        Verb::Show { version } => show::run(version, context).await,
        Verb::History { n } => history::run(n, context).await,
        Verb::Put(arguments) => put::run(arguments, context).await,
        Verb::Rollback(arguments) => put::rollback(arguments, context).await,
        Verb::Shadow(verb) => shadow::run(verb, context).await,
    }
}
