//! For whom calls are made: oneself, or a user whose access token every call carries.

use std::fmt;

use lictor_core::error::{ErrorCode, Failure};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// The name under which a token travels.
const AUTHORIZATION: &str = "authorization";

/// What every call carries; nothing when they are made for oneself.
#[derive(Clone, Default)]
pub(crate) struct OnBehalf(Option<MetadataValue<Ascii>>);

// === impl OnBehalf ===

impl OnBehalf {
    pub(crate) fn new(token: &str) -> Result<Self, Failure> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
            let next_step = "send an access token of the identity provider as it is";
            Failure::new(
                ErrorCode::Unauthenticated,
                "the access token is not text that can be sent",
                next_step,
            )
        })?;
        // Keeps it out of logs and out of compression state.
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for OnBehalf {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }
}

impl fmt::Debug for OnBehalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OnBehalf(<token>)" } else { "OnBehalf(itself)" })
    }
}
