//! FreezeService: decode, call, encode.

use std::sync::Arc;

use lictor_core::{
    freeze::{FreezeReason, FreezeScope},
    id::FreezeId,
};
use lictor_proto::{
    convert::{Invalid, parse, required},
    pb::{self, freeze_service_server::FreezeService},
};
use tonic::{Request, Response, Status};

use super::status;
use crate::{authn::Authenticated, lifecycle::Lifecycle};

/// The service.
#[derive(Debug)]
pub struct FreezeApi {
    lifecycle: Arc<Lifecycle>,
}

impl FreezeApi {
    /// The service of this lifecycle.
    pub const fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self { lifecycle }
    }
}

#[tonic::async_trait]
impl FreezeService for FreezeApi {
    async fn freeze(
        &self,
        request: Request<pb::FreezeRequest>,
    ) -> Result<Response<pb::FreezeResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::FreezeRequest { scope, reason } = request.into_inner();
        let scope: FreezeScope =
            required("scope", scope).and_then(TryInto::try_into).map_err(status::<Invalid>)?;
        let reason: FreezeReason = parse("reason", &reason).map_err(status)?;
        let frozen = self.lifecycle.freeze(scope, reason, caller.principal()).await.map_err(status)?;
        Ok(Response::new(pb::FreezeResponse {
            freeze: Some((&*frozen.freeze).into()),
            unconfirmed_agents: frozen.unconfirmed,
        }))
    }

    async fn lift(
        &self,
        request: Request<pb::LiftFreezeRequest>,
    ) -> Result<Response<pb::LiftFreezeResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let id: FreezeId = parse("id", &request.into_inner().id).map_err(status)?;
        let lifted = self.lifecycle.lift(id, caller.principal()).await.map_err(status)?;
        Ok(Response::new(pb::LiftFreezeResponse { freeze: Some((&*lifted).into()) }))
    }

    async fn list(
        &self,
        _: Request<pb::ListFreezesRequest>,
    ) -> Result<Response<pb::ListFreezesResponse>, Status> {
        let in_force = self.lifecycle.freezes.now();
        let listed = |freeze: &Arc<lictor_core::freeze::Freeze>| pb::ListedFreeze {
            freeze: Some((&**freeze).into()),
            recorded: in_force.is_recorded(freeze.id),
        };
        let freezes = in_force.set.all().iter().map(listed).collect();
        Ok(Response::new(pb::ListFreezesResponse { freezes }))
    }
}
