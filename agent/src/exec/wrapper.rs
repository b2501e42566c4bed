//! The one text that a host receives: the judged command behind a marker. Only this file writes it.

use lictor_core::id::InvocationId;

use super::context;
use crate::admit::Admitted;

/// What the marker line starts with, before the invocation.
const PREFIX: &str = "lictor:";

/// The exec request of an admitted invocation.
///
/// The marker tells the process id, which is the session's too: sshd gives every command without a terminal a session of
/// its own. The variable marks every descendant, also one that leaves the session.
pub(crate) fn render(admitted: &Admitted) -> String {
    let (id, command) = (admitted.invocation(), context::command_text(admitted));
    format!("echo {PREFIX}{id}:$$ >&2; LICTOR_INVOCATION={id}; export LICTOR_INVOCATION; {command}")
}

/// The command's own text, as the host's shell is to read it.
pub(crate) fn command(admitted: &Admitted) -> &str {
    admitted.rendered()
}

/// The marker line of `invocation` up to the process id.
pub(crate) fn marker(invocation: InvocationId) -> String {
    format!("{PREFIX}{invocation}:")
}
