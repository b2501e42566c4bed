//! Who sent a request over HTTP, on its way to a tool: the token that the listener proved, and what is held while it runs.

use std::sync::Arc;

use lictor_client::{connect::Client, jobs::Cancelled};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    trace::TraceContext,
};
use lictor_oauth::token::BearerToken;
use rmcp::{RoleServer, model::Extensions, service::RequestContext};

use crate::{
    http::{limits::Slot, sessions::SessionUse},
    identity::Identity,
};

/// Who everybody is over standard input: the one client that there is.
const STDIO: &str = "stdio";

/// The sender of a request, put into its extensions by the listener.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    name: Arc<str>,
    token: Option<BearerToken>,
    /// Released when the request has been answered and whatever it started has ended.
    _held: Arc<(Slot, Option<SessionUse>)>,
}

// === impl Caller ===

impl Caller {
    /// The sender of this name, with this token; `None` where the bridge serves its own identity.
    pub(crate) fn new(
        name: Arc<str>,
        token: Option<BearerToken>,
        held: Arc<(Slot, Option<SessionUse>)>,
    ) -> Self {
        Self { name, token, _held: held }
    }

    /// The sender of a request that came over HTTP.
    fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<http::request::Parts>().and_then(|parts| parts.extensions.get())
    }
}

/// The client with which a request's calls to the controller are made: for the user whose token came with it, or as the bridge
/// is configured; in the trace that the request names. Without a token a bridge that acts for users may ask the controller for
/// nothing, so a mistake here shows nobody else's.
///
/// # Errors
/// `UNAUTHENTICATED` for a token that cannot be had or sent.
pub(crate) fn client_for(
    identity: &Identity,
    context: &RequestContext<RoleServer>,
) -> Result<Client, Failure> {
    let client = match Caller::of(&context.extensions).and_then(|caller| caller.token.as_ref()) {
        Some(token) => identity.service().on_behalf(token.expose())?,
        None => identity.client()?,
    };
    let parent = context.meta.get_traceparent();
    let trace = parent.and_then(|parent| TraceContext::parse(parent, context.meta.get_tracestate()));
    Ok(trace.map_or_else(|| client.clone(), |trace| client.in_trace(&trace)))
}

/// Who sent a request, for what is counted or bound to them; everybody alike where the bridge serves its own identity.
pub(crate) fn sender(extensions: &Extensions) -> Arc<str> {
    Caller::of(extensions).map_or_else(|| STDIO.into(), |caller| Arc::clone(&caller.name))
}

/// Cancels a job that this bridge brought. The user's token may have expired while the job ran; then the bridge cancels it as
/// itself, which the controller lets it do with what it brought.
///
/// # Errors
/// The controller's refusal, or that it cannot be reached.
pub(crate) async fn stop(client: &Client, job: JobId) -> Result<Cancelled, Failure> {
    match client.cancel(job).await {
        Err(failure) if failure.code == ErrorCode::Unauthenticated => client.as_itself().cancel(job).await,
        other => other,
    }
}
