//! `lictor audit`: reading, searching, exporting and verifying what was done; erasing payloads, and holding them; how long jobs
//! are kept.

mod bounds;
mod erase;
pub(crate) mod export;
mod fork;
mod forward;
mod hold;
mod report;
mod retention;
mod search;
mod show;
pub(crate) mod stats;
mod tail;
pub(crate) mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lictor_certs::signer::PublicKey;

use crate::{
    Done,
    audit::{keys::Keys, witnesses},
    context::Context,
    trouble::Trouble,
};

/// Records shown when the arguments do not say: a screen.
const DEFAULT_TAIL: u32 = 20;
/// Most records shown at once: the controller's largest page.
const MAX_TAIL: i64 = 1000;

/// Read, search, export and verify the audit log, and erase text from it
///
/// Every intent and every end is a leaf of a Merkle tree whose head the controller signs. Verifying
/// computes the tree again from every record, so that no record can have been changed, removed,
/// added or reordered without being found.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the last records
    Tail {
        /// How many
        #[arg(short, value_name = "N", default_value_t = DEFAULT_TAIL, value_parser = clap::value_parser!(u32).range(1..=MAX_TAIL))]
        n: u32,
        /// Go on as records are written
        #[arg(long, short)]
        follow: bool,
    },
    Search(search::Arguments),
    Show(show::Arguments),
    Stats(stats::Arguments),
    /// Prove that no record was changed, removed or reordered, in the controller or in an exported FILE
    Verify {
        /// An exported log; verified without any connection
        #[arg(value_name = "FILE", group = "what")]
        file: Option<PathBuf>,
        #[command(flatten)]
        keys: KeyArguments,
        /// Count only the witnesses in this file, one NAME+ID+KEY a line; else those of --keys, or those that the log names
        #[arg(long, value_name = "FILE")]
        witness_keys: Option<PathBuf>,
        /// Say what an agent's witness-refused.json proves, instead of verifying a log
        #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "witness_keys", "keys"], group = "what")]
        fork: Option<PathBuf>,
    },
    Export(export::Arguments),
    Forward(forward::Arguments),
    Report(report::Arguments),
    Erase(erase::Arguments),
    /// List the erasures that wait for another operator's consent
    Erasures,
    /// Keep text in the log from being erased, whoever asks for it
    #[command(subcommand)]
    Hold(hold::Verb),
    Retention(retention::Arguments),
}

/// Which keys vouch for an exported log.
#[derive(Debug, Args)]
pub(crate) struct KeyArguments {
    /// The log's public key, where there is no directory that pins it
    #[arg(long, value_name = "KEY", conflicts_with = "keys")]
    key: Option<PublicKey>,
    /// A file of keys, one a line: of the log, and of witnesses
    #[arg(long, value_name = "KEYS")]
    keys: Option<PathBuf>,
}

// === impl KeyArguments ===

impl KeyArguments {
    /// The keys that were given; `None`: the pinned one counts.
    pub(crate) fn load(&self) -> Result<Option<Keys>, Trouble> {
        match (&self.key, &self.keys) {
            (_, Some(path)) => Keys::load(path).map(Some),
            (Some(key), None) => Ok(Some((*key).into())),
            (None, None) => Ok(None),
        }
    }
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Verb::Tail { n, follow } => tail::run(n, follow, context).await,
        Verb::Search(arguments) => search::run(arguments, context).await,
        Verb::Show(arguments) => show::run(arguments, context).await,
        Verb::Stats(arguments) => stats::run(arguments, context).await,
        Verb::Verify { fork: Some(fork), keys, .. } => fork::tell(&fork, keys.key, context),
        Verb::Verify { file, keys, witness_keys, fork: None } => {
            let witnesses = witness_keys.as_deref().map(witnesses::load).transpose()?;
            match file {
                None => verify::live(&keys, witnesses.as_deref(), context).await,
                Some(file) => verify::offline(&file, &keys, witnesses.as_deref(), context),
            }
        }
        Verb::Export(arguments) => export::run(arguments, context).await,
        Verb::Forward(arguments) => forward::run(arguments, context).await,
        Verb::Report(arguments) => report::run(arguments, context).await,
        Verb::Erase(arguments) => erase::run(arguments, context).await,
        Verb::Erasures => erase::list(context).await,
        Verb::Hold(verb) => hold::run(verb, context).await,
        Verb::Retention(arguments) => retention::run(arguments, context).await,
    }
}
