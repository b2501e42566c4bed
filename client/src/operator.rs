//! Calls that only operators may make: agents and join tokens, in [`approvals`] consent, in [`freeze`] the emergency freeze,
//! in [`erasure`] erasing payloads of the audit log and holding them, in [`retention`] how long jobs are kept, in
//! [`revocation`] revoking agents, and in [`policy`] those about the policy. Those about the audit are in [`audit`](crate::audit).

pub mod approvals;
pub mod erasure;
pub mod freeze;
pub mod policy;
pub mod retention;
pub mod revocation;

use lictor_core::{
    clock::Timestamp,
    error::Failure,
    name::{AgentName, SiteName},
    revocation::Revocation,
    secret::Secret,
};
use lictor_proto::{
    convert::{Invalid, known, parse},
    pb,
};

pub use self::freeze::{FreezeDone, FreezeView};
pub use self::policy::{
    DifferenceKind, PolicyPut, PolicyVersion, PolicyVersionsPage, PolicyView, ShadowDifference, ShadowView,
};
pub use self::revocation::RevocationDone;
use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
};

/// The calls that only operators may make. The controller decides by the certificate; this type keeps them out of the
/// reach of code that must never make them.
#[derive(Debug, Clone)]
pub struct Operator {
    pub(crate) client: Client,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// Its site.
    pub site: SiteName,
    /// Its name.
    pub name: AgentName,
    /// Whether it is there.
    pub state: AgentState,
    /// The epoch of its last session.
    pub epoch: u64,
    /// The version of its software.
    pub version: String,
    /// When it was last heard from; `None` if never since the controller started.
    pub last_seen: Option<Timestamp>,
    /// From where it is connected.
    pub address: Option<String>,
    /// Invocations that it has.
    pub in_flight: u32,
    /// When it joined.
    pub enrolled_at: Timestamp,
    /// The size of the newest head of the audit log that it has cosigned in this session.
    pub cosigned_size: Option<u64>,
    /// Why it refuses the history of the controller, and what to do.
    pub witness_refusal: Option<String>,
    /// Who revoked it, when and why; `None` also once it has joined anew.
    pub revocation: Option<Revocation>,
}

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Connected.
    Connected,
    /// Connected, but heartbeats are missing: it is offered nothing new.
    Suspect,
    /// Not connected.
    Disconnected,
    /// Connected, but it holds a head of the audit log that the controller contradicts: it is offered nothing new.
    WitnessRefused,
    /// Revoked, and has not joined anew: every call of it is refused.
    Revoked,
}

/// A one-time token with which one agent can join.
#[derive(Debug, Clone)]
pub struct NewJoinToken {
    /// To be given to the agent; shown once.
    pub token: Secret,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

// === impl Operator ===

impl Operator {
    /// The operator's calls over the same connection.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The calls that everybody may make.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Every agent.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn agents(&self) -> Result<Vec<AgentView>, Failure> {
        let mut service = self.client.fleet_service();
        let answer = self.client.answer(CALL_DEADLINE, service.list_agents(pb::ListAgentsRequest {})).await?;
        let agents = answer.agents.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
        agents.map_err(|e: Invalid| not_understood(&e))
    }

    /// Makes a one-time token with which the named agent can join the site.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller refuses or cannot be reached.
    pub async fn create_join_token(
        &self,
        site: &SiteName,
        agent: &AgentName,
    ) -> Result<NewJoinToken, Failure> {
        let request = pb::CreateJoinTokenRequest { site: site.to_string(), agent: agent.to_string() };
        let mut service = self.client.fleet_service();
        let answer = self.client.answer(CALL_DEADLINE, service.create_join_token(request)).await?;
        let pb::CreateJoinTokenResponse { token, expires_at } = answer;
        Ok(NewJoinToken {
            token: Secret::new(token.into_bytes()),
            expires_at: Timestamp::from_micros(expires_at),
        })
    }
}

// === impl AgentState ===

impl AgentState {
    /// The state in capitals, as every interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Suspect => "SUSPECT",
            Self::Disconnected => "DISCONNECTED",
            Self::WitnessRefused => "WITNESS_REFUSED",
            Self::Revoked => "REVOKED",
        }
    }
}

// === conversions ===

impl TryFrom<pb::Agent> for AgentView {
    type Error = Invalid;
    fn try_from(wire: pb::Agent) -> Result<Self, Invalid> {
        let pb::Agent {
            site,
            name,
            state,
            epoch,
            version,
            last_seen,
            address,
            in_flight,
            enrolled_at,
            cosigned_size,
            witness_refusal,
            revocation,
        } = wire;
        let state = match known("agent.state", state)? {
            pb::AgentState::Unspecified => return Err(Invalid::new("agent.state", "it is not set")),
            pb::AgentState::Connected => AgentState::Connected,
            pb::AgentState::Suspect => AgentState::Suspect,
            pb::AgentState::Disconnected => AgentState::Disconnected,
            pb::AgentState::WitnessRefused => AgentState::WitnessRefused,
            pb::AgentState::Revoked => AgentState::Revoked,
        };
        Ok(Self {
            site: parse("agent.site", &site)?,
            name: parse("agent.name", &name)?,
            state,
            epoch,
            version,
            last_seen: (last_seen > 0).then(|| Timestamp::from_micros(last_seen)),
            address: Some(address).filter(|a| !a.is_empty()),
            in_flight,
            enrolled_at: Timestamp::from_micros(enrolled_at),
            cosigned_size: (cosigned_size > 0).then_some(cosigned_size),
            witness_refusal: Some(witness_refusal).filter(|why| !why.is_empty()),
            revocation: revocation.map(TryInto::try_into).transpose()?,
        })
    }
}
