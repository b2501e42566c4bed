//! In what an admitted command runs, as text for the host's shell. Pure.
//!
//! `env` sets the variables and not the login shell, whose own variables of that name may be read-only or mean something
//! to it; `sudo` drops what is not passed behind it; and the directory is entered as the login that the command runs as.
//! Right before the command the host says that it starts: until then nothing that was asked for has begun.

use std::fmt::Write as _;

use lictor_core::{
    command::quoted,
    context::{Context, Environment, LoginName},
    id::InvocationId,
};

use super::wrapper;
use crate::admit::Admitted;

/// The word of the marker line that the command starts now.
pub(crate) const STARTED: &str = "started";
/// The word of the marker line that the working directory cannot be entered.
pub(crate) const NO_DIRECTORY: &str = "no-directory";
/// Status with which the wrapper ends when it does not start the command; only the marker lines are relied on.
const NOT_STARTED: u8 = 125;
/// Where POSIX systems have it; a login's PATH may name another first.
const ENV: &str = "/usr/bin/env";

/// The text that runs an admitted command: the command itself where nothing more was asked for.
pub(crate) fn command_text(admitted: &Admitted) -> String {
    in_context(admitted.invocation(), admitted.context(), admitted.rendered())
}

/// What stands before a program that is to run as `login`: asks for no password, and has no home but that login's.
pub(crate) fn as_login(login: Option<&LoginName>) -> String {
    login.map(|login| format!("sudo -n -H -u {login} -- ")).unwrap_or_default()
}

/// The variables as a shell reads them behind `env` or `export`, each after a blank.
pub(crate) fn variables(environment: &Environment) -> String {
    let mut text = String::new();
    for (name, value) in environment.iter() {
        let _ = write!(text, " {name}={}", quoted(value.as_str()));
    }
    text
}

fn in_context(id: InvocationId, context: &Context, command: &str) -> String {
    if !context.shapes_process() {
        return command.to_owned();
    }
    let Context { environment, working_directory, run_as, stdin: _ } = context;
    let marker = wrapper::marker(id);
    let enter = working_directory.as_ref().map(|directory| {
        let directory = quoted(directory.as_str());
        format!("cd -- {directory} || {{ echo {marker}{NO_DIRECTORY} >&2; exit {NOT_STARTED}; }}; ")
    });
    let script =
        format!("{}echo {marker}{STARTED} >&2 || exit {NOT_STARTED}; {command}", enter.unwrap_or_default());
    let mut text = format!("exec {}{ENV} LICTOR_INVOCATION={id}", as_login(run_as.as_ref()));
    text += &variables(environment);
    let _ = write!(text, " /bin/sh -c {}", quoted(&script));
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use proptest::prelude::*;

    use super::*;

    const SHELLS: [&str; 2] = ["/bin/dash", "/bin/bash"];

    fn id() -> InvocationId {
        InvocationId::from_bytes([3; 16])
    }
    fn directory(path: &str) -> Context {
        Context { working_directory: Some(path.parse().unwrap()), ..Context::default() }
    }
    fn run(shell: &str, text: &str) -> (String, String, Option<i32>) {
        let output = Process::new(shell).args(["-c", text]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    }

    #[test]
    fn without_a_context_the_text_is_the_command() {
        assert_eq!(in_context(id(), Context::none(), "uptime | head -1"), "uptime | head -1");
    }

    #[test]
    fn every_part_of_a_line_runs_in_the_context_and_its_status_is_the_commands_own() {
        let context = Context {
            environment: Environment::from_pairs([("LANG", "C"), ("A", "it's $HOME")]).unwrap(),
            ..directory("/usr/bin")
        };
        let text = in_context(id(), &context, "pwd; printenv A | cat && printenv LICTOR_INVOCATION; false");
        for shell in SHELLS {
            let (out, err, status) = run(shell, &text);
            assert_eq!(out, format!("/usr/bin\nit's $HOME\n{}\n", id()), "{shell}");
            assert_eq!(err, format!("lictor:{}:started\n", id()));
            assert_eq!(status, Some(1));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_entered_starts_nothing() {
        let text = in_context(id(), &directory("/nonexistent/it's"), "echo ran");
        for shell in SHELLS {
            let (out, err, status) = run(shell, &text);
            assert_eq!((out.as_str(), status), ("", Some(i32::from(NOT_STARTED))), "{shell}");
            assert!(
                err.contains(&format!("lictor:{}:no-directory\n", id())) && !err.contains("started"),
                "{err}"
            );
        }
    }

    #[test]
    fn another_login_is_asked_of_sudo_without_a_password_and_with_everything_behind_it() {
        let context = Context { run_as: Some("deploy".parse().unwrap()), ..Context::default() };
        let text = in_context(id(), &context, "echo 'a b'");
        assert_eq!(
            text,
            format!(
                "exec sudo -n -H -u deploy -- /usr/bin/env LICTOR_INVOCATION={0} /bin/sh -c 'echo lictor:{0}:started >&2 || exit 125; echo '\\''a b'\\'''",
                id()
            )
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_reach_the_command_as_they_are(value in "[ -~é日]{0,40}", hostile in "['\"\\\\$`;&|<>(){}*?!#~ ]{0,20}") {
            let variables = [("A", value.as_str()), ("B", hostile.as_str())];
            let context = Context {
                environment: Environment::from_pairs(variables).unwrap(),
                ..Context::default()
            };
            let text = in_context(id(), &context, "printenv A; printenv B");
            for shell in SHELLS {
                let (out, _, status) = run(shell, &text);
                prop_assert_eq!(&out, &format!("{value}\n{hostile}\n"), "{}", shell);
                prop_assert_eq!(status, Some(0));
            }
        }

        #[test]
        fn a_directory_of_any_name_is_entered(name in "[ -.0-~]{1,20}") {
            prop_assume!(!matches!(name.as_str(), "." | ".."));
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(&name);
            std::fs::create_dir(&path).unwrap();
            let text = in_context(id(), &directory(path.to_str().unwrap()), "pwd");
            for shell in SHELLS {
                let (out, ..) = run(shell, &text);
                prop_assert_eq!(out.strip_suffix('\n'), path.to_str(), "{}", shell);
            }
        }
    }
}
