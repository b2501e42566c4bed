//! The service that brought a user's request, as it is stored beside the job.

use lictor_core::actor::Actor;
use serde::{Deserialize, Serialize};

use super::parse;
use crate::StoreError;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ActorV1 {
    service: String,
    token: String,
}

// === impl ActorV1 ===

impl ActorV1 {
    pub(crate) fn new(actor: &Actor) -> Self {
        Self { service: actor.service.to_string(), token: actor.token.clone() }
    }
}

impl TryFrom<ActorV1> for Actor {
    type Error = StoreError;
    fn try_from(v1: ActorV1) -> Result<Self, StoreError> {
        Ok(Self { service: parse(&v1.service)?, token: v1.token })
    }
}
