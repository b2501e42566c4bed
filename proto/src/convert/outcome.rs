//! Outcomes, both ways. `ran` is sent for readers and checked on the way in: it must agree with the kind.

use lictor_core::outcome::{Exit, Outcome, Ran, Unknown, Unreachable};

use super::{Invalid, known, required};
use crate::pb;

impl From<Ran> for pb::Ran {
    fn from(ran: Ran) -> Self {
        match ran {
            Ran::NotRun => Self::NotRun,
            Ran::Ran => Self::Ran,
            Ran::MayHaveRun => Self::MayHaveRun,
        }
    }
}

impl From<&Outcome> for pb::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let mut wire = Self { ran: pb::Ran::from(outcome.ran()).into(), ..Self::default() };
        wire.kind = match outcome {
            Outcome::Denied { code, reason } => {
                wire.reason.clone_from(code);
                wire.detail.clone_from(reason);
                pb::OutcomeKind::Denied
            }
            Outcome::Expired => pb::OutcomeKind::Expired,
            Outcome::Skipped => pb::OutcomeKind::Skipped,
            Outcome::Cancelled => pb::OutcomeKind::Cancelled,
            Outcome::Unreachable { reason, detail } => {
                wire.reason = reason.as_str().to_owned();
                wire.detail.clone_from(detail);
                pb::OutcomeKind::Unreachable
            }
            Outcome::Succeeded => pb::OutcomeKind::Succeeded,
            Outcome::Failed(Exit::Code(code)) => {
                wire.exit_code = Some(*code);
                pb::OutcomeKind::Failed
            }
            Outcome::Failed(Exit::Signal(signal)) => {
                wire.signal = Some(signal.clone());
                pb::OutcomeKind::Failed
            }
            Outcome::TimedOut => pb::OutcomeKind::TimedOut,
            Outcome::Killed => pb::OutcomeKind::Killed,
            Outcome::Unknown(reason) => {
                wire.reason = reason.as_str().to_owned();
                pb::OutcomeKind::Unknown
            }
        }
        .into();
        wire
    }
}

impl TryFrom<pb::Outcome> for Outcome {
    type Error = Invalid;
    fn try_from(wire: pb::Outcome) -> Result<Self, Invalid> {
        let pb::Outcome { kind, ran, reason, detail, exit_code, signal } = wire;
        let outcome = match known("outcome.kind", kind)? {
            pb::OutcomeKind::Unspecified => return Err(Invalid::new("outcome.kind", "it is not set")),
            pb::OutcomeKind::Denied => Self::Denied { code: reason, reason: detail },
            pb::OutcomeKind::Expired => Self::Expired,
            pb::OutcomeKind::Skipped => Self::Skipped,
            pb::OutcomeKind::Cancelled => Self::Cancelled,
            pb::OutcomeKind::Unreachable => {
                let reason = Unreachable::ALL.into_iter().find(|r| r.as_str() == reason);
                Self::Unreachable { reason: required("outcome.reason", reason)?, detail }
            }
            pb::OutcomeKind::Succeeded => Self::Succeeded,
            pb::OutcomeKind::Failed => match (exit_code, signal) {
                (Some(code), None) if code != 0 => Self::Failed(Exit::Code(code)),
                (None, Some(signal)) => Self::Failed(Exit::Signal(signal)),
                _ => {
                    return Err(Invalid::new(
                        "outcome.exit_code",
                        "a failure has either a status above 0 or a signal",
                    ));
                }
            },
            pb::OutcomeKind::TimedOut => Self::TimedOut,
            pb::OutcomeKind::Killed => Self::Killed,
            pb::OutcomeKind::Unknown => {
                let reason = Unknown::ALL.into_iter().find(|r| r.as_str() == reason);
                Self::Unknown(required("outcome.reason", reason)?)
            }
        };
        let ran: pb::Ran = known("outcome.ran", ran)?;
        if ran != outcome.ran().into() {
            return Err(Invalid::new("outcome.ran", "it contradicts the kind"));
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_survives_the_wire_and_contradictions_are_refused() {
        let mut all = vec![
            Outcome::Denied { code: "POLICY_DEFAULT_DENY".into(), reason: "no rule".into() },
            Outcome::Expired,
            Outcome::Skipped,
            Outcome::Cancelled,
            Outcome::Succeeded,
            Outcome::Failed(Exit::Code(7)),
            Outcome::Failed(Exit::Signal("KILL".into())),
            Outcome::TimedOut,
            Outcome::Killed,
        ];
        all.extend(Unreachable::ALL.map(|reason| Outcome::Unreachable { reason, detail: "d".into() }));
        all.extend(Unknown::ALL.map(Outcome::Unknown));
        for outcome in all {
            let wire = pb::Outcome::from(&outcome);
            assert_eq!(Outcome::try_from(wire.clone()), Ok(outcome));
            for ran in [0, 4, 1 + wire.ran % 3] {
                assert!(Outcome::try_from(pb::Outcome { ran, ..wire.clone() }).is_err());
            }
            assert!(Outcome::try_from(pb::Outcome { kind: 11, ..wire }).is_err());
        }
    }
}
