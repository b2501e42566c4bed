//! `lictor policy`: checks a file, shows what is in force.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use lictor_core::error::{ErrorCode, Failure};
use lictor_policy::PolicySet;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    render::{style::Tone, time},
    trouble::Trouble,
};

/// Check and show the policy
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read a policy file and say everything that is wrong with it
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the policy in force, or an earlier version
    Show {
        /// The version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

#[derive(Debug, Serialize)]
struct Checked {
    file: PathBuf,
    rules: usize,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    version: u64,
    sha256: String,
    changed_by: String,
    changed_at: String,
    source: String,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Verb::Check { file } => check(&file, context),
        Verb::Show { version } => show(version, context).await,
    }
}

fn check(file: &Path, context: &Context) -> Done {
    let text = fs::read_to_string(file).map_err(|e| Trouble::file("read", file, &e))?;
    let set = PolicySet::parse(&text).map_err(|errors| {
        let message = format!("{} is not a policy:\n{errors}", file.display());
        let problems = errors.iter().count().to_string();
        Failure::new(ErrorCode::InvalidArgument, message, "correct it; what is in force stays as it is")
            .with("problems", problems)
    })?;
    let document =
        Checked { file: file.to_owned(), rules: set.rules().count(), sha256: set.digest().to_string() };
    context.show(&document, |style| {
        format!(
            "{}  {}, {}\n",
            style.paint(Tone::Good, "ok"),
            file.display(),
            time::count(document.rules, "rule")
        )
    })?;
    Ok(Exit::Ok.into())
}

async fn show(version: Option<u64>, context: &Context) -> Done {
    let policy = context.connect()?.operator.policy(version).await?;
    if !context.is_json() {
        let when = time::moment(policy.changed_at);
        context.note(&format!("# version {}, put by {} at {when} UTC", policy.version, policy.changed_by));
    }
    let document = Shown {
        version: policy.version,
        sha256: policy.digest.to_string(),
        changed_by: policy.changed_by,
        changed_at: policy.changed_at.to_string(),
        source: policy.source,
    };
    context.show(&document, |_| document.source.clone())?;
    Ok(Exit::Ok.into())
}
