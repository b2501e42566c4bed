//! One attempt at one host: its states and the only moves between them.

use std::fmt;

use crate::{
    clock::Timestamp,
    guard::Guard,
    id::{InvocationId, JobId},
    job::Limits,
    name::{AgentName, HostAlias, RuleId, SiteName},
    outcome::Outcome,
    output::Output,
    retention::OutputRemoved,
};

/// Where an invocation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvocationState {
    /// Recorded; waiting for an agent of its site.
    Queued,
    /// Handed to a session of an agent; it may have arrived.
    Offered {
        /// The agent.
        agent: AgentName,
        /// The epoch of its session.
        epoch: u64,
    },
    /// In the agent's journal; it will start once or not at all.
    Accepted {
        /// The agent.
        agent: AgentName,
    },
    /// The agent is about to send, or has sent, the exec request: STARTING is a line of its journal, and no state here
    /// (docs/decisions/0029-starting-is-running.md).
    Running {
        /// The agent.
        agent: AgentName,
    },
    /// Ended.
    Ended(Outcome),
}

/// What can happen to an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvocationEvent {
    /// It was handed to a session.
    Offer {
        /// The agent.
        agent: AgentName,
        /// The epoch of its session.
        epoch: u64,
    },
    /// The agent it was offered to certainly does not have it; it can be offered again.
    Return,
    /// The agent has it in its journal.
    Accept,
    /// The agent has recorded that it starts it.
    Start,
    /// It ended.
    End(Outcome),
}

/// A move that the state machine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IllegalMove {
    from: &'static str,
    event: &'static str,
}

/// One attempt at one host, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Derived from job, host and attempt.
    pub id: InvocationId,
    /// Its job.
    pub job: JobId,
    /// The host.
    pub host: HostAlias,
    /// The host's site when the job was recorded.
    pub site: SiteName,
    /// 1 for the first.
    pub attempt: u32,
    /// The wave of the job in which it begins, 1 for the first; 0 if it never may.
    pub wave: u32,
    /// Where it stands.
    pub state: InvocationState,
    /// Grows by one with each recorded change; a change names the version that it replaces.
    pub version: u64,
    /// The limits decided for this host.
    pub limits: Limits,
    /// The rule that allowed (or denied) it; `None` when no rule matched.
    pub rule: Option<RuleId>,
    /// When the agent sent the exec request.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The address that was connected to.
    pub address: Option<String>,
    /// What it printed.
    pub output: Output,
    /// The bytes of that were removed; counts and digests are there.
    pub output_removed: Option<OutputRemoved>,
    /// What became known after an UNKNOWN end; the end itself stays.
    pub resolution: Option<Outcome>,
    /// What kept it from starting twice, as its agent reported.
    pub guard: Guard,
    /// How many secrets its agent masked in what the host said; the output is what is left.
    pub redactions: u64,
    /// The agent that had it when it ended, whose evidence alone counts after that; `None`: no agent had it, or the record is
    /// from before this was kept. Until it ends, its state says which.
    pub last_agent: Option<AgentName>,
}

// === impl InvocationState ===

impl InvocationState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalMove`] for every pair that DESIGN §3 does not draw; an ended invocation never moves.
    pub fn step(&self, event: InvocationEvent) -> Result<Self, IllegalMove> {
        use InvocationEvent as E;
        match (self, event) {
            (Self::Queued, E::Offer { agent, epoch }) => Ok(Self::Offered { agent, epoch }),
            (Self::Offered { .. }, E::Return) => Ok(Self::Queued),
            (Self::Offered { agent, .. } | Self::Accepted { agent }, E::Accept) => {
                Ok(Self::Accepted { agent: agent.clone() })
            }
            (Self::Offered { agent, .. } | Self::Accepted { agent } | Self::Running { agent }, E::Start) => {
                Ok(Self::Running { agent: agent.clone() })
            }
            (
                Self::Queued | Self::Offered { .. } | Self::Accepted { .. } | Self::Running { .. },
                E::End(outcome),
            ) => Ok(Self::Ended(outcome)),
            (from, event) => Err(IllegalMove { from: from.name(), event: event.name() }),
        }
    }

    /// The name of the state, in capitals, as every interface writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Offered { .. } => "OFFERED",
            Self::Accepted { .. } => "ACCEPTED",
            Self::Running { .. } => "RUNNING",
            Self::Ended(outcome) => outcome.name(),
        }
    }

    /// The outcome, once there is one.
    pub const fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Ended(outcome) => Some(outcome),
            Self::Queued | Self::Offered { .. } | Self::Accepted { .. } | Self::Running { .. } => None,
        }
    }

    /// The agent that has it, if one may.
    pub const fn agent(&self) -> Option<&AgentName> {
        match self {
            Self::Offered { agent, .. } | Self::Accepted { agent } | Self::Running { agent } => Some(agent),
            Self::Queued | Self::Ended(_) => None,
        }
    }
}

impl InvocationEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "offer",
            Self::Return => "return",
            Self::Accept => "accept",
            Self::Start => "start",
            Self::End(_) => "end",
        }
    }
}

impl fmt::Display for IllegalMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an invocation that is {} cannot take {}", self.from, self.event)
    }
}
impl std::error::Error for IllegalMove {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Unknown;

    fn states() -> Vec<InvocationState> {
        let agent = AgentName::new("a").unwrap();
        vec![
            InvocationState::Queued,
            InvocationState::Offered { agent: agent.clone(), epoch: 1 },
            InvocationState::Accepted { agent: agent.clone() },
            InvocationState::Running { agent },
            InvocationState::Ended(Outcome::Unknown(Unknown::AgentLost)),
        ]
    }
    fn events() -> Vec<InvocationEvent> {
        let agent = AgentName::new("b").unwrap();
        vec![
            InvocationEvent::Offer { agent, epoch: 2 },
            InvocationEvent::Return,
            InvocationEvent::Accept,
            InvocationEvent::Start,
            InvocationEvent::End(Outcome::Succeeded),
        ]
    }

    #[test]
    fn an_ended_invocation_never_moves() {
        let ended = states().pop().unwrap();
        for event in events() {
            assert!(ended.step(event).is_err());
        }
    }

    #[test]
    fn the_table_of_moves_is_exactly_this() {
        let table: Vec<String> = states()
            .iter()
            .map(|s| {
                events()
                    .into_iter()
                    .map(|e| s.step(e).map_or("-".into(), |s| s.name().to_owned()))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(
            table,
            [
                "OFFERED - - - SUCCEEDED",
                "- QUEUED ACCEPTED RUNNING SUCCEEDED",
                "- - ACCEPTED RUNNING SUCCEEDED",
                "- - - RUNNING SUCCEEDED",
                "- - - - -",
            ]
        );
    }
}
