//! `lictor completions`: a script with which a shell completes what is typed.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use lictor_runtime::exit::Exit;

use crate::{Done, arguments::Cli, context::Context, trouble::Trouble};

/// Print a completion script for a shell
///
///   bash:  source <(lictor completions bash)
///   zsh:   lictor completions zsh > "${fpath[1]}/_lictor"
///   fish:  lictor completions fish > ~/.config/fish/completions/lictor.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "lictor", &mut script);
    let script =
        String::from_utf8(script).map_err(|_| Trouble::internal("the completion script is not text"))?;
    context.print(&script)?;
    Ok(Exit::Ok.into())
}
