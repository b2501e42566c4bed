//! ErasureService: decode, call, encode.

use std::sync::Arc;

use lictor_core::{
    approval::Note,
    erasure::PayloadScope,
    error::{ErrorCode, Failure},
    id::{ErasureId, HoldId},
};
use lictor_proto::{
    convert::{Invalid, parse, required},
    pb::{self, erasure_service_server::ErasureService},
};
use tonic::{Request, Response, Status};

use super::status;
use crate::{
    authn::Authenticated,
    erasures::{Erasures, Lift},
    retention::{LimitsInForce, Shorten},
};

/// The service.
#[derive(Debug)]
pub struct ErasureApi {
    erasures: Arc<Erasures>,
    limits: Arc<LimitsInForce>,
}

impl ErasureApi {
    /// The service of these.
    pub const fn new(erasures: Arc<Erasures>, limits: Arc<LimitsInForce>) -> Self {
        Self { erasures, limits }
    }

    /// Runs `act` to its end, even if the caller goes away.
    async fn to_its_end<T, F>(&self, act: impl FnOnce(Arc<Erasures>) -> F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        finish(act(Arc::clone(&self.erasures))).await
    }
}

/// Runs `acting` to its end, even if the caller goes away.
async fn finish<T: Send + 'static>(
    acting: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Status> {
    tokio::spawn(acting).await.unwrap_or_else(|_| Err(interrupted())).map_err(status)
}

fn interrupted() -> Failure {
    let message = "it was interrupted";
    Failure::new(
        ErrorCode::Internal,
        message,
        "see the controller's log, and look again (lictor audit erasures, lictor audit retention)",
    )
}

fn asked(scope: Option<pb::PayloadScope>, reason: &str) -> Result<(PayloadScope, Note), Status> {
    let scope = required("scope", scope).and_then(TryInto::try_into).map_err(status::<Invalid>)?;
    Ok((scope, parse("reason", reason).map_err(status)?))
}

/// A reason; without text, none.
fn optional_note(text: &str) -> Result<Option<Note>, Status> {
    if text.is_empty() { Ok(None) } else { parse("reason", text).map(Some).map_err(status) }
}

#[tonic::async_trait]
impl ErasureService for ErasureApi {
    async fn request(
        &self,
        request: Request<pb::RequestErasureRequest>,
    ) -> Result<Response<pb::RequestErasureResponse>, Status> {
        let by = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let pb::RequestErasureRequest { scope, reason } = request.into_inner();
        let (scope, reason) = asked(scope, &reason)?;
        let (erasure, records) =
            self.to_its_end(async move |erasures| erasures.request(scope, reason, &by).await).await?;
        Ok(Response::new(pb::RequestErasureResponse { erasure: Some((&erasure).into()), records }))
    }

    async fn consent(
        &self,
        request: Request<pb::ConsentErasureRequest>,
    ) -> Result<Response<pb::ConsentErasureResponse>, Status> {
        let who = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let id: ErasureId = parse("id", &request.into_inner().id).map_err(status)?;
        let (erasure, records) =
            self.to_its_end(async move |erasures| erasures.consent(id, &who).await).await?;
        Ok(Response::new(pb::ConsentErasureResponse { erasure: Some((&erasure).into()), records }))
    }

    async fn reject(
        &self,
        request: Request<pb::RejectErasureRequest>,
    ) -> Result<Response<pb::RejectErasureResponse>, Status> {
        let who = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let id: ErasureId = parse("id", &request.into_inner().id).map_err(status)?;
        let erasure = self.to_its_end(async move |erasures| erasures.reject(id, &who).await).await?;
        Ok(Response::new(pb::RejectErasureResponse { erasure: Some((&erasure).into()) }))
    }

    async fn list(
        &self,
        _: Request<pb::ListErasuresRequest>,
    ) -> Result<Response<pb::ListErasuresResponse>, Status> {
        let erasures = self.erasures.waiting().await.map_err(status)?;
        Ok(Response::new(pb::ListErasuresResponse { erasures: erasures.iter().map(Into::into).collect() }))
    }

    async fn set_hold(
        &self,
        request: Request<pb::SetHoldRequest>,
    ) -> Result<Response<pb::SetHoldResponse>, Status> {
        let by = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let pb::SetHoldRequest { scope, reason } = request.into_inner();
        let (scope, reason) = asked(scope, &reason)?;
        let hold = self.to_its_end(async move |erasures| erasures.hold(scope, reason, &by).await).await?;
        Ok(Response::new(pb::SetHoldResponse { hold: Some((&hold).into()) }))
    }

    async fn lift_hold(
        &self,
        request: Request<pb::LiftHoldRequest>,
    ) -> Result<Response<pb::LiftHoldResponse>, Status> {
        let who = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let pb::LiftHoldRequest { id, reason } = request.into_inner();
        let id: HoldId = parse("id", &id).map_err(status)?;
        let reason = optional_note(&reason)?;
        let lift = self.to_its_end(async move |erasures| erasures.lift(id, reason, &who).await).await?;
        let (hold, lifted) = match &lift {
            Lift::Waits(hold) => (hold, false),
            Lift::Lifted(hold) => (hold, true),
        };
        Ok(Response::new(pb::LiftHoldResponse { hold: Some(hold.into()), lifted }))
    }

    async fn list_holds(
        &self,
        _: Request<pb::ListHoldsRequest>,
    ) -> Result<Response<pb::ListHoldsResponse>, Status> {
        let holds = self.erasures.holds().await.map_err(status)?;
        Ok(Response::new(pb::ListHoldsResponse { holds: holds.iter().map(Into::into).collect() }))
    }

    async fn get_retention(
        &self,
        _: Request<pb::GetRetentionRequest>,
    ) -> Result<Response<pb::GetRetentionResponse>, Status> {
        let standing = self.limits.standing().await.map_err(status)?;
        Ok(Response::new(pb::GetRetentionResponse { retention: Some((&standing).into()) }))
    }

    async fn shorten_retention(
        &self,
        request: Request<pb::ShortenRetentionRequest>,
    ) -> Result<Response<pb::ShortenRetentionResponse>, Status> {
        let who = Authenticated::from_call(&request).map_err(status)?.principal().clone();
        let pb::ShortenRetentionRequest { reason, limits: seen } = request.into_inner();
        let reason = optional_note(&reason)?;
        let limits = Arc::clone(&self.limits);
        let shorten = finish(async move { limits.shorten(reason, &seen, &who).await });
        let (standing, shortened) = match shorten.await? {
            Shorten::Waits(standing) => (standing, false),
            Shorten::Done(standing) => (standing, true),
        };
        Ok(Response::new(pb::ShortenRetentionResponse { retention: Some((&standing).into()), shortened }))
    }
}
