//! What a simulated host makes of a command: the few that figures need, without a shell. Pure.

use std::time::Duration;

/// The status of what is not known (sh(1): command not found).
const NOT_FOUND: u32 = 127;
/// What an agent puts before a command: the marker line, and the variable that marks descendants.
const MARKER: &str = "echo lictor:";
const AFTER_ID: &str = ":$$ >&2; ";
const BEFORE_COMMAND: &str = "; export LICTOR_INVOCATION; ";
/// What a stop script is called; four words follow, of which the second is the invocation.
const STOP: &str = "' lictor-stop ";

/// An exec request, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The invocation that the request names, if an agent sent it.
    pub invocation: Option<&'a str>,
    /// What it does.
    pub does: Does<'a>,
}

/// What a command does.
#[derive(Debug, PartialEq, Eq)]
pub enum Does<'a> {
    /// Ends with a status.
    End(u32),
    /// Prints a line and ends well.
    Print(String),
    /// Sleeps, then ends well.
    Sleep(Duration),
    /// Stops what belongs to this invocation.
    Stop(&'a str),
}

impl<'a> Asked<'a> {
    /// Reads an exec request.
    pub fn read(text: &'a str) -> Self {
        if let Some((_, arguments)) = text.rsplit_once(STOP) {
            return Self {
                invocation: None,
                does: Does::Stop(arguments.split(' ').nth(1).unwrap_or_default()),
            };
        }
        let marked = || {
            let (invocation, rest) = text.strip_prefix(MARKER)?.split_once(AFTER_ID)?;
            Some((invocation, rest.split_once(BEFORE_COMMAND)?.1))
        };
        match marked() {
            Some((invocation, command)) => Self { invocation: Some(invocation), does: does(command) },
            None => Self { invocation: None, does: does(text) },
        }
    }
}

fn does(command: &str) -> Does<'_> {
    let (program, rest) = command.trim().split_once(' ').unwrap_or((command.trim(), ""));
    match program {
        "true" => Does::End(0),
        "false" => Does::End(1),
        "echo" => Does::Print(rest.replace('\'', "") + "\n"),
        "sleep" => match rest.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(time) => Does::Sleep(time),
            None => Does::End(1),
        },
        _ => Does::End(NOT_FOUND),
    }
}

/// The line by which an agent learns the number of the process.
pub fn marker(invocation: &str, process: u32) -> String {
    format!("lictor:{invocation}:{process}\n")
}

/// What a stop script says; `found`: there was something to stop, and it is gone.
pub const fn stopped(found: bool) -> &'static str {
    if found { "lictor-stop gone\n" } else { "lictor-stop none\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_sends_is_understood_without_a_shell() {
        let wrapped = |command: &str| {
            format!("echo lictor:inv_1:$$ >&2; LICTOR_INVOCATION=inv_1; export LICTOR_INVOCATION; {command}")
        };
        let read = |command: &str| match Asked::read(&wrapped(command)) {
            Asked { invocation: Some("inv_1"), does: Does::End(status) } => format!("ends {status}"),
            Asked { invocation: Some("inv_1"), does: Does::Print(text) } => text,
            Asked { invocation: Some("inv_1"), does: Does::Sleep(time) } => format!("sleeps {time:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(read("true"), "ends 0");
        assert_eq!(read("false"), "ends 1");
        assert_eq!(read("echo hello 'big world'"), "hello big world\n");
        assert_eq!(read("sleep 0.5"), "sleeps 500ms");
        assert_eq!(read("systemctl restart nginx"), "ends 127");
    }

    #[test]
    fn a_bare_command_has_no_marker_and_a_stop_script_names_whom_it_stops() {
        assert_eq!(Asked::read("true"), Asked { invocation: None, does: Does::End(0) });
        let stop = "exec /bin/sh -c 'look; echo \"lictor-stop gone\"' lictor-stop 77 inv_1 100 50";
        assert_eq!(Asked::read(stop), Asked { invocation: None, does: Does::Stop("inv_1") });
    }
}
