//! Subscriptions to running jobs: a note whenever a job has changed, until it has ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use lictor_client::connect::Client;
use lictor_core::id::JobId;
use rmcp::{
    ErrorData, RoleServer,
    model::{Extensions, ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{RequestContext, SubscriptionContext},
};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ResourceUri, not_found, protocol_error};
use crate::{
    auth::sender,
    http::limits::{Limits, Slot},
    job_status::Changes,
};

/// Most jobs that a connection follows at once: each is looked at every two seconds.
const MAX_SUBSCRIPTIONS: usize = 32;
/// Most jobs that are followed for one principal, over all connections.
const MAX_FOLLOWED_PER_PRINCIPAL: usize = 128;
/// Most jobs that are followed at once: a thousand small calls every two seconds.
const MAX_FOLLOWED: usize = 1024;

/// The subscriptions of one connection, by identifier (protocols up to 2025-11-25). Dropping them ends them.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    running: Arc<Mutex<HashMap<String, DropGuard>>>,
}

/// The jobs that this process follows, counted: each is a loop of calls to the controller.
#[derive(Debug, Clone)]
pub(crate) struct Followed(Arc<Limits>);

// === impl Followed ===

impl Followed {
    /// None.
    pub(crate) fn none() -> Self {
        Self(Limits::new(MAX_FOLLOWED, MAX_FOLLOWED_PER_PRINCIPAL))
    }

    /// A place among them for whoever sent the request.
    fn place(&self, extensions: &Extensions) -> Result<Slot, ErrorData> {
        self.0.take(&sender(extensions)).ok_or_else(|| {
            let message = format!(
                "too many jobs are followed: at most {MAX_FOLLOWED_PER_PRINCIPAL} of one user; give some subscriptions up first"
            );
            ErrorData::invalid_params(message, None)
        })
    }
}

// === impl Subscriptions ===

impl Subscriptions {
    /// Tells `peer` whenever the job of this identifier has changed, until it has ended.
    ///
    /// # Errors
    /// When it is not a job that the caller may see, or there are too many.
    pub(crate) async fn add(
        &self,
        client: &Client,
        followed_now: &Followed,
        context: RequestContext<RoleServer>,
        uri: &str,
    ) -> Result<(), ErrorData> {
        let (peer, place) = (context.peer.clone(), followed_now.place(&context.extensions)?);
        let job = followed(uri).ok_or_else(|| not_found(uri))?;
        client.get_job(job, 1, None).await.map_err(|failure| protocol_error(&failure, uri))?;
        let stopped = CancellationToken::new();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.len() >= MAX_SUBSCRIPTIONS && !running.contains_key(uri) {
                let message = format!("there are {MAX_SUBSCRIPTIONS} subscriptions; give one up first");
                return Err(ErrorData::invalid_params(message, None));
            }
            running.insert(uri.to_owned(), stopped.clone().drop_guard());
        }
        let (client, uri, running) = (client.clone(), uri.to_owned(), Arc::clone(&self.running));
        tokio::spawn(async move {
            let _place = place;
            let mut changes = Changes::of(client, job);
            loop {
                let changed = tokio::select! {
                    () = stopped.cancelled() => return,
                    changed = changes.next() => changed,
                };
                let note = ResourceUpdatedNotificationParam::new(uri.clone());
                match changed {
                    Ok(true) if peer.notify_resource_updated(note).await.is_ok() => {}
                    Ok(_) => break,
                    Err(failure) => {
                        tracing::warn!(%job, %failure, "a subscription ended before its job");
                        break;
                    }
                }
            }
            // Its job has ended: there is room for another. One that took its place meanwhile has stopped this one.
            if !stopped.is_cancelled() {
                running.lock().unwrap_or_else(PoisonError::into_inner).remove(&uri);
            }
        });
        Ok(())
    }

    /// Ends the subscription; there need not be one.
    pub(crate) fn remove(&self, uri: &str) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }
}

/// What of a requested filter is followed (protocol 2026-07-28): jobs, as many as a connection may follow.
pub(crate) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let jobs = requested.resource_subscriptions.iter().flatten().filter(|uri| followed(uri).is_some());
    SubscriptionFilter::builder().resource_subscriptions(jobs.take(MAX_SUBSCRIPTIONS)).build()
}

/// Tells whenever one of the accepted jobs has changed, until the client no longer listens. Of a job that the caller may
/// not see nothing is told, as of one that is not there.
///
/// # Errors
/// When too many jobs are followed.
pub(crate) async fn listen(
    client: &Client,
    followed_now: &Followed,
    context: &SubscriptionContext,
) -> Result<(), ErrorData> {
    let mut jobs = JoinSet::new();
    for uri in context.accepted().resource_subscriptions.iter().flatten() {
        let Some(job) = followed(uri) else { continue };
        let place = followed_now.place(&context.request_context().extensions)?;
        let (client, sink, uri) = (client.clone(), context.sink().clone(), uri.clone());
        jobs.spawn(async move {
            let _place = place;
            let mut changes = Changes::of(client, job);
            // What cannot be told here is told by reading the resource.
            while matches!(changes.next().await, Ok(true)) {
                if sink.notify_resource_updated(uri.clone()).await.is_err() {
                    return;
                }
            }
        });
    }
    context.cancelled().await;
    Ok(())
}

/// The job that this identifier is about, if it can be followed.
fn followed(uri: &str) -> Option<JobId> {
    match ResourceUri::parse(uri)? {
        ResourceUri::Job(job) | ResourceUri::Output(job) => Some(job),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_user_follows_is_bounded_and_what_ends_makes_room() {
        let (followed, of_nobody) = (Followed::none(), Extensions::new());
        let places: Vec<Slot> = std::iter::from_fn(|| followed.place(&of_nobody).ok()).collect();
        assert_eq!(places.len(), MAX_FOLLOWED_PER_PRINCIPAL);
        assert!(followed.place(&of_nobody).unwrap_err().message.contains("give some subscriptions up"));
        drop(places);
        assert!(followed.place(&of_nobody).is_ok());
    }
}
