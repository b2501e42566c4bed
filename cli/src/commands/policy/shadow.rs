//! `lictor policy shadow`: a proposed policy, judged beside the one in force without any effect.

use std::path::PathBuf;

use clap::Subcommand;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::source;
use crate::{
    Done,
    context::Context,
    render::{policy::shadow, style::Tone},
};

/// Judge a proposed policy beside the one in force, and report where they differ
///
/// Every request is judged by both; only the one in force decides. There is one proposed policy at a
/// time.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Propose a policy file, in place of the one that was proposed before
    Put {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show where the proposed policy differs from the one in force
    Show,
    /// Withdraw the proposed policy
    Clear,
}

#[derive(Debug, Serialize)]
struct Proposed {
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Cleared {
    cleared: bool,
}

/// Runs the verb.
pub(super) async fn run(verb: Verb, context: &Context) -> Done {
    match verb {
        Verb::Put { file } => {
            let set = source::file(&file)?;
            let digest = context.connect()?.operator.put_shadow_policy(set.source()).await?;
            let document = Proposed { sha256: digest.to_string() };
            context.show(&document, |style| {
                let ok = style.paint(Tone::Good, "ok");
                format!("{ok}  {} is judged beside the policy in force\nsee what differs: lictor policy shadow show\n", file.display())
            })?;
        }
        Verb::Show => {
            let view = context.connect()?.operator.shadow_policy().await?;
            context.show(&shadow::Document::from(&view), |style| shadow::text(&view, style))?;
        }
        Verb::Clear => {
            context.connect()?.operator.clear_shadow_policy().await?;
            context.show(&Cleared { cleared: true }, |style| {
                format!("{}  no policy is proposed any more\n", style.paint(Tone::Good, "ok"))
            })?;
        }
    }
    Ok(Exit::Ok.into())
}
