//! Evidence of what this site refused: on what a refusal rests, and who signs it.

use std::sync::Arc;

use lictor_certs::{
    client::LiveClientTls,
    evidence::{Evidence, Statement},
};
use lictor_core::{clock::Timestamp, digest::Digest, id::InvocationId, outcome::Outcome};
use lictor_proto::pb;

use crate::{admit::Gate, ended::Ended, site::Site};

/// What was judged, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// Digest of the exact bytes that the controller signed.
    pub grant: Digest,
    /// Digest of the floor's file in force; `None`: the site has no floor.
    pub floor: Option<Digest>,
}

/// Signs what this agent refuses, with the key of its own certificate.
#[derive(Debug)]
pub(crate) struct Witness {
    tls: Arc<LiveClientTls>,
    gate: Gate,
}

// === impl Basis ===

impl Basis {
    /// A grant of this digest, judged by the site as it is.
    pub(crate) fn of(grant: Digest, site: &Site) -> Self {
        Self { grant, floor: site.floor.as_ref().map(lictor_policy::PolicySet::digest) }
    }
}

// === impl Witness ===

impl Witness {
    /// Whoever `gate` says, with the key in `tls`.
    pub(crate) const fn new(tls: Arc<LiveClientTls>, gate: Gate) -> Self {
        Self { tls, gate }
    }

    /// The end with its evidence, if it is one that has to be proven.
    pub(crate) fn prove(&self, ended: Ended, basis: &Basis) -> Ended {
        if !ended.outcome.refuses_grant() {
            return ended;
        }
        // The controller keeps it so, and the statement says what is kept.
        let outcome = ended.outcome.bounded();
        let evidence = self.testify(ended.invocation, &outcome, basis, ended.ended_at);
        Ended { outcome, evidence, ..ended }
    }

    fn testify(
        &self,
        invocation: InvocationId,
        outcome: &Outcome,
        basis: &Basis,
        at: Timestamp,
    ) -> Option<Evidence> {
        let Gate { key: _, tenant, site, agent } = &self.gate;
        let statement = Statement {
            tenant: tenant.clone(),
            site: site.clone(),
            agent: agent.clone(),
            invocation,
            grant: basis.grant,
            floor: basis.floor,
            code: outcome.reason_code().unwrap_or_default().to_owned(),
            reason: outcome.detail().unwrap_or_default().to_owned(),
            at,
        };
        // The end is reported all the same; without evidence, the controller records that it is missing.
        let unsigned = |error| tracing::error!(%invocation, %error, "a refusal is reported without evidence");
        self.tls.testify(&statement).map_err(unsigned).ok()
    }
}

/// Evidence as it is sent.
pub(crate) fn to_wire(evidence: &Evidence) -> pb::Evidence {
    let Evidence { statement, signature, certificates } = evidence.clone();
    pb::Evidence { statement, signature, certificates }
}
