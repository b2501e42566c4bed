//! What every call carries beside its message: for whom it is made, and the trace that it belongs to.

use lictor_core::trace::TraceContext;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::behalf::OnBehalf;

/// What calls carry; nothing for those that one makes for oneself and that nobody traces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    pub(crate) behalf: OnBehalf,
    pub(crate) trace: Option<Trace>,
}

/// A trace, as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    parent: MetadataValue<Ascii>,
    state: Option<MetadataValue<Ascii>>,
}

// === impl Trace ===

impl Trace {
    /// The trace; `None` where it cannot be written, which no context is.
    pub(crate) fn new(context: &TraceContext) -> Option<Self> {
        let state = context.state().and_then(|state| state.parse().ok());
        Some(Self { parent: context.to_string().parse().ok()?, state })
    }
}

impl Interceptor for Carried {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let mut request = self.behalf.call(request)?;
        if let Some(Trace { parent, state }) = &self.trace {
            let metadata = request.metadata_mut();
            metadata.insert(TraceContext::PARENT, parent.clone());
            if let Some(state) = state {
                metadata.insert(TraceContext::STATE, state.clone());
            }
        }
        Ok(request)
    }
}
