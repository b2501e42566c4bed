//! How the program ends, from how the invocations ended.

use lictor_client::views::InvocationView;
use lictor_core::outcome::{Exit as ProcessExit, Outcome};
use lictor_runtime::exit::Exit;

/// The end for all of these; where they differ, what needs a person's eyes first wins.
pub(crate) fn of_all<'a>(invocations: impl IntoIterator<Item = &'a InvocationView>) -> Exit {
    let worst = |exit: &Exit| match exit {
        Exit::Ok => 0,
        Exit::NotRun => 1,
        Exit::Denied => 2,
        Exit::CommandFailed => 3,
        _ => 4,
    };
    let ends = invocations.into_iter().map(|view| view.outcome.as_ref().map_or(Exit::Unknown, of_outcome));
    ends.max_by_key(worst).unwrap_or(Exit::NotRun)
}

/// The end for one outcome.
const fn of_outcome(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Succeeded => Exit::Ok,
        Outcome::Failed(_) | Outcome::TimedOut | Outcome::Killed => Exit::CommandFailed,
        Outcome::Denied { .. } => Exit::Denied,
        Outcome::Expired | Outcome::Skipped | Outcome::Cancelled | Outcome::Unreachable { .. } => {
            Exit::NotRun
        }
        Outcome::Unknown(_) => Exit::Unknown,
    }
}

/// The status of the command itself, where it ended by itself with one that fits a process.
pub(crate) fn own_status(view: &InvocationView) -> Option<u8> {
    match view.outcome.as_ref()? {
        Outcome::Succeeded => Some(0),
        Outcome::Failed(ProcessExit::Code(code)) => u8::try_from(*code).ok(),
        _ => None,
    }
}
