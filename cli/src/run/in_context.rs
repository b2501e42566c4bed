//! In what a command runs, as it is typed.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lictor_core::context::{Context, Directory, Environment, LoginName, VariableName, VariableValue};
use serde::Serialize;

use super::stdin;
use crate::trouble::Trouble;

/// Variables, a directory, a login.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ContextArguments {
    /// Set a variable for the command; policy has to permit it. May be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_variable)]
    environment: Vec<(VariableName, VariableValue)>,
    /// Start it in this directory, an absolute path; policy has to permit it
    #[arg(long = "cwd", value_name = "DIR")]
    working_directory: Option<Directory>,
    /// Run it as this login, by sudo on the host; policy has to permit it
    #[arg(long, value_name = "USER")]
    run_as: Option<LoginName>,
    /// Let it read this file from its standard input, - for standard input itself; policy has to permit it
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
}

/// The same as a document.
#[derive(Debug, Serialize)]
pub(crate) struct ContextDocument {
    environment: BTreeMap<String, String>,
    working_directory: Option<String>,
    run_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<StdinDocument>,
}

/// Standard input as a document.
#[derive(Debug, Serialize)]
struct StdinDocument {
    sha256: String,
    bytes: u64,
}

fn parse_variable(text: &str) -> Result<(VariableName, VariableValue), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let name = name.parse().map_err(|why: lictor_core::context::InvalidContext| why.to_string())?;
    let value = value.parse().map_err(|why: lictor_core::context::InvalidContext| why.to_string())?;
    Ok((name, value))
}

// === impl ContextArguments ===

impl ContextArguments {
    /// What is asked for.
    pub(crate) fn into_context(self) -> Result<Context, Trouble> {
        self.read().map(|(context, _)| context)
    }

    /// What is asked for, and the bytes of its standard input.
    pub(crate) fn read(self) -> Result<(Context, Option<Vec<u8>>), Trouble> {
        let Self { environment: variables, working_directory, run_as, stdin } = self;
        let mut environment = Environment::default();
        for (name, value) in variables {
            let set = environment.insert(name, value);
            set.map_err(|why| Trouble::usage(why.to_string(), "leave out what is too much"))?;
        }
        let (stdin, bytes) = stdin.map(|path| stdin::read(&path)).transpose()?.unzip();
        Ok((Context { environment, working_directory, run_as, stdin }, bytes))
    }
}

// === impl ContextDocument ===

impl ContextDocument {
    /// `None`: nothing was asked for.
    pub(crate) fn of(context: &Context) -> Option<Self> {
        let Context { environment, working_directory, run_as, stdin } = context;
        (!context.is_empty()).then(|| Self {
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            working_directory: working_directory.as_ref().map(ToString::to_string),
            run_as: run_as.as_ref().map(ToString::to_string),
            stdin: stdin.map(|content| StdinDocument {
                sha256: content.digest().to_string(),
                bytes: content.bytes(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        context: ContextArguments,
    }

    fn read(arguments: &[&str]) -> Result<Context, String> {
        let all = std::iter::once("test").chain(arguments.iter().copied());
        let only = Only::try_parse_from(all).map_err(|e| e.to_string())?;
        only.context.into_context().map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_typed_is_what_is_asked_for() {
        assert_eq!(read(&[]), Ok(Context::default()));
        let context =
            read(&["--env", "A=x=y z", "--env", "B=", "--cwd", "/srv/app", "--run-as", "deploy"]).unwrap();
        let items = ["A=x=y z", "B=", "working_directory=/srv/app", "run_as=deploy"];
        assert_eq!(context.items(), items);
    }

    #[test]
    fn what_nobody_may_ask_for_is_refused_with_its_reason() {
        for (arguments, because) in [
            (["--env", "PATH=/tmp"], "which programs are found"),
            (["--env", "LD_PRELOAD=x"], "libraries"),
            (["--env", "A"], "NAME=VALUE"),
            (["--env", "A B=c"], "not the name of a variable"),
            (["--env", "A=b\nc"], "control"),
            (["--cwd", "srv"], "not an absolute path"),
            (["--cwd", "/srv/../etc"], "not an absolute path"),
            (["--run-as", "#0"], "not a login name"),
        ] {
            let why = read(&arguments).unwrap_err();
            assert!(why.contains(because), "{arguments:?}: {why}");
        }
        assert!(read(&["--env", "A=1", "--env", "A=2"]).unwrap_err().contains("twice"));
    }
}
