//! In front of every method: the caller's role against the table of roles, before the body is read. Refusals are recorded.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use lictor_core::{
    audit::AuditEvent,
    clock::Clock,
    error::{ErrorCode, Failure},
    name::TenantName,
    principal::Identity,
};
use lictor_proto::status::to_status;
use lictor_store::{Change, Store};
use tonic::body::Body;

use crate::{
    acting::{Acting, acted_for},
    authn::Caller,
    authz::allowed_roles,
};

/// How often refused calls are recorded: one record for all alike, with their count, so that a flood stays small.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// Different refusals counted between two records; more are counted together with the last.
const MAX_KINDS: usize = 256;
/// Longest path that is recorded.
const MAX_PATH: usize = 128;

/// Refused calls that wait to be recorded.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: Mutex<HashMap<(Identity, String), u64>>,
}

/// Puts the guard in front of a service.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    refusals: Arc<Refusals>,
    tenant: TenantName,
    acting: Option<Arc<Acting>>,
}

/// The guard.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    refusals: Arc<Refusals>,
    tenant: TenantName,
    acting: Option<Arc<Acting>>,
}

// === impl Refusals ===

impl Refusals {
    fn count(&self, identity: &Identity, path: &str) {
        let method: String = path.chars().filter(|c| !c.is_control()).take(MAX_PATH).collect();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < MAX_KINDS || counts.contains_key(&(identity.clone(), method.clone())) {
            *counts.entry((identity.clone(), method)).or_default() += 1;
        } else if let Some(count) = counts.values_mut().next() {
            *count += 1;
        }
    }

    /// Records refused calls from time to time; never returns.
    pub async fn record_for_ever(self: Arc<Self>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
        loop {
            tokio::time::sleep(RECORD_EVERY).await;
            let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
            for ((identity, method), count) in counts {
                let event = AuditEvent::CallRefused { identity, method, count };
                if let Err(error) = store.commit(Change::new(clock.now(), event)).await {
                    tracing::error!(%error, "refused calls could not be recorded");
                }
            }
        }
    }
}

// === impl GuardLayer ===

impl GuardLayer {
    /// A guard for the callers of one tenant; it counts refusals there. `acting` is who may act for users, if anybody.
    pub const fn new(refusals: Arc<Refusals>, tenant: TenantName, acting: Option<Arc<Acting>>) -> Self {
        Self { refusals, tenant, acting }
    }
}

impl<S> tower::Layer<S> for GuardLayer {
    type Service = Guard<S>;
    fn layer(&self, inner: S) -> Guard<S> {
        let (refusals, tenant, acting) =
            (Arc::clone(&self.refusals), self.tenant.clone(), self.acting.clone());
        Guard { inner, refusals, tenant, acting }
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
        match check(&request, &self.tenant) {
            Ok(identity) => {
                let (acting, refusals) = (self.acting.clone(), Arc::clone(&self.refusals));
                Box::pin(async move {
                    let path = request.uri().path();
                    match acted_for(acting.as_deref(), &identity, path, request.headers()).await {
                        Ok(None) => ready.call(request).await,
                        Ok(Some(acted_for)) => {
                            request.extensions_mut().insert(acted_for);
                            ready.call(request).await
                        }
                        Err(failure) => {
                            tracing::warn!(%identity, path, %failure, "a call was refused");
                            refusals.count(&identity, path);
                            Ok(to_status(&failure).into_http())
                        }
                    }
                })
            }
            Err(refused) => {
                let (identity, failure) = *refused;
                if let Some(identity) = identity {
                    tracing::warn!(%identity, path = request.uri().path(), "a call was refused for its role");
                    self.refusals.count(&identity, request.uri().path());
                }
                Box::pin(async move { Ok(to_status(&failure).into_http()) })
            }
        }
    }
}

/// Refuses a call whose caller is unknown, or whose role has no right to it; otherwise says whose certificate it is.
fn check<B>(
    request: &http::Request<B>,
    tenant: &TenantName,
) -> Result<Identity, Box<(Option<Identity>, Failure)>> {
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
    if roles.contains(&identity.role()) {
        return Ok(identity.clone());
    }
    let message =
        format!("{identity} has the role {}, which may not call {}", identity.role(), request.uri().path());
    let failure =
        Failure::new(ErrorCode::Forbidden, message, "use an identity with the role that this call needs");
    Err(Box::new((Some(identity.clone()), failure)))
}
