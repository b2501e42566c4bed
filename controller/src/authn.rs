//! Who calls: from the verified certificate of the connection to [`Authenticated`].

use std::net::SocketAddr;

use lictor_certs::peer::Peer;
use lictor_core::{
    actor::Actor,
    error::{ErrorCode, Failure},
    job::{Job, Origin},
    name::{AgentName, SiteName},
    principal::{Identity, Principal, PrincipalKind, Role},
};

use crate::acting::ActedFor;

/// What the listener learned of a connection, once, when it was opened.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The verified certificate.
    pub peer: Peer,
    /// Where the connection comes from.
    pub remote: SocketAddr,
}

/// Proof that a principal was authenticated; it names which.
#[derive(Debug, Clone)]
pub struct Authenticated {
    principal: Principal,
    role: Role,
    acted_for: Option<ActedFor>,
}

/// Proof that an agent was authenticated; it names which.
#[derive(Debug, Clone)]
pub struct AuthenticatedAgent {
    site: SiteName,
    name: AgentName,
    generation: u32,
    remote: SocketAddr,
}

fn unknown() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "this connection has no certificate that names a caller",
        "connect with a certificate of this controller's authority (lictor doctor)",
    )
}

/// Whether `me` asked for a job, with no more rights than now. What a person asks for with an operator's certificate is not for
/// an assistant that acts in their name: it may be told of fewer hosts.
pub(crate) fn is_own(job: &Job, me: &Principal, is_operator: bool) -> bool {
    job.principal == *me && (is_operator || !Authenticated::of_recorded(job).is_operator())
}

// === impl Authenticated ===

impl Authenticated {
    /// The principal behind a call.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`] without a certificate that names a user or a service.
    pub fn from_call<T>(request: &tonic::Request<T>) -> Result<Self, Failure> {
        let caller = request.extensions().get::<Caller>().ok_or_else(unknown)?;
        let role = caller.peer.identity.role();
        if let Some(acted_for) = request.extensions().get::<ActedFor>() {
            // The role stays the service's: a token never makes an operator.
            let (principal, acted_for) = (acted_for.principal().clone(), Some(acted_for.clone()));
            return Ok(Self { principal, role, acted_for });
        }
        let principal = caller.peer.identity.principal().ok_or_else(unknown)?;
        Ok(Self { principal, role, acted_for: None })
    }
    /// The principal of a recorded job, who was authenticated when it was submitted, for what is judged of the job again:
    /// its health checks, and all of it at the last consent.
    pub(crate) fn of_recorded(job: &Job) -> Self {
        // People call for themselves with an operator's certificate; for anybody else a service did.
        let operator = job.principal.kind == PrincipalKind::User && job.origin.actor.is_none();
        let role = if operator { Role::Operator } else { Role::Service };
        Self { principal: job.principal.clone(), role, acted_for: None }
    }
    /// Whether the caller may see a job: operators see all of their tenant's, others their own.
    pub(crate) fn may_see(&self, job: &Job) -> bool {
        let is_of_tenant = self.is_operator() && self.principal.tenant == job.principal.tenant;
        is_of_tenant || is_own(job, &self.principal, self.is_operator())
    }
    /// Who.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
    /// The service that brings this for the principal, if one does.
    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.acted_for.as_ref().map(ActedFor::actor)
    }
    /// Writes into the origin of a request what the controller knows of it itself.
    pub(crate) fn mark(&self, origin: &mut Origin) {
        if let Some(acted_for) = &self.acted_for {
            acted_for.mark(origin);
        }
    }
    /// Whether the caller is the service that brought this for a user, whoever that was.
    pub(crate) fn brought(&self, origin: &Origin) -> bool {
        let me = self.acted_for.is_none() && self.principal.kind == PrincipalKind::Service;
        me && origin.actor.as_ref().is_some_and(|actor| actor.service == self.principal.name)
    }
    /// Whether the caller operates the fleet.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }
}

// === impl AuthenticatedAgent ===

impl AuthenticatedAgent {
    /// The agent behind a call.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`] without a certificate that names an agent.
    pub fn from_call<T>(request: &tonic::Request<T>) -> Result<Self, Failure> {
        let caller = request.extensions().get::<Caller>().ok_or_else(unknown)?;
        match &caller.peer.identity {
            Identity::Agent { site, name, .. } => {
                let generation = caller.peer.generation();
                Ok(Self { site: site.clone(), name: name.clone(), generation, remote: caller.remote })
            }
            Identity::Controller { .. } | Identity::Service { .. } | Identity::User { .. } => Err(unknown()),
        }
    }
    /// The site it serves.
    pub const fn site(&self) -> &SiteName {
        &self.site
    }
    /// Its name.
    pub const fn name(&self) -> &AgentName {
        &self.name
    }
    /// The generation of its certificate.
    pub const fn generation(&self) -> u32 {
        self.generation
    }
    /// Where it comes from.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }
}
