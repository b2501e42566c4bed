//! Guards, both ways. Agents that do not say have only their journal.

use lictor_core::guard::Guard;

use super::{Invalid, known};
use crate::pb;

impl From<Guard> for pb::Guard {
    fn from(guard: Guard) -> Self {
        match guard {
            Guard::Journal => Self::Journal,
            Guard::Host => Self::Host,
        }
    }
}

/// The guard in `field`; what is not set is the journal.
///
/// # Errors
/// [`Invalid`] for a guard that this version does not know.
pub fn guard_from_wire(field: &'static str, wire: i32) -> Result<Guard, Invalid> {
    if wire == pb::Guard::Unspecified as i32 {
        return Ok(Guard::Journal);
    }
    Ok(match known(field, wire)? {
        pb::Guard::Unspecified | pb::Guard::Journal => Guard::Journal,
        pb::Guard::Host => Guard::Host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_survives_the_wire_and_one_that_is_not_said_is_the_journal() {
        for guard in Guard::ALL {
            assert_eq!(guard_from_wire("guard", pb::Guard::from(guard).into()), Ok(guard));
        }
        assert_eq!(guard_from_wire("guard", 0), Ok(Guard::Journal));
        assert!(guard_from_wire("guard", 3).is_err());
    }
}
