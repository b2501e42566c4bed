//! `lictor policy test`: the rules' own examples, and a file of cases.

use std::{fs, path::PathBuf};

use clap::Args;
use lictor_policy::cases;
use lictor_runtime::exit::Exit;

use super::source;
use crate::{Done, context::Context, render::policy::test, trouble::Trouble};

/// Hold a policy against what it is expected to decide
///
/// The lines under `match` and `not_match` of its rules are always held against their patterns. A
/// file of cases says what is decided for whom, where and when:
///
///   - name: the pipeline restarts the web server
///     as: service:ci
///     via: api                            # cli, mcp or api; cli when left out
///     host: web-1
///     site: eu                            # "default" when left out
///     tags: [web]
///     labels: { env: prod }
///     at: "2026-01-05T10:00:00Z"          # needed when the policy has windows or freezes
///     command: systemctl restart nginx    # or argv: [systemctl, restart, nginx]
///     expect: allow                       # allow, approve or deny
///     rule: restart-web                   # optional: the rule that decides
///     code: POLICY_ALLOWED                # optional: the code, also E_... of a refusal
///
/// Ends with 1 if a case does not hold.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The cases
    #[arg(long, value_name = "CASES")]
    cases: Option<PathBuf>,
}

/// Judges the cases.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Done {
    // Reading a policy holds its examples against its patterns.
    let set = source::file(&arguments.file)?;
    let wrong = |path: &PathBuf, errors: lictor_policy::PolicyErrors| {
        Trouble::usage(
            format!("{} cannot be used:\n{errors}", path.display()),
            "correct it; the form of a case is in lictor policy test --help",
        )
    };
    let (cases, results) = match &arguments.cases {
        None => (Vec::new(), Vec::new()),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
            let cases = cases::parse(&text).map_err(|errors| wrong(path, errors))?;
            let results = cases::run(&set, &cases).map_err(|errors| wrong(path, errors))?;
            (cases, results)
        }
    };
    let document = test::Document::new(&set, &cases, &results);
    context.show(&document, |style| test::text(&document, style))?;
    Ok(if document.holds() { Exit::Ok } else { Exit::CommandFailed }.into())
}
