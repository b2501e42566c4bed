//! `lictor policy shadow`: a proposed policy, judged beside the one in force without any effect.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use lictor_core::error::{ErrorCode, Failure};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::source;
use crate::{
    Done,
    context::Context,
    render::{policy::shadow, style::Tone},
    trouble::Trouble,
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
    changed: bool,
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
            put(&file, context).await?;
        }
        Verb::Show => {
            let view = context.connect()?.operator.shadow_policy().await.map_err(or_propose)?;
            context.show(&shadow::Document::from(&view), |style| shadow::text(&view, style))?;
        }
        Verb::Clear => {
            context.connect()?.operator.clear_shadow_policy().await.map_err(or_propose)?;
            context.show(&Cleared { cleared: true }, |style| {
                format!("{}  no policy is proposed any more\n", style.paint(Tone::Good, "ok"))
            })?;
        }
    }
    Ok(Exit::Ok.into())
}

/// Proposes a file, unless it is in force or proposed already: what was counted so far would be lost.
async fn put(file: &Path, context: &Context) -> Result<(), Trouble> {
    let set = source::file(file)?;
    let connected = context.connect()?;
    let digest = set.digest();
    let proposed = match connected.operator.shadow_policy().await {
        Ok(view) => Some(view.digest),
        Err(failure) if failure.code == ErrorCode::NotFound => None,
        Err(failure) => return Err(failure.into()),
    };
    let in_force = source::kept(&connected, None).await?;
    let name = file.display();
    let already = if in_force.digest == digest {
        let version = in_force.version;
        Some(format!("nothing was changed: {name} is version {version}, which is in force already\n"))
    } else if proposed == Some(digest) {
        Some(format!("nothing was changed: {name} is judged beside the policy in force already\n"))
    } else {
        None
    };
    if already.is_none() {
        connected.operator.put_shadow_policy(set.source()).await?;
    }
    let document = Proposed { changed: already.is_none(), sha256: digest.to_string() };
    context.show(&document, |style| {
        already.unwrap_or_else(|| {
            let ok = style.paint(Tone::Good, "ok");
            format!(
                "{ok}  {name} is judged beside the policy in force\nsee what differs: lictor policy shadow show\n"
            )
        })
    })
}

/// When none is proposed, what to do.
fn or_propose(failure: Failure) -> Failure {
    match failure.code {
        ErrorCode::NotFound => {
            Failure { next_step: "propose one: lictor policy shadow put FILE".into(), ..failure }
        }
        _ => failure,
    }
}
