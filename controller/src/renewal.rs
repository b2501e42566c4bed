//! The controller's own certificate: it holds the authority, so it renews at half life by itself.

use std::{sync::Arc, time::Duration};

use lictor_certs::{ca::Authority, csr::new_key_request, files::IdentityFiles};
use lictor_core::{
    clock::{Clock, Timestamp},
    name::PrincipalName,
    principal::Identity,
};

/// Life of a controller's certificate.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Makes a certificate if there is none, or if half the life of the present one is over.
///
/// # Errors
/// When it cannot be issued or written.
pub fn renew_if_due(
    authority: &Authority,
    files: &IdentityFiles,
    name: &PrincipalName,
    now: Timestamp,
) -> anyhow::Result<bool> {
    if let Ok(loaded) = files.load()
        && loaded.peer().not_after > now.plus(TTL / 2)
    {
        return Ok(false);
    }
    let request = new_key_request()?;
    let issued = authority.issue(&request.csr_pem, &Identity::Controller { name: name.clone() }, TTL, now)?;
    files.write(&issued.chain_pem, &request.key_pem, authority.root_pem())?;
    Ok(true)
}

/// Renews from time to time; never returns.
pub async fn renew_for_ever(
    authority: Arc<Authority>,
    files: IdentityFiles,
    name: PrincipalName,
    clock: Arc<dyn Clock>,
) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match renew_if_due(&authority, &files, &name, clock.now()) {
            Ok(true) => tracing::info!("the controller's certificate is renewed"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "the controller's certificate could not be renewed; it is tried again")
            }
        }
    }
}
