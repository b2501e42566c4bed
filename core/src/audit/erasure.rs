//! What the log says of payloads: that somebody wants some erased, that two people had them erased, and which are held.

use super::{
    Fields,
    fields::{erased, optional, text},
};
use crate::{
    approval::Note,
    erasure::{Erasure, Hold},
    id::ErasureId,
    principal::Principal,
};

/// Most ranges that one record names: so that it stays whole, below the bound of a record.
pub const MAX_RANGES: usize = 1_000;

/// About payloads of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureEvent {
    /// Somebody wants payloads erased.
    Requested(Erasure),
    /// Nobody will consent: it was refused, or withdrawn by whoever asked; `None`: consent did not come in time.
    Ended {
        /// The request.
        erasure: Erasure,
        /// Who ended it.
        by: Option<Principal>,
    },
    /// Payloads were erased, in this commit.
    Done {
        /// The request.
        erasure: Erasure,
        /// Who consented.
        consented_by: Principal,
        /// The records that lost their payload, as ranges from an index to before another; at most [`MAX_RANGES`].
        ranges: Vec<(u64, u64)>,
    },
    /// A hold is in force.
    HoldSet(Hold),
    /// Somebody wants a hold lifted.
    HoldLiftRequested {
        /// The hold.
        hold: Hold,
        /// Who.
        by: Principal,
        /// Why.
        reason: Note,
    },
    /// A hold is lifted.
    HoldLifted {
        /// The hold.
        hold: Hold,
        /// Who asked for it.
        by: Principal,
        /// Who consented.
        consented_by: Principal,
        /// Why it is lifted.
        reason: Note,
    },
}

// === impl ErasureEvent ===

impl ErasureEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Requested(_) => "erasure_requested",
            Self::Ended { .. } => "erasure_ended",
            Self::Done { .. } => "payloads_erased",
            Self::HoldSet(_) => "hold_set",
            Self::HoldLiftRequested { .. } => "hold_lift_requested",
            Self::HoldLifted { .. } => "hold_lifted",
        }
    }

    pub(super) fn fields(&self) -> Fields {
        match self {
            Self::Requested(erasure) => {
                let mut fields = of_erasure(erasure.id, erasure);
                fields.extend([("by", text(&erasure.by)), ("reason", text(&erasure.reason))]);
                fields
            }
            Self::Ended { erasure, by } => {
                let mut fields = of_erasure(erasure.id, erasure);
                fields.extend([("requester", text(&erasure.by)), ("by", optional(by.as_ref()))]);
                fields
            }
            Self::Done { erasure, consented_by, ranges } => {
                let mut fields = of_erasure(erasure.id, erasure);
                fields.extend([
                    ("by", text(&erasure.by)),
                    ("consented_by", text(consented_by)),
                    ("reason", text(&erasure.reason)),
                ]);
                fields.extend(erased(ranges));
                fields
            }
            Self::HoldSet(hold) => {
                let mut fields = of_hold(hold);
                fields.extend([("by", text(&hold.by)), ("reason", text(&hold.reason))]);
                fields
            }
            Self::HoldLiftRequested { hold, by, reason } => {
                let mut fields = of_hold(hold);
                fields.extend([("by", text(by)), ("reason", text(reason))]);
                fields
            }
            Self::HoldLifted { hold, by, consented_by, reason } => {
                let mut fields = of_hold(hold);
                fields.extend([
                    ("by", text(by)),
                    ("consented_by", text(consented_by)),
                    ("reason", text(reason)),
                ]);
                fields
            }
        }
    }
}

fn of_erasure(id: ErasureId, erasure: &Erasure) -> Fields {
    vec![("erasure", text(id)), ("scope", text(&erasure.scope))]
}

fn of_hold(hold: &Hold) -> Fields {
    vec![("hold", text(hold.id)), ("scope", text(&hold.scope))]
}
