//! What to do next about an invocation that did not simply succeed or fail.

use lictor_core::{
    freeze::FROZEN,
    outcome::{Outcome, Unknown, Unreachable},
};

/// What to do about a freeze: nothing that a model or its arguments can.
const FROZEN_STEP: &str = "an operator has frozen this: tell the user who did and why; no tool lifts it, and asking again is refused until an \
     operator does";

/// One sentence; `None` where the outcome speaks for itself.
pub(crate) fn next_step(outcome: &Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Succeeded | Outcome::Failed(_) => return None,
        Outcome::Denied { code, .. } if code == FROZEN => FROZEN_STEP,
        Outcome::Denied { .. } => {
            "see ssh_plan for what is allowed on this host, or tell the user that policy forbids this"
        }
        Outcome::Expired => {
            "no agent of the host's site took it in time: check with ssh_describe_host whether one is connected; asking again is safe"
        }
        Outcome::Skipped => "the job was halted before this host's turn; asking again for this host is safe",
        Outcome::Cancelled => "it was cancelled before it started; asking again is safe",
        Outcome::TimedOut => {
            "it was killed at its time limit: ask for more with timeout_seconds, as far as policy allows, or do less at once"
        }
        Outcome::Killed => {
            "it was cancelled while it ran and was killed; look at the host before asking again"
        }
        Outcome::Unreachable { reason, .. } => unreachable(*reason),
        Outcome::Unknown(reason) => unknown(*reason),
    })
}

const fn unreachable(reason: Unreachable) -> &'static str {
    match reason {
        Unreachable::NoSuchHost => "the site's inventory has no such host any more: see ssh_list_hosts",
        Unreachable::ConnectFailed => {
            "the host does not answer the site's agent: tell the user; asking again is safe"
        }
        Unreachable::AddressDenied => "policy does not allow the address that the host has: tell the user",
        Unreachable::HostKeyUnknown => "no key is pinned for this host: an operator has to pin it",
        Unreachable::HostKeyChanged => {
            "the host shows another key than the pinned one, which may be an attack: an operator has to look"
        }
        Unreachable::CredentialMissing => {
            "the site has no usable credential for this host: an operator has to add it"
        }
        Unreachable::AuthenticationFailed => {
            "the host refuses the site's credential: an operator has to correct it"
        }
        Unreachable::SessionRefused => {
            "the host refuses to run commands for this login: an operator has to look"
        }
        Unreachable::WorkingDirectory => "the working directory cannot be entered on this host: name another",
        Unreachable::RunAs => {
            "the host does not let the site's login run anything as that user: an operator has to permit it there"
        }
    }
}

const fn unknown(reason: Unknown) -> &'static str {
    match reason {
        Unknown::KillUnconfirmed => {
            "it was told to stop and may still be running: look at the host before asking again"
        }
        Unknown::HostRebooted => {
            "it was started, and the host was restarted before it ended: look at the host before asking again"
        }
        Unknown::Vanished => {
            "it was started and is gone without an exit status: look at the host before asking again"
        }
        Unknown::RecordUnreadable => {
            "the controller's record of it is damaged, so nobody can say whether it ran: an operator has to restore it (see the controller's log); look at the host before asking again"
        }
        Unknown::AgentRestarted | Unknown::AgentLost | Unknown::ConnectionLost => {
            "it may or may not have run: look at the host before asking again"
        }
    }
}
