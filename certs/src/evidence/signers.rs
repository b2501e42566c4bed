//! Whose a statement is: the chain of its certificate, and the one agent that it may be of.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lictor_core::{
    digest::{Digest, Sha256Builder},
    principal::Identity,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{
    Evidence, EvidenceError, MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES, MAX_SIGNATURE_BYTES, Statement, verify,
};
use crate::{
    identity::TrustDomain,
    peer::{self, Peer},
    provider::provider,
};

/// Those who may sign for one agent: holders of any certificate that our root issued to it.
pub struct Signers {
    chains: Arc<dyn ClientCertVerifier>,
    domain: TrustDomain,
    agent: Identity,
    /// The last chain that was verified: an agent that refuses a whole grant sends the same one with every host.
    last: Mutex<Option<(Digest, Signer)>>,
}

/// A statement that was verified, and by whom it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// What it says.
    pub statement: Statement,
    /// SHA-256 over the DER of the signer's certificate.
    pub certificate: Digest,
    /// The signer's public key, SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
}

/// A certificate whose chain was verified.
#[derive(Debug, Clone)]
struct Signer {
    certificate: Digest,
    public_key: Vec<u8>,
}

// === impl Signers ===

impl Signers {
    /// Those who may sign for `agent`, with certificates of `domain` under the root `root_pem`.
    ///
    /// # Errors
    /// [`EvidenceError::Certificate`] when the root cannot be used.
    pub fn of(agent: Identity, root_pem: &str, domain: TrustDomain) -> Result<Self, EvidenceError> {
        let refused = |why: String| EvidenceError::Certificate(why);
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(root_pem.as_bytes()) {
            let root = root.map_err(|error| refused(error.to_string()))?;
            roots.add(root).map_err(|error| refused(error.to_string()))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self { chains, domain, agent, last: Mutex::new(None) })
    }

    /// Verifies the signature, whose it is, and that the statement names the same agent.
    ///
    /// # Errors
    /// [`EvidenceError`] with the first thing that does not hold.
    pub fn verify(&self, evidence: &Evidence) -> Result<Attested, EvidenceError> {
        let Evidence { statement, signature, certificates } = evidence;
        if signature.len() > MAX_SIGNATURE_BYTES {
            return Err(EvidenceError::Signature);
        }
        let Signer { certificate, public_key } = self.signer(certificates)?;
        let statement = verify(statement, signature, &public_key)?;
        let (tenant, site, name) = (&statement.tenant, &statement.site, &statement.agent);
        let named = Identity::Agent { tenant: tenant.clone(), site: site.clone(), name: name.clone() };
        if named != self.agent {
            return Err(EvidenceError::OtherAgent(named.to_string()));
        }
        Ok(Attested { statement, certificate, public_key })
    }

    fn signer(&self, certificates: &[Vec<u8>]) -> Result<Signer, EvidenceError> {
        let refused = |why: String| EvidenceError::Certificate(why);
        let too_long = certificates.iter().any(|der| der.len() > MAX_CERTIFICATE_BYTES);
        if certificates.len() > MAX_CERTIFICATES || too_long {
            return Err(refused("the chain is too long".into()));
        }
        let digest = certificates.iter().fold(Sha256Builder::new("chain"), |d, der| d.part(der)).finish();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signer)) = last.as_ref().filter(|(known, _)| *known == digest) {
            return Ok(signer.clone());
        }
        let chain: Vec<CertificateDer<'_>> =
            certificates.iter().map(|der| CertificateDer::from_slice(der)).collect();
        let (leaf, between) = chain.split_first().ok_or_else(|| refused("there is none".into()))?;
        let peer = Peer::from_certificate(leaf, &self.domain).map_err(|error| refused(error.to_string()))?;
        // At its own last moment: evidence may come after a renewal, and clocks that differ are often its subject.
        // That the agent is still trusted is what its session proves.
        let then = UnixTime::since_unix_epoch(Duration::from_micros(peer.not_after.as_micros()));
        self.chains.verify_client_cert(leaf, between, then).map_err(|error| refused(error.to_string()))?;
        if peer.identity != self.agent {
            return Err(EvidenceError::OtherAgent(peer.identity.to_string()));
        }
        let public_key = peer::public_key(leaf).map_err(|error| refused(error.to_string()))?;
        let signer = Signer { certificate: Digest::of(leaf), public_key };
        *last = Some((digest, signer.clone()));
        Ok(signer)
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signers")
            .field("agent", &self.agent)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}
