//! Progress notifications of one call: few, increasing, and only if the client asked for them.

use std::{collections::HashMap, time::Duration};

use lictor_client::{
    run::JobUpdate,
    views::{InvocationView, Phase},
};
use lictor_core::id::InvocationId;
use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::time::{Instant, sleep_until};

/// Least time between two notifications: people see movement, a fan-out to thousands does not flood its client.
const INTERVAL: Duration = Duration::from_millis(250);

/// What to tell, and when.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Where to tell it; `None` if the client did not ask.
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    hosts: u32,
    /// Steps done of each invocation: 1 started, 2 ended.
    steps: HashMap<InvocationId, u32>,
    done: u32,
    ended: u32,
    waiting: Option<String>,
    next: Instant,
}

// === impl Progress ===

impl Progress {
    /// For the request of `context`.
    pub(crate) fn new(context: &RequestContext<RoleServer>) -> Self {
        let to = context.meta.get_progress_token().map(|token| (context.peer.clone(), token));
        Self { to, hosts: 0, steps: HashMap::new(), done: 0, ended: 0, waiting: None, next: Instant::now() }
    }

    /// Takes note of an update. The job's identifier is told at once, because cancelling needs it; the rest by
    /// [`Progress::told`].
    pub(crate) async fn note(&mut self, update: &JobUpdate) {
        if self.to.is_none() {
            return;
        }
        match update {
            JobUpdate::Submitted(submitted) if self.hosts == 0 => {
                self.hosts = submitted.job.counts.total();
                self.waiting = Some(format!("{} recorded for {} hosts", submitted.job.id, self.hosts));
                self.tell().await;
            }
            JobUpdate::Invocation(invocation) => self.note_invocation(invocation),
            JobUpdate::Submitted(_) | JobUpdate::Job(_) | JobUpdate::Output(_) | JobUpdate::Finished(_) => {}
        }
    }

    fn note_invocation(&mut self, invocation: &InvocationView) {
        let reached = match invocation.phase {
            Phase::Queued | Phase::Offered | Phase::Accepted => return,
            Phase::Running => 1,
            Phase::Ended => 2,
        };
        let steps = self.steps.entry(invocation.id).or_insert(0);
        if reached <= *steps {
            return;
        }
        self.done += reached - *steps;
        *steps = reached;
        self.waiting = Some(if reached == 1 {
            format!("started on {}; {} of {} hosts ended", invocation.host, self.ended, self.hosts)
        } else {
            self.ended += 1;
            format!(
                "{} on {}; {} of {} hosts ended",
                invocation.state(),
                invocation.host,
                self.ended,
                self.hosts
            )
        });
    }

    /// Waits until something may be told, tells it, and returns; never returns if there is nothing to tell. Safe to drop.
    pub(crate) async fn told(&mut self) {
        if self.waiting.is_none() {
            return std::future::pending().await;
        }
        sleep_until(self.next).await;
        self.tell().await;
    }

    async fn tell(&mut self) {
        if let (Some((peer, token)), Some(message)) = (&self.to, self.waiting.take()) {
            let params = ProgressNotificationParam::new(token.clone(), f64::from(self.done) / 2.0)
                .with_total(f64::from(self.hosts))
                .with_message(message);
            self.next = Instant::now() + INTERVAL;
            // A client that cannot be told has gone; the call learns that by its cancellation.
            let _ = peer.notify_progress(params).await;
        }
    }
}
