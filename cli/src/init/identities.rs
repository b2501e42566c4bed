//! The certificate authority of a new directory, who gets a certificate from it, and the pinned key of the audit.

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lictor_certs::{ca::Authority, csr, identity::TrustDomain, signer::SigningKey};
use lictor_core::{
    clock::{Clock as _, Timestamp},
    name::PrincipalName,
    principal::Identity,
    secret::Secret,
};
use lictor_runtime::clock::SystemClock;

use super::{BRIDGE_SERVICE, Plan, TRUST_DOMAIN, make_private, tenant, write};
use crate::{home::Home, trouble::Trouble};

/// Life of the certificates of operator and bridge. They are renewed by hand, so it is long: a year.
const CALLER_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// Life of the controller's certificate, which renews itself.
const CONTROLLER_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);
/// Bytes of the generated passphrase: nobody guesses it, with or without scrypt.
const PASSPHRASE_BYTES: usize = 32;
/// The name of the controller, as `controller.yml` has it.
const CONTROLLER: &str = "main";

/// Makes `pki/`, `identity/` and `audit.pub`.
pub(super) fn create(home: &Home, plan: &Plan) -> Result<(), Trouble> {
    let now = SystemClock.now();
    let domain = TrustDomain::new(TRUST_DOMAIN).map_err(internal)?;
    let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; PASSPHRASE_BYTES]>());
    let passphrase = Secret::new(text.clone().into_bytes());
    Authority::create(&home.pki(), &domain, &passphrase, now).map_err(internal)?;
    write(&home.passphrase_file(), &format!("{text}\n"), 0o600)?;
    let authority = Authority::load(&home.pki(), &passphrase).map_err(internal)?;

    let name = |text: &str| PrincipalName::new(text).map_err(internal);
    let controller = Identity::Controller { name: name(CONTROLLER)? };
    let operator = Identity::User { tenant: tenant()?, name: plan.operator.clone() };
    let bridge = Identity::Service { tenant: tenant()?, name: name(BRIDGE_SERVICE)? };
    issue(home, &authority, "controller", &controller, CONTROLLER_VALIDITY, now)?;
    issue(home, &authority, "operator", &operator, CALLER_VALIDITY, now)?;
    issue(home, &authority, "bridge", &bridge, CALLER_VALIDITY, now)?;
    pin_audit_key(home)
}

fn issue(
    home: &Home,
    authority: &Authority,
    file: &str,
    identity: &Identity,
    validity: Duration,
    now: Timestamp,
) -> Result<(), Trouble> {
    let request = csr::new_key_request().map_err(internal)?;
    let issued = authority.issue(&request.csr_pem, identity, validity, now).map_err(internal)?;
    home.identity(file).write(&issued.chain_pem, &request.key_pem, authority.root_pem()).map_err(internal)
}

/// Makes the key with which the controller will sign the audit log, so that it is pinned before the first record.
fn pin_audit_key(home: &Home) -> Result<(), Trouble> {
    let keys = home.controller_keys();
    make_private(&keys)?;
    let key = SigningKey::load_or_create(&keys.join("audit.key")).map_err(internal)?;
    fs::write(home.audit_key(), format!("{}\n", key.public_key()))
        .map_err(|e| Trouble::file("write", &home.audit_key(), &e))
}

fn internal(error: impl std::error::Error) -> Trouble {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    Trouble::internal(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}
