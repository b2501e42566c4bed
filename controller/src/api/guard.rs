//! In front of every method: the caller's role against the table of roles, before the body is read. Logins are recorded, and
//! refusals that no other record is about: here, and what a method itself answers to whoever may not.

mod logins;
mod refusals;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lictor_core::{
    error::{ErrorCode, Failure},
    name::TenantName,
    principal::Identity,
};
use lictor_proto::status::{from_status, to_status};
use tonic::{Code, Status, body::Body};

pub(in crate::api) use self::refusals::Refusal;
pub use self::{logins::Logins, refusals::Refusals};
use crate::{
    acting::{Acting, acted_for},
    authn::Caller,
    authz::allowed_roles,
    revocations::Revocations,
};

/// What the guard writes down.
#[derive(Debug, Clone)]
pub struct Records {
    /// Who was turned away.
    pub refusals: Arc<Refusals>,
    /// Who logged in.
    pub logins: Arc<Logins>,
}

/// Puts the guard in front of a service.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    records: Records,
    tenant: TenantName,
    revocations: Arc<Revocations>,
    acting: Option<Arc<Acting>>,
}

/// The guard.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    records: Records,
    tenant: TenantName,
    revocations: Arc<Revocations>,
    acting: Option<Arc<Acting>>,
}

// === impl GuardLayer ===

impl GuardLayer {
    /// A guard for the callers of one tenant who are not revoked; it writes down there. `acting` is who may act for users, if
    /// anybody.
    pub const fn new(
        records: Records,
        tenant: TenantName,
        revocations: Arc<Revocations>,
        acting: Option<Arc<Acting>>,
    ) -> Self {
        Self { records, tenant, revocations, acting }
    }
}

impl<S> tower::Layer<S> for GuardLayer {
    type Service = Guard<S>;
    fn layer(&self, inner: S) -> Guard<S> {
        let Self { records, tenant, revocations, acting } = self.clone();
        Guard { inner, records, tenant, revocations, acting }
    }
}

// === impl Guard ===

impl<S, B> tower::Service<http::Request<B>> for Guard<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        match check(&request, &self.tenant, &self.revocations) {
            Ok(caller) => {
                let (acting, records) = (self.acting.clone(), self.records.clone());
                Box::pin(async move {
                    let identity = caller.peer.identity.clone();
                    let path = request.uri().path().to_owned();
                    match acted_for(acting.as_deref(), &identity, &path, request.headers()).await {
                        Ok(acted_for) => {
                            records.logins.note(&caller, acted_for.as_ref()).await;
                            let user = acted_for.as_ref().map(|acted_for| acted_for.principal().clone());
                            if let Some(acted_for) = acted_for {
                                request.extensions_mut().insert(acted_for);
                            }
                            let answer = ready.call(request).await?;
                            if let Some(code) = refused(&answer) {
                                tracing::warn!(%identity, path, code = code.as_str(), "a call was refused");
                                records.refusals.count(Refusal::of_call(Some(identity), user, &path, code));
                            }
                            Ok(answer)
                        }
                        Err(failure) => Ok(turned_away(&records, Some(identity), &path, &failure)),
                    }
                })
            }
            Err(refused) => {
                let (identity, failure) = *refused;
                let answer = turned_away(&self.records, identity, request.uri().path(), &failure);
                Box::pin(async move { Ok(answer) })
            }
        }
    }
}

/// The answer to a call that does not come to its method.
fn turned_away(
    records: &Records,
    identity: Option<Identity>,
    path: &str,
    failure: &Failure,
) -> http::Response<Body> {
    let caller = identity.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    tracing::warn!(caller, path, %failure, "a call was refused");
    records.refusals.count(Refusal::of_call(identity, None, path, failure.code));
    to_status(failure).into_http()
}

/// The code of an answer that says that whoever called may not. What policy denied is recorded where it is decided.
fn refused(answer: &http::Response<Body>) -> Option<ErrorCode> {
    let status = Status::from_header_map(answer.headers())?;
    if !matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) {
        return None;
    }
    let code = from_status(&status).code;
    matches!(code, ErrorCode::Forbidden | ErrorCode::Unauthenticated).then_some(code)
}

/// Refuses a call whose caller is unknown or revoked, or whose role has no right to it; otherwise says who it is.
fn check<B>(
    request: &http::Request<B>,
    tenant: &TenantName,
    revocations: &Revocations,
) -> Result<Caller, Box<(Option<Identity>, Failure)>> {
    let Some(caller) = request.extensions().get::<Caller>() else {
        let message = "this connection has no certificate that names a caller";
        let failure = Failure::new(
            ErrorCode::Unauthenticated,
            message,
            "connect with a certificate of this controller",
        );
        return Err(Box::new((None, failure)));
    };
    let identity = &caller.peer.identity;
    let roles = allowed_roles(request.uri().path()).unwrap_or_default();
    if identity.tenant().is_some_and(|theirs| theirs != tenant) {
        let message = format!("{identity} is of another tenant than this controller's");
        let failure = Failure::new(ErrorCode::Forbidden, message, "use the controller of your own tenant");
        return Err(Box::new((Some(identity.clone()), failure)));
    }
    if let Some(refusal) = revocations.refusal_to(&caller.peer) {
        return Err(Box::new((Some(identity.clone()), refusal)));
    }
    if roles.contains(&identity.role()) {
        return Ok(caller.clone());
    }
    let message =
        format!("{identity} has the role {}, which may not call {}", identity.role(), request.uri().path());
    let failure =
        Failure::new(ErrorCode::Forbidden, message, "use an identity with the role that this call needs");
    Err(Box::new((Some(identity.clone()), failure)))
}
