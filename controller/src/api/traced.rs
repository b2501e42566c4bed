//! Calls that belong to a trace of their caller's: what is logged of one names the trace.

use http::Request;
use lictor_core::trace::TraceContext;
use tracing::Span;

/// The span of a call, with the identifiers that its caller gave it; none for a call without, or with what is no trace.
pub(super) fn span(request: &Request<()>) -> Span {
    let Some(trace) = trace_of(request) else { return Span::none() };
    let span = tracing::info_span!("call", trace_id = trace.trace(), parent_id = trace.parent());
    span.in_scope(|| tracing::info!(method = request.uri().path(), "a traced call"));
    span
}

fn trace_of(request: &Request<()>) -> Option<TraceContext> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    TraceContext::parse(header(TraceContext::PARENT)?, header(TraceContext::STATE))
}
