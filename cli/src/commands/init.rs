//! `lictor init`: makes a directory, and says what to do with it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use lictor_core::name::PrincipalName;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    init::{self, Plan, templates},
    render::style::{Style, Tone},
    trouble::Trouble,
};

/// Where a controller listens that nobody else is meant to reach.
const DEFAULT_LISTEN: &str = "127.0.0.1:7443";

/// Make a directory with everything that `lictor up` needs
///
/// Settings of controller, local agent and MCP bridge, an example policy, a certificate authority
/// and identities. Everything is a file that may be edited and kept under version control, but for
/// pki/, identity/, state/ and credentials.yml: those are secrets or belong to this machine.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory; it must be absent or empty
    #[arg(value_name = "DIRECTORY")]
    target: PathBuf,
    /// Where the controller listens; agents join at the port above
    #[arg(long, value_name = "ADDR:PORT", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// The name or address under which other machines reach this one
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    directory: PathBuf,
    controller: String,
    operator: String,
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { target, listen, advertise } = arguments;
    if listen.ip().is_unspecified() && advertise.is_none() {
        return Err(Trouble::usage(
            format!("{listen} means every address of this machine, but agents must be told one"),
            "add --advertise with the name under which other machines reach this one",
        ));
    }
    let plan = Plan { listen, advertise, operator: operator()?, policy: templates::POLICY.to_owned() };
    let home = init::create(&target, &plan)?;
    let directory = home.dir().canonicalize().unwrap_or_else(|_| home.dir().to_owned());
    let document = Document {
        directory: directory.clone(),
        controller: listen.to_string(),
        operator: plan.operator.to_string(),
    };
    context.show(&document, |style| next_steps(&directory, &plan.operator, style))?;
    Ok(Exit::Ok.into())
}

/// The person at the keyboard, as far as the system's name for them is a name here.
fn operator() -> Result<PrincipalName, Trouble> {
    let user = std::env::var("USER").ok().and_then(|user| PrincipalName::new(&user).ok());
    user.map_or_else(|| PrincipalName::new("operator"), Ok).map_err(|e| Trouble::internal(e.to_string()))
}

fn next_steps(dir: &Path, operator: &PrincipalName, style: Style) -> String {
    let dir = dir.display();
    let command = |text: String| style.paint(Tone::Accent, &text);
    let steps = [
        ("edit hosts.yml and credentials.yml", "which hosts there are, and how to log in to them".to_owned()),
        ("pin the hosts' keys", command("lictor host scan --all".to_owned())),
        ("start controller and agent", command("lictor up".to_owned())),
        ("in another terminal", command("lictor run HOST -- uptime".to_owned())),
        ("let an AI assistant in", command("lictor mcp --print-config".to_owned())),
        ("allow more", "edit policy.yml; try it with lictor plan HOST -- COMMAND".to_owned()),
    ];
    let mut text = format!("made {dir} for operator {operator}\n\n");
    text += &format!("{}\n  {}\n", style.strong("Use it:"), command(format!("export LICTOR_DIR={dir}")));
    text += &format!("\n{}\n", style.strong("Next:"));
    for (number, (what, how)) in (1..).zip(steps) {
        text += &format!("  {number}. {what:<36} {how}\n");
    }
    text + "\nIf something does not work, lictor doctor says why.\n"
}
