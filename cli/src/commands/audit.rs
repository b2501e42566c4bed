//! `lictor audit`: reading, exporting and verifying what was done.

mod fork;
mod tail;
pub(crate) mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lictor_certs::signer::PublicKey;

use crate::{Done, audit::witnesses, context::Context};

/// Records shown when the arguments do not say: a screen.
const DEFAULT_TAIL: u32 = 20;
/// Most records shown at once: the controller's largest page.
const MAX_TAIL: i64 = 1000;

/// Read, export and verify the audit log
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
    /// Prove that no record was changed, removed or reordered, in the controller or in an exported FILE
    Verify {
        /// An exported log; verified without any connection
        #[arg(value_name = "FILE", group = "what")]
        file: Option<PathBuf>,
        /// The log's public key, where there is no directory that pins it
        #[arg(long, value_name = "KEY", requires = "what")]
        key: Option<PublicKey>,
        /// Count only the witnesses in this file, one NAME+ID+KEY a line; else those that the log names
        #[arg(long, value_name = "FILE")]
        witness_keys: Option<PathBuf>,
        /// Say what an agent's witness-refused.json proves, instead of verifying a log
        #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "witness_keys"], group = "what")]
        fork: Option<PathBuf>,
    },
    /// Write the whole log with its signed head into FILE, one JSON object a line
    Export {
        /// The file; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Verb::Tail { n, follow } => tail::run(n, follow, context).await,
        Verb::Verify { fork: Some(fork), key, .. } => fork::tell(&fork, key, context),
        Verb::Verify { file, key, witness_keys, fork: None } => {
            let witnesses = witness_keys.as_deref().map(witnesses::load).transpose()?;
            match file {
                None => verify::live(witnesses.as_deref(), context).await,
                Some(file) => verify::offline(&file, key, witnesses.as_deref(), context),
            }
        }
        Verb::Export { file } => verify::export(&file, context).await,
    }
}
