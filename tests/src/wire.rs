//! A bare channel to the controller: the wire as any other program would use it, without our client in between.

use std::{path::Path, sync::Arc};

use hyper_util::rt::TokioIo;
use lictor_certs::{
    client::{LiveClientTls, connect},
    files::IdentityFiles,
};
use tonic::transport::{Channel, Endpoint};

/// A channel to `address` with the certificate `name` in `dir`.
///
/// # Errors
/// When the certificate cannot be read.
pub fn channel(address: &str, dir: &Path, name: &str) -> anyhow::Result<Channel> {
    let tls = Arc::new(LiveClientTls::load(IdentityFiles::in_dir(dir, name))?);
    let address = address.to_owned();
    let connector = tower::service_fn(move |_| {
        let (address, tls) = (address.clone(), Arc::clone(&tls));
        async move { connect(&address, &tls).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://controller").connect_with_connector_lazy(connector))
}
